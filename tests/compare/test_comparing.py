"""A comparison from a folder to a model: experiments, what their runs come to, the model and its predictions."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from ltlib import cli, models, runs, sealed
from ltlib.compare import candidates, experiments, export, predict, results, target
from ltlib.compare.experiments import Front
from ltlib.datasets import pictures
from ltlib.errors import DataError, RunError, SettingError, UnknownName

COUNTS = {"eight": 12, "one": 60, "three": 30}
NUMBERS = {"eight": 8, "one": 1, "three": 3}
METHODS = ("ce", "ce + prior", "balanced_softmax", "ldam_drw", "tau_norm")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three digits of unequal numbers as PNG files."""
    top, digits = tmp_path_factory.mktemp("own") / "digits", load_digits()
    for name, count in COUNTS.items():
        (top / name).mkdir(parents=True)
        for place, i in enumerate(np.flatnonzero(digits.target == NUMBERS[name])[:count]):
            grey = np.rint(digits.images[i] * 255 / 16).astype(np.uint8)
            Image.fromarray(grey).convert("RGB").resize((16, 16)).save(top / name / f"{place:02}.png")
    return top


@pytest.fixture(scope="module")
def found(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> results.Results:
    """A finished comparison on frozen features of a small network."""
    place = tmp_path_factory.mktemp("compare")
    network = models.create("efficientnet_lite0[size=tiny]", 3, seed=3)
    sealed.write_tensors(place / "w.safetensors", network.backbone.state_dict())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LTLIB_REPORTS", str(place / "reports"))
        patch.setenv("LTLIB_DEVICE", "cpu")
        model = f"efficientnet_lite0[size=tiny;weights={place / 'w.safetensors'}]"
        front = Front(model, "probe[epochs=8;resize=24]", 16, "")
        tried = candidates.chosen(METHODS)
        planned = experiments.plan(experiments.dataset(str(folder), 16), front, tried, splits=3)
        own = [runs.run(one) for one in planned]
        made = results.gathered(target.of("balanced", list(COUNTS), list(COUNTS.values())), tried, own)
        for run in own:
            assert run.metrics
        return made


def test_every_candidate_on_every_split(found: results.Results) -> None:
    names = [one.name for one in found.tried]
    assert names == ["ce", "ce + prior", "balanced_softmax", "tau_norm", "ldam_drw"]  # simplest first
    assert len(found.runs) == 4  # the adjusted one is not trained
    assert {name: len(own) for name, own in found.runs.items()} == dict.fromkeys(found.runs, 3)
    for split in range(3):
        same = {run.test_fingerprint for own in found.runs.values() for run in own[split : split + 1]}
        assert len(same) == 1  # methods are compared on the same images
    assert len({own.test_fingerprint for own in found.runs["ce"]}) == 3


def test_the_adjusted_one_is_plain_training_with_its_prior_taken_out(found: results.Results) -> None:
    plain, moved = found.candidate("ce"), found.candidate("ce + prior")
    run = found.runs["ce"][0]
    expected = found.logits(plain, 0) - np.log(np.array(run.class_counts) / sum(run.class_counts)) + np.log(1 / 3)
    np.testing.assert_allclose(found.logits(moved, 0), expected)
    same = found.candidate("balanced_softmax")  # made for equal classes, which is the target
    np.testing.assert_allclose(found.logits(same, 0), found.runs["balanced_softmax"][0].predictions["last"].logits)


def test_tables(found: results.Results) -> None:
    frame = results.table(found)
    scores = found.scores()
    assert list(frame["score (%)"]) == pytest.approx([100 * np.mean(scores[n]) for n in scores], abs=0.006)
    classes = results.by_class(found, found.candidate("ce"))
    assert list(classes["class"]) == ["eight", "three", "one"]  # rarest first
    assert list(classes["test images a split"]) == [2, 6, 12]
    assert list(classes["judged"]) == ["too few images", "too few images", ""]
    matrix = results.confusion(found, found.candidate("ce"))
    assert matrix.sum(1).tolist() == [6, 36, 18]  # of all splits, in the order of the classes


def test_a_method_that_lacks_a_split_is_left_out(found: results.Results) -> None:
    own = [run for same in found.runs.values() for run in same]
    fewer = [run for run in own if not (run.experiment.method == "ldam_drw" and run.experiment.seed == 2)]
    kept = [one.name for one in results.gathered(found.target, found.tried, fewer).tried]
    assert kept == ["ce", "ce + prior", "balanced_softmax", "tau_norm"]
    with pytest.raises(RunError, match="1 splits of plain training"):
        results.gathered(found.target, found.tried, [run for run in own if run.experiment.seed == 0])


@pytest.mark.parametrize("name", METHODS)
def test_an_exported_model_says_what_the_report_says(
    name: str, found: results.Results, folder: Path, tmp_path: Path
) -> None:
    one = found.candidate(name)
    place = export.write(found, one, tmp_path / "model", mean=(0.5,) * 3, std=(0.5,) * 3, size=16)
    with (place / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        reported = list(csv.DictReader(stream))
    data = runs.load_data(found.runs[one.method][0].experiment)
    model = predict.Model(place)
    said = model(np.asarray(data.test.images[np.arange(len(data.test))]))
    for row, own in zip(reported, said, strict=True):
        assert row["predicted"] == model.labels[int(own.argmax())]
        assert float(row["confidence"]) == pytest.approx(float(own.max()), abs=1e-6)
    # the same answers as the report's, whatever the temperature
    assert [row["predicted"] for row in reported] == [found.class_names[c] for c in found.logits(one, 0).argmax(1)]
    # neither order nor company of an image plays a part
    order = np.random.default_rng(0).permutation(len(data.test))
    shuffled = model(np.asarray(data.test.images[order]))
    np.testing.assert_allclose(shuffled, said[order], atol=1e-6)
    alone = np.concatenate([model(np.asarray(data.test.images[np.array([i])])) for i in range(3)])
    np.testing.assert_allclose(alone, said[:3], atol=1e-6)


def test_learnable_scales_are_folded_into_the_classifier() -> None:
    from ltlib.models.classifiers import ScaledLinear

    for bias in ("scaled", "kept"):
        network = models.create("resnet8", 3, seed=0)
        network.classifier = ScaledLinear(network.classifier, trainable=False, bias=bias)
        network.classifier.scales.data = torch.tensor([0.5, 2.0, 3.0])
        network.classifier.linear.bias.data = torch.tensor([1.0, -1.0, 2.0])
        plain = models.create("resnet8", 3)
        plain.load_state_dict(export.folded(network))
        images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(plain.eval()(images), network.eval()(images))


def test_predict_from_the_command_line(
    found: results.Results, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = export.write(found, found.candidate("ce"), tmp_path / "model", mean=(0.5,) * 3, std=(0.5,) * 3, size=16)
    (tmp_path / "note.jpg").write_text("no picture")
    files = [str(folder / "one"), str(tmp_path / "note.jpg")]
    assert cli.main(["predict", str(place), *files]) == 1  # one file could not be read
    out = capsys.readouterr()
    rows = list(csv.DictReader(out.out.splitlines()))
    assert len(rows) == COUNTS["one"] + 1
    assert rows[-1]["problem"]
    assert "note.jpg" in out.err
    image = pictures.decode(folder / "one" / "00.png", 16)
    expected = predict.Model(place)(image[None])[0]
    assert float(rows[0]["confidence"]) == pytest.approx(float(expected.max()), abs=1e-6)
    assert cli.main(["predict", str(place), "--form", "json", str(folder / "one" / "00.png")]) == 0
    assert json.loads(capsys.readouterr().out)[0]["label"] == rows[0]["label"]


def test_a_changed_model_is_refused(found: results.Results, tmp_path: Path) -> None:
    place = export.write(found, found.candidate("ce"), tmp_path / "model", mean=(0.5,) * 3, std=(0.5,) * 3, size=16)
    (place / "predictions.csv").write_text("changed")
    with pytest.raises(RunError, match=r"no whole model: .*predictions.csv has changed"):
        predict.Model(place)
    with pytest.raises(RunError, match="not finished"):
        predict.Model(tmp_path)
    with pytest.raises(DataError, match="is not there"):
        predict.files_of([str(tmp_path / "none.png")])


def test_choices(tmp_path: Path) -> None:
    assert [one.name for one in candidates.chosen(("focal",))] == ["ce", "focal"]
    assert candidates.chosen(("mixup",))[-1].learns == "training"
    with pytest.raises(UnknownName, match="focal"):
        candidates.chosen(("focall",))
    with pytest.raises(SettingError, match="at least two splits"):
        experiments.plan("folder:x", Front("resnet8", "ldam", 32, ""), candidates.FAST, 1)
    with pytest.raises(SettingError, match="random weights"):
        experiments.front("resnet8")
    assert experiments.front("resnet8", full=True).size == 32
    assert experiments.dataset("a/b.csv", 64) == "csv:a/b.csv@64"
    assert experiments.dataset("a/b/", 64) == "folder:a/b/@64"


def test_without_a_pretrained_network_a_small_one_is_trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(*_: object) -> None:
        raise DataError("the weights are missing")

    monkeypatch.setattr(experiments.weight_files, "read", missing)
    front = experiments.front()
    assert (front.model, front.size) == ("resnet8", 32)
    assert "No pretrained network is here: the weights are missing" in front.said
