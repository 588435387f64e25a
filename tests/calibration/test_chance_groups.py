"""What chance alone gives, and class groups, against arithmetic by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ltlib import calibration
from ltlib.errors import SettingError

GROUPS = {"head": [0], "tail": [1]}


def test_chance_alone_is_the_mean_of_folded_normals() -> None:
    """One bin: |mean of N Bernoulli errors| is a folded normal with mean sqrt(2 / pi) sigma."""
    confidence = np.full(4000, 0.7)
    found = calibration.errors_by_chance(confidence, bins=1, draws=400)
    assert found.mean() == pytest.approx(np.sqrt(2 / np.pi) * np.sqrt(0.7 * 0.3 / 4000), rel=0.12)


def test_spread_confidences_have_the_accuracy_as_their_mean() -> None:
    assert calibration.evenly_spread(0.8, 5, lowest=0.1).tolist() == pytest.approx([0.6, 0.7, 0.8, 0.9, 1.0])
    assert calibration.evenly_spread(0.3, 3, lowest=0.1).tolist() == pytest.approx([0.1, 0.55, 1.0])


def test_gaps_have_a_sign_and_empty_groups_none() -> None:
    gaps = calibration.group_gaps([0.8, 0.6, 0.9], [True, True, False], [0, 0, 1], GROUPS | {"none": [2]})
    assert gaps["head"] == pytest.approx(-0.3)
    assert gaps["tail"] == pytest.approx(0.9)
    assert np.isnan(gaps["none"])


def test_opposite_errors_cancel_in_the_error_of_all() -> None:
    """Right in half of the answers at 0.5 + d and 0.5 - d: all images look calibrated, the groups are not."""
    confidence, predicted = np.full(4000, 0.6), np.repeat([0, 1], 2000)
    right = np.concatenate([np.arange(2000) < 1600, np.arange(2000) < 800])
    assert calibration.from_confidence(confidence, right) == pytest.approx(0)
    assert calibration.hidden_error(confidence, right, predicted, GROUPS) == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("bins", [1, 15, 30])
@pytest.mark.parametrize("confidence", [np.linspace(0.01, 1, 500), np.ones(5), np.full(8, 1 / 3), [0.0, 0.2, 1.0]])
def test_sets_drawn_together_have_the_errors_of_sets_drawn_one_by_one(confidence: list[float], bins: int) -> None:
    random, values = np.random.default_rng(3), np.asarray(confidence)
    single = [calibration.from_confidence(values, random.random(len(values)) < values, bins) for _ in range(20)]
    assert calibration.errors_by_chance(confidence, bins, draws=20, seed=3) == pytest.approx(single, abs=1e-12)


def test_confidences_that_are_none_are_refused() -> None:
    with pytest.raises(SettingError, match="between 0 and 1"):
        calibration.errors_by_chance([0.3, float("nan")])
