"""Planted label errors are found, and few are where none is planted."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from ltlib.compare import labels
from ltlib.errors import SettingError

TAIL = (120, 89, 65, 48, 36, 26, 20, 14, 11, 8)


def digits(counts: tuple[int, ...], share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Out-of-fold probabilities of a logistic regression on scikit-learn's digits, given labels and true ones."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    pixels, digit = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(digit == k))[:n] for k, n in enumerate(counts)])
    true = digit[chosen]
    given = true.copy()
    wrong = rng.permutation(len(true))[: round(share * len(true))]
    given[wrong] = (true[wrong] + rng.integers(1, 10, len(wrong))) % 10
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    model = LogisticRegression(max_iter=300)
    said = cross_val_predict(model, pixels[chosen] / 16, given, cv=folds, method="predict_proba")
    return said, given, true


NAMES = [f"digit {k}" for k in range(10)]


def files(count: int) -> list[str]:
    return [f"{place}.png" for place in range(count)]


@pytest.mark.parametrize("counts", [(100,) * 10, TAIL], ids=["balanced", "long-tailed"])
def test_planted_errors_are_found(counts: tuple[int, ...]) -> None:
    pytest.importorskip("cleanlab")
    said, given, true = digits(counts, 0.06)
    found = labels.likely_errors(said, given, NAMES, files(len(given)))
    planted = set(np.flatnonzero(given != true).tolist())
    hits = [one for one in found if one.place in planted]
    assert len(hits) / len(found) > 0.7
    assert len(hits) / len(planted) > 0.6
    right = [one for one in hits if one.suggested == NAMES[true[one.place]]]
    assert len(right) / len(hits) > 0.9
    assert all(one.given == NAMES[given[one.place]] and one.file == f"{one.place}.png" for one in found)
    assert [one.quality for one in found] == sorted(one.quality for one in found)


@pytest.mark.parametrize("counts", [(100,) * 10, TAIL], ids=["balanced", "long-tailed"])
def test_few_are_found_where_none_is_planted(counts: tuple[int, ...]) -> None:
    pytest.importorskip("cleanlab")
    said, given, _ = digits(counts, 0.0)
    assert len(labels.likely_errors(said, given, NAMES, files(len(given)))) <= 0.02 * len(given)


def test_a_rare_class_of_which_no_model_is_sure_is_not_suspected_as_a_whole() -> None:
    pytest.importorskip("cleanlab")
    rng = np.random.default_rng(0)
    rare = rng.uniform(0.2, 0.4, 10)  # the model says the large class of each image of the rare one
    large = rng.uniform(0.8, 1.0, 200)
    said = np.concatenate([np.column_stack([large, 1 - large]), np.column_stack([1 - rare, rare])])
    given = np.repeat([0, 1], [200, 10])
    assert (said.argmax(1) != given).sum() == 10
    assert len(labels.likely_errors(said, given, ["large", "rare"], files(210))) <= 3


def test_quality_by_hand_and_classes_too_small_to_judge() -> None:
    pytest.importorskip("cleanlab")
    given = np.array([0] * 10 + [1] * 10 + [2])
    said = np.zeros((21, 3))
    said[np.arange(21), given] = 0.7
    said[said == 0] = 0.15
    said[3] = [0.1, 0.8, 0.1]
    said[20] = [0.95, 0.03, 0.02]  # one image says nothing of its class
    (only,) = labels.likely_errors(said, given, ["a", "b", "c"], files(21))
    assert (only.file, only.given, only.suggested) == ("3.png", "a", "b")
    assert (only.given_probability, only.suggested_probability) == pytest.approx((0.1, 0.8))
    # among the two classes that are judged: 1/9 and 8/9; the margin -7/9, moved from [-1, 1] to [0, 1]
    assert only.quality == pytest.approx((1 - 7 / 9) / 2)
    assert labels.frame([only]).loc[0, "suggested"] == "b"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [(np.zeros((3, 3)), "need probabilities"), (np.full((2, 2), 3.0), "give softmax, not logits")],
)
def test_what_is_no_answer_is_refused(said: np.ndarray, sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        labels.likely_errors(said, [0, 1], ["a", "b"], ["0", "1"])


def test_without_cleanlab_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    with pytest.raises(SettingError, match=r"pip install .*images"):
        labels.likely_errors(np.eye(2), [0, 1], ["a", "b"], ["0", "1"])


def test_the_planted_wrong_labels_of_the_folder_are_found(reports: Path) -> None:
    pytest.importorskip("cleanlab")
    from PIL import Image
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    from ltlib.datasets import digits_natural

    planted, top = digits_natural.PLANTED, digits_natural.folder()
    paths = sorted(path for path in top.rglob("*.bmp") if path != top / planted.broken)
    names = [path.relative_to(top).as_posix() for path in paths]
    pixels = np.stack([np.asarray(Image.open(path)).reshape(-1) / 255 for path in paths])
    given = np.array([int(name[0]) for name in names])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    said = cross_val_predict(LogisticRegression(max_iter=300), pixels, given, cv=folds, method="predict_proba")
    found = {one.file: one.suggested for one in labels.likely_errors(said, given, [str(k) for k in range(10)], names)}
    assert found[planted.mislabelled] == planted.true_label
    assert len(found) <= 6
