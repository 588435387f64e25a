"""Drawings without data: an algorithm set as pseudo-code, boxes and arrows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from ltlib.errors import SettingError, UnknownName
from ltlib.plots.palette import BLUE, INK, MUTED
from ltlib.plots.style import DOUBLE, Chart, styled

LONG_TAILED_SUBSET = (
    "input: images with classes 0 ... K-1, imbalance factor IF, imbalance type",
    "n_max = number of images of the largest class",
    "for each class c = 0 ... K-1:",
    "    if the type is exponential: n = floor(n_max · IF^(-c / (K - 1)))",
    "    if the type is step: n = n_max for c < floor(K / 2), else floor(n_max / IF)",
    "    n = min(n, images that class c has)",
    "    shuffle the images of class c and keep the first n",
    "output: the kept images, largest class first; the test set stays whole",
)
"""How a long-tailed subset is drawn from a balanced set (`convergent`, Algorithm 1, in our words)."""

_KEYWORDS = ("input", "output", "for", "if", "else", "while", "repeat", "return")


@styled
def algorithm(lines: Sequence[str], *, title: str = "") -> Chart:
    """Pseudo-code with line numbers; four spaces indent, the first word is set bold where it is a keyword.

    Args:
        lines: The lines.
        title: Printed above the first line, as "Algorithm 1: ...".
    """
    if not lines:
        raise SettingError("an algorithm needs at least one line")
    pitch = 0.185
    height = pitch * len(lines) + 0.2 + (0.3 if title else 0)
    fig = Chart(figsize=(DOUBLE * 0.85, height))
    axes = fig.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, DOUBLE * 0.85), ylim=(height, 0))
    axes.axis("off")
    y = 0.08
    axes.axhline(y - 0.02, 0.01, 0.99, color=INK, linewidth=1.2)
    if title:
        axes.text(0.1, y + 0.12, title, va="center", fontweight="bold", fontsize=9)
        y += 0.27
        axes.axhline(y - 0.01, 0.01, 0.99, color=INK, linewidth=0.6)
    advance = 0.602 * 8 / 72  # inches of one character of the 8-point monospaced font below
    for i, line in enumerate(lines):
        middle = y + pitch * (i + 0.6)
        text = line.lstrip(" ")
        x = 0.42 + advance * (len(line) - len(text))
        axes.text(0.3, middle, f"{i + 1}", ha="right", va="center", fontsize=7, color=MUTED)
        word = text.split(" ")[0].rstrip(":")
        if word in _KEYWORDS:
            axes.text(x, middle, word, va="center", fontfamily="monospace", fontweight="bold", color=BLUE)
            x += advance * len(word)
            text = text[len(word) :]
            x += advance * (len(text) - len(text.lstrip(" ")))
            text = text.lstrip(" ")
        axes.text(x, middle, text, va="center", fontfamily="monospace")
    axes.axhline(height - 0.04, 0.01, 0.99, color=INK, linewidth=1.2)
    fig.alt = f"{title}{': ' if title else ''}{' '.join(f'{i + 1}. {line.strip()}.' for i, line in enumerate(lines))}"
    fig.data = {"line": list(range(1, len(lines) + 1)), "text": list(lines)}
    return fig


@dataclass(frozen=True)
class Box:
    """A box of a diagram.

    Attributes:
        text: What it says; a line break is kept.
        at: Centre, in columns and rows from the upper left.
        size: Width and height in columns and rows.
        fill: Background; light, so that the text keeps its contrast.
    """

    text: str
    at: tuple[float, float]
    size: tuple[float, float] = (0.8, 0.6)
    fill: str = "#E8F1F8"


@styled
def framework(
    boxes: Mapping[str, Box],
    arrows: Sequence[tuple[str, str] | tuple[str, str, str]],
    *,
    row_height: float = 0.75,
    title: str = "",
    alt: str = "",
) -> Chart:
    """Boxes and arrows on a grid.

    Args:
        boxes: Name to box.
        arrows: From one name to another, with a text beside the arrow if there is a third item.
        row_height: Inches of a row.
        title: Printed above.
        alt: Alternative text; by default every box and arrow.

    Raises:
        UnknownName: An arrow from or to a box that is not there.
    """
    if not boxes:
        raise SettingError("a diagram needs at least one box")
    columns = max(box.at[0] + box.size[0] / 2 for box in boxes.values())
    rows = max(box.at[1] + box.size[1] / 2 for box in boxes.values())
    left = min(box.at[0] - box.size[0] / 2 for box in boxes.values())
    top = min(box.at[1] - box.size[1] / 2 for box in boxes.values())
    heading = 0.3 if title else 0.0
    height = (rows - top) * row_height + 0.2 + heading
    fig = Chart(figsize=(DOUBLE, height))
    axes = fig.add_axes((0.01, 0.08 / height, 0.98, 1 - (0.16 + heading) / height))
    axes.set(xlim=(left, columns), ylim=(rows, top))
    axes.axis("off")
    patches = {}
    for name, box in boxes.items():
        w, h = box.size
        patch = FancyBboxPatch(
            (box.at[0] - w / 2, box.at[1] - h / 2), w, h, boxstyle="round,pad=0,rounding_size=0.06",
            mutation_aspect=DOUBLE / (columns - left) / row_height, facecolor=box.fill, edgecolor=MUTED, linewidth=0.9,
            clip_on=False,
        )  # fmt: skip
        patches[name] = axes.add_patch(patch)
        axes.text(*box.at, box.text, ha="center", va="center", linespacing=1.3)
    for arrow in arrows:
        for end in arrow[:2]:
            if end not in boxes:
                raise UnknownName("box", end, boxes)
        start, stop = boxes[arrow[0]], boxes[arrow[1]]
        ends: Any = {"patchA": patches[arrow[0]], "patchB": patches[arrow[1]], "shrinkA": 1, "shrinkB": 1}
        axes.add_patch(
            FancyArrowPatch(start.at, stop.at, arrowstyle="-|>", mutation_scale=9, color=INK, linewidth=0.9, **ends)
        )
        if len(arrow) == 3:
            middle = _gap_middle(start, stop)
            axes.annotate(
                arrow[2], middle, (0, 3), textcoords="offset points", ha="center", va="bottom", fontsize=7, color=MUTED
            )
    if title:
        fig.text(0.01, 1 - 0.05 / height, title, fontsize=9, fontweight="bold", va="top")
    links = [f"{' '.join(boxes[a[0]].text.split())} to {' '.join(boxes[a[1]].text.split())}" for a in arrows]
    fig.alt = alt or f"Diagram of {len(boxes)} boxes. Arrows: {'; '.join(links) or 'none'}."
    return fig


def _gap_middle(start: Box, stop: Box) -> tuple[float, float]:
    """Halfway between the facing edges of two boxes."""
    dx, dy = stop.at[0] - start.at[0], stop.at[1] - start.at[1]
    if abs(dx) >= abs(dy):
        side = 1 if dx > 0 else -1
        x = (start.at[0] + side * start.size[0] / 2 + stop.at[0] - side * stop.size[0] / 2) / 2
        return x, (start.at[1] + stop.at[1]) / 2
    return (start.at[0] + stop.at[0]) / 2, (start.at[1] + stop.at[1]) / 2
