"""The palette and matplotlib's settings: what every figure is drawn and saved with.

Colours are the Okabe-Ito set (Okabe and Ito, 2008) as far as it has a contrast of 3:1 on white; its orange is darkened
to brown and its light colours serve as fills with a dark edge only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from cycler import cycler

BLUE, VERMILLION, GREEN, PURPLE, BLACK, BROWN = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#7A4E00"
INKS = (BLUE, VERMILLION, GREEN, PURPLE, BROWN, BLACK)
"""Colours for lines and text: 3:1 on white or more, told apart under each kind of colour-blindness."""

SKY, ORANGE, YELLOW, SILVER = "#56B4E9", "#E69F00", "#F0E442", "#BFBFBF"
FILLS = (SKY, ORANGE, YELLOW, SILVER)
"""Lighter colours, for filled marks with a dark edge."""

INK, MUTED, FAINT = "#1A1A1A", "#5F5F5F", "#D9D9D9"

RC: Any = {
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.bbox": None,  # a tight box would make every figure another width
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.monospace": ["DejaVu Sans Mono", "Menlo", "Consolas", "monospace"],
    "mathtext.fontset": "dejavusans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.borderaxespad": 0.3,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "hatch.linewidth": 0.6,
    "image.interpolation": "none",
    "axes.prop_cycle": cycler(color=list(INKS)),
    "svg.hashsalt": "ltlib",
    "svg.fonttype": "none",  # text stays text: searchable, small, and read aloud
    "pdf.fonttype": 42,
}


def use_style() -> None:
    """Make the workbook's look the default of this process, for figures drawn by hand beside ours."""
    from matplotlib import style

    style.use(["default", RC])


@contextlib.contextmanager
def context(plain: bool = False) -> Iterator[None]:
    """The workbook's look inside a block, whatever the process has set or a reader's own ``matplotlibrc`` says.

    Args:
        plain: Texts are drawn as they are written; else what stands between dollars is mathematics.
    """
    from matplotlib import style

    with style.context(["default", RC, {"text.parse_math": not plain}]):
        yield
