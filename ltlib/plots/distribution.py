"""How many images each class has: bars, curves, the sketch of a long tail, and the tails found in the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ltlib.errors import SettingError
from ltlib.labels import label
from ltlib.plots import alt
from ltlib.plots.palette import BLUE, INK, INKS, MUTED, SKY, VERMILLION
from ltlib.plots.style import DASHES, DOUBLE, MARKERS, ROUND, THOUSANDS, Chart, chart, light_grid, log_labels, styled


def minority(counts: Sequence[int], share: float = 0.3) -> list[int]:
    """The classes that make up the lowest `share` of the classes by their counts, in class order.

    Of two classes with equal counts the later one is the smaller; at least one class where the share is above zero.

    Raises:
        SettingError: A share outside 0 ... 1.
    """
    if not 0 <= share <= 1:
        raise SettingError(f"the shaded share of the classes must lie between 0 and 1, not {share}")
    n = np.asarray(counts)
    size = max(1, round(share * len(n))) if share > 0 else 0
    return sorted(int(c) for c in np.lexsort((-np.arange(len(n)), n))[:size])


@styled
def class_distribution(
    counts: Sequence[int],
    class_names: Sequence[str] | None = None,
    *,
    shade_lowest: float = 0.3,
    before: Sequence[int] | None = None,
    title: str = "",
) -> Chart:
    """Images per class as bars in class order, the minority shaded.

    Args:
        counts: Images per class.
        class_names: Printed below the bars where there is room (30 classes); else the class numbers are.
        shade_lowest: Share of the classes that counts as minority.
        before: Images per class before the reduction, as outlines behind the bars.
        title: Printed above.
    """
    import seaborn  # late: it takes more than a second, and most figures do without

    n = _counts(counts)
    names = list(class_names) if class_names is not None else [str(i) for i in range(len(n))]
    low = minority(n.tolist(), shade_lowest)
    fig = chart(DOUBLE, 2.7)
    axes = fig.add_subplot()
    few = len(n) <= 40
    bars: Any = {"x": np.arange(len(n)), "discrete": True, "shrink": 0.86, "ax": axes}
    if before is not None:
        outline: Any = {"linestyle": "--"} if few else {"element": "step"}
        seaborn.histplot(weights=_counts(before), fill=False, color=MUTED, linewidth=0.7, **bars, **outline)
    seaborn.histplot(weights=n, color=SKY, alpha=1, edgecolor=INK, linewidth=0.5 if few else 0.0, **bars)
    hatch = "////" if few else None
    drawn = axes.patches[-len(n) :]
    for c in low:
        drawn[c].set(facecolor=VERMILLION, hatch=hatch)
    name_classes(axes, names)
    if len(n) <= 12:
        for i, count in enumerate(n):
            axes.annotate(f"{count:,}", (i, count), (0, 1.5), textcoords="offset points", ha="center", fontsize=7)
    axes.set(ylabel="Images per class", xlim=(-0.7, len(n) - 0.3), title=title)
    axes.yaxis.set_major_formatter(THOUSANDS)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True, steps=ROUND))
    light_grid(axes)
    handles = [Patch(facecolor=SKY, edgecolor=INK, linewidth=0.5, label=f"majority, {len(n) - len(low)} classes")]
    if low:
        text = f"minority, lowest {shade_lowest:.0%} of classes ({len(low)})"
        handles.append(Patch(facecolor=VERMILLION, edgecolor=INK, linewidth=0.5, hatch=hatch, label=text))
    if before is not None:
        text = f"before the reduction, {int(np.sum(before)):,} images"
        handles.append(Patch(facecolor="none", edgecolor=MUTED, linestyle="--" if few else "-", label=text))
    fig.legend(handles=handles, loc="outside upper right", ncols=len(handles))
    ratio = f", imbalance factor {n.max() / n.min():.3g}" if n.min() > 0 else ", some class is empty"
    axes.set_xlabel(f"Class ({n.sum():,} images{ratio})")
    fig.alt = alt.distribution(n.tolist(), names, low)
    fig.data = {"class": names, "images": n.tolist(), "minority": np.isin(np.arange(len(n)), low).tolist()}
    if before is not None:
        fig.data["images_before"] = _counts(before).tolist()
    return fig


@styled
def sketch(counts: Sequence[int], *, head: float = 0.2, title: str = "") -> Chart:
    """A long-tailed distribution as a sketch: classes from most to fewest images, the head against the tail.

    Args:
        counts: Images per class, in any order.
        head: Share of the classes that is called the head.
        title: Printed above.
    """
    n = np.sort(_counts(counts))[::-1]
    if not 0 < head < 1:
        raise SettingError(f"the head's share of the classes must lie between 0 and 1, not {head}")
    cut = max(1, round(head * len(n)))
    share = n[:cut].sum() / max(n.sum(), 1)
    fig = chart(DOUBLE * 0.75, 2.6)
    axes = fig.add_subplot()
    edges = np.arange(len(n) + 1)
    axes.stairs(n[:cut], edges[: cut + 1], fill=True, color=SKY)
    axes.stairs(n[cut:], edges[cut:], fill=True, color=VERMILLION, alpha=0.85)
    axes.stairs(n, edges, color=INK, linewidth=1.0, baseline=None)
    axes.axvline(cut, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    top = n[0] * 1.05
    right = (cut + len(n)) / 2
    text = f"head: {cut} of {len(n)} classes, {share:.0%} of the images"
    axes.text(cut + 0.015 * len(n), top * 0.93, text, color=BLUE, fontweight="bold", va="center")
    axes.annotate("", (cut + 0.01 * len(n), n[cut] * 0.4 + top * 0.12), (len(n), n[cut] * 0.4 + top * 0.12),
                  arrowprops={"arrowstyle": "<->", "color": "#A34700", "linewidth": 0.9})  # fmt: skip
    axes.text(right, n[cut] * 0.4 + top * 0.15, f"tail: {len(n) - cut} classes, {1 - share:.0%} of the images",
              color="#A34700", fontweight="bold", ha="center", va="bottom")  # fmt: skip
    axes.set(xlim=(0, len(n)), ylim=(0, top), xlabel="Classes, from most to fewest images", ylabel="Images per class")
    axes.set_title(title)
    axes.yaxis.set_major_formatter(THOUSANDS)
    fig.alt = (
        f"Sketch of a long-tailed distribution: the {cut} largest of {len(n)} classes, the head, hold "
        f"{share:.1%} of the images; the other {len(n) - cut}, the tail, share {1 - share:.1%}."
    )
    fig.data = {
        "rank": list(range(1, len(n) + 1)),
        "images": n.tolist(),
        "part": ["head"] * cut + ["tail"] * (len(n) - cut),
    }
    return fig


@styled
def field_counts(counts: Mapping[str, Sequence[int]], *, title: str = "") -> Chart:
    """Real tails beside each other: images per class on a logarithmic scale against the class's rank.

    Ranks are shares of the number of classes, so sets with 10 and with 5,000 classes fit one axis.

    Args:
        counts: Name of the set to its images per class, in any order; empty classes are left out of the curve.
        title: Printed above.
    """
    fig = chart(DOUBLE, 3.2)
    axes = fig.add_subplot()
    rows: dict[str, list[object]] = {"dataset": [], "rank": [], "images": []}
    for i, (name, values) in enumerate(counts.items()):
        n = np.sort(_counts(values))[::-1]
        n = n[n > 0]
        x = 100 * (np.arange(len(n)) + 0.5) / len(n)
        axes.plot(
            x, n, color=INKS[i % 6], linestyle=DASHES[i // 6 % 4], marker=MARKERS[i % 10],
            markevery=_about(len(n), 9, i), markeredgecolor="white", markeredgewidth=0.5,
            label=f"{label(name)}: {len(n):,} classes, factor {n[0] / n[-1]:,.3g}",
        )  # fmt: skip
        rows["dataset"] += [name] * len(n)
        rows["rank"] += list(range(1, len(n) + 1))
        rows["images"] += n.tolist()
    axes.set_yscale("log")
    axes.set(xlim=(0, 100), xlabel="Rank of the class, from most to fewest images (% of classes)", title=title)
    axes.set_ylabel("Images per class (log scale)")
    log_labels(axes.yaxis)
    light_grid(axes)
    fig.legend(loc="outside lower center", ncols=2)
    fig.alt = alt.tails(counts)
    fig.data = dict(rows)
    return fig


@styled
def count_curves(
    counts: Mapping[str, Sequence[int]], *, log: bool = True, legend_title: str = "Imbalance factor", title: str = ""
) -> Chart:
    """Images per class for several imbalance factors or types, one curve each, in class order.

    Args:
        counts: What the legend says to images per class.
        log: Logarithmic counts.
        legend_title: What the curves differ in.
        title: Printed above.
    """
    fig = chart(DOUBLE, 2.9)
    axes = fig.add_subplot()
    draw_curves(axes, counts, log)
    axes.set(xlabel="Class", title=title)
    fig.legend(loc="outside right upper", title=legend_title, alignment="left")
    fig.alt = f"Images per class. {curves_said(counts, legend_title)}."
    fig.data = curves_data(counts)
    return fig


def draw_curves(axes: Axes, counts: Mapping[str, Sequence[int]], log: bool = True) -> None:
    """Images per class as curves, each with its name and number of images."""
    import matplotlib

    shades = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.72, max(len(counts), 2)))  # lighter would fade on white
    for i, (name, values) in enumerate(counts.items()):
        n = _counts(values)
        axes.plot(
            np.arange(len(n)), n, color=shades[i], linestyle=DASHES[i % 4], marker=MARKERS[i % 10],
            markevery=1 if len(n) <= 12 else _about(len(n), 10, i), markeredgecolor="white", markeredgewidth=0.5,
            label=f"{name} ({n.sum():,} images)",
        )  # fmt: skip
    axes.yaxis.set_major_formatter(THOUSANDS)
    if log:
        axes.set_yscale("log")
        log_labels(axes.yaxis)
    axes.set_ylabel(f"Images per class{' (log scale)' if log else ''}")
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, steps=ROUND))
    light_grid(axes)


def curves_said(counts: Mapping[str, Sequence[int]], legend_title: str) -> str:
    """What curves of counts show, for an alternative text."""
    return "; ".join(
        f"{legend_title.lower()} {name}: {int(np.sum(v)):,} images, smallest class {int(np.min(v)):,}"
        for name, v in counts.items()
    )


def curves_data(counts: Mapping[str, Sequence[int]]) -> dict[str, list[object]]:
    """The numbers of curves of counts, a row a class and curve."""
    return {
        "curve": [name for name, n in counts.items() for _ in n],
        "class": [c for n in counts.values() for c in range(len(n))],
        "images": [int(value) for n in counts.values() for value in n],
    }


def _counts(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    n = np.asarray(counts)
    if n.ndim != 1 or len(n) == 0 or (n < 0).any():
        raise SettingError("class counts must be a list of numbers, one for each class, none below zero")
    return n.astype(np.int64)


def _about(points: int, marks: int, phase: int) -> tuple[int, int]:
    """Where markers go: about `marks` of them, each curve shifted so that markers of equal curves do not hide."""
    step = max(1, points // marks)
    return (phase * max(1, step // 3) % step, step)


def name_classes(axes: Axes, names: Sequence[str]) -> None:
    """Class names below the bars where there is room, else every so-maniest class number."""
    if len(names) > 30:
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, steps=ROUND))
        return
    slanted = max(map(len, names)) * len(names) > 110
    axes.set_xticks(
        range(len(names)),
        names,
        rotation=40 if slanted else 0,
        ha="right" if slanted else "center",
        rotation_mode="anchor",
    )
    if slanted:
        axes.tick_params(axis="x", pad=1)
