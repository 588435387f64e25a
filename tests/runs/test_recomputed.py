"""A record's numbers are those its own predictions give: to the digits where they are counts, else to float16."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from ltlib import calibration, places, runs, sealed
from ltlib.runs import Run
from ltlib.runs.facts import load_record
from ltlib.runs.recomputed import open_in_ece, problems


@pytest.fixture
def record(trained: Run, reports: Path) -> Path:
    path = trained.record(reports / "laptop" / "records")
    shutil.rmtree(reports / "runs")
    return path


def loaded(path: Path) -> Run:
    run = load_record(path)
    assert run is not None
    return run


def test_a_record_as_it_was_written_holds(record: Path) -> None:
    assert problems(loaded(record)) == []
    assert runs.verify() == []


def test_every_committed_record_holds() -> None:
    top = places.checkout()
    assert top is not None
    paths = sorted((top / "reports").glob("*/records/*.json"))
    assert len(paths) > 100
    assert [line for path in paths for line in problems(loaded(path))] == []


@pytest.mark.parametrize(
    ("keys", "change"),
    [
        (("accuracy",), 1e-4),
        (("worst_class_recall",), 1e-4),
        (("groups", "tail", "accuracy"), 1e-4),
        (("groups", "head", "f1"), -1e-4),
        (("per_class", "recall", 3), 1e-4),
        (("per_class", "support", 3), 1),
        (("ece",), 0.02),
        (("groups", "tail", "ece"), 0.05),
    ],
)
def test_a_changed_number_is_named(record: Path, keys: tuple[str, ...], change: float) -> None:
    facts = json.loads(record.read_text())
    place = facts["metrics"]["last"]
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] += change
    record.write_text(json.dumps(facts))
    (sentence,) = problems(loaded(record))
    assert sentence.startswith(
        f"the record of run {record.stem} says {'.'.join(map(str, keys[:3])).removesuffix('.3')}"
    )
    assert "at the last epoch and its own predictions give" in sentence
    assert runs.verify() == [sentence]


def test_a_changed_answer_is_found(record: Path) -> None:
    file = record.with_suffix(".npz")
    found = sealed.read_arrays(file)
    found["selected_predicted"][0] = (found["selected_predicted"][0] + 1) % 10
    np.savez_compressed(file, **found)  # type: ignore[arg-type]
    (sentence,) = problems(loaded(record))
    assert "at the selected epoch" in sentence


@pytest.mark.parametrize(("name", "value"), [("targets", 200), ("last_predicted", 10), ("last_confidence", np.nan)])
def test_answers_that_are_none_are_one_sentence(record: Path, name: str, value: float) -> None:
    file = record.with_suffix(".npz")
    found = sealed.read_arrays(file)
    found[name][0] = value
    np.savez_compressed(file, **found)  # type: ignore[arg-type]
    (sentence,) = problems(loaded(record))
    assert "cannot be computed again" in sentence


def test_what_float16_leaves_open() -> None:
    """Worked out by hand: between 0.5 and 1 float16 has steps of 2^-11; half of one is 2^-12."""
    far = np.array([0.75, 0.75])
    assert_allclose(open_in_ece(far, np.array([True, False])), 2.0**-12)
    near = np.array([0.6])  # 9/15 is an edge: its whole term, 1 - 0.6, may be in either bin
    assert_allclose(open_in_ece(near, np.array([True])), 2.0**-12 + 2 * (0.4 + 2.0**-12))
    assert open_in_ece(np.array([1.0]), np.array([True])) < 2.0**-10


@pytest.mark.parametrize("seed", range(20))
def test_the_error_of_rounded_confidences_lies_within(seed: int) -> None:
    draw = np.random.default_rng(seed)
    exact = draw.beta(5, 1 + seed % 3, size=draw.integers(3, 400)).clip(1e-4, 1)
    correct = draw.random(len(exact)) < exact
    rounded = exact.astype(np.float16).astype(float)
    difference = abs(calibration.from_confidence(exact, correct) - calibration.from_confidence(rounded, correct))
    assert difference <= open_in_ece(rounded, correct)
