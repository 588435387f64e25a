"""Parameters arrive in a notebook as they were given: equal, and of their type."""

from __future__ import annotations

import ast
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ltlib.errors import SettingError
from ltlib.pages import declared, execution, injection
from ltlib.pages.declared import Declared
from notebooks import write_notebook

RAW = {"id": "probe", "title": "T", "question": "Q?"}
VALUES: dict[str, Any] = {
    "small": 1e-05,
    "large": 1e20,
    "nothing": math.nan,
    "endless": [math.inf, -math.inf],
    "signed": -0.0,
    "whole": 10**30,
    "very_long": -(10**5000),
    "grin": "\U0001f600",
    "half": "\udcff",
    "quotes": "a'b\"c\\d\ne\tf\r\x00{}{{%}}",
    "like_numbers": ["1e5", "0x10", "1_000", "007", "1.0", "-"],
    "like_words": ["yes", "no", "on", "off", "true", "null", "~", "None", "nan", ""],
    "like_dates": ["2024-01-01", "12:30:45", "2024-01-01T00:00:00Z"],
    "like_yaml": ["- a", "a: b", "# c", "*x", "!!int 3", "{a", "[b", "|", ">"],
    "nested": {"a": [1, {"b": [True, None, (1.5, "x")]}], "": {}, "c": []},
    "keys": {1: "one", 2.5: "x", None: "none", False: "no", (1, 2): "pair"},
    "tuples": ((), (1,), (1, 2)),
    "choice": False,
    "none": None,
}


def same(one: Any, two: Any) -> bool:
    """Equal and of one type all the way down; NaN is NaN, and 0.0 not -0.0."""
    if type(one) is not type(two):
        return False
    if isinstance(one, float):
        return (one != one and two != two) or struct.pack("d", one) == struct.pack("d", two)
    if isinstance(one, dict):
        return same(list(one.items()), list(two.items()))
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == two)


def read(text: str) -> Any:
    return eval(text, {"__builtins__": {"float": float}})


@pytest.mark.parametrize("name", VALUES)
def test_what_is_written_reads_as_what_was_given(name: str) -> None:
    text = injection.literal(name, VALUES[name])
    assert same(read(text), VALUES[name])
    assert text.isprintable()


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters()))
ANY = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner), st.lists(inner).map(tuple), st.dictionaries(st.text(), inner)),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANY)
def test_any_plain_value_survives(value: Any) -> None:
    assert same(read(injection.literal("x", value)), value)


@pytest.mark.parametrize("value", [np.float64(1), np.arange(3), Path("x"), {1, 2}, b"x", 1j, object(), [print]])
def test_what_is_no_plain_value_is_refused(value: Any) -> None:
    with pytest.raises(SettingError, match="notebook parameter x is or holds a"):
        injection.literal("x", value)


def test_a_list_that_holds_itself_is_refused() -> None:
    own: list[Any] = []
    own.append(own)
    with pytest.raises(SettingError, match="holds itself"):
        injection.literal("x", own)


def test_the_cell_stands_behind_the_parameters_and_only_once(tmp_path: Path) -> None:
    write_notebook(tmp_path / "probe.ipynb", RAW, [("code", "1")])
    notebook = declared.read_notebook(tmp_path / "probe.ipynb")
    once = injection.with_parameters(notebook, {"profile": "paper"})
    ids = [cell["id"] for cell in once["cells"]]
    assert ids.index("injected-parameters") == ids.index("parameters") + 1
    twice = injection.with_parameters(once, {"profile": "laptop"})
    assert [cell["id"] for cell in twice["cells"]] == ids
    source = next(cell["source"] for cell in twice["cells"] if cell["id"] == "injected-parameters")
    assert [ast.unparse(line) for line in ast.parse(source).body] == ["profile = 'laptop'"]
    assert notebook == declared.read_notebook(tmp_path / "probe.ipynb")


@pytest.mark.kernel
def test_all_of_them_arrive_in_a_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / "reports"))
    path = tmp_path / "notebooks" / "probe.ipynb"
    defaults = "\n".join(f"{name} = {type(value)() if value is not None else None!r}" for name, value in VALUES.items())
    leave = (
        "import json, os, sys\nsys.set_int_max_str_digits(0)\n"
        f"found = {{name: ascii(globals()[name]) for name in {list(VALUES)!r}}}\n"
        'open(os.environ["LTLIB_SENTINEL"], "w").write(json.dumps({"id": "probe", "found": found}))'
    )
    write_notebook(
        path, RAW, [("parameters", f'profile = "quick"\n{defaults}'), ("code", leave), ("code", "# page.finish()")]
    )
    done = execution.execute(Declared(id="probe", notebook="probe", path=path), "quick", VALUES, timeout=200)
    assert done.complete, done.cause
    long = VALUES["very_long"]
    assert int(done.record["found"].pop("very_long")[1:5]) == 1000
    assert done.record["found"] == {name: ascii(value) for name, value in VALUES.items() if value is not long}
