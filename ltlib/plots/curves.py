"""Training curves: accuracy, loss and calibration error by epoch, of one run or of several methods."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ltlib.errors import SettingError
from ltlib.labels import label
from ltlib.plots import alt
from ltlib.plots.palette import INK, MUTED
from ltlib.plots.readings import Reading, parse_readings
from ltlib.plots.series import Series
from ltlib.plots.style import DOUBLE, ROUND, SPLIT_NAMES, SPLITS, Chart, chart, light_grid, method_looks, styled

_AXIS = {"accuracy": "Accuracy (%)", "loss": "Loss", "ece": "Expected calibration error (%)"}


def accuracy_curve(
    history: Any, *, selected: int | None = None, selected_as: str = "", readings: str = "", title: str = ""
) -> Chart:
    """Training and test (and validation) accuracy by epoch.

    Args:
        history: Columns ``train_accuracy``, ``test_accuracy``, ... as fractions, one row per epoch, as a DataFrame, a
            mapping, or a run that has it as ``history``. With a column ``stage``, stages follow each other.
        selected: The epoch (counted from 1 through all stages) whose weights are reported.
        selected_as: Why that epoch, as "lowest test loss".
        readings: What a document's text says of its own curve; its numbers are drawn as bands, the text below.
        title: Printed above.
    """
    return _curve(history, "accuracy", selected, selected_as, readings, title)


def loss_curve(
    history: Any, *, selected: int | None = None, selected_as: str = "", readings: str = "", title: str = ""
) -> Chart:
    """Training and test (and validation) loss by epoch; arguments as in `accuracy_curve`."""
    return _curve(history, "loss", selected, selected_as, readings, title)


@styled
def _curve(history: Any, quantity: str, selected: int | None, selected_as: str, readings: str, title: str) -> Chart:
    table = Series.of(history)
    splits = [split for split in SPLITS if table.has(f"{split}_{quantity}")]
    if not splits:
        raise SettingError(f"the history has no {quantity}: none of {', '.join(f'{s}_{quantity}' for s in SPLITS)}")
    epochs = len(table)
    if selected is not None and not 1 <= selected <= epochs:
        raise SettingError(f"epoch {selected} cannot be marked: the history has epochs 1 to {epochs}")
    scale = 1.0 if quantity == "loss" else 100.0
    x = np.arange(1, epochs + 1)
    fig = chart(DOUBLE * 0.75, 2.7 if readings else 2.5)
    axes = fig.add_subplot()
    ends = []
    for split in splits:
        y = scale * table[f"{split}_{quantity}"]
        look = SPLITS[split]
        axes.plot(x, y, label=SPLIT_NAMES[split], **look.line(epochs))
        last = np.flatnonzero(np.isfinite(y))[-1]
        ends.append((float(y[last]), f"{y[last]:.1f}" if scale == 100 else f"{y[last]:.3g}", look.color))
    _axes(axes, quantity, epochs, title)
    _stages(axes, table, high=quantity == "accuracy")
    if readings:
        _draw_readings(axes, parse_readings(readings), splits, scale, epochs)
        bands = "bands: " if parse_readings(readings) else ""
        words = textwrap.fill(f"The document on its own curve ({bands}read from its text): {readings}", 104)
        fig.supxlabel(words, x=0.012, ha="left", fontsize=6.8, color=MUTED, linespacing=1.3)
    if selected is not None:
        _mark_selected(axes, selected, epochs, selected_as, high=quantity != "accuracy")
    _label_ends(axes, epochs, ends)
    fig.legend(loc="outside upper right", ncols=4)
    fig.alt = alt.curve(history, quantity, selected)
    if readings:
        fig.alt += f" The document says of its own curve: {readings}."
    fig.data = {"epoch": x.tolist()} | {f"{s}_{quantity}": table[f"{s}_{quantity}"].tolist() for s in splits}
    return fig


@styled
def comparison(
    curves: Mapping[str, Any], column: str = "test_accuracy", *, names: Mapping[str, str] | None = None, title: str = ""
) -> Chart:
    """One quantity of several methods by epoch.

    Args:
        curves: Method to its history (as in `accuracy_curve`) or to a plain list of values.
        column: Which column of the histories; those of accuracy and ECE are fractions.
        names: Legend texts where the method's own name will not do.
        title: Printed above.
    """
    split, _, quantity = column.partition("_")
    if quantity not in _AXIS or split not in SPLIT_NAMES:
        raise SettingError(f"cannot compare {column!r}: choose a column such as test_accuracy, test_loss or test_ece")
    scale = 1.0 if quantity == "loss" else 100.0
    values = {
        name: np.asarray(c, dtype=np.float64)
        if isinstance(c, (list, tuple, np.ndarray))
        else Series.of(c, [column])[column]
        for name, c in curves.items()
    }
    epochs = max(len(v) for v in values.values())
    fig = chart(DOUBLE, 3.0)
    axes = fig.add_subplot()
    ends = []
    for name, look in method_looks(list(values)).items():
        y = scale * values[name]
        axes.plot(np.arange(1, len(y) + 1), y, label=(names or {}).get(name, label(name)), **look.line(epochs))
        if len(y) == epochs and np.isfinite(y[-1]):
            ends.append((float(y[-1]), f"{y[-1]:.1f}" if scale == 100 else f"{y[-1]:.3g}", look.color))
    _axes(axes, quantity, epochs, title)
    axes.set_ylabel(f"{SPLIT_NAMES[split].capitalize()} {_AXIS[quantity][:1].lower()}{_AXIS[quantity][1:]}")
    _label_ends(axes, epochs, ends)
    fig.legend(loc="outside upper right", ncols=min(5, len(values)))
    fig.alt = alt.comparison({k: v.tolist() for k, v in values.items()}, f"{SPLIT_NAMES[split]} {quantity}")
    fig.data = {
        "method": [name for name, v in values.items() for _ in v],
        "epoch": [i + 1 for v in values.values() for i in range(len(v))],
        column: [float(y) for v in values.values() for y in v],
    }
    return fig


@styled
def factors(
    values: Mapping[str, Mapping[float, float | Sequence[float]]],
    *,
    quantity: str = "accuracy",
    factor: str = "Imbalance factor",
    names: Mapping[str, str] | None = None,
    title: str = "",
) -> Chart:
    """One quantity against the imbalance factor, a line per method, the range of its runs as a bar.

    Args:
        values: Method to factor to the value of its run, or the values of its runs (fractions).
        quantity: What it is.
        factor: What the horizontal axis is; logarithmic.
        names: What to call a method, where that is not its usual name.
        title: Printed above.
    """
    fig = chart(DOUBLE * 0.75, 2.8)
    axes = fig.add_subplot()
    rows: dict[str, list[Any]] = {"method": [], "factor": [], quantity: [], "low": [], "high": [], "n": []}
    means: dict[str, dict[float, float]] = {}
    for name, look in method_looks(list(values)).items():
        points = sorted((float(f), np.atleast_1d(np.asarray(v, dtype=np.float64))) for f, v in values[name].items())
        x = [f for f, _ in points]
        y = np.array([v.mean() for _, v in points])
        low, high = np.array([v.min() for _, v in points]), np.array([v.max() for _, v in points])
        axes.plot(x, 100 * y, label=(names or {}).get(name, label(name)), **look.line(1))
        axes.vlines(x, 100 * low, 100 * high, color=look.color, linewidth=1.0)
        means[name] = dict(zip(x, y.tolist(), strict=True))
        for key, column in zip(
            rows,
            ([name] * len(x), x, y.tolist(), low.tolist(), high.tolist(), [len(v) for _, v in points]),
            strict=True,
        ):
            rows[key] += column
    ticks = sorted(set(rows["factor"]))
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{f:g}" for f in ticks])
    axes.minorticks_off()
    axes.set(
        xlabel=f"{factor} (log scale)", ylabel=f"{label(quantity)[:1].upper()}{label(quantity)[1:]} (%)", title=title
    )
    light_grid(axes)
    fig.legend(loc="outside upper right", ncols=min(4, len(values)))
    fig.alt = alt.factors(means, quantity)
    fig.data = dict(rows)
    return fig


def _axes(axes: Axes, quantity: str, epochs: int, title: str) -> None:
    axes.set(xlabel="Epoch", ylabel=_AXIS[quantity], title=title, xlim=(1 - 0.01 * epochs, epochs * 1.01))
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, steps=ROUND))
    light_grid(axes)


def _stages(axes: Axes, table: Series, high: bool) -> None:
    """A thin line where one stage ends and the next begins, named at the end away from the selected epoch's label."""
    if "stage" not in table.columns:
        return
    stage = table.columns["stage"]
    for i in np.flatnonzero(stage[1:] != stage[:-1]):
        axes.axvline(i + 1.5, color=MUTED, linewidth=0.8)
        axes.annotate(
            f"stage {stage[i + 1]}",
            (i + 1.5, 0.98 if high else 0.03),
            (3, 0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            va="top" if high else "bottom",
            fontsize=7,
            color=MUTED,
        )


def _mark_selected(axes: Axes, selected: int, epochs: int, why: str, high: bool) -> None:
    """A vertical line with its reason, at the end of the axis where this kind of curve leaves room."""
    axes.axvline(selected, color=INK, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1.5)
    left = selected > epochs / 2
    axes.annotate(
        f"epoch {selected} selected{f':{chr(10)}{why}' if why else ''}",
        (selected, 0.98 if high else 0.03),
        (-4 if left else 4, 0),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right" if left else "left",
        va="top" if high else "bottom",
        fontsize=7,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8},
    )


