"""What a finished run says of itself, in ``run.json`` or in a record, read with limits and compared with its id.

A record may come from anybody: its JSON and its arrays have a largest size, nothing in them is executed, and what is
no record of that run is refused in one sentence.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ltlib import sealed
from ltlib.errors import RunError
from ltlib.experiment import Experiment
from ltlib.files import canonical_json, digest, read_json
from ltlib.runs.result import IN_RECORD, SELECTIONS, Run

_FACTS: dict[str, type] = {
    **dict.fromkeys(("experiment", "identity", "epochs", "groups", "provenance"), dict),
    **dict.fromkeys(("stages", "class_counts", "class_names"), list),
    **dict.fromkeys(("selection", "fingerprint", "history"), str),
    **dict.fromkeys(("parameters", "macs"), int),
}
"""What every run says of itself, and in which form."""


def load_record(path: Path) -> Run | None:
    """The run of a committed record, by its JSON file; None where that or the npz beside it is not there.

    Raises:
        RunError: It is damaged or another run.
    """
    arrays = path.with_suffix(".npz")
    if not (path.is_file() and arrays.is_file()):
        return None
    facts = facts_of(path, path.stem)
    if not _measured(facts.get("metrics")):
        raise RunError(f"{path} has no metrics this version can read; delete it, or train its run again")
    shapes = sealed.shapes(arrays)
    if set(shapes) != set(IN_RECORD) or len(set(shapes.values())) > 1 or len(shapes["targets"]) != 1:
        raise RunError(f"{arrays} has not the arrays of a record, one number an image each; delete it")
    return Run(facts, None, path.parent.parent.name, arrays)


def facts_of(path: Path, run_id: str) -> dict[str, Any]:
    """What a run says of itself, if it is the run of that id.

    Raises:
        RunError: It is not, or cannot be read; the sentence names the file.
    """
    facts = read_json(path)
    if fault := facts_fault(facts, run_id):
        raise RunError(f"{path} {fault}")
    return facts


def facts_fault(facts: Any, run_id: str) -> str:
    """Why these are not the facts of that run, as the end of a sentence; empty where they are."""
    try:
        if (version := facts.get("format", sealed.FORMAT)) != sealed.FORMAT:
            return f"has format {version}, this version reads {sealed.FORMAT}; use the ltlib that made it"
        own, made = facts["id"], digest(canonical_json(facts["identity"]))[:12]
        Experiment.from_settings(facts["experiment"])
        if not all(isinstance(facts[name], kind) for name, kind in _FACTS.items()):
            raise TypeError
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        return "is no run this version can read; delete it to make it again"
    if not own == made == run_id:
        return f"holds run {own if own == made else made}, not {run_id}; rename or delete it"
    return ""


def _measured(metrics: Any) -> bool:
    """Whether these are the metrics of a record: for each selection its accuracy, and that of each group."""
    try:
        return all(
            isinstance(metrics[name]["accuracy"], float)
            and all("accuracy" in group for group in metrics[name]["groups"].values())
            for name in SELECTIONS
        )
    except (KeyError, TypeError, AttributeError):
        return False
