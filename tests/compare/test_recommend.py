"""Recommendations: what is told apart, and how often a recommendation is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ltlib.compare import recommend
from ltlib.errors import SettingError


def test_the_corrected_interval_by_hand() -> None:
    values = np.array([0.02, 0.04, 0.03, 0.01, 0.05])
    found = recommend.difference(values, test_share=0.25)
    error = np.sqrt(np.var(values, ddof=1) * (1 / 5 + 0.25))
    half = stats.t.ppf(0.975, 4) * error
    assert found.mean == pytest.approx(0.03)
    assert (found.low, found.high) == (pytest.approx(0.03 - half), pytest.approx(0.03 + half))
    plain = stats.t.interval(0.95, 4, 0.03, stats.sem(values))
    assert found.low < plain[0]  # the plain interval is too short for splits that share images


SPREAD = np.array([-0.01, 0.0, 0.01, 0.0, 0.005, -0.005])


def test_a_clear_winner_and_the_simpler_of_two_equals() -> None:
    scores = {"ce": 0.5 + SPREAD, "simple": 0.6 + SPREAD, "fancy": 0.6 + 1.1 * SPREAD + 0.0001, "bad": 0.3 + SPREAD}
    found = recommend.recommend(scores, "ce", 0.1, 0.25)
    assert (found.verdict, found.method, found.best) == ("better", "simple", "fancy")
    assert found.as_good == ["simple"]
    said = recommend.text(found, {"simple": "Simple"}, "balanced accuracy", scores)
    assert said.startswith("Use Simple: 60.0% balanced accuracy over 6 splits, +10.0 points on ce")
    assert "fancy is highest" in said


def test_no_difference_recommends_the_plain_one() -> None:
    scores = {"ce": 0.5 + SPREAD, "other": 0.505 - 2 * SPREAD}
    found = recommend.recommend(scores, "ce", 0.1, 0.25)
    assert (found.verdict, found.method) == ("no difference", "ce")
    assert "No difference can be told, so use ce" in recommend.text(found, {}, "accuracy", scores)


def test_random_labels_are_nothing_works() -> None:
    scores = {"ce": 0.25 + SPREAD, "other": 0.252 - SPREAD}
    found = recommend.recommend(scores, "ce", 0.25, 0.25)
    assert found.verdict == "nothing works"
    assert "Nothing works here" in recommend.text(found, {}, "accuracy", scores)


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ({"other": [0.1, 0.2]}, "needs ce"),
        ({"ce": [0.1]}, "at least two"),
        ({"ce": [0.1, 0.2], "other": [0.1]}, "same splits"),
        ({"ce": [0.1, float("nan")]}, "not finite"),
    ],
)
def test_refusals(scores: dict[str, list[float]], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        recommend.recommend(scores, "ce", 0.1, 0.25)


def _resampled(
    rng: np.random.Generator, truth: np.ndarray, splits: int, test: int, pool: int
) -> dict[str, list[float]]:
    """Scores of methods whose chance to be right on an image is known, on splits of one pool of images."""
    hard = rng.random(pool)  # shared: an image that is hard for one method is hard for all
    right = {f"m{i}": hard < p + rng.normal(0, 0.05, pool) for i, p in enumerate(truth)}
    found: dict[str, list[float]] = {name: [] for name in right}
    for _ in range(splits):
        chosen = rng.permutation(pool)[:test]
        for name, answers in right.items():
            found[name].append(float(answers[chosen].mean()))
    return found


def test_a_recommendation_is_rarely_worse_than_it_says() -> None:
    """In at least 19 of 20 resamplings of a set the truth lies in the interval that the recommendation gives."""
    rng = np.random.default_rng(1)
    truth, good = np.array([0.60, 0.61, 0.66, 0.65]), 0
    for _ in range(20):
        scores = _resampled(rng, truth, splits=10, test=400, pool=2000)
        found = recommend.recommend(scores, "m0", 0.1, 0.25)
        chosen = truth[int(found.method[1:])]
        gap = found.behind.get(found.method)
        good += chosen == truth.max() or (gap is not None and truth.max() - chosen <= gap.high)
    assert good >= 19


def test_equal_methods_are_seldom_called_different() -> None:
    rng = np.random.default_rng(2)
    verdicts = [
        recommend.recommend(_resampled(rng, np.full(4, 0.6), 10, 400, 2000), "m0", 0.1, 0.25).verdict for _ in range(40)
    ]
    assert verdicts.count("better") <= 4
