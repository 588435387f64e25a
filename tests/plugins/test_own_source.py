"""What one's own component is made of: every change of its meaning is another digest, and no change of its looks is."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ltlib import losses
from ltlib.plugins.source import source_digest
from ltlib.plugins.syntax import NoSource
from notebooks import run_cell

LOSS = '''
import torch
from torch.nn import functional

import helpers_of_mine as helpers
from ltlib.losses import Loss

POWER = 2
TABLE = {"a": [1, 2]}
CALLS = []
COUNT = 0


def weigh(x):
    """Halved."""
    return x / POWER  # here


class Base(Loss):
    scale = 1.0

    def per_sample(self, logits, targets):
        global COUNT
        COUNT += 1
        CALLS.append(targets)
        return self.weighted(functional.cross_entropy(logits, targets, reduction="none"))


class Mine(Base):
    """A loss."""

    def __init__(self, class_counts, *, power: float = 0.5):
        super().__init__()
        self.power = power

    def weighted(self, each):
        return helpers.inner(weigh(each)) * TABLE["a"][0]
'''
HELPERS = """
FACTOR = 3


def inner(x):
    return x * FACTOR


def unused(x):
    return x
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    """Writes and imports a module of the user's; each call in a folder of its own."""
    made: list[Path] = []

    def write(text: str, helpers: str = HELPERS, name: str = "mine_of_mine") -> ModuleType:
        folder = tmp_path / f"place {len(made)}"
        folder.mkdir()
        made.append(folder)
        found = None
        for stem, source in (("helpers_of_mine", helpers), (name, text)):
            (folder / f"{stem}.py").write_text(source)
            spec = importlib.util.spec_from_file_location(stem, folder / f"{stem}.py")
            assert spec is not None
            assert spec.loader is not None
            found = importlib.util.module_from_spec(spec)
            monkeypatch.setitem(sys.modules, stem, found)
            spec.loader.exec_module(found)
        assert found is not None
        return found

    return write


SAME = {
    "a comment": ("return x / POWER  # here", "return x / POWER"),
    "a docstring": ('"""Halved."""', '"""Divided,\n    by two."""'),
    "the docstring of the class": ('"""A loss."""', "..."),
    "layout": ("return x / POWER", "return (\n        x /\n        POWER\n    )"),
    "lines above": ("import torch\n", "import torch\n\n\n# more\n"),
    "an annotation": ("power: float = 0.5", "power=0.5"),
    "something it does not use": ("COUNT = 0\n", "COUNT = 0\nOTHER = 5\n"),
    "a counter of its own": ("COUNT = 0\n", "COUNT = 7\n"),
    "a list it fills": ("CALLS = []", "CALLS = [1]"),
}
OTHER = {
    "a helper's body": ("return x / POWER", "return x * POWER"),
    "a module constant": ("POWER = 2", "POWER = 3"),
    "a table of constants": ('{"a": [1, 2]}', '{"a": [5, 2]}'),
    "the base class": ('reduction="none")', 'reduction="none") * 2'),
    "an attribute of the base class": ("scale = 1.0", "scale = 2.0"),
    "its own method": ("helpers.inner(weigh(each))", "weigh(each)"),
    "a default value": ("power: float = 0.5", "power: float = 0.25"),
    "its base": ("class Mine(Base)", "class Mine(Loss)"),
}


@pytest.mark.parametrize("change", SAME)
def test_looks_do_not_matter(module: Callable[..., ModuleType], change: str) -> None:
    before, after = SAME[change]
    assert LOSS.count(before) == 1
    assert source_digest(module(LOSS).Mine) == source_digest(module(LOSS.replace(before, after)).Mine)


