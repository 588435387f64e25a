"""How the figures look: two widths, and a fixed look for each method, group and split.

Colour is never the only sign: a marker, a line style, a hatch or a label says the same. The colours are those of
`ltlib.plots.palette`.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatter

from ltlib.errors import UnknownName
from ltlib.plots.export import readable, svg
from ltlib.plots.palette import (
    BLUE,
    FILLS,
    GREEN,
    INKS,
    PURPLE,
    VERMILLION,
    context,
)

if TYPE_CHECKING:
    import pandas as pd

P = ParamSpec("P")
R = TypeVar("R")

SINGLE, DOUBLE = 3.5, 7.2
"""Widths of a figure in inches: one column of a two-column paper, and both."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)), (0, (4, 1, 1, 1, 1, 1)))


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run a drawing function in the workbook's look and leave the process's settings as they were."""

    @functools.wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with context(plain=True):
            return draw(*map(readable, args), **{key: readable(value) for key, value in kwargs.items()})

    return wrapper


class Chart(Figure):
    """A figure that knows what it shows.

    Attributes:
        alt: Its alternative text: the finding, with numbers from the data.
        data: The values it shows as equally long columns, or None.
        plain: Its texts are drawn as they are written: a class may be called ``$5-$10``.
    """

    alt: str = ""
    data: dict[str, Any] | None = None
    plain = True

    def frame(self) -> pd.DataFrame:
        """The data as a table; empty where the chart has none (a diagram)."""
        import pandas as pd

        return pd.DataFrame(self.data or {})

    def _repr_svg_(self) -> str:
        return svg(self)


def chart(width: float = DOUBLE, height: float = 3.0) -> Chart:
    """An empty chart of that size in inches, laid out so that labels never overlap the axes."""
    return Chart(figsize=(width, height), layout="constrained")


def with_long_names(fig: Chart) -> Chart:
    """Room beside long labels: a browser's own font may be wider than the one they were measured in."""
    engine: Any = fig.get_layout_engine()
    engine.set(w_pad=0.14)
    return fig


def title_above(fig: Chart, title: str) -> None:
    """A title over all panels of a figure, in the look of a single panel's; none without a text."""
    if title:
        fig.suptitle(title, x=0.01, ha="left", fontsize=9, fontweight="bold")


@dataclass(frozen=True)
class Look:
    """Colour, marker and line style of one series.

    Attributes:
        color: Hex colour with 3:1 contrast on white.
        marker: Matplotlib marker.
        dashes: Matplotlib line style.
        hatch: Hatch for bars.
    """

    color: str
    marker: str
    dashes: Any = "-"
    hatch: str = ""

    def line(self, points: int = 1) -> dict[str, Any]:
        """Keywords for `Axes.plot`; with many points only about ten of them get a marker."""
        return {
            "color": self.color,
            "marker": self.marker,
            "linestyle": self.dashes,
            "markevery": max(1, round(points / 10)),
            "markeredgecolor": "white",
            "markeredgewidth": 0.5,
        }


_BLUE, _VERMILLION, _GREEN, _PURPLE, _BROWN, _BLACK = range(6)
# The methods of one document's figures differ in colour as far as six go; a colour's second user gets dashes.
_COLORS = {
    "ce": _BLUE,
    "focal": _VERMILLION,
    "supcon_ce": _GREEN,
    "supcon": _PURPLE,
    "simclr": _BROWN,
    "balanced_softmax": _BLACK,
    "cefl": _GREEN,
    "cefl2": _PURPLE,
    "weighted_ce": _BROWN,
    "class_balanced": _GREEN,
    "equalization": _PURPLE,
    "ldam": _VERMILLION,
    "ldam_drw": _BROWN,
    "oversampling": _VERMILLION,
    "prior_equalised": _PURPLE,
    "loss_equalised": _GREEN,
    "logit_adjustment": _BLACK,
    "mixup": _BLUE,
    "crt": _BROWN,
    "lws": _VERMILLION,
    "bbn": _BLUE,
    "mislas": _BLACK,
    "awabs": _BLACK,
    "lade": _BLUE,
    "simclr_ce": _BLACK,
}


