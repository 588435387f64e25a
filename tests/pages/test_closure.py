"""Which modules make a page: on a toy package, and on the package itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from textwrap import dedent

import pytest

from ltlib import places
from ltlib.errors import DataError
from ltlib.pages import closure, declared
from ltlib.pages.closure import modules

TOY = {
    "__init__": """
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from toy.lazy import run as run
        def __getattr__(name): ...
        """,
    "lazy": "def run(): ...",
    "face": "from toy.words import say\ndef setup(): return say",
    "words": """
        'Words.'
        from toy import errors
        def say(text):
            'Say it.'
            return errors, text  # aloud
        """,
    "errors": "class Wrong(Exception): ...",
    "plots.__init__": "from toy.plots import bars, curves\nfrom toy.plots.style import Chart",
    "plots.bars": "from .style import Chart\ndef draw(): return Chart",
    "plots.curves": "from toy.plots.style import Chart\ndef draw(): return Chart",
    "plots.style": "class Chart: ...",
    "plots.deep.__init__": "from . import nest",
    "plots.deep.nest": "from ..style import Chart\nfrom ... import words\nUSED = Chart, words",
    "losses.__init__": "from toy.losses.base import create\nfrom toy.losses import focal",
    "losses.base": "ALL = {}\ndef create(name): return ALL[name]",
    "losses.focal": """
        from toy.losses.base import ALL
        def focal():
            'Down-weights easy images.\\n\\n    More.'
        ALL[1] = focal
        """,
    "training.loop": "from toy import words\nx = words",
    "runs.__init__": "from toy.runs.result import Run",
    "runs.result": "from toy import losses, metrics\nfrom toy.training import loop\nRun = losses, metrics, loop",
    "metrics": "x = 1",
    "grids.__init__": "from toy.grids import one, two\ndef cells(): return one, two",
    "grids.one": "x = 1",
    "grids.two": "x = 1",
    "chapters.one": """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        from toy.chapters import shared
        from toy.plots import Chart
        if TYPE_CHECKING:
            from toy.runs import Run
        def show(run: Run) -> Chart:
            from toy.plots import bars
            return bars.draw(), shared.x
        """,
    "chapters.two": """
        import toy
        import toy.chapters.shared as shared
        def show(): return toy.plots.curves.draw(shared.x)
        """,
    "chapters.shared": "x = 1\ndef later():\n    from toy.chapters import one  # a circle\n    return one",
}


@pytest.fixture
def toy(tmp_path: Path):
    """Writes the toy package, changed where one says so, each time elsewhere: a process reads a source once."""
    count = iter(range(100))

    def write(**changed: str) -> Path:
        package = tmp_path / str(next(count)) / "toy"
        for name, source in (TOY | {name.replace("__", "."): text for name, text in changed.items()}).items():
            path = package / f"{name.replace('.', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(source))
        return package

    return write


def names(package: Path, *cells: str, also=()) -> set[str]:
    return {name.removeprefix("toy.") for name in modules(cells, also, package)}


def test_imports_are_followed_wherever_they_stand(toy):
    package = toy()
    assert names(package, "from toy import face", "page = face.setup()") == {"face", "words"}
    assert names(package, "from toy.chapters import one\none.show(1)") == {
        "chapters.one",
        "chapters.shared",
        "plots.bars",
        "plots.style",
    }
    assert names(package, "import toy.chapters.two\ntoy.chapters.two.show()") == {
        "chapters.two",
        "chapters.one",
        "chapters.shared",
        "plots.curves",
        "plots.bars",
        "plots.style",
    }


def test_relative_imports_start_from_their_own_package(toy):
    assert names(toy(), "from toy.plots.deep import nest\nnest.USED") == {"plots.deep.nest", "plots.style", "words"}
    assert names(toy(), "import toy\ntoy.plots.deep") == {"plots.deep", "plots.deep.nest", "plots.style", "words"}


def test_of_a_package_the_used_submodules_count_and_a_name_of_it_stands_for_all(toy):
    package = toy()
    assert names(package, "from toy import plots", "plots.bars.draw()") == {"plots.bars", "plots.style"}
    everything = {"plots", "plots.bars", "plots.curves", "plots.style"}
    assert names(package, "from toy import plots\nplots.Chart()") == everything
    assert names(package, "from toy.plots import *") == everything
    assert names(package, "from toy import plots  # for what the import does") == everything


def test_a_name_that_is_loaded_when_it_is_asked_for(toy):
    assert names(toy(), "import toy\ntoy.run()") == {"toy", "lazy"}
    assert names(toy(), "from toy import run\nrun()") == {"toy", "lazy"}


def test_other_packages_and_magics_are_left_out(toy):
    some = ["import os\nfrom ltlib import plots\nplots.bars", "%matplotlib inline", "from toy import face"]
    assert names(toy(), *some) == {
        "face",
        "words",
    }


def test_what_only_trains_does_not_count_and_what_a_page_computes_with_does(toy):
    package = toy()
    assert names(package, "from toy import runs\nruns.Run") == {"runs", "runs.result", "metrics"}
    assert names(package, "from toy.training import loop\nloop.x") == set()
    assert names(package, "from toy import losses\nlosses.create('focal')") == {"losses", "losses.base", "losses.focal"}


def test_of_the_grids_the_documents_own_count(toy):
    package = toy()
    assert names(package, "from toy import grids\ngrids.cells()") == {"grids"}
    asked = ["toy.grids.one", "toy.grids.none"]
    assert names(package, "from toy import grids\ngrids.cells()", also=asked) == {"grids", "grids.one"}


CELL = ["from toy import face, losses\nface.setup()\nlosses.create(1)"]


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"words": TOY["words"].replace("aloud", "in a whisper")}, True),
        ({"words": TOY["words"].replace("Say it.", "Tell it.").replace("Words.", "Sentences.")}, True),
        ({"words": TOY["words"].replace("text)", "words)").replace(", text", ", words")}, False),
        ({"words": TOY["words"].replace("import errors", "import errors, metrics")}, False),
        ({"plots__bars": "x = 2"}, True),
        ({"errors": "class Wrong(ValueError): ..."}, True),
        ({"losses__focal": TOY["losses.focal"].replace("More.", "Less.")}, True),
        ({"losses__focal": TOY["losses.focal"].replace("easy", "hard")}, False),  # what a registry shows of it
        ({"losses__focal": TOY["losses.focal"].replace("[1]", "[2]")}, False),
    ],
    ids=["comment", "docstring", "code", "import", "unrelated", "ground", "component's text", "summary", "component"],
)
def test_meaning_counts_and_text_does_not(toy, changed: dict[str, str], same: bool):
    assert (modules(CELL, (), toy()) == modules(CELL, (), toy(**changed))) is same


def test_a_module_that_is_not_python_is_named(toy):
    with pytest.raises(DataError, match=r"toy\.words is not Python: .*, line 1"):
        modules(CELL, (), toy(words="def ("))


def test_what_the_rules_name_exists():
    named = (*closure.COMPONENTS, *closure.DESCRIBES, *closure.STOPS, *closure.SILENT)
    known = {path.relative_to(closure.PACKAGE).with_suffix("").as_posix() for path in closure.PACKAGE.rglob("*.py")}
    assert [name for name in named if not {name.replace(".", "/"), f"{name}/__init__"} & known] == []


def cells(name: str) -> list[str]:
    path = next(page.path for page in declared.all_pages() if page.notebook == name)
    assert path is not None
    return [cell["source"] for cell in declared.read_notebook(path)["cells"] if cell["cell_type"] == "code"]


@pytest.fixture
def changed(tmp_path: Path):
    """A copy of the package in which some modules have one more line."""

    def change(*names: str) -> Path:
        package = tmp_path / names[0] / "ltlib"
        shutil.copytree(closure.PACKAGE, package, ignore=shutil.ignore_patterns("*.csv", "__pycache__", "templates"))
        for name in names:
            path = package / f"{name}.py"
            path.write_text(path.read_text() + "\nADDED = 1\n")
        return package

    return change


@pytest.mark.skipif(places.notebooks_folder() is None, reason="no notebooks beside the package")
def test_a_change_makes_those_pages_stale_that_use_the_module(changed):
    before = {page.notebook: modules(cells(page.notebook)) for page in declared.all_pages()}

    def stale(*names: str) -> set[str]:
        package = changed(*names)
        return {page for page, found in before.items() if modules(cells(page), (), package) != found}

    assert stale("bench/clocks", "training/loop", "experiment", "runs/sweep", "pages/chain", "errors") == set()
    assert "convergent/discussion" in (bars := stale("plots/bars"))
    assert "02_losses" not in bars

    def using(name: str) -> set[str]:
        return {page for page, found in before.items() if name in found}

    assert using("ltlib.plots.bars") == bars
    for shared in ("ltlib.pages.html", "ltlib.tables.exports", "ltlib.metrics", "ltlib.plots.palette"):
        assert using(shared) == set(before)
    assert "02_losses" in (focal := using("ltlib.losses.focal"))
    assert "convergent/cifar100" not in focal  # it is trained with there, and its version is in the runs' identities
    assert not any(page.startswith("convergent/") for page in using("ltlib.chapters.awabs"))
