"""Metrics against scikit-learn, against printed confusion matrices, and on the inputs that fool other libraries."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from ltlib import metrics, published
from ltlib.errors import SettingError


@st.composite
def answers(draw):
    classes = draw(st.integers(2, 7))
    images = draw(st.integers(1, 60))
    label = st.integers(0, classes - 1)
    targets = draw(st.lists(label, min_size=images, max_size=images))
    predictions = draw(st.lists(label, min_size=images, max_size=images))
    cut = draw(st.integers(0, classes))
    return classes, targets, predictions, {"head": range(cut), "tail": range(cut, classes)}


@settings(max_examples=150, deadline=None)
@given(answers())
def test_equals_scikit_learn(case):
    classes, targets, predictions, groups = case
    ours = metrics.evaluate(targets, predictions, classes, groups)
    labels = list(range(classes))
    assert ours["accuracy"] == pytest.approx(oracle.accuracy_score(targets, predictions), abs=1e-12)
    for name, average in (("macro", "macro"), ("weighted", "weighted"), ("per", None)):
        p, r, f, s = oracle.precision_recall_fscore_support(
            targets, predictions, labels=labels, average=average, zero_division=0
        )
        if name == "macro":
            assert [ours["precision"], ours["recall"], ours["f1"]] == pytest.approx([p, r, f], abs=1e-12)
        elif name == "weighted":
            assert ours["weighted_f1"] == pytest.approx(f, abs=1e-12)
        else:
            per = ours["per_class"]
            assert per["precision"] == pytest.approx(p, abs=1e-12)
            assert per["recall"] == pytest.approx(r, abs=1e-12)
            assert per["f1"] == pytest.approx(f, abs=1e-12)
            assert per["support"] == s.tolist()
    present = sorted(set(targets))
    recalls = oracle.recall_score(targets, predictions, labels=present, average=None, zero_division=0)
    assert ours["balanced_accuracy"] == pytest.approx(recalls.mean(), abs=1e-12)
    assert ours["worst_class_recall"] == pytest.approx(recalls.min(), abs=1e-12)
    matrix = oracle.confusion_matrix(targets, predictions, labels=labels)
    assert metrics.confusion_matrix(targets, predictions, classes).tolist() == matrix.tolist()
    for name, members in groups.items():
        members = list(members)
        inside = np.isin(targets, members)
        group = ours["groups"][name]
        assert group["support"] == int(inside.sum())
        if not inside.any():
            assert {value for key, value in group.items() if key != "support"} == {None}
            continue
        assert group["accuracy"] == pytest.approx(np.mean(np.array(targets)[inside] == np.array(predictions)[inside]))
        p, r, f, _ = oracle.precision_recall_fscore_support(
            targets, predictions, labels=members, average="macro", zero_division=0
        )
        assert [group["precision"], group["recall"], group["f1"]] == pytest.approx([p, r, f], abs=1e-12)
        weighted = oracle.f1_score(targets, predictions, labels=members, average="weighted", zero_division=0)
        assert group["weighted_f1"] == pytest.approx(weighted, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(answers())
def test_restricted_equals_scikit_learn_on_those_images(case):
    classes, targets, predictions, _ = case
    index = [i for i in range(len(targets)) if i % 2 == 0]
    some, said = np.array(targets)[index], np.array(predictions)[index]
    ours = metrics.restricted(targets, predictions, classes, index)
    assert ours["accuracy"] == pytest.approx(oracle.accuracy_score(some, said))
    weighted = oracle.f1_score(some, said, average="weighted", zero_division=0)
    assert ours["weighted_f1"] == pytest.approx(weighted, abs=1e-12)
    assert ours["support"] == len(index)


@pytest.mark.parametrize(("figure", "table"), [("19", "2"), ("28", "3")])
def test_printed_confusion_matrices_give_the_printed_rows(figure, table):
    matrix = published.confusion("convergent", figure)
    assert matrix.sum(axis=1).tolist() == [1000] * 10
    ours = metrics.from_confusion(matrix.to_numpy())
    printed = published.table("convergent", table)
    printed = printed[printed["method"] == "focal"].set_index("metric")["printed"]
    assert {name: f"{ours[name]:.3f}" for name in printed.index} == printed.to_dict()
    assert set(printed.index) == {"precision", "recall", "f1", "accuracy"}


def test_an_absent_and_a_predicted_only_class_count_with_zero():
    """Class 2 has no image but is predicted, class 3 neither: macro F1 is over all four classes."""
    ours = metrics.evaluate([0, 0, 1, 1], [0, 2, 1, 1], 4)
    assert ours["f1"] == pytest.approx((2 / 3 + 1 + 0 + 0) / 4)
    assert ours["balanced_accuracy"] == pytest.approx((0.5 + 1) / 2)
    assert np.shape(metrics.confusion_matrix([0], [0], 4)) == (4, 4)


def test_from_a_matrix_equals_from_the_answers_and_is_json():
    generator = np.random.default_rng(3)
    targets, predictions = generator.integers(0, 6, (2, 400))
    groups = {"head": (0, 1), "middle": (2, 3), "tail": (4, 5), "none": ()}
    direct = metrics.evaluate(targets, predictions, 6, groups)
    assert direct == metrics.from_confusion(oracle.confusion_matrix(targets, predictions).tolist(), groups)
    assert json.loads(json.dumps(direct, allow_nan=False)) == direct
    assert direct["groups"]["none"]["accuracy"] is None


@pytest.mark.parametrize(
    ("targets", "predictions", "classes", "said"),
    [
        ([0, 1], [0], 2, "2 targets but 1 predictions"),
        ([0, 2], [0, 1], 2, "targets hold class 2 at position 1"),
        ([0, 1], [-1, 1], 2, "predictions hold class -1 at position 0"),
        ([0.0, float("nan")], [0, 1], 2, "NaN at position 1"),
        ([0.0, 1.0], [0, 1], 2, "whole class numbers"),
        ([], [], 2, "non-empty"),
        ([[0]], [[0]], 2, "shape"),
        ([0], [0], 0, "num_classes"),
    ],
)
def test_bad_answers_are_refused(targets, predictions, classes, said):
    with pytest.raises(SettingError, match=said):
        metrics.evaluate(targets, predictions, classes)


@pytest.mark.parametrize(
    "matrix", [[[1, 2]], [[0, 0], [0, 0]], [[1, -1], [0, 1]], [[0.5, 1], [1, 1]], [[float("nan")]]]
)
def test_bad_matrices_are_refused(matrix):
    with pytest.raises(SettingError, match="confusion matrix"):
        metrics.from_confusion(matrix)


def test_bad_groups_are_refused():
    for members in ((0, 0), (5,)):
        with pytest.raises(SettingError, match="group tail"):
            metrics.evaluate([0, 1], [0, 1], 2, {"tail": members})


def test_the_test_sets_that_the_thesis_accuracies_imply():
    targets = np.repeat(np.arange(100), 50)
    splits = metrics.evaluation_splits(targets, [500 - i for i in range(100)])
    assert {name: len(index) for name, index in splits.items()} == {
        "balanced": 5000, "longtailed": 1051, "head": 844, "middle": 169, "tail": 38,
    }  # fmt: skip
    parts = np.concatenate([splits[name] for name in ("head", "middle", "tail")])
    assert sorted(parts.tolist()) == splits["longtailed"].tolist()
    assert np.bincount(targets[splits["longtailed"]])[[0, 99]].tolist() == [50, 1]
    # Ranks come from the training counts, whichever way the classes run.
    turned = metrics.evaluation_splits(targets, [1 + i for i in range(100)])
    assert np.bincount(targets[turned["longtailed"]])[[0, 99]].tolist() == [1, 50]


def test_printed_thesis_accuracies_are_counts_out_of_those_test_sets():
    """Every accuracy of Table A.2 is a whole number of images out of the split's size, to print accuracy."""
    sizes = {"balanced": 5000, "longtailed": 1051, "head": 844, "middle": 169, "tail": 38}
    rows = published.table("architectures", "A.2")
    rows = rows[rows["metric"] == "accuracy"]
    assert len(rows) == 35
    for split, value in zip(rows["split"], rows["value"], strict=True):
        count = round(value * sizes[split])
        assert abs(count / sizes[split] - value) <= 0.5e-4 + 1e-12
