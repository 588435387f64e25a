"""The scoreboard: comparable runs share a letter, seeds a row."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

import ltlib
from ltlib import grids
from ltlib.chapters.start import reading
from ltlib.grids.base import Document
from ltlib.tables import scoreboard


class _Run(SimpleNamespace):
    @property
    def cell_id(self) -> str:
        return self.experiment.cell_id


def _run(method: str, seed: int, accuracy: float, fingerprint: str = "ab" * 32) -> SimpleNamespace:
    exp = ltlib.Experiment("digits", 20, "resnet8", method, "convergent[augmentation=shift1;epochs=2]", seed=seed)
    groups = {"head": {"accuracy": 0.9}, "middle": {"accuracy": None}, "tail": {"accuracy": 0.5}}
    scores = {"accuracy": accuracy, "ece": 0.1, "groups": groups}
    return _Run(
        id=exp.run_id, experiment=exp, metrics={"last": scores, "selected": scores},
        history=pd.DataFrame({"epoch": [1, 2]}),
        fingerprint=fingerprint, parameters=78_000, macs=800_000, seconds=3.0, profile=None,
    )  # fmt: skip


def test_scoreboard_without_runs_says_how_to_make_them():
    frame = scoreboard.scoreboard([])
    assert len(frame) == 0
    assert "ltlib reproduce" in reading.board_sentence(frame)


def test_scoreboard_joins_seeds_and_separates_images():
    runs = [_run("ce", 0, 0.80), _run("ce", 1, 0.84), _run("focal", 0, 0.9), _run("ce", 2, 0.1, "cd" * 32)]
    runs[-1].experiment = runs[-1].experiment.replace(imbalance_factor=5)
    frame = scoreboard.scoreboard(runs)
    assert list(frame["board"]) == ["A", "A", "B"]
    assert list(frame["method"]) == ["Focal", "CE", "CE"]
    assert list(frame["n"]) == ["1", "2", "1"]
    assert frame["last %"].iloc[1] == "82.0 ± 2.8"
    assert frame["head / middle / tail %"].iloc[0] == "90.0 / – / 50.0"
    assert set(frame["profile"]) == {"own"}
    assert "4 finished runs of 3 trainings" in reading.board_sentence(frame)
    assert "rivals stand on board A." in reading.board_sentence(frame)


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
