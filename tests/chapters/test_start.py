"""The helpers behind notebooks/00_start_here: map, cost, rules, one cell, and its loop of one's own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import ltlib
from ltlib.chapters.start import project, reading
from ltlib.pages import declared
from ltlib.tables import verdicts

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "00_start_here.ipynb"
PAGES = [
    declared.Declared(id="00_start_here", title="Start here", question="What is here?", notebook="00_start_here"),
    declared.Declared(
        id="convergent/cifar10", title="CIFAR-10 <b>", question="Does it hold?", document="convergent",
        tables=("1", "2", "3"), figures=("5", "6"), grids=("convergent/1",), notebook="convergent/cifar10",
    ),
]  # fmt: skip


def test_documents_count_what_notebooks_declare():
    table = project.documents(PAGES).set_index("document")
    assert table.loc["convergent", "tables here"] == "3 of 9"
    assert table.loc["convergent", "printed numbers"] == "108"
    assert table.loc["cefl", "tables here"] == "0 of 4"
    assert len(table) == 5


def test_a_figure_that_a_page_draws_for_another_document_counts_for_that_one():
    drawing = declared.Declared(id="02_losses", figures=("cefl/3", "cefl/4", "cefl/5", "awabs/2.3", "5"))
    table = project.documents([*PAGES, drawing]).set_index("document")
    before = project.documents(PAGES).set_index("document")
    printed = before.loc["cefl", "figures here"].split(" of ")[1]
    assert table.loc["cefl", "figures here"] == f"3 of {printed}"
    assert table.loc["awabs", "figures here"].startswith("1 of ")
    assert table.loc["convergent", "figures here"] == before.loc["convergent", "figures here"] != ""
    assert "Class Balanced Loss for Image Classification (Wang et al., 2020)" in table.loc["cefl", "what it is"]


def test_map_links_are_relative_and_escaped():
    page = SimpleNamespace(root=Path("/r/quick"), link=lambda path: Path(path).relative_to("/r/quick").as_posix())
    html = project.notebook_map(page, PAGES)
    assert re.findall(r'href="([^"]+)"', html) == ["00_start_here.html", "convergent/cifar10.html", "index.html"]
    assert "CIFAR-10 &lt;b&gt;" in html
    assert "tables 1-3, figures 5, 6" in html


def test_costs_have_a_row_for_each_profile(tmp_path, monkeypatch):
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path))
    monkeypatch.setenv("LTLIB_DATA", str(tmp_path))
    table = project.costs(PAGES).set_index("profile")
    assert list(table.index) == ["quick", "laptop", "paper"]
    assert list(table["runs"]) == [3, 3, 9]
    assert list(table["finished"]) == [0, 0, 0]
    assert table.loc["quick", "images"] == "all here"
    assert table.loc["paper", "images"] == "missing: CIFAR-10"


@pytest.mark.parametrize(("seconds", "text"), [(12, "12 s"), (7200, "2 h 00 min"), (864_000, "10 days")])
def test_spans(seconds, text):
    assert project.span(seconds) == text


def test_rules_name_every_verdict_and_every_tolerance():
    assert list(reading.rule_table()["verdict"]) == [verdicts.MARKS[name] for name in verdicts.NAMES]
    assert list(reading.tolerance_table()["tolerance"]) == [
        "1 point", "1.5 points", "0.02", "0.02", "0.02", "10% of it", "none: exact",
    ]  # fmt: skip


def test_the_example_checks_the_document_against_itself():
    table = reading.example([]).set_index("part").iloc[:, 0]
    assert table["published"] == "0.731"
    assert table["ours"] == "0.7311"
    assert table["verdict"] == "= reproduced"
    assert table["a run of ours"] == "not here"


def test_focal_loss_of_a_probability_is_the_formula():
    table = reading.focal_curve((0.0, 2.0)).set_index("focal loss")
    assert table.loc["gamma 0", "at p = 0.5"] == "0.693"
    assert table.loc["gamma 2", "at p = 0.5"] == "0.173"


def test_the_loop_runs_as_it_is_written_and_learns() -> None:
    """The cells' own source, in one namespace and without anything else of the page."""
    cells = {cell["id"]: "".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]}
    said: list[str] = []
    space: dict[str, Any] = {"ltlib": ltlib, "page": SimpleNamespace(say=said.append)}
    for name in ("training-loop", "test-accuracy"):
        exec(cells[name], space)
    assert float(space["accuracy"]) > 0.7
    assert said == [f"After ten epochs the loop is right for {space['accuracy']:.1%} of 500 test images."]
