"""The scoreboard: comparable runs share a letter, seeds a row."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import ltlib
from ltlib import grids
from ltlib.chapters.start import board
from ltlib.grids.base import Document
from ltlib.pages import declared
from ltlib.pages.page import Page
from ltlib.runs.result import Predictions
from ltlib.tables import scoreboard


class _Run(SimpleNamespace):
    @property
    def cell_id(self) -> str:
        return self.experiment.cell_id


def _run(method: str, seed: int, accuracy: float, fingerprint: str = "ab" * 32, **more: str) -> SimpleNamespace:
    recipe = "convergent[augmentation=shift1;epochs=2]"
    exp = ltlib.Experiment("digits", 20, "resnet8", method, recipe, seed=seed, **more)
    groups = {"head": {"accuracy": 0.9}, "middle": {"accuracy": None}, "tail": {"accuracy": 0.5}}
    scores = {"accuracy": accuracy, "ece": 0.1, "groups": groups}
    said = Predictions(np.zeros(400, int), np.arange(400) // 300, np.full(400, 0.75))  # right as often as it is sure
    return _Run(
        id=exp.run_id, experiment=exp, predictions={"last": said}, metrics={"last": scores, "selected": scores},
        history=pd.DataFrame({"epoch": [1, 2]}),
        fingerprint=fingerprint, parameters=78_000, macs=800_000, seconds=3.0, profile=None,
    )  # fmt: skip


def test_scoreboard_without_runs_says_how_to_make_them():
    assert len(scoreboard.scoreboard([])) == 0
    assert scoreboard.boards([]) == []
    assert "ltlib reproduce" in board.sentence([])


def test_scoreboard_joins_seeds_and_separates_images():
    runs = [_run("ce", 0, 0.80), _run("ce", 1, 0.84), _run("focal", 0, 0.9), _run("ce", 2, 0.1, "cd" * 32)]
    runs[-1].experiment = runs[-1].experiment.replace(imbalance_factor=5)
    frame = scoreboard.scoreboard(runs)
    assert list(frame["board"]) == ["A", "A", "B"]
    (of_both, *_) = frame["ECE, by chance %"]
    # one bin of 400 images: the mean of |N(0, s)| is s sqrt(2 / pi)
    assert of_both == f"10.0, {100 * (0.75 * 0.25 / 400) ** 0.5 * (2 / math.pi) ** 0.5:.1f}"
    assert list(frame["method"]) == ["Focal", "CE", "CE"]
    assert list(frame["n"]) == ["1", "2", "1"]
    assert frame["last %"].iloc[1] == "82.0 ± 2.8"
    assert frame["head / middle / tail %"].iloc[0] == "90.0 / – / 50.0"
    assert set(frame["profile"]) == {"own"}
    said = board.sentence(scoreboard.boards(runs))
    assert "4 finished runs of 3 trainings" in said
    assert "rivals stand on board A." in said


def test_twins_that_held_a_tenth_out_stand_apart() -> None:
    """By their fingerprint, or for runs that name the whole subset by what they held out; and their row says so."""
    whole, part = _run("ce", 0, 0.8), _run("ce", 0, 0.7, "cd" * 32, validation="subset")
    older = _run("focal", 0, 0.7, validation="subset")
    frame = scoreboard.scoreboard([whole, part, older])
    assert dict(zip(frame["images"] + " " + frame["data"], frame["board"], strict=True)).keys() == {
        "Digits, IF 20 abababab",
        "Digits, IF 20, nine tenths cdcdcdcd",
        "Digits, IF 20, nine tenths abababab",
    }
    assert frame["board"].nunique() == 3


def test_the_board_is_the_best_of_each_method_and_the_rest_a_fold(page_of_toy: Page) -> None:
    runs = [_run("focal[gamma=0.5]", 0, 0.7), _run("focal[gamma=1]", 0, 0.9), _run("focal[gamma=2]", 0, 0.8)]
    runs += [_run("ce", seed, 0.85) for seed in (0, 1)] + [_run("lade", 0, 0.1, "cd" * 32)]
    found = scoreboard.boards(runs)
    assert [len(one.rows) for one in found] == [4, 1]
    assert found[0].best()[["method", "best of", "n", "last %"]].to_numpy().tolist() == [
        ["Focal", "3", "1", "90.0"],
        ["CE", "1", "2", "85.0 ± 0.0"],
    ]
    assert found[0].title == "Digits, IF 20, ResNet-8, own, images abababab"
    board.show(page_of_toy, found)
    scores, said, fold = page_of_toy.seen  # type: ignore[attr-defined]
    assert scores.html.count("<tr") == 3
    assert "of up to 3 settings" in said.text
    assert fold.html.startswith('<details class="lt-fold"><summary>All 5 trainings, board by board</summary>')
    assert fold.html.count("<tr") == 2 + 4 + 1


@pytest.fixture
def page_of_toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path))
    page = Page(declared.Declared(id="toy"), "quick")
    page.seen = []  # type: ignore[attr-defined]
    monkeypatch.setattr("IPython.display.display", page.seen.append)  # type: ignore[attr-defined]
    return page


def test_documents_own_images_come_before_stand_ins() -> None:
    records = [_run("ce", 0, 0.8), _run("focal", 0, 0.8), _run("lade", 0, 0.9, "cd" * 32)]
    for run, profile in zip(records, ("quick", "quick", "laptop"), strict=True):
        run.profile = profile
    assert [one.rows["profile"].iloc[0] for one in scoreboard.boards(records)] == ["laptop", "quick"]


def test_a_run_of_any_documents_grid_has_its_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    own = ltlib.Experiment("cifar10", 7, "resnet32", "focal", "convergent")
    toy = Document("toy", experiment=lambda row: own, extra={"one": lambda profile: iter([own])})
    for name in list(grids.DOCUMENTS):
        monkeypatch.delitem(grids.DOCUMENTS, name)
    monkeypatch.setitem(grids.DOCUMENTS, "toy", toy)
    monkeypatch.setattr(grids.published, "tables", lambda document: [])
    mine = grids.experiments("toy/one", "quick")[0][0]
    assert grids.profile_of_cells()[mine.cell_id] == "quick"
    run = _run("ce", 0, 0.8)
    run.experiment = mine
    assert list(scoreboard.scoreboard([run])["profile"]) == ["quick"]
    run.experiment = mine.replace(method="ce")
    assert list(scoreboard.scoreboard([run])["profile"]) == ["own"]
