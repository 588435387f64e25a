"""The committed records of a profile as one table, ``results.csv``: a row a run, for anybody's spreadsheet."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ltlib.errors import RunError
from ltlib.files import csv_text, write_text
from ltlib.runs.facts import load_record
from ltlib.runs.result import Run

SETTINGS = (
    "dataset",
    "imbalance_factor",
    "model",
    "method",
    "recipe",
    "precision",
    "validation",
    "subset_seed",
    "seed",
)
METRICS = ("accuracy", "ece", "precision", "recall", "f1", "loss")
GROUPS = ("head", "middle", "tail")
MACHINE = ("device", "threads", "torch", "python", "ltlib", "commit", "started", "wall_seconds")
COLUMNS = (
    "id",
    *SETTINGS,
    *(f"{which}_{name}" for which in ("last", "selected") for name in ("epoch", *METRICS, *GROUPS)),
    *("selection", "classes", "images", "parameters", "macs", "seconds", "fingerprint"),
    *MACHINE,
)
"""Fractions, nats, counts and seconds, as in the records; a group's number is its accuracy."""


def row(run: Run) -> dict[str, Any]:
    """One run's line of `COLUMNS`; what a run lacks (an older record's metric, an empty group) is None."""
    found: dict[str, Any] = {"id": run.id} | {name: getattr(run.experiment, name) for name in SETTINGS}
    for which in ("last", "selected"):
        own = run.metrics[which]
        found |= {f"{which}_{name}": own.get(name) for name in ("epoch", *METRICS)}
        found |= {f"{which}_{name}": own["groups"].get(name, {}).get("accuracy") for name in GROUPS}
    found |= {"selection": run.selection, "classes": len(run.class_counts), "images": sum(run.class_counts)}
    found |= {name: getattr(run, name) for name in ("parameters", "macs", "fingerprint")}
    return found | {"seconds": round(run.seconds, 1)} | {name: run.provenance.get(name) for name in MACHINE}


def to_csv(runs: Iterable[Run]) -> str:
    """The table as CSV, sorted by settings; missing values are empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for run in sorted(runs, key=lambda run: (*map(str, (getattr(run.experiment, name) for name in SETTINGS)), run.id)):
        writer.writerow({name: _text(value) for name, value in row(run).items()})
    return out.getvalue()


def _text(value: Any) -> Any:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else csv_text(value)


def write(profile_folder: Path) -> Path | None:
    """Write ``results.csv`` beside the ``records`` of a profile; None where there are none.

    A damaged record is left out, as by `store.finished`: `checks.verify` names it, and it keeps nobody from the others.
    """
    runs = []
    for path in sorted((profile_folder / "records").glob("*.json")):
        with contextlib.suppress(RunError):
            run = load_record(path)
            runs += [run] if run is not None else []
    if not runs:
        return None
    target = profile_folder / "results.csv"
    text = to_csv(runs)
    if not target.is_file() or target.read_text(encoding="utf-8") != text:
        write_text(target, text)
    return target
