"""The verdict rule, case by case, on both sides of every bound."""

from __future__ import annotations

import math

import pytest

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
    assert verdict(0.80, around(0.85, 0.0201), "accuracy").name == "inconclusive"
    # Two runs have an interval, but it does not count yet.
    assert verdict(0.80, [0.77, 0.83], "accuracy").name == "reproduced"


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