def _label_ends(axes: Axes, epochs: int, ends: Sequence[tuple[float, str, str]]) -> None:
    """The last value of each line, right of it, moved apart where they would overlap."""
    low, high = axes.get_ylim()
    ordered = sorted(ends)
    for place, (_, text, color) in zip(spread([v for v, _, _ in ordered], 0.058 * (high - low)), ordered, strict=True):
        axes.annotate(
            text,
            (epochs, place),
            (5, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=color,
            fontweight="bold",
            annotation_clip=False,
        )


def spread(values: Sequence[float], apart: float) -> list[float]:
    """Places for labels of ascending values, at least `apart` from each other and as near to their values as can be."""
    blocks: list[tuple[float, int]] = []  # centre and number of labels
    for value in values:
        centre, size = float(value), 1
        while blocks and centre - apart * (size - 1) / 2 < blocks[-1][0] + apart * (blocks[-1][1] + 1) / 2:
            other, others = blocks.pop()
            centre, size = (other * others + centre * size) / (others + size), others + size
        blocks.append((centre, size))
    return [centre + apart * (i - (size - 1) / 2) for centre, size in blocks for i in range(size)]


def _draw_readings(axes: Axes, readings: Sequence[Reading], splits: Sequence[str], scale: float, epochs: int) -> None:
    """A band around each number the text gives, where the text places it, in the colour of its curve."""
    values = [r.value for r in readings]
    low, high = axes.get_ylim()
    if values:
        low, high = min(low, *(scale * v for v in values)), max(high, *(scale * v for v in values))
        margin = 0.04 * (high - low)
        axes.set_ylim(
            low - margin if low < axes.get_ylim()[0] else low, high + margin if high > axes.get_ylim()[1] else high
        )
    half = 0.012 * np.diff(axes.get_ylim())[0]
    for reading in readings:
        split = reading.split if reading.split in splits else "test"
        if split not in splits:
            continue
        first, last = reading.span(epochs)
        y = scale * reading.value
        axes.fill_between(
            [first, last], y - half, y + half, color=SPLITS[split].color, alpha=0.3, linewidth=0, zorder=0.5
        )
