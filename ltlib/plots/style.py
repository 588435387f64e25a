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
from matplotlib.figure import Figure

from ltlib.errors import SettingError, UnknownName
from ltlib.plots.export import svg
from ltlib.plots.palette import (
    BLUE,
    FILLS,
    GREEN,
    INKS,
    PURPLE,
    VERMILLION,
    context,
)
from ltlib.registry import parse

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
        with context():
            return draw(*args, **kwargs)

    return wrapper


class Chart(Figure):
    """A figure that knows what it shows.

    Attributes:
        alt: Its alternative text: the finding, with numbers from the data.
        data: The values it shows as equally long columns, or None.
    """

    alt: str = ""
    data: dict[str, Any] | None = None

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
_METHODS: dict[str, tuple[int, str]] = {
    "ce": (_BLUE, "CE"),
    "focal": (_VERMILLION, "Focal"),
    "supcon_ce": (_GREEN, "SupCon + CE"),
    "supcon": (_PURPLE, "SupCon"),
    "simclr": (_BROWN, "SimCLR"),
    "balanced_softmax": (_BLACK, "Balanced softmax"),
    "cefl": (_GREEN, "CEFL"),
    "cefl2": (_PURPLE, "CEFL2"),
    "weighted_ce": (_BROWN, "Weighted CE"),
    "class_balanced": (_GREEN, "Class-balanced"),
    "equalization": (_PURPLE, "Equalization"),
    "ldam": (_VERMILLION, "LDAM"),
    "ldam_drw": (_BROWN, "LDAM-DRW"),
    "oversampling": (_VERMILLION, "Oversampling"),
    "prior_equalised": (_PURPLE, "Prior equalisation"),
    "loss_equalised": (_GREEN, "Loss equalisation"),
    "logit_adjustment": (_BLACK, "Logit adjustment"),
    "mixup": (_BLUE, "Mixup"),
    "crt": (_BROWN, "cRT"),
    "lws": (_VERMILLION, "LWS"),
    "bbn": (_BLUE, "BBN"),
    "mislas": (_BLACK, "MiSLAS"),
    "awabs": (_BLACK, "AWABS"),
    "lade": (_BLUE, "LADE"),
    "simclr_ce": (_BLACK, "SimCLR + CE"),
}
_NAMES = {
    "label_aware_smoothing": "Label-aware smoothing",
    "awabs_cutout": "AWABS, CutOut",
    "awabs_cutmix": "AWABS, CutMix",
    "awabs_cutthumbnail": "AWABS, Cut-Thumbnail",
    "awabs_mixed_thumbnail": "AWABS, mixed Cut-Thumbnail",
    "cutout": "CutOut",
    "cutmix": "CutMix",
    "cutthumbnail": "Cut-Thumbnail",
    "cmo": "CMO",
    "remix_drw": "Remix-DRW",
    "crt_mixup": "cRT + mixup",
    "lws_mixup": "LWS + mixup",
    "lws_mixup_shifted_bn": "LWS + mixup, shifted BN",
    "mixup_cbce": "CBCE in stage 2",
    "resnet8": "ResNet-8",
    "resnet18": "ResNet-18",
    "resnet32": "ResNet-32",
    "resnet34": "ResNet-34",
    "resnet50": "ResNet-50",
    "resnet101": "ResNet-101",
    "digits": "Digits",
    "digits_folder": "Digits (as a folder)",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "butterfly": "Butterfly",
    "inaturalist2017": "iNaturalist 2017",
    "places_lt": "Places-LT",
    "f1": "F1",
    "ece": "ECE",
    "mce": "MCE",
    "nll": "NLL",
    "lr": "Learning rate",
}


def label(name: str) -> str:
    """How an id is printed: ``supcon_ce`` as "SupCon + CE", ``focal[gamma=2]`` as "Focal (gamma 2)"."""
    try:
        base, settings = parse(name)
    except SettingError:
        return name
    if base in _METHODS:
        text = _METHODS[base][1]
    else:
        text = _NAMES.get(base, base.replace("_", " ") if base.islower() else base)
    if settings:
        text += f" ({', '.join(f'{key} {value}' for key, value in settings.items())})"
    return text


def method_look(name: str) -> Look:
    """The look of a method, the same in every figure.

    A name that is not in the table, or one with settings in brackets, gets a look drawn from the digest of its text;
    settings keep the colour of their method.
    """
    base = name.partition("[")[0].strip()
    names = list(_METHODS)
    if base in _METHODS:
        color = _METHODS[base][0]
        place = names.index(base)
        turn = sum(_METHODS[other][0] == color for other in names[:place])
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


def light_grid(axes: Axes, axis: str = "y") -> None:
    """Light lines behind the data at the ticks of one axis."""
    axes.grid(True, axis=axis)  # type: ignore[arg-type]
