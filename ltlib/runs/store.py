"""The run store: train a run or load it, exactly once, and know what it is worth.

A run's folder holds identity, provenance and metrics; its stages' folders hold weights, history and test logits. The
small record of a finished run can be committed and is read where the full folder is not there.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ltlib import datasets, models, places, sealed
from ltlib.datasets import LongTailed
from ltlib.errors import DataError, LtlibError, RunError, printable
from ltlib.experiment import Experiment, Resolved, marks
from ltlib.files import (
    is_temporary,
    new_folder,
    sweep,
    write_bytes,
    write_json,
    write_text,
)
from ltlib.progress import Progress, watched
from ltlib.runs import provenance
from ltlib.runs.facts import facts_of, load_record
from ltlib.runs.result import Run, stage_predictions
from ltlib.training import accelerator, assembly, outcome, stages


def run(
    experiment: Experiment,
    *,
    report: stages.Report | None = None,
    stop: Callable[[], bool] = lambda: False,
    train: bool = True,
    weights: bool = False,
) -> Run:
    """The finished run of an experiment: loaded if it is there, else trained.

    Args:
        experiment: What to train.
        report: Called with each finished epoch's row; without it a line of progress is shown where somebody watches, in
            a live kernel or a terminal.
        stop: True asks the training to save its state and stop.
        train: False refuses to train.
        weights: Train it anew where only its record is there, which has no weights and no logits.

    Raises:
        LtlibError: Unknown names, wrong settings, missing data, a training that diverges or is claimed by another
            process.
    """
    found = load(experiment.run_id, records=not weights)
    if found is not None:
        return found
    if not train:
        raise RunError(f"run {experiment.run_id} is not there; train it with ltlib train or ltlib reproduce")
    resolved = experiment.resolve()
    top = places.runs_folder()
    with sealed.claim(top / "locks" / f"{resolved.run_id}.lock", f"run {resolved.run_id}"):
        found = load(resolved.run_id, records=not weights)
        if found is not None:
            return found
        with _watched(resolved, report) as heard:
            return _train(resolved, top, heard, stop)


@contextlib.contextmanager
def _watched(resolved: Resolved, report: stages.Report | None) -> Iterator[stages.Report]:
    """What hears of each epoch: the caller's, else a line that moves from the first second on."""
    exp, every = resolved.experiment, resolved.every_stage()
    line = Progress(
        sum(run.epochs(i) for run, i in every),
        f"{exp.method} on {exp.dataset}, epochs",
        enabled=report is None and watched(),
    )
    with line.waiting() if line.enabled else contextlib.nullcontext():
        yield report or (lambda row: line.step(f"stage {row['stage']}" if len(every) > 1 else ""))
    if 0 < line.done < line.total:  # stages that were there already, or a training that ended early
        line.total = line.done
        line.show()


def train_anew(experiment: Experiment, top: Path) -> Run:
    """The run of an experiment trained from the start in a folder of its own; what is finished here is not looked at.

    Raises:
        LtlibError: As `run`.
    """
    return _train(experiment.resolve(), top, lambda row: None, lambda: False)


def load(run_id: str, *, records: bool = True, top: Path | None = None) -> Run | None:
    """A finished run by its id: the full folder, else a committed record, else None.

    Args:
        run_id: Twelve hexadecimal digits.
        records: Whether a record will do.
        top: Where the full runs lie; `places.runs_folder()` by default.

    Raises:
        RunError: What is there under this id is damaged or another run.
    """
    folder = (top or places.runs_folder()) / run_id
    if sealed.finished(folder):
        facts = facts_of(folder / "run.json", run_id)
        logits = folder.parent / "stages" / facts["stages"][-1] / "logits.safetensors"
        if sealed.finished(logits.parent) and logits.is_file():
            return Run(facts, folder, None, logits)
    for folder in places.records_folders() if records else ():
        if (run := load_record(folder / f"{run_id}.json")) is not None:
            return run
    return None


def names() -> list[str]:
    """Ids under which something lies that looks like a finished run: full folders first, then records."""
    folders = [done.parent for done in sorted(places.runs_folder().glob("*/DONE"))]
    names = [folder.name for folder in folders if not is_temporary(folder)]
    names += [file.stem for folder in places.records_folders() for file in sorted(folder.glob("*.json"))]
    return list(dict.fromkeys(names))


def finished(refused: Callable[[str], None] = lambda line: None) -> list[Run]:
    """Every finished run: full folders first, then the records of runs that have none.

    Left out is what `verify` names: damaged or renamed runs, and those of components that have changed since. Runs of
    components from outside the package are there whether those are registered or not.

    Args:
        refused: Hears a sentence on each that cannot be read.
    """
    found = []
    for name in names():
        try:
            run = load(name)
        except RunError as error:
            refused(str(error))
        else:
            if run is not None and (made_by(run) in (None, run.id) or own_elsewhere(run)):
                found.append(run)
    return found


def made_by(run: Run) -> str | None:
    """The id that the run's experiment has today; None where its image folder is gone, empty where a name is."""
    try:
        return run.experiment.run_id
    except DataError:
        return None
    except LtlibError:
        return ""


