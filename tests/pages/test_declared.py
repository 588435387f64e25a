"""What notebooks declare."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltlib import places, published
from ltlib.errors import DataError, SettingError, UnknownName
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


def test_two_notebooks_of_one_page_are_both_named(tmp_path: Path):
    for name in ("one", "two"):
        write_notebook(tmp_path / f"{name}.ipynb", RAW | {"id": "other"}, [])
    with pytest.raises(DataError, match=r"one\.ipynb and .*two\.ipynb both declare the page 'other'"):
        declared.all_pages(tmp_path)
    (tmp_path / "two.ipynb").unlink()
    assert [page.id for page in declared.all_pages(tmp_path)] == ["other"]  # a moved notebook stays a page
    variant = {"variants": {"b": {"parameters": {"x": 1}}}}
    write_notebook(tmp_path / "a.ipynb", RAW | {"id": "a"} | variant, [])
    write_notebook(tmp_path / "a-b.ipynb", RAW | {"id": "a-b"}, [])
    with pytest.raises(DataError, match=r"both declare the page 'a-b'; rename a variant"):
        declared.all_pages(tmp_path)


def of(**changes: object) -> list[declared.Declared]:
    return declared.of_notebook({"metadata": {"ltlib": RAW | changes}}, Path("notebooks/x.ipynb"))


ODD = [
    *[{key: value} for key in ("id", "title", "question") for value in (None, 3, "", " ", ["a"], "a\nb", True)],
    *[
        {"id": value}
        for value in ("../../outside", "/etc/x", "a//b", "a/", "a\\b", "C:x", "a.b", "a b", ".hidden", "é")
    ],
    *[{"id": value} for value in ("index", "runs/abc", "figures/a", "tables/a", "records/a")],
    *[{"document": value} for value in (3, [], {}, "")],
    *[
        {key: value}
        for key in ("datasets", "tables", "figures", "grids", "after", "watches")
        for value in (None, 5, "12", {"a": 1}, [1], ["a", "a"], [""], [["a"]], True)
    ],
    *[{"cost": value} for value in (None, "2 min", ["quick"], {"quick": 2}, {"quik": "2 min"}, {"quick": ""})],
    *[{"variants": value} for value in (["a"], "a", 3, {"a": "x"}, {"a": None}, {"../a": {}}, {"": {}}, {"a/b": {}})],
    *[{"variants": {"a": {key: 3}}} for key in ("title", "parameters", "tables", "unknown")],
    {"variants": {"a": {"parameters": ["x"]}}},
    {"tables": ["1"], "variants": {"a": {"tables": ["1"]}}},
    {"tabels": ["1"]},
]


@pytest.mark.parametrize("changes", ODD, ids=repr)
def test_a_declaration_of_another_type_is_one_sentence_that_names_the_notebook(changes: dict[str, object]):
    with pytest.raises(DataError, match=r"^notebooks/x\.ipynb: .{15}"):
        of(**changes)


@pytest.mark.parametrize("raw", [3, "text", ["id"], True, 0])
def test_what_is_declared_must_be_keys(raw: object):
    with pytest.raises(DataError, match=r"^notebooks/x\.ipynb: .*keys with values"):
        declared.of_notebook({"metadata": {"ltlib": raw}}, Path("notebooks/x.ipynb"))


def test_what_can_be_meant_is_taken():
    (page,) = of(document=None, tables=["1", "awabs/4.1"], cost={"quick": "2 min"}, variants=None)
    assert (page.tables, dict(page.cost)) == (("1", "awabs/4.1"), {"quick": "2 min"})
    assert [page.id for page in of(id="a_1/b-2", variants={"x": {"parameters": {"n": [1, None]}}, "y": {}})] == [
        "a_1/b-2-x",
        "a_1/b-2-y",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "3",
        "null",
        '{"nbformat": 4}',
        '{"nbformat": 4, "cells": 3}',
        '{"nbformat": 4, "cells": ["text"]}',
        '{"nbformat": 4, "cells": [{"cell_type": "code"}]}',
        '{"nbformat": 4, "cells": [{"cell_type": "heading", "source": ""}]}',
        '{"nbformat": 4, "cells": [{"cell_type": "code", "source": 3}]}',
        '{"nbformat": 4, "cells": [{"cell_type": "code", "source": [3]}]}',
        '{"nbformat": 4, "cells": [{"cell_type": "code", "source": "", "metadata": null}]}',
        '{"nbformat": 4, "cells": [{"cell_type": "code", "source": "", "metadata": {"tags": 3}}]}',
        '{"nbformat": 4, "cells": [], "metadata": []}',
        "[" * 100_000,
        "\udcff",
    ],
)
def test_a_file_of_another_form_is_no_notebook(tmp_path: Path, text: str):
    (tmp_path / "x.ipynb").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=r"x\.ipynb is not a notebook"):
        declared.read_notebook(tmp_path / "x.ipynb")


def test_a_scratch_notebook_may_begin_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """JupyterLab says which file it runs; one that declares nothing runs the page it names."""
    from ltlib import notebook as begin

    write_notebook(tmp_path / "convergent" / "cifar10.ipynb", RAW, [])
    (tmp_path / "Untitled.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4}')
    monkeypatch.setattr(places, "notebooks_folder", lambda: tmp_path)
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "Untitled.ipynb"))
    assert begin._own_declaration(RAW["id"], {}).title == RAW["title"]
