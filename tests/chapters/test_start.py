"""The helpers behind notebooks/00_start_here: map, cost, rules, one cell, the scoreboard."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

import ltlib
from ltlib.chapters import start
from ltlib.pages import declared
from ltlib.tables import verdicts

PAGES = [
    declared.Declared(id="00_start_here", title="Start here", question="What is here?", notebook="00_start_here"),
    declared.Declared(
        id="convergent/cifar10", title="CIFAR-10 <b>", question="Does it hold?", document="convergent",
        tables=("1", "2", "3"), figures=("5", "6"), grids=("convergent/1",), notebook="convergent/cifar10",
    ),
]  # fmt: skip


def _run(method: str, seed: int, accuracy: float, fingerprint: str = "ab" * 32) -> SimpleNamespace:
    exp = ltlib.Experiment("digits", 20, "resnet8", method, "convergent[augmentation=shift1;epochs=2]", seed=seed)
    groups = {"head": {"accuracy": 0.9}, "middle": {"accuracy": None}, "tail": {"accuracy": 0.5}}
    scores = {"accuracy": accuracy, "ece": 0.1, "groups": groups}
    return SimpleNamespace(
        id=exp.run_id, experiment=exp, metrics={"last": scores, "selected": scores},
        history=pd.DataFrame({"epoch": [1, 2]}),
        fingerprint=fingerprint, parameters=78_000, macs=800_000, seconds=3.0, profile=None,
    )  # fmt: skip


def test_documents_count_what_notebooks_declare():
    table = start.documents(PAGES).set_index("document")
    assert table.loc["convergent", "tables here"] == "3 of 9"
    assert table.loc["convergent", "printed numbers"] == "108"
    assert table.loc["cefl", "tables here"] == "0 of 4"
    assert len(table) == 5


def test_map_links_are_relative_and_escaped():
    page = SimpleNamespace(root=Path("/r/quick"), link=lambda path: Path(path).relative_to("/r/quick").as_posix())
    html = start.notebook_map(page, PAGES)
    assert re.findall(r'href="([^"]+)"', html) == ["00_start_here.html", "convergent/cifar10.html", "index.html"]
    assert "CIFAR-10 &lt;b&gt;" in html
    assert "tables 1-3, figures 5, 6" in html


def test_costs_have_a_row_for_each_profile(tmp_path, monkeypatch):
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path))
    monkeypatch.setenv("LTLIB_DATA", str(tmp_path))
    table = start.costs(PAGES).set_index("profile")
    assert list(table.index) == ["quick", "laptop", "paper"]
    assert list(table["runs"]) == [3, 3, 9]
    assert list(table["finished"]) == [0, 0, 0]
    assert table.loc["quick", "images"] == "all here"
    assert table.loc["paper", "images"] == "missing: CIFAR-10"


@pytest.mark.parametrize(("seconds", "text"), [(12, "12 s"), (7200, "2 h 00 min"), (864_000, "10 days")])
def test_spans(seconds, text):
    assert start.span(seconds) == text


def test_rules_name_every_verdict_and_every_tolerance():
    assert list(start.rule_table()["verdict"]) == [verdicts.MARKS[name] for name in verdicts.NAMES]
    assert list(start.tolerance_table()["tolerance"]) == [
        "1 point", "1.5 points", "0.02", "0.02", "0.02", "10% of it", "none: exact",
    ]  # fmt: skip


def test_the_example_checks_the_document_against_itself():
    table = start.example([]).set_index("part").iloc[:, 0]
    assert table["published"] == "0.731"
    assert table["ours"] == "0.7311"
    assert table["verdict"] == "= reproduced"
    assert table["a run of ours"] == "not here"


def test_scoreboard_without_runs_says_how_to_make_them():
    frame = start.scoreboard([])
    assert len(frame) == 0
    assert "ltlib reproduce" in start.scoreboard_sentence(frame)


def test_scoreboard_joins_seeds_and_separates_images():
    runs = [_run("ce", 0, 0.80), _run("ce", 1, 0.84), _run("focal", 0, 0.9), _run("ce", 2, 0.1, "cd" * 32)]
    runs[-1].experiment = runs[-1].experiment.replace(imbalance_factor=5)
    frame = start.scoreboard(runs)
    assert list(frame["board"]) == ["A", "A", "B"]
    assert list(frame["method"]) == ["Focal", "CE", "CE"]
    assert list(frame["n"]) == ["1", "2", "1"]
    assert frame["last %"].iloc[1] == "82.0 ± 2.8"
    assert frame["head / middle / tail %"].iloc[0] == "90.0 / – / 50.0"
    assert set(frame["profile"]) == {"own"}
    assert "4 finished runs of 3 trainings" in start.scoreboard_sentence(frame)
    assert "rivals stand on board A." in start.scoreboard_sentence(frame)


def test_profiles_of_runs_knows_the_quick_runs():
    from ltlib import grids

    known = start.profiles_of_runs()
    assert {known[e.cell_id] for e in grids.experiments("convergent/1", "quick")[0]} == {"quick"}
    assert {known[e.cell_id] for e in grids.experiments("convergent/1", "paper")[0]} == {"paper"}


def test_focal_loss_of_a_probability_is_the_formula():
    table = start.focal_curve((0.0, 2.0)).set_index("focal loss")
    assert table.loc["gamma 0", "at p = 0.5"] == "0.693"
    assert table.loc["gamma 2", "at p = 0.5"] == "0.173"
