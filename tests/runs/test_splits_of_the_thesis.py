"""The test sets of the thesis: as many images of each class, and each split's scores in the method's own loss."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score
from torch.nn import functional as F

from ltlib import datasets, losses, runs
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.runs import splits
from ltlib.runs.result import Predictions

COUNTS = [500 // (i + 1) for i in range(100)]
TARGETS = np.repeat(np.arange(100), 50)
EXPERIMENT = Experiment(dataset="cifar100", test_per_class=50)


def said(seed: int = 0) -> Predictions:
    logits = np.random.default_rng(seed).normal(size=(5000, 100)).astype(np.float32)
    logits[np.arange(5000), TARGETS] += 2
    return Predictions.from_logits(logits, TARGETS)


def test_sizes_are_those_the_printed_accuracies_imply() -> None:
    found = splits.scores(EXPERIMENT, said(), COUNTS)
    sizes = {"balanced": 5000, "longtailed": 1051, "head": 844, "middle": 169, "tail": 38}
    assert {name: own["support"] for name, own in found.items()} == sizes


def test_scores_are_scikit_learns_over_the_splits_own_images() -> None:
    one = said()
    tail = splits.scores(EXPERIMENT, one, COUNTS)["tail"]
    # rarest first: of the last 34 classes all but the first four are left with one image
    index = [50 * c + i for c in range(66, 100) for i in range(max(1, int(50 * 100 ** (-c / 99))))]
    assert tail["accuracy"] == pytest.approx(accuracy_score(TARGETS[index], one.predicted[index]))
    present = sorted(set(TARGETS[index]))
    f1 = f1_score(TARGETS[index], one.predicted[index], labels=present, average="weighted", zero_division=0)
    assert tail["weighted_f1"] == pytest.approx(f1)


def test_a_weighted_loss_divides_by_the_splits_own_weights() -> None:
    one = said()
    found = splits.scores(EXPERIMENT.replace(method="weighted_ce"), one, COUNTS)
    weights = 1 / torch.tensor(COUNTS, dtype=torch.float32)
    assert one.logits is not None
    whole = F.cross_entropy(torch.as_tensor(one.logits), torch.as_tensor(TARGETS), weight=weights)
    assert found["balanced"]["loss"] == pytest.approx(float(whole), rel=1e-5)
    head, middle, tail = (found[name]["loss"] for name in ("head", "middle", "tail"))
    mean = (844 * head + 169 * middle + 38 * tail) / 1051
    assert found["longtailed"]["loss"] != pytest.approx(mean, rel=1e-3)


def test_ldam_is_evaluated_with_its_margins_and_scale() -> None:
    raw = torch.as_tensor(said().logits)
    loss = losses.create("ldam", COUNTS)
    stored = Predictions.from_logits(loss.adjust(raw).numpy(), TARGETS)
    found = splits.scores(EXPERIMENT.replace(method="ldam[classifier=linear]"), stored, COUNTS)
    assert found["balanced"]["loss"] == pytest.approx(float(loss(raw, torch.as_tensor(TARGETS))), rel=1e-5)


def test_equal_counts_make_four_losses_one_function() -> None:
    """So on a balanced training set these rows can differ by chance alone."""
    methods = ("ce", "weighted_ce", "class_balanced", "balanced_softmax")
    found = [splits.scores(EXPERIMENT.replace(method=name), said(), [500] * 100) for name in methods]
    for split in found[0]:
        values = [one[split]["loss"] for one in found]
        assert values == pytest.approx([values[0]] * 4, rel=1e-6)


def test_without_logits_there_is_no_loss() -> None:
    one = said()
    bare = Predictions(one.targets, one.predicted, one.confidence)
    found = splits.scores(EXPERIMENT, bare, COUNTS)
    assert found["tail"]["loss"] is None
    assert found["tail"]["accuracy"] == splits.scores(EXPERIMENT, one, COUNTS)["tail"]["accuracy"]


@pytest.mark.parametrize("name", ["ce", "balanced_softmax", "ldam", "ldam_drw", "lade", "deferred[base=ldam]"])
def test_restore_is_the_inverse_of_adjust(name: str) -> None:
    text = "lade[test_prior=training]" if name == "lade" else name
    loss = losses.create(text, [50, 20, 5])
    logits = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(loss.restore(loss.adjust(logits)), logits, atol=1e-6, rtol=1e-5)


def test_as_many_test_images_of_each_class_picked_by_the_subset_seed() -> None:
    whole = datasets.load("digits")
    cut, same, other = (datasets.load("digits", test_per_class=12, subset_seed=seed) for seed in (0, 0, 1))
    assert cut.test.class_counts == (12,) * 10
    assert cut.test_fingerprint == same.test_fingerprint == datasets.fingerprint(cut.test.indices, cut.test.targets)
    assert len({whole.test_fingerprint, cut.test_fingerprint, other.test_fingerprint}) == 3
    for image, index in zip(cut.test.images, cut.test.indices, strict=True):
        np.testing.assert_array_equal(image, whole.test.images[index])
    assert datasets.load("digits", test_per_class=10**6).test.class_counts == (50,) * 10
    with pytest.raises(SettingError, match="test_per_class"):
        datasets.load("digits", test_per_class=0)


def test_a_run_keeps_its_splits_and_which_images_it_was_tested_on(reports: Path, tmp_path: Path) -> None:
    recipe = "ldam[epochs=1;warmup_epochs=0;augmentation=none]"
    tested = Experiment("digits", 20, "resnet8", "balanced_softmax", recipe, limit=60, test_per_class=5)
    assert tested.run_id != tested.replace(test_per_class=None).run_id
    run = runs.run(tested)
    data = runs.load_data(tested)
    assert run.test_fingerprint == data.test_fingerprint
    scores = run.metrics["last"]
    assert scores["splits"]["balanced"]["accuracy"] == pytest.approx(scores["accuracy"])
    assert scores["splits"]["balanced"]["support"] == 50
    expected = losses.create("balanced_softmax", run.class_counts)
    logits = torch.as_tensor(run.predictions["last"].logits)
    value = float(expected(logits, torch.as_tensor(run.predictions["last"].targets)))
    assert scores["splits"]["balanced"]["loss"] == pytest.approx(value, rel=1e-5)
    assert runs.verify() == []
    kept = json.loads(run.record(tmp_path).read_text(encoding="utf-8"))
    assert kept["metrics"]["last"]["splits"]["tail"]["loss"] == pytest.approx(
        scores["splits"]["tail"]["loss"], rel=1e-6
    )
