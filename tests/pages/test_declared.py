"""Notebooks in their canonical form, and what they declare."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ltlib import places, published
from ltlib.errors import DataError, SettingError, UnknownName
from ltlib.pages import declared

RAW = {
    "id": "convergent/cifar10",
    "title": "Three networks",
    "question": "Which loss is best?",
    "document": "convergent",
    "tables": ["1", "2"],
    "figures": ["5", "6", "7", "9", "Algorithm 1"],
    "cost": {"paper": "1 GPU-hour", "quick": "20 s"},
}
CELLS = [("markdown", "## Why\n\nBecause."), ("code", 'page.table("convergent", "1")'), ("code", "x = 1  # one")]
CHECKOUT = sorted((places.notebooks_folder() or Path("nowhere")).rglob("*.ipynb"))


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path = tmp_path / "notebooks" / "convergent" / "cifar10.ipynb"
    declared.write_notebook(path, RAW, CELLS)
    return path


def edit(path: Path, change) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_what_is_written_is_canonical_and_a_valid_notebook(notebook: Path):
    import nbformat

    assert declared.check(notebook) == []
    assert declared.format_notebook(notebook) is False
    nbformat.validate(nbformat.read(notebook, as_version=4))
    text = notebook.read_text()
    assert text.endswith("}\n")
    assert "\r" not in text
    ids = [cell["id"] for cell in json.loads(text)["cells"]]
    assert ids == ["question", "parameters", "setup", "why", "table-convergent-1", "x-1-one", "finish"]


def test_the_header_says_what_is_regenerated_and_what_it_costs(notebook: Path):
    first = declared.read_notebook(notebook)["cells"][0]["source"]
    assert first.startswith("# Three networks\n")
    assert "Regenerates tables 1, 2, figures 5-7, 9, Algorithm 1 of `convergent`." in first
    assert first.index("| `quick` | 20 s |") < first.index("| `paper` | 1 GPU-hour |")


def test_badge_and_bootstrap_come_with_the_repository_address_and_go_with_it(notebook: Path, monkeypatch):
    assert "colab" not in notebook.read_text().lower()
    monkeypatch.setattr(declared, "repository", lambda: "https://github.com/someone/longtail")
    assert declared.format_notebook(notebook) is True
    cells = declared.read_notebook(notebook)["cells"]
    assert "colab.research.google.com/github/someone/longtail/blob/v" in cells[0]["source"]
    assert cells[1]["id"] == "colab"
    assert "--no-deps" in cells[1]["source"]
    assert declared.check(notebook) == []
    monkeypatch.setattr(declared, "repository", lambda: None)
    declared.format_notebook(notebook)
    assert "colab" not in notebook.read_text().lower()


def test_formatting_drops_outputs_counts_metadata_and_random_ids_and_keeps_the_rest(notebook: Path):
    before = notebook.read_text()

    def dirty(value):
        value["metadata"]["widgets"] = {"x": 1}
        value["metadata"]["kernelspec"]["name"] = "conda-env-x"
        code = next(cell for cell in value["cells"] if cell["id"] == "x-1-one")
        code |= {"id": "3f2a9c01", "execution_count": 7, "metadata": {"collapsed": True}}
        code["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "secret"}]

    edit(notebook, dirty)
    assert any("canonical" in problem for problem in declared.check(notebook))
    assert declared.format_notebook(notebook) is True
    assert notebook.read_text() == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda v: v["cells"].pop(1), "one cell tagged 'parameters'"),
        (lambda v: v["cells"][1].update(source=["profile = 'quick'; seed = 0"]), "on each line"),
        (lambda v: v["cells"][1].update(source=["profile = str(1)"]), "not a plain value"),
        (lambda v: v["cells"][1].update(source=['profile = "paper"']), 'profile = "quick"'),
        (lambda v: v["cells"].pop(2), "must call notebook.setup"),
        (lambda v: v["cells"].pop(), "last cell must be page.finish()"),
        (lambda v: v["cells"][3].update(source=["see /home/someone/x"]), "folder of one machine"),
        (lambda v: v["cells"][4].update(source=["a =\n"]), "not Python"),
        (lambda v: v["cells"][4].update(source=["a = 1\n"] * 40), "longer than"),
        (lambda v: v["metadata"]["ltlib"].update(id="cefl/other"), "not its path"),
        (lambda v: v["metadata"]["ltlib"].update(tabels=["1"]), "did you mean tables"),
        (lambda v: v["metadata"]["ltlib"].update(tables=["1", "1"]), "different texts"),
        (lambda v: v["metadata"].pop("ltlib"), "declares nothing"),
        (lambda v: v.update(nbformat=3), "format 3"),
    ],
)
def test_what_a_notebook_must_not_be(notebook: Path, change, sentence: str):
    edit(notebook, change)
    assert sentence in " ".join(declared.check(notebook))


def test_a_file_that_is_no_notebook_is_one_sentence(tmp_path: Path):
    (tmp_path / "x.ipynb").write_text('{"cells": [')
    assert "is not a notebook" in declared.check(tmp_path / "x.ipynb")[0]
    with pytest.raises(DataError, match="there is no notebook"):
        declared.read_notebook(tmp_path / "y.ipynb")


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


def test_the_code_digest_sees_meaning_and_not_layout(notebook: Path):
    value = declared.read_notebook(notebook)
    code, text = declared.code_digest(value), declared.text_digest(value)
    value["cells"][5]["source"] = "# another comment\nx   =   1\n"
    assert declared.code_digest(value) == code
    assert declared.text_digest(value) != text
    value["cells"][5]["source"] = "x = 2"
    assert declared.code_digest(value) != code


def test_an_executed_copy_takes_new_text_and_keeps_its_outputs(notebook: Path):
    executed = declared.read_notebook(notebook)
    for number, cell in enumerate(c for c in executed["cells"] if c["cell_type"] == "code"):
        cell |= {
            "execution_count": number + 1,
            "outputs": [{"output_type": "stream", "name": "stdout", "text": str(number)}],
        }
    injected = {
        "cell_type": "code",
        "id": "i",
        "metadata": {"tags": ["injected-parameters"]},
        "source": "",
        "outputs": [],
    }
    executed["cells"].insert(2, injected | {"execution_count": 9})
    source = declared.read_notebook(notebook)
    source["cells"][3]["source"] = "## Why not"
    merged = declared.with_text(executed, source)
    assert [cell["id"] for cell in merged["cells"]][:3] == ["question", "parameters", "i"]
    assert merged["cells"][4]["source"] == "## Why not"
    assert merged["cells"][-1]["outputs"][0]["text"] == "4"


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
    declared.write_notebook(
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


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        (["1", "2", "3", "7", "A.1"], "1-3, 7, A.1"),
        (["5.1", "5.2", "5.3", "5.9", "5.10", "5.11"], "5.1-5.3, 5.9-5.11"),
        (["1", "2"], "1, 2"),
        ([], ""),
    ],
)
def test_ranges(numbers: list[str], text: str):
    assert declared.ranges(numbers) == text


def test_names_and_anchors():
    assert declared.slug("figure", "Algorithm 1") == "figure-algorithm-1"
    assert declared.slug("table", "A.10") == "table-a-10"
    names = [declared.label("figure", number) for number in ("5", "A.1", "Algorithm 1", "cefl/2")]
    assert names == ["Figure 5", "Figure A.1", "Algorithm 1", "Figure cefl/2"]


@pytest.mark.parametrize("path", CHECKOUT, ids=lambda path: path.stem)
def test_the_notebooks_of_this_checkout(path: Path):
    assert declared.check(path) == []


@pytest.mark.skipif(not CHECKOUT, reason="no notebooks beside the package")
def test_every_published_table_and_figure_has_one_notebook():
    pages = declared.all_pages()
    chapters = [name for name in published.documents() if any(page.id.startswith(f"{name}/") for page in pages)]
    assert "convergent" in chapters
    tables = {name: published.tables(name) for name in chapters}
    figures = {name: [str(number) for number in published.figures(name)["figure"]] for name in chapters}
    assert declared.coverage(pages, tables, figures) == []


def test_threads_parse_one_after_another(monkeypatch):
    import ast
    import threading
    import time
    from concurrent.futures import ThreadPoolExecutor

    parse, inside, most = ast.parse, [0], [0]
    count = threading.Lock()

    def slowly(*args, **kwargs) -> ast.Module:
        with count:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.01)
        with count:
            inside[0] -= 1
        return parse(*args, **kwargs)

    monkeypatch.setattr(ast, "parse", slowly)
    notebook = {"cells": [{"cell_type": "code", "source": "x = 1"}]}
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(lambda _: declared.code_digest(notebook), range(8)))) == 1
    assert most == [1]
