"""Components by name: the bracketed text is read as it is written, defaults are filled in, mistakes are named."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltlib.errors import SettingError, UnknownName
from ltlib.registry import Registry, Spec, Value, format_spec, format_value, parse, parse_value
from notebooks import run_cell

PARTS = Registry[dict[str, Any]]("part")


@PARTS.register("wheel", version=3, source="a book", aliases=("rim",))
def wheel(*, radius: float = 2.0, spokes: int = 8, hub: Any = None, round: bool = True) -> dict[str, Any]:
    """A wheel."""
    return {"radius": radius, "spokes": spokes, "hub": hub, "round": round}


OWN = {
    "ltlib.methods": "METHODS",
    "ltlib.methods.finishes": "FINISHES",
    "ltlib.losses": "LOSSES",
    "ltlib.mixing": "MIXINGS",
    "ltlib.recipes": "RECIPES",
    "ltlib.recipes.optimizers": "OPTIMIZERS",
    "ltlib.recipes.averages": "AVERAGES",
    "ltlib.batches.samplers": "SAMPLERS",
    "ltlib.models": "MODELS",
    "ltlib.models.classifiers": "CLASSIFIERS",
    "ltlib.datasets": "DATASETS",
    "ltlib.datasets.resampling": "RESAMPLERS",
}
ALONE = """
import importlib, os, sys, torch
for package, registry in zip(sys.argv[1::2], sys.argv[2::2]):
    sys.stdout.flush()
    if os.fork() == 0:
        print(package, *getattr(importlib.import_module(package), registry).names(), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_every_registry_is_whole_after_its_own_package_is_imported() -> None:
    """What is registered does not hang on what else was imported, and in which order."""
    arguments = [part for pair in OWN.items() for part in pair]
    done = subprocess.run([sys.executable, "-c", ALONE, *arguments], capture_output=True, text=True, check=True)
    alone = {package: sorted(names) for package, *names in map(str.split, done.stdout.splitlines())}
    importlib.import_module("ltlib.experiment")
    importlib.import_module("ltlib.sections.resampling")
    # sorted: a test that takes an entry out and puts it back leaves it behind the others
    assert alone == {name: sorted(getattr(importlib.import_module(name), own).names()) for name, own in OWN.items()}
    assert min(map(len, alone.values())) >= 2


words = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True).filter(
    lambda word: word not in ("true", "false", "none", "nan", "inf", "infinity")
)
scalars = st.one_of(
    st.booleans(), st.none(), st.integers(-(10**9), 10**9), st.floats(allow_nan=False, allow_infinity=False), words
)
values = st.one_of(scalars, st.lists(scalars, min_size=2, max_size=4).map(tuple))


@given(words, st.dictionaries(words, values, max_size=4))
def test_a_spec_reads_back_as_written(name: str, settings: dict[str, Any]) -> None:
    found_name, found = parse(format_spec(name, settings))
    assert found_name == name
    assert found == settings
    assert {key: repr(value) for key, value in found.items()} == {key: repr(settings[key]) for key in found}


@given(st.permutations(["radius=3", "spokes=5", "round=false"]), st.sampled_from(["", " "]))
def test_order_and_spaces_do_not_matter(parts: list[str], space: str) -> None:
    spec = PARTS.spec(f"wheel{space}[{f'{space};{space}'.join(parts)}]")
    expected = Spec("wheel", 3, {"hub": None, "radius": 3.0, "round": False, "spokes": 5}, "by hand 3")
    assert spec == expected
    assert hash(spec) == hash(expected)
    assert list(spec.settings) == sorted(spec.settings)


def test_defaults_are_filled_in_and_identify() -> None:
    assert PARTS.spec("wheel") == PARTS.spec("wheel[radius=2;spokes=8;hub=none;round=true]") == PARTS.spec("rim")
    assert PARTS.spec("wheel").identity() == {
        "name": "wheel",
        "version": 3,
        "settings": {"hub": None, "radius": 2.0, "round": True, "spokes": 8},
        "own": "by hand 3",  # this file is none of the package, and a version is given
    }
    assert PARTS.spec("wheel", radius=5.0, unknown=1).settings["radius"] == 5.0
    assert PARTS.spec("wheel[radius=4]", radius=5.0).settings["radius"] == 4.0


def test_two_and_two_point_zero_are_one_setting_but_not_for_whole_numbers() -> None:
    two = PARTS.spec("wheel[radius=2]").settings["radius"]
    assert isinstance(two, float)
    assert isinstance(PARTS.spec("wheel[spokes=2]").settings["spokes"], int)
    assert PARTS.spec("wheel", radius=2).settings == PARTS.spec("wheel").settings


