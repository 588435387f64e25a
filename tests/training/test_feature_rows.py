"""Kept rows: each whole or not there, whatever happens to the files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ltlib.datasets import mapped
from ltlib.errors import RunError
from ltlib.training.feature_rows import Rows

VALUES = np.random.default_rng(0).standard_normal((20, 6)).astype(np.float32)
EVERY = np.arange(20)


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    """Rows 3, 11 and 7, written in this order."""
    made = Rows(tmp_path / "kept", "train", 6)
    places = np.array([3, 11, 7])
    made.write(places, VALUES[places])
    return made


def test_rows_come_back_in_any_order(rows: Rows) -> None:
    assert rows.missing(np.array([7, 4, 3, 19])).tolist() == [4, 19]
    assert np.array_equal(rows.read(np.array([7, 3])), VALUES[[7, 3]])
    rows.write(np.array([19]), VALUES[[19]])
    assert rows.missing(EVERY).tolist() == [p for p in range(20) if p not in (3, 7, 11, 19)]
    assert np.array_equal(rows.read(np.array([19, 11, 3, 7])), VALUES[[19, 11, 3, 7]])


def test_nothing_is_there_at_first(tmp_path: Path) -> None:
    assert Rows(tmp_path, "train", 6).missing(EVERY).tolist() == EVERY.tolist()
    assert list(tmp_path.iterdir()) == []


def test_a_row_of_zeros_is_a_row_and_a_hole_is_none(rows: Rows) -> None:
    rows.write(np.array([5]), np.zeros((1, 6), np.float32))
    assert rows.missing(np.array([4, 5, 6])).tolist() == [4, 6]


def test_a_row_that_was_written_without_its_sum_is_not_there(rows: Rows) -> None:
    """A writer that was killed in between; and one whose row had not reached the disk."""
    with rows.values.open("r+b") as file:
        file.seek(24 * 4)
        file.write(VALUES[4].tobytes())
    sums = np.fromfile(rows.sums, np.int64)
    sums[5] = sums[3]
    sums.tofile(rows.sums)
    assert rows.missing(np.arange(3, 6)).tolist() == [4, 5]


@pytest.mark.parametrize("byte", [0, 13, 23])
def test_one_changed_byte_costs_that_row(rows: Rows, byte: int) -> None:
    data = bytearray(rows.values.read_bytes())
    data[24 * 7 + byte] ^= 1
    rows.values.write_bytes(data)
    assert rows.missing(np.array([3, 7, 11])).tolist() == [7]
    rows.write(np.array([7]), VALUES[[7]])
    assert not len(rows.missing(np.array([3, 7, 11])))
    assert np.array_equal(rows.read(np.array([7])), VALUES[[7]])


@pytest.mark.parametrize("which", ["values", "sums"])
@pytest.mark.parametrize("left", [0, 1, 100])
def test_a_file_that_was_cut_short_costs_what_is_gone(rows: Rows, which: str, left: int) -> None:
    file: Path = getattr(rows, which)
    file.write_bytes(file.read_bytes()[:left])
    whole = {("values", 100): [3]}.get((which, left), []) + ([3, 7, 11] if (which, left) == ("sums", 100) else [])
    whole = [place for place in whole if which == "values" or 8 * (place + 1) <= left]
    assert rows.missing(np.array([3, 7, 11])).tolist() == [place for place in (3, 7, 11) if place not in whole]
    rows.write(np.array([3, 7, 11]), VALUES[[3, 7, 11]])
    assert not len(rows.missing(np.array([3, 7, 11])))
    assert np.array_equal(rows.read(np.array([3, 7, 11])), VALUES[[3, 7, 11]])


def test_many_rows_stay_in_the_file(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "HELD", 24)
    found = rows.read(np.array([7, 3, 11]))
    assert isinstance(found, mapped.MappedImages)
    assert np.array_equal(found[np.array([2, 0])], VALUES[[11, 7]])


def test_no_place_to_write(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file where the folder should be")
    with pytest.raises(RunError, match=r"cannot write .*train\.f32"):
        Rows(tmp_path / "kept", "train", 6).write(np.array([0]), VALUES[:1])
