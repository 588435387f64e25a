"""Stored runs come out the same when they are evaluated or trained again, and where they do not it is said."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ltlib import runs, sealed
from ltlib.cli import main
from ltlib.experiment import Experiment
from ltlib.files import read_json, write_json
from ltlib.runs import Run
from ltlib.runs.reruns import again


def reseal(folder: Path) -> None:
    (folder / "DONE").unlink()
    sealed.seal(folder)


def stage_of(run: Run) -> Path:
    assert run.folder is not None
    return run.folder.parent / "stages" / run.stages[-1]


def test_both_come_out_to_the_bit(trained: Run, reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(path for path in reports.rglob("*") if "locks" not in str(path))
    assert main(["verify", "--evaluate", "3", "--retrain", "1"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"run {trained.id} evaluated again from its weights: its logits are the stored ones to the bit",
        f"run {trained.id} trained again: weights, logits and history are the stored ones to the bit",
        "1 runs, nothing wrong",
    ]
    assert sorted(path for path in reports.rglob("*") if "locks" not in str(path)) == before


def test_a_loss_that_adjusts_its_logits_and_a_second_stage(tiny: Experiment) -> None:
    for method in ("lade", "crt"):
        runs.run(tiny.replace(method=method, limit=60))
    said = list(again(9, 9))
    assert len(said) == 4
    assert all(same and line.endswith("the stored ones to the bit") for same, line in said), said


def test_other_weights_are_found(trained: Run, capsys: pytest.CaptureFixture[str]) -> None:
    stage = stage_of(trained)
    for name in ("weights", "selected"):
        if (file := stage / f"{name}.safetensors").is_file():
            tensors = sealed.read_tensors(file)
            sealed.write_tensors(file, {key: value + (value.dim() > 1) * 0.05 for key, value in tensors.items()})
    reseal(stage)
    assert runs.verify() == []  # the digests hold: only the numbers tell
    assert main(["verify", "--evaluate", "1", "--retrain", "1"]) == 1
    out, err = capsys.readouterr()
    assert "its logits differ from the stored ones by at most" in out
    assert "trained again has another weights.safetensors in stage" in out
    assert "2 runs did not come out as they are stored" in err


def test_another_networks_weights_are_one_sentence(trained: Run) -> None:
    stage = stage_of(trained)
    for file in (stage / "weights.safetensors", stage / "selected.safetensors"):
        sealed.write_tensors(file, {"x": torch.zeros(3)})
    reseal(stage)
    ((same, line),) = again(1, 0)
    assert not same
    assert "holds the weights of another network" in line


def test_what_another_machine_made_is_not_trained_again(trained: Run) -> None:
    assert trained.folder is not None
    facts = read_json(trained.folder / "run.json")
    facts["provenance"]["torch"] = "1.0"
    write_json(trained.folder / "run.json", facts)
    reseal(trained.folder)
    ((same, line),) = again(0, 1)
    assert same
    assert line.startswith("no run is trained again: runs made with torch 1.0 are not trained again with")


def test_nothing_here(reports: Path) -> None:
    assert [line for _, line in again(1, 1)] == [
        "no run is evaluated again: none is here in full",
        "no run is trained again: none is here in full",
    ]
