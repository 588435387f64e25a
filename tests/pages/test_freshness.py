"""What a page is made from: the code that makes its words, the printed numbers, and what only exports it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ltlib.pages import chain, closure, declared, execution, freshness
from ltlib.pages.declared import Declared
from notebooks import write_notebook

RAW = {"id": "convergent/a", "title": "A", "question": "?", "document": "convergent"}


@pytest.fixture
def page(tmp_path: Path) -> Declared:
    root = tmp_path / "notebooks"
    write_notebook(root / "convergent" / "a.ipynb", RAW, [("code", "from ltlib import metrics\nmetrics.evaluate")])
    return declared.all_pages(root)[0]


def test_a_changed_module_changes_the_results_and_a_changed_exporter_the_text(page, monkeypatch):
    before = freshness.key(page, "quick")
    meanings = closure.modules

    def changed(cells, also=(), package=closure.PACKAGE):
        return meanings(cells, also, package) | {"ltlib.metrics": "another"}

    monkeypatch.setattr(closure, "modules", changed)
    after = freshness.key(page, "quick")
    assert after["results"] != before["results"]
    assert after["text"] == before["text"]
    monkeypatch.undo()
    monkeypatch.setattr(closure, "own_digest", lambda *names: "another")
    after = freshness.key(page, "quick")
    assert after["results"] == before["results"]
    assert after["text"] != before["text"]


def test_the_printed_numbers_of_its_own_document_count(page, tmp_path: Path, monkeypatch):
    data = tmp_path / "data"
    shutil.copytree(closure.PACKAGE / "published" / "data", data)
    monkeypatch.setattr(freshness, "_PRINTED", data)
    both, general = replace(page, tables=("cefl/2",)), replace(page, document=None)
    before = [freshness.code_of(one) for one in (page, both, general)]

    def differ(name: str) -> list[bool]:
        path = data / f"{name}.csv"
        text = path.read_text()
        path.write_text(f"{text}\n")
        after = [freshness.code_of(one) for one in (page, both, general)]
        path.write_text(text)
        return [one != other for one, other in zip(before, after, strict=True)]

    assert differ("cefl") == [False, True, True]
    assert differ("awabs") == [False, False, True]
    for name in ("convergent", "confusion_convergent_fig19", "inconsistencies"):
        assert differ(name) == [True, True, True]


def test_its_documents_grids_are_among_its_code(page, monkeypatch):
    asked: list[set[str]] = []
    monkeypatch.setattr(closure, "modules", lambda cells, also: asked.append(set(also)) or {})
    freshness.code_of(replace(page, grids=("awabs/4.1",), figures=("5", "cefl/2", "Algorithm 1")))
    assert asked == [{"ltlib.grids.awabs", "ltlib.grids.cefl", "ltlib.grids.convergent"}]


def test_code_that_changes_while_a_notebook_runs_leaves_a_stale_page(page, monkeypatch):
    def execute(made: Declared, profile: str, **_) -> execution.Execution:
        assert made.path is not None
        notebook = declared.read_notebook(made.path)
        write_notebook(made.path, RAW, [("code", "from ltlib import metrics\nmetrics.another")])
        return execution.Execution("", 1.0, {"id": made.id}, notebook)

    monkeypatch.setattr(chain, "execute", execute)
    chain.make(page, "quick")
    freshness.beside(page, "quick", "html").write_text("")
    assert freshness.state(page, "quick").state == "stale"
    monkeypatch.setattr(
        chain,
        "execute",
        lambda made, profile, **_: execution.Execution("", 1.0, {"id": made.id}, declared.read_notebook(made.path)),
    )
    chain.make(page, "quick")
    assert freshness.state(page, "quick").state == "fresh"
