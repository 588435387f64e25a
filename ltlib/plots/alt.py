"""Alternative texts that state the finding, with its numbers taken from the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ltlib.labels import label
from ltlib.plots.series import Series
from ltlib.plots.style import SPLIT_NAMES


def percent(value: float) -> str:
    """A fraction as ``78.1%``; not a number as ``unknown``."""
    return f"{100 * value:.1f}%" if np.isfinite(value) else "unknown"


def number(value: float) -> str:
    """Three significant digits, no exponent for ordinary sizes."""
    return f"{value:.3g}" if np.isfinite(value) else "unknown"


def curve(history: Any, quantity: str = "accuracy", selected: int | None = None) -> str:
    """The end of each curve, the best epoch, and what was selected.

    Example:
        "Accuracy over 40 epochs: training ends at 78.1%, test at 61.9%; best test loss at epoch 33."
    """
    table = Series.of(history)
    show = percent if quantity == "accuracy" else number
    ends: list[str] = []
    for split in ("train", "validation", "test"):
        if table.has(f"{split}_{quantity}"):
            values = table[f"{split}_{quantity}"]
            values = values[np.isfinite(values)]
            ends.append(f"{SPLIT_NAMES[split]} {'ends ' if not ends else ''}at {show(values[-1])}")
    text = f"{label(quantity).capitalize()} over {len(table)} epochs: {', '.join(ends)}"
    judge = next((split for split in ("validation", "test") if table.has(f"{split}_loss")), None)
    if judge:
        text += f"; best {judge} loss at epoch {int(np.nanargmin(table[f'{judge}_loss'])) + 1}"
    elif table.has(f"test_{quantity}"):
        best = np.nanargmax if quantity == "accuracy" else np.nanargmin
        text += f"; best test {quantity} at epoch {int(best(table[f'test_{quantity}'])) + 1}"
    if selected is not None:
        split = judge or "test"
        text += f"; epoch {selected} selected"
        if table.has(f"{split}_{quantity}"):
            text += f" ({SPLIT_NAMES[split]} {show(table[f'{split}_{quantity}'][selected - 1])})"
    return text + "."


def comparison(curves: Mapping[str, Sequence[float]], quantity: str = "test accuracy") -> str:
    """Where each method ends, best first."""
    lower = any(word in quantity.lower() for word in ("loss", "ece"))
    show = number if "loss" in quantity.lower() else percent
    ends = {name: np.asarray(values, dtype=float) for name, values in curves.items()}
    last = {name: v[np.isfinite(v)][-1] for name, v in ends.items() if np.isfinite(v).any()}
    order = sorted(last, key=lambda name: last[name], reverse=not lower)
    parts = [f"{label(name)} {show(last[name])}" for name in order]
    epochs = max((len(v) for v in ends.values()), default=0)
    quantity = quantity.replace("ece", "ECE")
    return (
        f"{quantity[:1].upper()}{quantity[1:]} over {epochs} epochs, at the last one, best first: {', '.join(parts)}."
    )


def distribution(counts: Sequence[int], class_names: Sequence[str] | None = None, shaded: Sequence[int] = ()) -> str:
    """Largest and smallest class, their ratio, and the share of the shaded minority."""
    n = np.asarray(counts, dtype=np.int64)
    names = class_names if class_names is not None else [f"class {i}" for i in range(len(n))]
    top, low = int(n.argmax()), int(n.argmin())
    ratio = f"a factor of {n[top] / n[low]:.3g}" if n[low] > 0 else "no image at all in the smallest"
    ends = f"from {n[top]:,} ({names[top]}) down to {n[low]:,} ({names[low]})"
    text = f"{n.sum():,} images in {len(n)} classes, {ends}: {ratio}"
    if len(shaded):
        share = n[list(shaded)].sum() / max(n.sum(), 1)
        text += f"; the {len(shaded)} smallest classes, shaded, hold {percent(float(share))} of the images"
    return text + "."


def tails(counts: Mapping[str, Sequence[int]]) -> str:
    """For each set: classes, largest, smallest, and the share of the largest tenth of its classes."""
    parts = []
    for name, values in counts.items():
        n = np.sort(np.asarray(values, dtype=np.float64))[::-1]
        top = n[: max(1, round(len(n) / 10))].sum() / max(n.sum(), 1)
        parts.append(
            f"{label(name)}: {len(n):,} classes from {n[0]:,.0f} to {n[-1]:,.0f} images, the largest tenth of the "
            f"classes holds {percent(float(top))}"
        )
    return "Images per class. " + "; ".join(parts) + "."


def confusion(matrix: Any, class_names: Sequence[str] | None = None) -> str:
    """Overall accuracy, the best and worst class, and the most frequent confusion."""
    m = np.asarray(matrix, dtype=np.float64)
    names = list(class_names) if class_names is not None else [str(i) for i in range(len(m))]
    rows = m.sum(axis=1)
    with np.errstate(invalid="ignore"):
        recall = np.where(rows > 0, np.diag(m) / rows, np.nan)
    off = m.copy()
    np.fill_diagonal(off, -1)
    a, p = np.unravel_index(int(off.argmax()), off.shape)
    best, worst = int(np.nanargmax(recall)), int(np.nanargmin(recall))
    text = (
        f"{percent(float(np.trace(m) / m.sum()))} of {m.sum():,.0f} test images are on the diagonal; best class "
        f"{names[best]} ({percent(recall[best])}), worst {names[worst]} ({percent(recall[worst])})"
    )
    if off[a, p] > 0:
        text += f"; most frequent confusion: {names[a]} taken for {names[p]} ({off[a, p]:,.0f} of {rows[a]:,.0f})"
    return text + "."


def confusion_difference(published: Any, ours: Any, class_names: Sequence[str]) -> str:
    """Accuracy of both, and the classes whose recall moved most."""
    first, second = np.asarray(published, dtype=np.float64), np.asarray(ours, dtype=np.float64)
    change = np.diag(second) / np.maximum(second.sum(1), 1) - np.diag(first) / np.maximum(first.sum(1), 1)
    up, down = int(change.argmax()), int(change.argmin())
    return (
        f"Accuracy {percent(np.trace(first) / first.sum())} published, {percent(np.trace(second) / second.sum())} "
        f"reproduced; recall moves most for {class_names[up]} ({100 * change[up]:+.1f} points) and "
        f"{class_names[down]} ({100 * change[down]:+.1f} points)."
    )


def bars(
    rows: Sequence[Mapping[str, Any]], group: str = "model", series: str = "method", value: str = "accuracy"
) -> str:
    """Published and reproduced value of every pair that was run, then what is missing."""
    done, missing = [], []
    for row in rows:
        name = f"{label(str(row[group]))} {label(str(row[series]))}"
        ours, published = row["reproduced"], row["published"]
        if np.isfinite(ours):
            done.append(
                f"{name} {percent(ours)}" + (f" (published {percent(published)})" if np.isfinite(published) else "")
            )
        else:
            missing.append(name + (f" (published {percent(published)})" if np.isfinite(published) else ""))
    text = f"{label(value)[:1].upper()}{label(value)[1:]}: {', '.join(done) if done else 'nothing was run'}"
    return text + (f"; not run: {', '.join(missing)}." if missing else ".")


def reliability(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """ECE, mean confidence and accuracy of each panel, and on which side it errs.

    Each panel's mapping has ``ece``, ``confidence``, ``accuracy`` (fractions) and ``images``.
    """
    parts = []
    for name, panel in tables.items():
        gap = panel["confidence"] - panel["accuracy"]
        side = "over-confident" if gap > 0 else "under-confident"
        parts.append(
            f"{label(name) + ': ' if name else ''}ECE {percent(panel['ece'])} on {panel['images']:,.0f} images, mean "
            f"confidence {percent(panel['confidence'])} against accuracy {percent(panel['accuracy'])} "
            f"({side} by {100 * abs(gap):.1f} points)"
        )
    return "Confidence against accuracy. " + "; ".join(parts) + "."


def embedding(
    targets: Any,
    class_names: Sequence[str],
    separability: Mapping[str, Mapping[str, float]] | None = None,
    kind: str = "t-SNE",
) -> str:
    """How many points of how many classes, and how well the classes separate where that was measured."""
    y = np.asarray(targets)
    counts = np.bincount(y, minlength=len(class_names))
    present = int((counts > 0).sum())
    text = f"{kind} map of {len(y):,} images of {present} classes"
    measured = []
    for name, values in (separability or {}).items():
        words = f"silhouette {values['silhouette']:.2f} and nearest-centroid accuracy "
        measured.append(f"{label(name) + ': ' if name else ''}{words}{percent(values['nearest_centroid'])}")
    return f"{text}; {'; '.join(measured)}." if measured else f"{text}."


def factors(values: Mapping[str, Mapping[float, float]], quantity: str = "accuracy") -> str:
    """Each method's value at the smallest and the largest factor."""
    parts = []
    for name, points in values.items():
        low, high = min(points), max(points)
        parts.append(
            f"{label(name)} from {percent(points[low])} at factor {low:g} to {percent(points[high])} at {high:g}"
        )
    return f"{label(quantity)[:1].upper()}{label(quantity)[1:]} against imbalance factor: {'; '.join(parts)}."