@pytest.mark.parametrize("change", OTHER)
def test_meaning_does(module: Callable[..., ModuleType], change: str) -> None:
    before, after = OTHER[change]
    assert LOSS.count(before) == 1
    assert source_digest(module(LOSS).Mine) != source_digest(module(LOSS.replace(before, after)).Mine)


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("FACTOR = 3", "FACTOR = 4", False),
        ("x * FACTOR", "x + FACTOR", False),
        ("    return x\n", "    return 0\n", True),
    ],
)
def test_a_helper_of_another_module_of_the_users_counts_as_far_as_it_is_used(
    module: Callable[..., ModuleType], before: str, after: str, same: bool
) -> None:
    assert HELPERS.count(before) == 1
    first = source_digest(module(LOSS).Mine)
    assert (source_digest(module(LOSS, HELPERS.replace(before, after)).Mine) == first) is same


def test_a_value_changed_while_it_lives_counts(module: Callable[..., ModuleType]) -> None:
    mine = module(LOSS)
    first = source_digest(mine.Mine)
    mine.POWER = 9
    changed = source_digest(mine.Mine)
    assert changed != first
    mine.POWER = 2
    assert source_digest(mine.Mine) == first
    mine.Mine.weighted = lambda self, each: each * 2
    assert source_digest(mine.Mine) not in (first, changed)


def test_it_stays_the_same_while_the_component_works(module: Callable[..., ModuleType]) -> None:
    import torch

    mine = module(LOSS)
    first = source_digest(mine.Mine)
    mine.Mine([2, 1])(torch.zeros(2, 2), torch.tensor([0, 1]))
    assert len(mine.CALLS) == mine.COUNT == 1
    assert source_digest(mine.Mine) == first


DECORATED = """
import functools
from dataclasses import dataclass, field

import numpy as np

WEIGHTS = np.array([1.0, 2.0])


def twice(function):
    @functools.wraps(function)
    def wrapped(*arguments, **settings):
        return FACTOR * function(*arguments, **settings)
    return wrapped


def marked(kind):
    kind.mark = MARK
    return kind


FACTOR, MARK = 2, "x"


@twice
def decorated(x):
    return x + WEIGHTS[0]


@marked
@dataclass(frozen=True)
class Order:
    step: int = 1
    skip: list = field(default_factory=lambda: [1])

    def __call__(self, x):
        return x + self.step


def closure(power):
    return lambda x: x ** power


@functools.lru_cache
def cached(x):
    return x + 1


square, cube = closure(2), closure(3)
one, two = lambda x: x + 1, lambda x: x + 2
partial = functools.partial(closure, 2)


def late(x):
    from helpers_of_mine import inner
    return inner(x)
"""


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("decorated", "FACTOR, MARK = 2", "FACTOR, MARK = 3"),
        ("decorated", "x + WEIGHTS", "x - WEIGHTS"),
        ("decorated", "[1.0, 2.0]", "[1.5, 2.0]"),
        ("Order", '"x"', '"y"'),
        ("Order", "step: int = 1", "step: int = 2"),
        ("Order", "lambda: [1]", "lambda: [2]"),
        ("Order", "x + self.step", "x - self.step"),
        ("square", "x ** power", "power ** x"),
        ("square", "closure(2), ", "closure(4), "),
        ("cached", "return x + 1", "return x + 2"),
        ("two", "lambda x: x + 2", "lambda x: x + 3"),
        ("partial", "partial(closure, 2)", "partial(closure, 3)"),
    ],
)
def test_decorators_dataclasses_closures_lambdas(
    module: Callable[..., ModuleType], name: str, before: str, after: str
) -> None:
    assert DECORATED.count(before) == 1
    first, other = module(DECORATED), module(DECORATED.replace(before, after))
    assert source_digest(getattr(first, name)) == source_digest(getattr(module(DECORATED), name))
    assert source_digest(getattr(first, name)) != source_digest(getattr(other, name))


def test_lambdas_of_one_line_are_told_apart(module: Callable[..., ModuleType]) -> None:
    mine = module(DECORATED)
    assert source_digest(mine.one) != source_digest(mine.two)
    assert source_digest(mine.square) != source_digest(mine.cube)
    changed = module(DECORATED.replace("lambda x: x + 2", "lambda x: x + 3"))
    assert source_digest(mine.one) == source_digest(changed.one)


