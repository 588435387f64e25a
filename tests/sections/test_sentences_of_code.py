"""What notebooks and sections say of the code, against the code."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path

import pandas as pd
import pytest

import ltlib
from ltlib import losses, mixing
from ltlib.batches import draws
from ltlib.chapters.awabs import comparison as awabs_comparison
from ltlib.chapters.awabs import methods as awabs_methods
from ltlib.methods.stage import stages
from ltlib.pages import declared
from ltlib.pages.declared import Declared
from ltlib.sections import calibration, groups, pictures, study

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
PAGES = {page.id: page for page in declared.all_pages()}


def says(notebook: str, sentence: str) -> None:
    """The notebook's Markdown has the sentence, however its lines are broken."""
    cells = json.loads((NOTEBOOKS / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    text = " ".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert sentence in " ".join(text.split())


def experiments(page: str, profile: str) -> dict[str, ltlib.Experiment]:
    return {one.run_id: one for one in declared.experiments([PAGES[page]], profile)}


@pytest.mark.parametrize("page", [page for page in PAGES.values() if page.grids], ids=lambda page: page.id)
def test_costs_name_as_many_runs_as_are_made(page: Declared) -> None:
    """ "Further" are those that the pages before it do not make."""
    for profile, text in page.cost.items():
        number = re.match(r"(\d+)( further)? runs", text)
        if number is None:
            continue
        own = experiments(page.id, profile).keys()
        before = set().union(*(experiments(other, profile) for other in page.after if other in PAGES))
        assert int(number[1]) == len(own - before if number[2] else own), (profile, text)


def test_how_many_runs_share_their_first_stage() -> None:
    own = experiments("awabs/methods", "laptop").values()
    shared = len(own) - len({one.resolve().stage_id(0) for one in own})
    assert f"{shared} of them only two epochs on a shared first stage" in PAGES["awabs/methods"].cost["laptop"]
    assert {one.resolve().epochs(1) for one in own if len(one.resolve().stages) > 1} == {2}


@pytest.mark.parametrize("profile", ["quick", "laptop", "paper"])
def test_epochs_of_stage_2_are_those_that_are_trained(profile: str) -> None:
    frame = pd.DataFrame({"method": ["CE"], "training (%)": [70.04]})
    resolved = awabs_methods.trained(profile).resolve()
    first, second = resolved.epochs(0), resolved.epochs(1)
    assert awabs_methods.stage_epochs(profile) == (first, second)
    said = awabs_comparison.short_training(frame, profile)
    assert said == "" if profile == "paper" else f"only {second} epoch{'s' * (second > 1)} after {first}." in said
    assert "a twentieth" not in said
    left_open = awabs_methods.not_stated(profile).set_index("setting")
    assert left_open.loc["epochs of stage 2", "here"] == f"{second} after {first}"


@pytest.mark.parametrize(("training", "part"), [(70.04, "stops before that, at 70.0%"), (98.0, "fitted too")])
def test_a_network_stops_before_it_fits_only_where_it_has(training: float, part: str) -> None:
    frame = pd.DataFrame({"method": ["CE", "MiSLAS"], "training (%)": [training, 50.0]})
    assert part in awabs_comparison.short_training(frame, "laptop")
    other = awabs_comparison.short_training(frame[frame["method"] != "CE"], "laptop")
    assert "stops before that" not in other
    assert "fitted too" not in other


def test_stage_2_leaves_the_backbones_weights() -> None:
    says("awabs/comparison", "Stage 2 leaves the weights of the backbone as they are, but every image still passes")
    seconds = [
        stage
        for profile in ("quick", "laptop", "paper")
        for one in experiments("awabs/comparison", profile).values()
        for stage in one.resolve().stages[1:]
    ]
    assert seconds
    assert all("backbone" not in stage.lr for stage in seconds)


def test_three_readings_of_stage_2() -> None:
    says("awabs/methods", "**continue** trains all parts at a tenth of the rate")
    says("awabs/methods", "**decoupled** the classifier alone, **decoupled, shifted** beside it the batch statistics")
    second = {v: stages(f"awabs_cutmix[variant={v}]")[1] for v in ("continue", "decoupled", "decoupled_shifted")}
    assert second["continue"].lr == {"backbone": 0.1, "projector": 0.1, "classifier": 0.1}
    assert set(second["decoupled"].lr) == set(second["decoupled_shifted"].lr) == {"classifier"}
    assert [second[v].batch_norm for v in second] == ["train", "train", "shift"]


def test_remix_relabels_what_has_three_times_the_images_and_less_than_half_of_the_mixture() -> None:
    says("02_losses", "at least three times the images of the other and less than half of the mixture")
    remix = mixing.create("remix")
    assert (remix.kappa, remix.tau) == (3.0, 0.5)  # type: ignore[attr-defined]
    import torch

    lam, counts = torch.tensor([0.49, 0.5, 0.49, 0.51]), torch.tensor([30, 10, 11])
    own, other = torch.tensor([0, 0, 0, 1]), torch.tensor([1, 1, 2, 0])
    share = remix.label_share(lam, own, other, counts)
    assert share.tolist() == pytest.approx([0.0, 0.5, 0.49, 1.0])


def test_what_02_losses_says_of_mixing_and_deferring() -> None:
    says("02_losses", "puts them in after four fifths of the epochs")
    assert losses.create("ldam_drw", [4, 2]).start_share == 0.8  # type: ignore[attr-defined]
    says("02_losses", "One box serves a whole batch")
    assert not mixing.create("cmo").per_sample  # type: ignore[attr-defined]
    says("02_losses", "Losses with margins or weights by the batch refuse them here")
    for name in ("ldam", "ldam_drw", "lade", "loss_equalised"):
        assert not losses.create(name, [4, 2]).mixable


def test_balanced_and_reversed_samplers_of_the_text_exist() -> None:
    says("awabs/methods", "batches that prefer rare classes (the reversed sampler) in stage 2")
    assert "reversed" in draws.SAMPLERS.names()


# --- sentences made from numbers -------------------------------------------------------------------------------------


def test_lt_is_said_of_what_was_cut_down() -> None:
    def where(dataset: str, factor: float) -> str:
        return study.setting(ltlib.Experiment(dataset, factor, "resnet8", "ce", "convergent"))

    assert where("cifar100", 50) == "CIFAR-100-LT, imbalance factor 50, ResNet-8"
    assert where("cifar100", 1) == "CIFAR-100, ResNet-8"
    assert where("digits", 20) == "Digits, imbalance factor 20, ResNet-8"  # never balanced
    assert where("butterfly", 10) == "Butterfly, imbalance factor 10, ResNet-8"


def test_why_there_are_no_flips_is_said_of_the_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "a mirrored digit is no digit" in pictures.mirror_sentence("digits_folder", "shift1")
    info = ltlib.datasets.info("cifar10")
    monkeypatch.setattr(pictures.datasets, "info", lambda name: dataclasses.replace(info, flips=False))
    text = pictures.mirror_sentence("cifar10", "shift1")
    assert "digit" not in text
    assert "images of CIFAR-10 may not be mirrored" in text
    assert "no flips" not in pictures.mirror_sentence("cifar10", "crop4+flip")


def test_a_group_that_nobody_predicts_has_no_median() -> None:
    gaps = {kind: {"CE": {"head": 0.1, "tail": math.nan}} for kind in groups.BY}
    frame = pd.DataFrame({"method": ["CE"], "hidden": [0.5], "all": [10.0]})
    text = groups.sentence(gaps, frame, base="CE")
    assert "nan" not in text
    assert "tail for none of 0, because no method predicts it" in text
    assert "head for 1 of 1 (median +10 points)" in text


def test_one_method_is_one_method() -> None:
    frame = pd.DataFrame({"method": ["CE", "LWS"], "confidence": [0.9, 0.8], "accuracy": [0.7, 0.7]})
    assert calibration.sides(frame.head(1)).startswith("Of 1 method 1 is over-confident")
    assert calibration.sides(frame).startswith("Of 2 methods 2 are over-confident")