def method_look(name: str) -> Look:
    """The look of a method, the same in every figure.

    A name that is not in the table, or one with settings in brackets, gets a look drawn from the digest of its text;
    settings keep the colour of their method.
    """
    base = name.partition("[")[0].strip()
    names = list(_COLORS)
    if base in _COLORS:
        color = _COLORS[base]
        place = names.index(base)
        turn = sum(_COLORS[other] == color for other in names[:place])
    else:
        number = int.from_bytes(hashlib.sha256(base.encode()).digest()[:4], "big")
        color, place, turn = number % len(INKS), number // 7, number // 77
    if base != name.strip():
        shift = 1 + int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % 9
        place, turn = place + shift, turn + shift
    return _look(color, place, turn)


def method_looks(names: Sequence[str]) -> dict[str, Look]:
    """The looks of the methods of one figure; where two would be drawn alike, the later one moves on."""
    taken: set[tuple[Any, ...]] = set()
    looks: dict[str, Look] = {}
    for name in names:
        look = method_look(name)
        color, place, turn = INKS.index(look.color), MARKERS.index(look.marker), DASHES.index(look.dashes)
        for step in range(len(INKS) * len(DASHES)):
            look = _look(color + step // len(DASHES), place + step, turn + step)
            if (look.color, look.dashes) not in taken:
                break
        taken.add((look.color, look.dashes))
        looks[name] = look
    return looks


def _look(color: int, place: int, turn: int) -> Look:
    hatches = ("", "////", "\\\\\\\\", "xxxx", "....")
    turn %= len(DASHES)
    return Look(INKS[color % len(INKS)], MARKERS[place % len(MARKERS)], DASHES[turn], hatches[turn])


GROUPS: Mapping[str, Look] = {
    "head": Look(BLUE, "o", DASHES[0]),
    "middle": Look(PURPLE, "s", DASHES[1], "////"),
    "tail": Look(VERMILLION, "^", DASHES[3], "\\\\\\\\"),
}
_GROUP_ALIASES = {"many": "head", "medium": "middle", "few": "tail"}
SPLITS: Mapping[str, Look] = {
    "train": Look(BLUE, "o", DASHES[0]),
    "validation": Look(GREEN, "D", DASHES[3]),
    "test": Look(VERMILLION, "s", DASHES[1]),
}
SPLIT_NAMES = {"train": "training", "validation": "validation", "test": "test"}


def group_look(name: str) -> Look:
    """The look of head, middle or tail (also many, medium, few).

    Raises:
        UnknownName: Another group.
    """
    name = _GROUP_ALIASES.get(name, name)
    if name not in GROUPS:
        raise UnknownName("class group", name, [*GROUPS, *_GROUP_ALIASES])
    return GROUPS[name]


def class_look(index: int) -> Look:
    """The look of one of up to ten classes in a scatter: ten colours, ten markers."""
    return Look((*INKS, *FILLS)[index % 10], MARKERS[index % len(MARKERS)])


ROUND = [1, 2, 5, 10]
"""Steps of ticks that people read without thinking, for `MaxNLocator`."""


THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 or value == 0 else f"{value:g}")
"""Labels of an axis of counts: 1,000 and 0.1."""


class _Between(LogFormatter):
    """Labels between the powers of ten where there is room for them, as numbers and not as mathematics."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:,g}" if super().__call__(x, pos) else ""


def log_labels(axis: Axis) -> None:
    """Plain numbers at a logarithmic axis; matplotlib's own labels are mathematics, which a `Chart` does not read."""
    axis.set_major_formatter(THOUSANDS)
    axis.set_minor_formatter(_Between())


def light_grid(axes: Axes, axis: str = "y") -> None:
    """Light lines behind the data at the ticks of one axis."""
    axes.grid(True, axis=axis)  # type: ignore[arg-type]
