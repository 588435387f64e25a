"""The verdict rule, case by case, on both sides of every bound."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from ltlib.errors import SettingError, UnknownName
from ltlib.statistics import t_interval
from ltlib.tables import verdicts
from ltlib.tables.verdicts import verdict


@pytest.mark.parametrize(
    ("metric", "published", "inside", "outside"),
    [
        ("accuracy", 0.80, 0.81, 0.8101),
        ("ece", 0.05, 0.065, 0.0651),
        ("precision", 0.70, 0.72, 0.7201),
        ("recall", 0.70, 0.72, 0.7201),
        ("f1", 0.70, 0.72, 0.7201),
        ("loss", 2.0, 2.2, 2.201),
        ("count", 335.0, 335.0, 336.0),
    ],
)
def test_tolerances(metric, published, inside, outside):
    assert verdict(published, [inside], metric).name == "reproduced"
    assert verdict(published, [2 * published - inside], metric).name == "reproduced"
    assert verdict(published, [outside], metric).name == "above"
    assert verdict(published, [2 * published - outside], metric).name == "below"


def around(mean, half_width):
    """Three values with this mean and this half-width of the 95% interval."""
    unit = t_interval([-1.0, 0.0, 1.0]).half_width
    return [mean - half_width / unit, mean, mean + half_width / unit]


def test_the_interval_counts_from_three_runs_on():
    assert verdict(0.80, around(0.805, 0.0199), "accuracy").name == "reproduced"
    assert verdict(0.80, around(0.805, 0.0201), "accuracy").name == "inconclusive"
    assert verdict(0.80, around(0.85, 0.0199), "accuracy").name == "above"
    assert verdict(0.80, around(0.85, 0.0399), "accuracy").name == "above"  # all of it above 0.81
    assert verdict(0.80, around(0.85, 0.0401), "accuracy").name == "inconclusive"
    assert verdict(0.80, around(0.75, 0.0399), "accuracy").name == "below"
    assert verdict(0.80, around(0.75, 0.0401), "accuracy").name == "inconclusive"
    assert verdict(0.80, around(0.8101, 0.0002), "accuracy").name == "inconclusive"  # narrow, over the edge
    assert verdict(0.80, [0.60, 0.61, 0.62], "accuracy").name == "below"
    # Two runs have an interval, but it does not count yet.
    assert verdict(0.80, [0.77, 0.83], "accuracy").name == "reproduced"


def test_the_rule_against_its_sentences_word_for_word():
    """Each clause as an inequality in float64, on a grid of means and widths and on random metrics and values."""
    draw = np.random.default_rng(5)
    seen = set()
    for _ in range(600):
        metric = str(draw.choice(["accuracy", "ece", "f1", "loss"]))
        published = float(draw.uniform(0.05, 0.95))
        t = {"accuracy": 0.01, "ece": 0.015, "f1": 0.02, "loss": 0.1 * published}[metric]
        n = int(draw.integers(1, 6))
        values = published + draw.uniform(-4, 4) * t + draw.uniform(0, 2.5) * t * draw.normal(size=n)
        low, high = (
            scipy.stats.t.interval(0.95, n - 1, values.mean(), scipy.stats.sem(values)) if n > 1 else [math.nan] * 2
        )
        inside = published - t <= values.mean() <= published + t
        if n < 3:
            expected = "reproduced" if inside else "above" if values.mean() > published else "below"
        elif low > published + t:
            expected = "above"
        elif high < published - t:
            expected = "below"
        else:
            expected = "reproduced" if inside and (high - low) / 2 <= 2 * t else "inconclusive"
        assert verdict(published, values.tolist(), metric).name == expected
        seen.add((expected, n >= 3))
    assert len(seen) == 7


def test_reasons_say_which_clause_decided():
    text = verdict(0.80, [0.60, 0.61, 0.62], "accuracy").text
    # t(2) = 4.3027, s = 0.01: half the interval is 4.3027 * 0.01 / sqrt(3) = 2.48 points
    said = "the 95% interval, 2.48 points to either side, stays more than 1.00 points away (n = 3)"
    assert text == f"19.00 points below the published number; {said}"
    assert "but the 95% interval reaches 2.01 points" in verdict(0.80, around(0.805, 0.0201), "accuracy").text
    assert "within 1.00 points; the 95% interval reaches 1.99" in verdict(0.80, around(0.805, 0.0199), "accuracy").text


def test_one_run_is_marked():
    found = verdict(0.80, [0.805], "accuracy")
    assert found.name == "reproduced"
    assert "n = 1" in found.text
    assert "interval" not in found.text
    assert "0.50 points above" in found.text


def test_not_comparable_names_the_settings():
    found = verdict(0.80, [0.80, 0.80, 0.80], "accuracy", ["digits instead of cifar10", "30 epochs"])
    assert found.name == "not comparable"
    assert "digits instead of cifar10; 30 epochs" in found.text


def test_not_run_carries_the_command():
    assert verdict(0.80, [], "accuracy", ["something"], command="ltlib reproduce") == verdicts.Verdict(
        "not run", "not run; fill it with: ltlib reproduce"
    )
    assert verdict(0.80, [], "accuracy").name == "not run"


def test_reasons_speak_the_metrics_unit():
    assert "10.5% of it" in verdict(2.0, [2.21], "loss").text
    assert "0.030 below" in verdict(0.7, [0.67], "f1").text
    assert "5 images above" in verdict(10, [15], "count").text
    assert verdict(0.7, [0.7], "f1").text == "the published number, within 0.020 (n = 1)"


def test_marks_are_words():
    assert set(verdicts.MARKS) == set(verdicts.NAMES)
    assert all(name in mark for name, mark in verdicts.MARKS.items())
    assert len({mark[0] for mark in verdicts.MARKS.values()}) == len(verdicts.NAMES)
    assert verdict(0.5, [], "ece").mark == "– not run"


def test_units():
    assert verdicts.as_fraction(93.43, "percent") == pytest.approx(0.9343)
    assert [verdicts.as_fraction(2.5, unit) for unit in ("fraction", "nats", "count")] == [2.5] * 3
    with pytest.raises(UnknownName, match="did you mean percent"):
        verdicts.as_fraction(1.0, "percents")


def test_bad_values_are_refused():
    with pytest.raises(SettingError, match="NaN"):
        verdict(0.5, [math.nan], "accuracy")
    with pytest.raises(SettingError, match="published"):
        verdict(math.nan, [0.5], "accuracy")
    with pytest.raises(UnknownName, match="did you mean accuracy"):
        verdict(0.5, [0.5], "acuracy")
