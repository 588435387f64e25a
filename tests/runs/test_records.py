"""``results.csv``: every committed record has its row, with the record's own numbers."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from ltlib import places, runs
from ltlib.experiment import Experiment
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


def test_a_record_names_the_images_trained_on_and_one_older_than_that_is_read(
    trained: Run, tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run that held images out: its own fingerprint and the subset's; an older record has the subset's alone."""
    held = runs.run(tiny.replace(validation="subset"))
    data = runs.load_data(held.experiment)
    assert (held.fingerprint, held.subset_fingerprint) == (data.fingerprint, data.subset_fingerprint)
    assert held.fingerprint != held.subset_fingerprint == trained.fingerprint
    folder = tmp_path / "reports" / "laptop" / "records"
    monkeypatch.setattr(places, "records_folders", lambda: [folder])
    file = held.record(folder)
    assert held.folder is not None
    shutil.rmtree(held.folder)
    facts = json.loads(file.read_text())
    older = {key: value for key, value in facts.items() if key != "subset_fingerprint"}
    for kept, expected in (
        (facts, []),
        (older | {"fingerprint": data.subset_fingerprint}, []),
        (facts | {"fingerprint": "ab" * 32}, ["was trained on other images"]),
        (facts | {"subset_fingerprint": "ab" * 32}, ["was trained on other images"]),
        (older | {"fingerprint": "ab" * 32}, ["was trained on other images"]),
    ):
        file.write_text(json.dumps(kept))
        said = [line for line in runs.verify() if held.id in line]
        assert len(said) == len(expected)
        assert all(part in line for part, line in zip(expected, said, strict=True))
