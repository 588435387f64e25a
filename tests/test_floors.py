"""The house has floors: a package imports from floors below its own, never from above, and no circle is closed.

Read from the source: imports at the top of modules and inside functions count, those for type checkers do not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "ltlib"
FLOORS = (
    (
        "version",
        "errors",
        "places",
        "progress",
        "processes",
        "files",
        "plugins",
        "limits",
        "registry",
        "labels",
        "sealed",
    ),
    ("losses", "datasets", "audit", "models", "metrics", "statistics", "mixing", "published"),
    ("batches", "calibration", "embedding", "methods", "recipes", "experiment", "profiles"),
    ("training",),
    ("grids", "runs"),
    ("tables", "plots", "compare"),
    ("pages",),
    ("sections",),
    ("notebook", "chapters", "bench"),
    ("cli",),
)
"""From the ground up; on one floor a package may import those named before it."""
PLACE = {name: (floor, place) for floor, names in enumerate(FLOORS) for place, name in enumerate(names)}
PURE = ("losses", "metrics", "plots")
"""Usable alone: they import nothing of ours that trains or runs."""
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imported(path: Path) -> Iterator[str]:
    """Modules of the package that a file imports when it is imported or one of its functions runs."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            waiting += node.orelse
            continue
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively; write ltlib.… in full"
            if node.module and node.module.split(".")[0] == "ltlib":
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    yield full if full in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("ltlib."))
        waiting += ast.iter_child_nodes(node)


ARROWS = sorted({(name, other) for name, path in MODULES.items() for other in imported(path) if other != name})


def top(module: str) -> str:
    """``plots`` of ``ltlib.plots.bars``."""
    return module.split(".")[1] if "." in module else ""


def test_every_part_of_the_package_has_its_floor() -> None:
    assert {top(name) for name in MODULES} - {""} == set(PLACE)


def test_no_import_goes_up() -> None:
    wrong = [
        f"{one} imports {two}"
        for one, two in ARROWS
        if top(one) and top(two) and top(one) != top(two) and PLACE[top(one)] < PLACE[top(two)]
    ]
    assert wrong == []


@pytest.mark.parametrize("name", PURE)
def test_what_is_usable_alone_imports_nothing_that_trains(name: str) -> None:
    allowed = {*FLOORS[0], name, *(("losses",) if name == "plots" else ())}  # the loss figures draw the losses
    assert {top(two) for one, two in ARROWS if top(one) == name} <= allowed


def test_no_modules_import_each_other_in_a_circle() -> None:
    at_import = {name: set(_at_import(path)) & set(MODULES) - {name} for name, path in MODULES.items()}
    left = dict(at_import)
    while left:
        free = [name for name, needs in left.items() if not needs & left.keys()]
        assert free, f"a circle among {sorted(left)}"
        for name in free:
            del left[name]


def _at_import(path: Path) -> Iterator[str]:
    """What is imported as the module is: its own package's ``__init__`` is not counted, which may show its parts."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__").rpartition(".")[0]
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "ltlib":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found = full if full in MODULES else node.module
                if found != own and found != "ltlib":
                    yield found


def test_the_root_stays_small_and_files_hold_one_idea() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 16
    long = {name: lines for name, path in MODULES.items() if (lines := len(path.read_text().splitlines())) > 400}
    assert long == {}
