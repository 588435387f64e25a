"""What killed processes left is gone after the next command that writes; what is in use, young or needed stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ltlib import runs, sealed
from ltlib.cli import main
from ltlib.experiment import Experiment
from ltlib.pages import chain
from ltlib.runs import Run
from ltlib.runs.leftovers import sweep_reports

OLD = (
    *("runs", "runs/stages", "runs/stages/work/0123456789ab", "runs/failures", "laptop/records", "imported/records"),
    *("quick", "quick/cefl", "quick/figures/cefl", "cache/features"),
)


@pytest.fixture
def left(reports: Path) -> list[Path]:
    """A temporary file and a folder of long ago in every place that is written to."""
    found = []
    for name in OLD:
        for inside in (reports / name / ".ltlib-tmp-file", reports / name / ".ltlib-tmp-folder" / "x"):
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.write_text("left")
        found += [reports / name / ".ltlib-tmp-file", reports / name / ".ltlib-tmp-folder"]
    for path in found:
        os.utime(path, (1e9, 1e9))
    return found


def test_old_ones_go_wherever_they_lie(reports: Path, left: list[Path]) -> None:
    (reports / "quick" / ".ltlib-tmp-young").write_text("in use")
    (reports / "cache" / "digits_folder" / "train" / ".ltlib-tmp-image").mkdir(parents=True)
    os.utime(reports / "cache" / "digits_folder" / "train" / ".ltlib-tmp-image", (1e9, 1e9))
    assert sweep_reports() == len(left)
    assert {path.name for path in reports.rglob(".ltlib-tmp-*")} == {".ltlib-tmp-young", ".ltlib-tmp-image"}
    assert sweep_reports() == 0


@pytest.mark.parametrize("command", ["reproduce", "train", "remove", "import"])
def test_every_command_that_writes_sweeps(
    trained: Run, tiny: Experiment, left: list[Path], tmp_path: Path, command: str
) -> None:
    if command == "reproduce":
        (tmp_path / "notebooks").mkdir()
        chain.run_chain("quick", root=tmp_path / "notebooks")
    elif command == "train":
        settings = ("dataset", "imbalance_factor", "model", "recipe")
        given = [text for name in settings for text in (f"--{name.replace('_', '-')}", str(getattr(tiny, name)))]
        assert main(["train", "--limit", "40", "--epochs", "1", *given]) == 0
    elif command == "remove":
        assert main(["runs", "remove", trained.id]) == 0
    else:
        assert main(["runs", "export", str(tmp_path / "x.tar")]) == 0
        assert main(["runs", "import", str(tmp_path / "x.tar")]) == 0
    assert [path for path in left if path.exists()] == []


def test_the_checkpoint_of_a_finished_stage_goes_and_others_stay(trained: Run, reports: Path) -> None:
    work = reports / "runs" / "stages" / "work"
    stage = trained._facts["stages"][-1]
    for name in (stage, "0123456789ab"):
        (work / name).mkdir(parents=True)
        (work / name / "state.json").write_text("{}")
    with sealed.claim(reports / "runs" / "stages" / "locks" / f"{stage}.lock", "it"):
        assert sweep_reports() == 0
    assert sweep_reports() == 1
    assert [path.name for path in work.iterdir()] == ["0123456789ab"]
    assert runs.verify() == []


def test_a_failure_of_a_run_that_is_there_by_now_is_forgotten(trained: Run, reports: Path) -> None:
    failures = reports / "runs" / "failures"
    failures.mkdir()
    (failures / f"{trained.id}.txt").write_text("no disk\n")
    (failures / "0123456789ab.txt").write_text("no disk\n")
    assert sweep_reports() == 1
    assert [path.name for path in failures.iterdir()] == ["0123456789ab.txt"]


def test_nothing_there_is_nothing_made(reports: Path) -> None:
    assert sweep_reports() == 0
    assert not reports.exists()