def own_elsewhere(run: Run) -> str:
    """Why a run of a component from outside the package cannot be checked against it here; empty where it can be.

    Its component is not registered in this process, or with another source.
    """
    if not run.own or made_by(run) in (None, run.id):
        return ""
    told = " and ".join(run.own)
    try:
        resolved = run.experiment.resolve()
    except LtlibError:
        return f"run {run.id} was made by your own {told}, which is not registered here"
    if [str(one) for one in resolved.own] == run.own and resolved.marks() == marks(run.identity):
        return ""  # the same component, so it is something else that has changed
    return f"run {run.id} was made by your own {told}, which is registered here with another source"


def _train(resolved: Resolved, top: Path, report: stages.Report, stop: Callable[[], bool]) -> Run:
    exp = resolved.experiment
    data = load_data(exp)
    if exp.resolve().data["digest"] != resolved.data["digest"]:
        raise DataError(f"the images of {exp.dataset} changed while run {resolved.run_id} began; start it again")
    target = accelerator.device()
    with accelerator.fixed_threads(target):
        return _train_on(target, resolved, data, top, report, stop)


def _train_on(
    target: torch.device,
    resolved: Resolved,
    data: LongTailed,
    top: Path,
    report: stages.Report,
    stop: Callable[[], bool],
) -> Run:
    sealed.refuse_newer(top / resolved.run_id)
    sweep(top)
    started = datetime.now(UTC)
    clock = time.monotonic()
    folders = stages.run_stages(resolved, data, top / "stages", report=report, stop=stop, target=target)
    network = assembly.assembled(resolved, data.num_classes)
    facts = {
        "id": resolved.run_id,
        "experiment": resolved.settings(),
        "identity": resolved.identity(),
        "stages": [folder.name for folder in folders],
        "selection": resolved.selection(),
        "epochs": outcome.facts(folders[-1])["epochs"],
        "class_counts": list(data.class_counts),
        "class_names": list(data.class_names),
        "groups": {name: list(group) for name, group in data.groups.items()},
        "fingerprint": data.fingerprint,
        **({"contents": data.contents} if data.contents else {}),
        "subset_fingerprint": data.subset_fingerprint,
        "test_fingerprint": data.test_fingerprint,
        "parameters": models.parameter_count(network),
        "macs": models.macs(network, image_size=resolved.recipe.side(data.image_size)),
        "history": _history(folders),
        "provenance": provenance.describe(target)
        | models.kernels.facts(network.backbone, resolved.precision, target)
        | {"started": started.isoformat(timespec="seconds"), "wall_seconds": time.monotonic() - clock}
        | {"peak_memory": provenance.peak_memory(target)},
    }
    if resolved.own:
        facts["own"] = [str(one) for one in resolved.own]
    if resolved.teachers:
        facts["teachers"] = [_as_teacher(teacher.resolve(), top / "stages") for teacher in resolved.teachers]
    if chosen := models.pretrained.of(resolved.model):
        facts["weights"] = chosen.facts()
    place = top / resolved.run_id
    with new_folder(place) as folder:
        write_json(folder / "run.json", facts)
        packed = io.BytesIO()
        np.save(packed, data.test.targets)
        write_bytes(folder / "targets.npy", packed.getvalue())
        write_text(folder / "history.csv", facts["history"])
        made = Run(facts, folder, None, folders[-1] / "logits.safetensors")
        made.predictions = stage_predictions(folders[-1], data.test.targets)  # the folder is not sealed yet
        write_json(folder / "metrics.json", made.metrics)
        sealed.seal(folder)
    found = load(resolved.run_id, top=top)
    assert found is not None
    return found


def _as_teacher(resolved: Resolved, stages_folder: Path) -> dict[str, Any]:
    """A teacher in the facts of its student: its id, and the seconds its training took, that of its teachers too."""
    import pandas as pd

    places = [stages_folder / run.stage_id(i) for run, i in resolved.every_stage()]
    there = [place for place in places if sealed.finished(place)]  # not where the student was there and they are gone
    took = sum(float(pd.read_csv(place / "history.csv")["seconds"].sum()) for place in there)
    return {"id": resolved.run_id, "seconds": took}


def load_data(exp: Experiment) -> LongTailed:
    """The experiment's images."""
    return datasets.load(exp.dataset, **_of_data(exp))


def describe_data(exp: Experiment) -> datasets.Described:
    """What is done to the experiment's images before they are trained on."""
    return datasets.describe(exp.dataset, **_of_data(exp))


def _of_data(exp: Experiment) -> dict[str, Any]:
    """The settings that `datasets.load` takes."""
    names = ("imbalance_factor", "imbalance_type", "order", "class_counts", "subset", "subset_seed", "validation")
    return {name: getattr(exp, name) for name in (*names, "limit", "test_per_class")}


def _history(folders: list[Path]) -> str:
    """The stages' histories under one header, with the stage's number in front."""
    import pandas as pd

    frames = [pd.read_csv(folder / "history.csv") for folder in folders]
    for number, frame in enumerate(frames, 1):
        frame.insert(0, "stage", number)
    return pd.concat(frames, ignore_index=True).to_csv(index=False, lineterminator="\n")


def other_images(run: Run) -> str | None:
    """A sentence for a run whose set, an image folder, holds other images than it was trained on; else None."""
    exp = run.experiment
    if run.identity["data"].get("digest") == exp.resolve().data["digest"]:
        return None
    return trained_on_others(run)


def trained_on_others(run: Run) -> str:
    place = run.folder if run.folder is not None else "its record"
    return (
        f"run {run.id} was trained on other images than {printable(run.experiment.dataset)} holds now; "
        f"put those back, or delete {place} and train it again"
    )
