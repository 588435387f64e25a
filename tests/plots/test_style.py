from __future__ import annotations

import itertools

import matplotlib
import numpy as np
import pytest

from ltlib.errors import UnknownName
from ltlib.plots import palette, style

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    x = XYZ @ np.clip(rgb, 0, 1) / np.array([0.95047, 1, 1.08883])
    f = np.where(x > 216 / 24389, np.cbrt(x), (24389 / 27 * x + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(colour: str) -> float:
    return 1.05 / (float(XYZ[1] @ linear(colour)) + 0.05)


def nearest(colours: tuple[str, ...], sight: str) -> float:
    seen = [lab(SIGHT[sight] @ linear(c)) for c in colours]
    return min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2))


def test_the_measure_itself() -> None:
    assert contrast("#FFFFFF") == pytest.approx(1.0)
    assert contrast("#000000") == pytest.approx(21.0)
    assert nearest(("#D55E00", "#B07800"), "deuteranopia") < 5  # a pair that must be refused
    assert nearest(("#D55E00", "#B07800"), "normal") > 25


@pytest.mark.parametrize("sight", SIGHT)
def test_inks_are_told_apart(sight: str) -> None:
    assert nearest(palette.INKS, sight) > 16


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("looks", [style.GROUPS, style.SPLITS], ids=["groups", "splits"])
def test_groups_and_splits_are_told_apart(sight: str, looks: dict[str, style.Look]) -> None:
    assert nearest(tuple(look.color for look in looks.values()), sight) > 16
    assert len({look.marker for look in looks.values()}) == len({str(look.dashes) for look in looks.values()}) == 3


def test_everything_has_a_contrast_of_three_on_white() -> None:
    for colour in {*palette.INKS, palette.INK, palette.MUTED, *(look.color for look in style.GROUPS.values())}:
        assert contrast(colour) >= 3, colour


def test_a_method_looks_the_same_in_every_figure() -> None:
    known = [style.method_look(name) for name in style._COLORS]
    assert len({(look.color, str(look.dashes)) for look in known}) == len(known)
    assert style.method_looks(["focal", "ce"])["ce"] == style.method_looks(["ce"])["ce"] == style.method_look("ce")
    assert style.method_look("my_new_loss") == style.method_look("my_new_loss")
    assert style.method_look("focal[gamma=5]").color == style.method_look("focal").color
    assert style.method_look("focal[gamma=5]") != style.method_look("focal")


def test_methods_of_one_figure_never_look_alike() -> None:
    names = [f"focal[gamma={g}]" for g in range(12)] + [f"new_{i}" for i in range(8)]
    looks = style.method_looks(names)
    assert len({(look.color, str(look.dashes)) for look in looks.values()}) == len(names)
    assert list(looks) == names


def test_group_names() -> None:
    assert style.group_look("few") == style.group_look("tail") != style.group_look("head")
    with pytest.raises(UnknownName, match="tail"):
        style.group_look("tial")


def test_ten_classes_have_ten_colours_and_ten_markers() -> None:
    looks = [style.class_look(i) for i in range(10)]
    assert len({look.color for look in looks}) == len({look.marker for look in looks}) == 10


def test_style_stays_inside_its_block_until_asked_for() -> None:
    before = dict(matplotlib.rcParams)
    with palette.context():
        assert matplotlib.rcParams["svg.hashsalt"] == "ltlib"
    assert dict(matplotlib.rcParams) == before
    with matplotlib.rc_context():
        palette.use_style()
        assert matplotlib.rcParams["svg.hashsalt"] == "ltlib"
        assert matplotlib.rcParams["savefig.bbox"] is None
