"""What notebooks declare."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltlib import places, published
from ltlib.errors import SettingError, UnknownName
from ltlib.pages import declared
from notebooks import write_notebook

RAW = {"id": "convergent/cifar10", "title": "Three networks", "question": "Which loss is best?"}
CHECKOUT = sorted((places.notebooks_folder() or Path("nowhere")).rglob("*.ipynb"))


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path = tmp_path / "notebooks" / "convergent" / "cifar10.ipynb"
    write_notebook(path, RAW, [("code", "x = 1")])
    return path


def test_parameters_are_checked_before_a_kernel_could_ignore_them(notebook: Path):
    value = declared.read_notebook(notebook)
    assert declared.parameters(value) == {"profile": "quick"}
    declared.check_parameters(value, {"profile": "paper"})
    with pytest.raises(UnknownName, match="did you mean profile"):
        declared.check_parameters(value, {"profil": "paper"})
    with pytest.raises(SettingError, match="profile is str"):
        declared.check_parameters(value, {"profile": 3})
    value["cells"][1]["source"] = "share = 0.5\ncount = 2\nname = None\non = True"
    declared.check_parameters(value, {"share": 1, "count": 3, "name": "x", "on": False})
    with pytest.raises(SettingError, match="count is int"):
        declared.check_parameters(value, {"count": True})


def test_variants_are_pages_of_their_own(tmp_path: Path):
    raw = {
        "id": "loss_balance/subsets",
        "title": "Subsets",
        "question": "?",
        "document": "loss_balance",
        "tables": ["1"],
        "variants": {
            "ship": {"parameters": {"subset": "ship"}, "figures": ["1"]},
            "part": {"parameters": {"subset": "part"}, "figures": ["2"]},
        },
    }
    root = tmp_path / "notebooks"
    write_notebook(
        root / "loss_balance" / "subsets.ipynb",
        raw,
        [
            ("parameters", 'profile = "quick"\nsubset = "ship"'),
            ("code", 'page = notebook.setup("loss_balance/subsets")'),
        ],
    )
    pages = declared.all_pages(root)
    assert [page.id for page in pages] == ["loss_balance/subsets-part", "loss_balance/subsets-ship"]
    assert {page.notebook for page in pages} == {"loss_balance/subsets"}
    assert declared.find("loss_balance/subsets", {"subset": "part"}, root).figures == ("2",)
    with pytest.raises(UnknownName, match="subset=nothing"):
        declared.find("loss_balance/subsets", {"subset": "nothing"}, root)
    with pytest.raises(UnknownName, match="did you mean loss_balance/subsets"):
        declared.find("loss_balance/subset", root=root)
    assert declared.coverage(pages, {"loss_balance": ["1"]}, {"loss_balance": ["1", "2"]}) == []


def test_coverage_names_what_is_missing_doubled_and_invented():
    def page(name, **lists):
        return declared.Declared(id=name, notebook=name, document="cefl", **lists)

    pages = [page("cefl/a", tables=("2", "9"), figures=("1",)), page("cefl/b", tables=("2", "awabs/4.1"))]
    problems = declared.coverage(pages, {"cefl": ["2", "3"]}, {"cefl": ["1"]})
    assert problems == [
        "table 3 of cefl is declared by no notebook",
        "table 2 of cefl is declared by cefl/a and cefl/b",
        "cefl/a declares table 9, which cefl does not have",
    ]


@pytest.mark.skipif(not CHECKOUT, reason="no notebooks beside the package")
def test_every_published_table_and_figure_has_one_notebook():
    pages = declared.all_pages()
    chapters = [name for name in published.documents() if any(page.id.startswith(f"{name}/") for page in pages)]
    assert "convergent" in chapters
    tables = {name: published.tables(name) for name in chapters}
    figures = {name: [str(number) for number in published.figures(name)["figure"]] for name in chapters}
    assert declared.coverage(pages, tables, figures) == []