def test_create_passes_settings_and_explicit_ones_win() -> None:
    assert PARTS.create("wheel[spokes=6]", hub="x") == {"radius": 2.0, "spokes": 6, "hub": "x", "round": True}
    assert PARTS.create("wheel[spokes=6]", spokes=7)["spokes"] == 7


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("whel", "unknown part 'whel'; did you mean wheel?"),
        ("wheel[radus=2]", "unknown setting of part wheel: 'radus'; did you mean radius?"),
    ],
)
def test_unknown_names_are_said_with_the_nearest(text: str, sentence: str) -> None:
    with pytest.raises(UnknownName) as caught:
        PARTS.spec(text)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2wheel",
        "wheel[",
        "wheel[radius]",
        "wheel[radius=]",
        "wheel[=2]",
        "wheel]radius=2[",
        "wheel[radius=2] x",
        "wheel[radius=big]",
        "wheel[radius=true]",
        "wheel[radius=none]",
        "wheel[spokes=1+2]",
        "wheel[round=1]",
        "wheel[radius=nan]",
        "wheel[hub=inf]",
        "wheel[hub=1.0+nan]",
        "wheel[radius=1;radius=2]",
    ],
)
def test_what_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r".{20}"):
        PARTS.spec(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-2", -2),
        ("1e-5", 1e-5),
        ("1e+5", 1e5),
        ("True", True),
        ("NONE", None),
        ("crop4+flip", ("crop4", "flip")),
        ("0.8+0.9", (0.8, 0.9)),
        ("-1+-2.5", (-1, -2.5)),
    ],
)
def test_single_values(text: str, value: object) -> None:
    found = parse_value(text)
    assert found == value
    assert type(found) is type(value)


def test_large_floats_in_tuples_survive() -> None:
    assert parse_value(format_value((1e20, 2.0))) == (1e20, 2.0)


def test_ones_own_is_identified_by_its_source_unless_it_has_a_version() -> None:
    tools = Registry[Any]("tool")
    space: dict[str, Any] = {"tools": tools}
    register = "tools.register('saw'{})(lambda *, teeth=3: {})"

    def mark(text: str) -> str:
        run_cell(text, f"<{text}>", space)
        return tools.spec("saw").own

    first = mark(register.format("", "teeth"))
    assert re.fullmatch("[0-9a-f]{16}", first)
    assert mark(register.format("", "teeth ")) == first
    assert mark(register.format("", "teeth + 1")) != first
    by_hand = mark(register.format(", version=1", "teeth"))
    assert by_hand == mark(register.format(", version=1", "teeth + 1"))
    assert by_hand != mark(register.format(", version=2", "teeth"))
    exec(register.format("", "teeth + 3"), space)  # no cell and no file has this text
    with pytest.raises(SettingError, match=r"your own tool saw; keep it in a file .* or register it with version=1"):
        tools.spec("saw")
    exec(register.format(", version=4", "teeth"), space)
    assert tools.spec("saw").identity() == {"name": "saw", "version": 4, "settings": {"teeth": 3}, "own": "by hand 4"}


def test_ones_own_within_a_setting_of_another_counts() -> None:
    tools = Registry[Any]("tool")
    space: dict[str, Any] = {"tools": tools, "__name__": "ltlib.tools"}
    exec("tools.register('box')(lambda *, holds='hammer': holds); tools.register('hammer')(lambda: 1)", space)
    assert tools.spec("box[holds=hammer]").own == ""
    tools.register("nail", version=2)(lambda: 1)
    assert tools.spec("box[holds=nail]").own == "by hand 2"
    assert tools.spec("box").own == tools.spec("box[holds=screw]").own == ""


@pytest.mark.parametrize(("value", "text"), [(np.float64(0.1), "0.1"), (np.float64(1e20), "1e20"), (np.int64(3), "3")])
def test_numbers_from_numpy_are_written_as_numbers(value: Any, text: str) -> None:
    assert format_value(value) == text


def test_registry_lists_names_without_aliases() -> None:
    assert PARTS.names() == ["wheel"]
    assert [entry.summary for entry in PARTS] == ["A wheel."]
    assert "rim" in PARTS
    assert "tyre" not in PARTS


def test_a_setting_added_later_changes_no_older_identity() -> None:
    """At its default it is left out of the identity; any other value is part of it."""
    registry = Registry[object]("thing")

    @registry.register("old", version=1, added=("newer",))
    def old(*, size: int = 1, newer: str = "as before") -> object:
        return size, newer

    before = {"name": "old", "version": 1, "settings": {"size": 2}, "own": "by hand 1"}
    assert registry.spec("old[size=2]").identity() == before
    assert registry.spec("old[size=2;newer=as before]").identity() == before
    changed = registry.spec("old[size=2;newer=otherwise]")
    assert changed.identity()["settings"] == {"newer": "otherwise", "size": 2}
    assert changed != registry.spec("old[size=2]")
    assert registry.create("old") == (1, "as before")


def test_a_setting_may_be_identified_by_what_it_names() -> None:
    """Two names of one thing give one identity; when the thing changes, so do identity and spec, and texts stay."""
    registry, inside = Registry[object]("thing"), {"here": "x", "there": "x", "elsewhere": "y"}

    def instead(settings: Mapping[str, Value]) -> dict[str, str]:
        return {} if settings["file"] is None else {"file": inside[str(settings["file"])]}

    @registry.register("one", version=1, added=("file",), instead=instead)
    def one(*, size: int = 1, file: str | None = None) -> object:
        return size, file

    assert registry.spec("one").identity()["settings"] == {"size": 1}
    here, there, elsewhere = (registry.spec(f"one[file={name}]") for name in inside)
    assert here.identity()["settings"] == {"size": 1, "file": "x"}
    assert here.identity() == there.identity() != elsewhere.identity()
    assert str(here) == "one[file=here;size=1]"
    assert registry.create(here) == (1, "here")
    inside["here"] = "z"
    assert registry.spec("one[file=here]") != here
    assert registry.spec("one[file=here]").identity()["settings"]["file"] == "z"