def test_a_module_imported_when_it_runs_counts_as_a_whole(module: Callable[..., ModuleType]) -> None:
    first = source_digest(module(DECORATED).late)
    assert source_digest(module(DECORATED, HELPERS.replace("FACTOR = 3", "FACTOR = 4")).late) != first
    assert source_digest(module(DECORATED, HELPERS.replace("FACTOR = 3", "FACTOR = 3  # three")).late) == first


def test_a_cell_run_again_is_another_component() -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    run_cell("FACTOR = 2\n", "<cell 1>", space)
    run_cell("def mine(x):\n    return FACTOR * x\n", "<cell 2>", space)
    first = source_digest(space["mine"])
    run_cell("def mine(x):\n    # the same\n    return FACTOR * x\n", "<cell 3>", space)
    assert source_digest(space["mine"]) == first
    run_cell("FACTOR = 3\n", "<cell 4>", space)
    assert source_digest(space["mine"]) != first
    run_cell("FACTOR = 2\n", "<cell 5>", space)
    assert source_digest(space["mine"]) == first
    run_cell("def mine(x):\n    return FACTOR - x\n", "<cell 6>", space)
    assert source_digest(space["mine"]) != first


def test_a_cell_that_imports_what_it_uses() -> None:
    """A kernel compiles its statements one by one, which gives other code than the whole text does."""
    space: dict[str, Any] = {"__name__": "__main__"}
    run_cell("import torch\ndef mine(x):\n    return torch.exp(x)\n", "<cell 7>", space)
    first = source_digest(space["mine"])
    run_cell("import torch\ndef mine(x):\n    return torch.log(x)\n", "<cell 8>", space)
    assert source_digest(space["mine"]) != first


def test_in_a_real_kernels_shell() -> None:
    code = (
        "from IPython.core.interactiveshell import InteractiveShell as Shell\n"
        "from ltlib.plugins.source import source_digest\n"
        "shell, found = Shell.instance(), []\n"
        "for body in ('x + y', 'x  +  y # z', 'x - y'):\n"
        "    shell.run_cell(f'%time 1\\nimport torch\\nclass A(torch.nn.Module):\\n def f(self, x, y=torch.ones(1)):\\n"
        "  return torch.exp({body})')\n"
        "    found.append(source_digest(shell.user_ns['A']))\n"
        "print(len(found), found[0] == found[1], found[0] == found[2])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "3 True False"


def test_without_source_it_is_refused() -> None:
    space: dict[str, Any] = {}
    exec("class Mine:\n    def f(self):\n        return 1\n", space)
    with pytest.raises(NoSource, match="f has no source"):
        source_digest(space["Mine"])


def test_a_file_changed_after_its_import_is_refused(module: Callable[..., ModuleType]) -> None:
    """The old code runs; the new text must not identify it."""
    mine = module("def mine(x):\n    return x + 1\n")
    path = Path(str(mine.__file__))
    path.write_text("def mine(x):\n    return x + 20\n")
    with pytest.raises(NoSource, match="another source now"):
        source_digest(mine.mine)


def test_what_was_read_in_time_stays(module: Callable[..., ModuleType]) -> None:
    mine = module("def mine(x):\n    return x + 1\n")
    first = source_digest(mine.mine)
    Path(str(mine.__file__)).write_text("def mine(x):\n    return x + 20\n")
    assert source_digest(mine.mine) == first


def test_nothing_of_the_machine_enters(module: Callable[..., ModuleType]) -> None:
    """The folders of two imports differ, and so does where things lie."""
    text = "from pathlib import Path\nHERE = Path(__file__).parent\ndef mine(x):\n    return HERE, __name__, x\n"
    assert source_digest(module(text).mine) == source_digest(module(text, name="otherwise").mine)


def test_a_component_of_this_package_counts_by_its_version() -> None:
    class Wider(losses.LDAM):
        def adjust(self, logits):
            return 2 * logits

    versions = {"1": source_digest(Wider, lambda thing: "1" if thing is losses.LDAM else "")}
    versions["2"] = source_digest(Wider, lambda thing: "2" if thing is losses.LDAM else "")
    assert versions["1"] != versions["2"]
