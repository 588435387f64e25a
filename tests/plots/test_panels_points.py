"""Heat maps, lines over classes, points: what they say of their data, and that names do not lie on each other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ltlib.errors import SettingError
from ltlib.plots import panels, points


def test_heat_maps_frame_the_best_of_all_panels() -> None:
    values = {"a": [[0.5, np.nan], [0.7, 0.6]], "b": [[0.4, 0.2], [0.7, 0.3]]}
    settings = {"quantity": "ECE", "row_name": "r", "column_name": "c"}
    fig = panels.heat_maps(values, ["1", "2"], ["3", "4"], lower_is_better=True, **settings)
    assert fig.alt.endswith("Best, 20.0%: b, r 1, c 4.")
    both = panels.heat_maps(values, ["1", "2"], ["3", "4"], **settings)
    assert both.alt.endswith("Best, 70.0%: a, r 2, c 3 and b, r 2, c 3.")
    assert [len(axes.patches) for axes in both.axes[:2]] == [1, 1]
    assert both.frame()["ECE"].tolist()[4:] == [0.4, 0.2, 0.7, 0.3]
    with pytest.raises(SettingError, match="2 rows and 1 columns"):
        panels.heat_maps(values, ["1", "2"], ["3"], **settings)
    with pytest.raises(SettingError, match="no ECE to draw"):
        panels.heat_maps({"a": [[np.nan]]}, ["1"], ["3"], **settings)


def test_class_lines_say_first_middle_and_last() -> None:
    fig = panels.class_lines({"set": {"one": [0.3, 0.2, 0.1], "two": [0.5, 0.4, float("nan")]}}, ylabel="Share (%)")
    assert "set: one 30.0%, 20.0%, 10.0%, two 50.0%, 40.0%, 40.0%" in fig.alt
    assert len(fig.frame()) == 6
    with pytest.raises(SettingError):
        panels.class_lines({"set": {}}, ylabel="Share (%)")


@pytest.mark.parametrize("log", [False, True])
def test_names_in_the_plane_lie_apart_and_inside(log: bool) -> None:
    draw = np.random.default_rng(0)
    rows = [
        {"name": f"Method {i} (name)", "accuracy": 0.7 + 0.02 * a, "ece": 0.05 + 0.02 * b}
        for i, (a, b) in enumerate(draw.random((19, 2)))
    ]
    fig = points.plane(rows, emphasise=["Method 3 (name)"], log=log)
    fig.draw_without_rendering()
    axes = fig.axes[0]
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 19
    overlaps = [
        max(0, min(a.x1, b.x1) - max(a.x0, b.x0)) * max(0, min(a.y1, b.y1) - max(a.y0, b.y0)) / (a.width * a.height)
        for a, b in itertools.combinations(boxes, 2)
    ]
    assert max(overlaps) < 0.1
    frame = axes.get_window_extent()
    assert all(box.x0 >= frame.x0 - 2 and box.x1 <= frame.x1 + 2 for box in boxes)
    best = max(rows, key=lambda row: row["accuracy"])
    assert f"best accuracy first: {best['name']} {100 * best['accuracy']:.1f}%" in fig.alt


def test_arrows_come_from_before_and_chance_lies_across() -> None:
    before = {"accuracy before": 0.51, "ece before": 0.23}
    rows = [{"name": "CE", "accuracy": 0.65, "ece": 0.02} | before, {"name": "Other", "accuracy": 0.6, "ece": 0.1}]
    fig = points.plane(rows, emphasise=["CE"], floor=0.01)
    fig.draw_without_rendering()
    axes = fig.axes[0]
    low, high = axes.get_ylim()
    assert low < 1.0 < 23.0 < high
    assert axes.get_xlim()[0] < 51.0
    assert [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == ":"] == [1.0]
    arrows = [text for text in axes.texts if getattr(text, "arrow_patch", None) is not None]
    assert [(arrow.xyann, arrow.xy) for arrow in arrows] == [((51.0, 23.0), (65.0, 2.0))]  # type: ignore[attr-defined]
    assert {text.get_text() for text in axes.texts if text.get_text()} == {"CE", "Other"}
    assert "CE 65.0% / 2.0%, before 51.0% / 23.0%; Other 60.0% / 10.0%." in fig.alt
    assert fig.alt.endswith("Chance alone gives 1.0%.")
    frame = fig.frame()
    assert frame["ece before"].tolist() == pytest.approx([0.23, np.nan], nan_ok=True)
    plain = points.plane([{"name": "Other", "accuracy": 0.6, "ece": 0.1}])
    assert "ece before" not in plain.frame()


def test_a_promise_is_a_line() -> None:
    fig = points.group_dots([{"name": "A", "all": 0.6, "head": 0.9, "tail": 0.2}], xlabel="Held (%)", promise=0.9)
    assert [line.get_xdata()[0] for line in fig.axes[0].lines if line.get_linestyle() == ":"] == [90.0]
    assert fig.alt.startswith("Held by class group, promised 90.0%. A ")


def test_plane_refuses_what_it_cannot_place() -> None:
    with pytest.raises(SettingError, match="two finite numbers"):
        points.plane([{"name": "a", "accuracy": float("nan"), "ece": 0.1}])
    with pytest.raises(SettingError, match="above 0"):
        points.plane([{"name": "a", "accuracy": 0.5, "ece": 0.0}], log=True)


def test_group_dots_and_changes() -> None:
    fig = points.group_dots([{"name": "A", "all": 0.6, "head": 0.9, "tail": 0.2}])
    assert "A head 90.0%, tail 20.0%, all 60.0%" in fig.alt
    with pytest.raises(SettingError):
        points.group_dots([{"name": "A", "all": 0.6}])
    rows = [
        {"name": "A", "all": 0.6, "head": 0.9, "tail": 0.2, "tail interval": (0.1, 0.35)},
        {"name": "B", "all": 0.5},
    ]
    fig = points.group_dots([*rows, {"name": "C", "all": 0.5, "tail": 0.4}])
    assert "A head 90.0%, tail 20.0% (10.0% to 35.0%), all 60.0%" in fig.alt
    drawn = [line.get_xdata() for line in fig.axes[0].lines]
    assert any(np.allclose(ends, [10, 35]) for ends in drawn if len(ends) == 2)
    assert fig.frame()["tail low"].tolist()[:1] == [0.1]
    row = {"accuracy before": 0.5, "accuracy after": 0.6, "ece before": 0.2, "ece after": 0.1}
    rows = [{"name": "A", "side": "printed", **row}, {"name": "A", "side": "ours", **row, "accuracy after": 0.4}]
    fig = points.changes(rows, ("accuracy", "accuracy"), ("ece", "ECE"))
    assert "printed, accuracy: +10.0 to +10.0 points, up in 1 of 1 rows" in fig.alt
    assert "ours, accuracy: -10.0 to -10.0 points, up in 0 of 1 rows" in fig.alt
    assert fig.frame()["ece after"].tolist() == [0.1, 0.1]
    with pytest.raises(SettingError):
        points.changes([], ("accuracy", "accuracy"), ("ece", "ECE"))
