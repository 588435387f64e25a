"""Notebooks in their canonical form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ltlib import places
from ltlib.errors import DataError
from ltlib.pages import canonical, declared
from notebooks import write_notebook

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
    write_notebook(path, RAW, CELLS)
    return path


def edit(path: Path, change) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_what_is_written_is_canonical_and_a_valid_notebook(notebook: Path):
    import nbformat

    assert canonical.check(notebook) == []
    assert canonical.format_notebook(notebook) is False
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
    monkeypatch.setattr(canonical, "repository", lambda: "https://github.com/someone/longtail")
    assert canonical.format_notebook(notebook) is True
    cells = declared.read_notebook(notebook)["cells"]
    assert "colab.research.google.com/github/someone/longtail/blob/v" in cells[0]["source"]
    assert cells[1]["id"] == "colab"
    assert "--no-deps" in cells[1]["source"]
    assert canonical.check(notebook) == []
    monkeypatch.setattr(canonical, "repository", lambda: None)
    canonical.format_notebook(notebook)
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
    assert any("canonical" in problem for problem in canonical.check(notebook))
    assert canonical.format_notebook(notebook) is True
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
        (lambda v: v["cells"][3].update(source=["<details><summary>a</summary>\n", "\n", "b"]), "does not close"),
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
    assert sentence in " ".join(canonical.check(notebook))


def test_a_file_that_is_no_notebook_is_one_sentence(tmp_path: Path):
    (tmp_path / "x.ipynb").write_text('{"cells": [')
    assert "is not a notebook" in canonical.check(tmp_path / "x.ipynb")[0]
    with pytest.raises(DataError, match="there is no notebook"):
        declared.read_notebook(tmp_path / "y.ipynb")


def test_a_pasted_picture_stays_as_long_as_its_text_shows_it(notebook: Path):
    forms = {"image/png": "iVBORw0KGgo="}

    def paste(value):
        text = next(cell for cell in value["cells"] if cell["id"] == "why")
        text["source"] = ["## Why\n", "\n", "![a](attachment:a.png) ![b](attachment:my%20b.png)"]
        text["attachments"] = {"a.png": forms, "my b.png": forms, "gone.png": forms}

    edit(notebook, paste)
    canonical.format_notebook(notebook)
    kept = next(cell for cell in declared.read_notebook(notebook)["cells"] if cell["id"] == "why")
    assert kept["attachments"] == {"a.png": forms, "my b.png": forms}
    assert canonical.check(notebook) == []
    assert canonical.format_notebook(notebook) is False


@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
def test_other_line_ends_are_found_and_mended(notebook: Path, end: bytes):
    before = notebook.read_bytes()
    notebook.write_bytes(before.replace(b"\n", end))
    assert canonical.check(notebook) == [
        "not in canonical form (outputs, counts, ids, line ends or layout); run: ltlib notebooks format"
    ]
    assert canonical.format_notebook(notebook) is True
    assert notebook.read_bytes() == before


def test_line_ends_inside_a_cell_are_those_of_the_file(notebook: Path):
    before = notebook.read_bytes()
    edit(notebook, lambda v: v["cells"][3].update(source=["## Why\r\n", "\r\n", "Because.\r\n"]))
    canonical.format_notebook(notebook)
    assert notebook.read_bytes() == before


@pytest.mark.parametrize("path", CHECKOUT, ids=lambda path: path.stem)
def test_the_notebooks_of_this_checkout(path: Path):
    assert canonical.check(path) == []
