"""The helpers behind notebooks/02_losses: curves of every loss, first pushes, limits, sentences, pictures."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ltlib import losses
from ltlib.chapters.losses import batch as batches
from ltlib.chapters.losses import catalogue, curves, gallery, limits, sentences
from ltlib.datasets.images import LongTailed
from ltlib.sections import images

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "02_losses.ipynb"


@pytest.fixture(scope="module")
def data() -> LongTailed:
    return images.of("cifar10", "convergent/features", "quick").data


@pytest.fixture(scope="module")
def batch(data) -> batches.MiniBatch:
    return batches.mini_batch(data, size=64)


# --- curves ----------------------------------------------------------------------------------------------------------


def test_every_loss_that_reads_logits_is_drawn_and_no_other():
    """The cells of the page name each of them in a list of losses."""
    cells = [c for c in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    figures = ["".join(c["source"]) for c in cells if "over_probability" in "".join(c["source"])]
    named = {text.partition("[")[0] for text in re.findall(r'"([a-z_0-9]+(?:\[[^"]*)?)"', " ".join(figures))}
    drawn = named & set(losses.names())
    assert drawn == set(catalogue.classification())
    assert set(losses.names()) - drawn == {"supcon", "simclr", "bcl", "concutmix", "kcl", "paco", "proco", "tsc"}


@pytest.mark.parametrize("name", catalogue.classification())
def test_the_sliders_draw_every_loss(name):
    quantity = ("loss", "gradient", "factor")[len(name) % 3]
    figure = curves.explore(name, imbalance_factor=20, classes=3, quantity=quantity)
    assert np.isfinite(figure.frame()[quantity]).all()


@pytest.mark.parametrize("name", curves.FOCUSED)
def test_the_gamma_slider_moves_the_losses_that_have_an_exponent(name):
    drawn = {gamma: curves.explore(name, gamma, 20, 3, "loss").frame() for gamma in (0, 1.5)}
    said = curves.explore(f"{name}[gamma=1.5]", None, 20, 3, "loss").frame()
    np.testing.assert_array_equal(drawn[1.5]["loss"], said["loss"])
    assert not np.allclose(drawn[0]["loss"], drawn[1.5]["loss"])


def test_the_gamma_slider_leaves_others_alone():
    for name in set(catalogue.classification()) - set(curves.FOCUSED):
        assert "gamma" not in losses.LOSSES.get(name).defaults or name in ("equalization", "class_balanced", "deferred")
    before, after = (curves.explore("equalization", gamma, 20, 3).frame()["loss"] for gamma in (None, 5.0))
    np.testing.assert_array_equal(before, after)


def test_the_table_of_losses_has_all_of_them_with_their_settings():
    table = catalogue.loss_table().set_index("loss")
    assert list(table.index) == losses.names()
    assert table.loc["focal", "settings"] == "gamma 2, alpha none"
    assert table.loc["kcl", "reads"] == "features"
    assert table.loc["awabs", "module"] == "losses.smoothing"


# --- first pushes and a batch ----------------------------------------------------------------------------------------


def test_the_first_push_of_cross_entropy_is_the_prior_minus_its_even_share():
    counts = (60, 30, 10)
    assert curves.first_push("ce", counts) == pytest.approx([n / 100 - 1 / 3 for n in counts])
    assert curves.first_push("balanced_softmax", counts) == pytest.approx([0, 0, 0], abs=1e-12)
    assert curves.first_push("weighted_ce", counts) == pytest.approx([0, 0, 0], abs=1e-12)


def test_shares_of_a_batch(batch):
    images = np.array(batch.images()) / len(batch.targets)
    assert batch.shares("ce", trained=False) == pytest.approx(images)
    present = images > 0
    assert np.array(batch.shares("loss_equalised[scope=loss]"))[present] == pytest.approx(1 / present.sum())
    equal = np.array(batch.shares("loss_equalised", trained=False))[present]
    assert equal == pytest.approx(1 / present.sum())


def test_the_batch_is_drawn_as_the_data_and_the_sentence_counts_it(batch):
    images = batch.images()
    assert sum(images) == 64
    assert f"Of 64 images {max(images)} are of class {images.index(max(images))}" in batches.balance_sentence(batch)
    bars = {name: (name, True) for name in catalogue.classification()}
    drawn = set(batches.shares(batch, bars).frame()["loss name"]) - {"Images"}
    negative = {name for name in bars if min(batch.shares(name)) < 0}
    assert drawn == set(bars) - negative
    assert negative <= {"lade"}


# --- facts -----------------------------------------------------------------------------------------------------------


def test_the_losses_meet_where_they_should():
    table = limits.limits().set_index("limit")
    apart = table.index[table["the same"] == "no"]
    assert list(apart) == ["loss equalisation of loss sums, balanced batch"]
    gaps = table["largest difference"].astype(float)
    exact = gaps.drop([*apart, *(name for name in table.index if ".0000" in name or ".9999" in name)])
    assert (exact < 1e-12).all()
    wanted = (
        "class-balanced, beta 0",
        "balanced softmax",
        "VS, gamma 0",
        "focal, gamma 0",
        "LDAM, margin 0, on cosines",
    )
    assert set(wanted) < set(table.index)


def test_the_printed_twins_are_the_documents_numbers():
    assert "0.7978, 0.7978, 0.7978 and 0.8034" in limits.printed_twins()


def test_the_gradient_of_awabs_has_the_wrong_sign_at_odd_gamma_only():
    for p, gamma in ((0.3, 1.0), (0.6, 2.0), (0.8, 3.0)):
        printed, found = sentences.focal_gradient(p, gamma)
        right = (1 - p) ** gamma * (gamma * p * math.log(p) + p - 1)
        assert found == pytest.approx(right, rel=1e-9)
        assert printed == pytest.approx(right if gamma % 2 == 0 else -right, rel=1e-9)


def test_every_disagreement_names_registered_losses():
    table = catalogue.differences()
    for names in table["loss"]:
        assert all(name in losses.LOSSES for name in names.split(", "))
    assert not (table == "").any().any()


def test_trials_leave_no_run_behind(reports):
    table = catalogue.trials(["ce"], "convergent[augmentation=shift1;epochs=1]")
    assert list(table["method"]) == ["CE"]
    assert os.environ["LTLIB_REPORTS"] == str(reports)
    assert not reports.exists() or not any(reports.rglob("*"))


# --- gallery ---------------------------------------------------------------------------------------------------------


def test_cmo_pastes_the_rarest_class_as_often_as_any(data):
    *_, draws, _ = gallery.cmo_batch(data, 4000)
    chosen = data.train.targets[draws["partner"].numpy()]
    assert (chosen == 9).mean() == pytest.approx(0.1, abs=0.02)
    assert "the rarest" in gallery.cmo_sentence(data)


def test_every_figure_of_the_gallery_is_drawn_and_says_what_it_shows(data):
    lambdas = (0.9, 0.7, 0.5, 0.3, 0.1)
    pair = [gallery.mixup(data, lambdas), gallery.cutmix(data), gallery.remix(data, lambdas), gallery.cmo(data)]
    single = ["cutout", "cutout4", "cut_thumbnail[per_sample=true;prob=1.0]", "autoaugment", "randaugment9"]
    assert all(len(chart.alt) > 30 for chart in [*pair, gallery.single(data, single)])
    assert "share of 0 is 0.9, 0.7, 0.5, 0, 0" in pair[2].alt  # the head's label goes where lambda < 0.5


def test_sentences_are_judged_by_the_formulas(batch):
    found: dict[str, list[bool | None]] = {}
    for said in [*sentences.of_cefl(), *sentences.of_awabs(), sentences.of_loss_balance(batch)]:
        found.setdefault(said.source, []).append(said.answer)
    assert found == {
        "cefl, section III.C": [True, True, False],
        "awabs, section 2.2.1": [False],
        "awabs, section 2.2.2": [False],
        "loss_balance, abstract": [None],
    }


# --- the sentences that lead -----------------------------------------------------------------------------------------


def test_what_leads_a_folded_table_is_counted_from_it():
    met = pd.DataFrame({"limit": ["a", "b", "c"], "the same": ["yes", "no", "yes"]})
    assert limits.sentence(met) == "2 of 3 pairs are the same function; apart: b."
    assert limits.sentence(met[met["the same"] == "yes"]) == "2 of 2 pairs are the same function."
    differ = pd.DataFrame({"loss": ["focal", "ldam_drw, deferred"]})
    assert catalogue.differences_sentence(differ) == (
        "3 names stand for more than one function: Focal, LDAM-DRW, Deferred re-weighting."
    )
    methods = pd.DataFrame({"here": ["ce", "not built", "ldam"]})
    assert catalogue.catalogue_line("awabs", methods) == "awabs: 3 methods, 2 of them built here"
    one, other = (sentences.Sentence("", source, None, "") for source in ("cefl, 1", "awabs, 2"))
    told = [one._replace(answer=True), other._replace(answer=False), other._replace(answer=False), one]
    assert sentences.tally(told) == (
        "Of 4 sentences the formulas bear out 1 and contradict 2 (awabs, 2); 1 cannot be told."
    )
    assert sentences.tally(told[:1]) == "Of 1 sentences the formulas bear out 1."
