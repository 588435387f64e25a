"""Targets: what a score counts and how logits are moved for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from ltlib.compare import target
from ltlib.errors import DataError, SettingError

NAMES = ("ant", "bee, wild", "çiçek")
COUNTS = (60, 30, 10)


def answers(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    actual = rng.choice(3, 400, p=[0.6, 0.3, 0.1])
    return actual, np.where(rng.random(400) < 0.7, actual, rng.integers(0, 3, 400))


def test_balanced_is_scikit_learns_balanced_accuracy() -> None:
    actual, said = answers()
    assert target.of("balanced", NAMES, COUNTS).score(actual, said) == pytest.approx(
        balanced_accuracy_score(actual, said)
    )


def test_as_is_is_accuracy_where_test_and_training_have_the_same_shares() -> None:
    actual = np.repeat([0, 1, 2], COUNTS)
    said = np.where(np.arange(100) % 3 == 0, 0, actual)
    assert target.of("as-is", NAMES, COUNTS).score(actual, said) == pytest.approx(accuracy_score(actual, said))


def test_weights_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.csv"
    path.write_text('label,weight\n"bee, wild",1\nçiçek,3\nant,0\n', encoding="utf-8-sig")
    found = target.of(str(path), NAMES, COUNTS)
    assert found.weights == (0.0, 0.25, 0.75)
    assert found.score([0, 1, 2, 2], [1, 1, 2, 0]) == pytest.approx(0.25 * 1 + 0.75 * 0.5)
    assert found.metric == "weighted accuracy"
    assert found.chance() == 0.75


def test_every_fault_of_a_file_of_weights_is_named(tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_text("ant,1\nant,2\nwasp,1\nçiçek,-1\n", encoding="utf-8")
    with pytest.raises(DataError) as error:
        target.of(str(path), NAMES, COUNTS)
    for part in (
        "ant comes twice",
        "wasp is no class",
        "'çiçek,-1' is no label,weight",
        "no weight for bee, wild, çiçek",
    ):
        assert part in str(error.value)
    path.write_text('ant,0\n"bee, wild",0\nçiçek,0\n', encoding="utf-8")
    with pytest.raises(DataError, match="every weight is 0"):
        target.of(str(path), NAMES, COUNTS)
    with pytest.raises(DataError, match="cannot be read"):
        target.of(str(tmp_path / "none.csv"), NAMES, COUNTS)
    with pytest.raises(SettingError, match="balanced, as-is or a file"):
        target.of("equal", NAMES, COUNTS)


def test_a_class_without_test_images_is_left_out() -> None:
    found = target.of("balanced", NAMES, COUNTS)
    assert found.score([0, 0, 1], [0, 1, 1]) == pytest.approx((0.5 + 1) / 2)


def test_adjusting_gives_the_bayes_decision_of_the_target() -> None:
    """Of a population whose class probabilities are known exactly, no other decision has a higher expected score."""
    rng = np.random.default_rng(0)
    prior = np.array([0.7, 0.2, 0.1])
    likelihood = rng.dirichlet(np.ones(12), 3)  # p(x | c) over twelve kinds of images
    logits = np.log(likelihood * prior[:, None]).T  # of p(c | x), up to a constant of x
    for text in ("balanced", "as-is"):
        one = target.of(text, NAMES, COUNTS)
        said = one.adjust(logits, prior).argmax(1)
        weights = np.array(one.weights)

        def expected(decision: np.ndarray, weights: np.ndarray = weights) -> float:
            return float(sum(weights[c] * likelihood[c, decision == c].sum() for c in range(3)))

        best = max(expected(np.array(choice)) for choice in rng.integers(0, 3, (4000, 12)))
        assert expected(said) >= best - 1e-12
        exact = (weights[:, None] * likelihood).max(0).sum()
        assert expected(said) == pytest.approx(exact)
