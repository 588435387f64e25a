"""Stages in order: shared where they are equal, resumed where they were stopped, never taken where they are damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from ltlib import runs, sealed
from ltlib.errors import RunError
from ltlib.experiment import Experiment
from ltlib.training import assembly, stages
from ltlib.training.loop import Stopped

Snapshot = Callable[[Path], dict[str, tuple[bytes, int]]]


@pytest.fixture
def two(tiny: Experiment) -> Experiment:
    """Two stages, of two epochs and of one."""
    return tiny.replace(method="supcon", limit=60)


def train(exp: Experiment, folder: Path, **more: Any) -> tuple[list[Path], list[Mapping[str, Any]]]:
    rows: list[Mapping[str, Any]] = []
    places = stages.run_stages(exp.resolve(), runs.load_data(exp), folder, report=rows.append, **more)
    return places, rows


def test_two_stages_and_what_they_leave(two: Experiment, tmp_path: Path) -> None:
    places, rows = train(two, tmp_path)
    assert [(row["stage"], row["epoch"], row["epochs"]) for row in rows] == [(1, 1, 2), (1, 2, 2), (2, 1, 1)]
    assert [place.name for place in places] == [two.resolve().stage_id(i) for i in (0, 1)]
    learn, probe = (sealed.read_tensors(place / "weights.safetensors") for place in places)
    frozen = [name for name in learn if not name.startswith("classifier")]
    assert all(torch.equal(learn[name], probe[name]) for name in frozen)
    assert any("running_var" in name for name in frozen)
    assert not torch.equal(learn["classifier.weight"], probe["classifier.weight"])
    assert not (places[0] / "logits.safetensors").exists(), "a contrastive stage classifies nothing"
    history = pd.read_csv(places[0] / "history.csv")
    assert history["train_accuracy"].isna().all()
    assert "test_loss" not in history
    assert not (tmp_path / "work" / places[0].name).exists(), "the checkpoint of a finished stage is removed"


def test_an_equal_first_stage_is_trained_once(two: Experiment, tmp_path: Path, snapshot: Snapshot) -> None:
    train(two, tmp_path)
    before = snapshot(tmp_path / two.resolve().stage_id(0))
    longer = two.replace(method="supcon[probe_epochs=1]")
    places, rows = train(longer, tmp_path)
    assert [row["stage"] for row in rows] == [2, 2]
    assert snapshot(places[0]) == before
    shutil.rmtree(tmp_path / "alone", ignore_errors=True)
    alone, _ = train(longer, tmp_path / "alone")
    for name in ("weights.safetensors", "logits.safetensors"):
        assert (alone[1] / name).read_bytes() == (places[1] / name).read_bytes(), (
            "shared or trained here: no difference"
        )


def test_a_missing_first_stage_is_made_again_and_the_second_kept(
    two: Experiment, tmp_path: Path, snapshot: Snapshot
) -> None:
    places, _ = train(two, tmp_path)
    second, first = snapshot(places[1]), (places[0] / "weights.safetensors").read_bytes()
    shutil.rmtree(places[0])
    _, rows = train(two, tmp_path)
    assert {row["stage"] for row in rows} == {1}
    assert snapshot(places[1]) == second
    assert (places[0] / "weights.safetensors").read_bytes() == first


def test_damaged_weights_of_a_stage_are_said(two: Experiment, tmp_path: Path) -> None:
    places, _ = train(two, tmp_path)
    shutil.rmtree(places[1])
    file = places[0] / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(RunError, match=r"weights\.safetensors .*delete"):
        train(two, tmp_path)


def test_a_renamed_stage_is_not_taken_for_another(two: Experiment, tmp_path: Path) -> None:
    places, _ = train(two, tmp_path)
    other = two.replace(seed=1).resolve()
    shutil.copytree(places[0], tmp_path / other.stage_id(0))
    with pytest.raises(RunError, match=f"holds stage {places[0].name}"):
        train(two.replace(seed=1), tmp_path)


def test_a_newer_stage_is_not_replaced(tiny: Experiment, tmp_path: Path) -> None:
    place = tmp_path / tiny.resolve().stage_id(0)
    place.mkdir()
    (place / "DONE").write_text('{"format": 2, "files": {}}')
    with pytest.raises(RunError, match="use the ltlib that made it"):
        train(tiny, tmp_path)
    assert [file.name for file in place.iterdir()] == ["DONE"]


def test_stopped_in_every_stage_and_gone_on(two: Experiment, tmp_path: Path) -> None:
    whole, _ = train(two, tmp_path / "whole")
    starts = 0
    while True:
        starts += 1
        asked = 0

        def now() -> bool:
            nonlocal asked
            asked += 1
            return asked in (2, 4)

        try:
            places, _ = train(two, tmp_path / "parts", stop=now)
            break
        except Stopped:
            assert starts < 20
    assert starts == 4
    for one, other in zip(whole, places, strict=True):
        for name in ("weights.safetensors", "logits.safetensors"):
            if (one / name).exists():
                assert (one / name).read_bytes() == (other / name).read_bytes()
        first, second = (pd.read_csv(place / "history.csv").drop(columns="seconds") for place in (one, other))
        pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_the_initial_weights_depend_on_the_seed_alone(two: Experiment) -> None:
    first = assembly.build(two.resolve(), 10).state_dict()
    again = assembly.build(two.replace(subset_seed=5).resolve(), 10).state_dict()
    other = assembly.build(two.replace(seed=1).resolve(), 10).state_dict()
    plain = assembly.build(two.replace(method="ce").resolve(), 10).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])
    assert all(torch.equal(first[name], plain[name]) for name in plain), "methods start from the same weights"
