"""``results.csv``: every committed record has its row, with the record's own numbers."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from ltlib.runs import Run, records

REPORTS = Path(__file__).resolve().parents[2] / "reports"


def test_a_row_says_what_the_record_says(trained: Run, reports: Path) -> None:
    folder = reports / "laptop"
    trained.record(folder / "records")
    place = records.write(folder)
    assert place is not None
    (row,) = csv.DictReader(place.read_text().splitlines())
    assert row["id"] == trained.id
    assert row["method"] == trained.experiment.method
    assert float(row["last_accuracy"]) == float(f"{trained.metrics['last']['accuracy']:.6g}")
    assert float(row["selected_tail"]) == float(f"{trained.metrics['selected']['groups']['tail']['accuracy']:.6g}")
    assert int(row["images"]) == sum(trained.class_counts)
    assert row["fingerprint"] == trained.fingerprint
    assert tuple(row) == records.COLUMNS


def test_it_is_left_alone_where_nothing_changed(trained: Run, reports: Path) -> None:
    folder = reports / "laptop"
    trained.record(folder / "records")
    place = records.write(folder)
    assert place is not None
    before = place.stat().st_mtime_ns
    assert records.write(folder) == place
    assert place.stat().st_mtime_ns == before


def test_a_damaged_record_keeps_nobody_from_the_others(trained: Run, reports: Path) -> None:
    folder = reports / "laptop"
    whole = trained.record(folder / "records")
    for ending in ("json", "npz"):
        (folder / "records" / f"{'0' * 12}.{ending}").write_bytes(whole.with_suffix(f".{ending}").read_bytes()[:100])
    place = records.write(folder)
    assert place is not None
    assert [row["id"] for row in csv.DictReader(place.read_text().splitlines())] == [trained.id]


def test_no_records_no_table(reports: Path) -> None:
    assert records.write(reports / "paper") is None
    assert not (reports / "paper").exists()


def test_the_committed_tables_are_those_of_the_committed_records() -> None:
    for folder in REPORTS.glob("*/records"):
        ids = {path.stem for path in folder.glob("*.json")}
        rows = list(csv.DictReader((folder.parent / "results.csv").read_text().splitlines()))
        assert {row["id"] for row in rows} == ids
        for row in rows:
            said = json.loads((folder / f"{row['id']}.json").read_text())
            assert float(row["last_accuracy"]) == float(f"{said['metrics']['last']['accuracy']:.6g}")
