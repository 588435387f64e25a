"""The run store: train a run or load it, exactly once, and know what it is worth.

A run's folder holds identity, provenance and metrics; its stages' folders hold weights, history and test logits. The
small record of a finished run can be committed and is read where the full folder is not there.
"""

from __future__ import annotations

import contextlib
import io
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.torch
import torch

from ltlib import calibration, datasets, metrics, models, places, stages, store
from ltlib.datasets import LongTailed
from ltlib.errors import DataError, LtlibError, RunError
from ltlib.experiment import Experiment, Resolved
from ltlib.files import (
    canonical_json,
    digest,
    is_temporary,
    new_folder,
    read_json,
    sweep,
    write_bytes,
    write_json,
    write_text,
)
from ltlib.models import Network

if TYPE_CHECKING:
    import pandas as pd

SELECTIONS = ("last", "selected")
_DIGITS = 7  # of a number in a record


@dataclass(frozen=True)
class Predictions:
    """What a network says of the test images.

    Attributes:
        targets: int64 [N], the classes.
        predicted: int64 [N], the most probable class.
        confidence: float64 [N], its probability.
        logits: float32 [N, K], or None where only the committed record is there.
    """

    targets: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    logits: np.ndarray | None = None

    @classmethod
    def from_logits(cls, logits: np.ndarray, targets: np.ndarray) -> Predictions:
        """Softmax in float64."""
        probabilities = calibration.probabilities(logits)
        predicted = probabilities.argmax(1)
        return cls(targets, predicted, probabilities[np.arange(len(predicted)), predicted], logits)


class Run:
    """A finished run.

    Attributes:
        id: The run's identity, twelve hexadecimal digits.
        experiment: What was asked for.
        folder: The full run folder, or None for a committed record.
        profile: Of a committed record: ``laptop`` or ``paper``; else None.
    """

    def __init__(self, facts: Mapping[str, Any], folder: Path | None, profile: str | None, predictions: Path | None):
        self._facts = facts
        self.folder, self.profile = folder, profile
        self._predictions = predictions
        self.experiment = Experiment.from_settings(facts["experiment"])
        self.id: str = facts["id"]

    def __repr__(self) -> str:
        exp = self.experiment
        return (
            f"Run({self.id}: {exp.method} on {exp.dataset}, IF {exp.imbalance_factor:g}, {exp.model}, seed {exp.seed})"
        )

    @property
    def selection(self) -> str:
        """The rule of the selected epoch."""
        return self._facts["selection"]

    @property
    def class_counts(self) -> list[int]:
        return self._facts["class_counts"]

    @property
    def class_names(self) -> list[str]:
        return self._facts["class_names"]

    @property
    def groups(self) -> dict[str, list[int]]:
        return self._facts["groups"]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the chosen images' indices and classes."""
        return self._facts["fingerprint"]

    @property
    def provenance(self) -> dict[str, Any]:
        return self._facts["provenance"]

    @property
    def parameters(self) -> int:
        return self._facts["parameters"]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one image's forward pass."""
        return self._facts["macs"]

    @property
    def seconds(self) -> float:
        """Training and evaluation, summed over epochs."""
        return float(self.history["seconds"].sum())

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row an epoch; the columns are listed in `ltlib.stages`."""
        import pandas as pd

        return pd.read_csv(io.StringIO(self._facts["history"]))

    @cached_property
    def predictions(self) -> dict[str, Predictions]:
        """Test predictions by ``last`` and ``selected`` epoch."""
        assert self._predictions is not None
        if self.folder is not None:
            targets = np.load(io.BytesIO(store.read_sealed(self.folder, "targets.npy")), allow_pickle=False)
            return _from_stage(self._predictions.parent, targets)
        with np.load(self._predictions, allow_pickle=False) as file:
            targets = file["targets"].astype(np.int64)
            return {
                name: Predictions(
                    targets, file[f"{name}_predicted"].astype(np.int64), file[f"{name}_confidence"].astype(float)
                )
                for name in SELECTIONS
            }

    @cached_property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """By ``last`` and ``selected``: `metrics.evaluate` with epoch, loss, nll, ece, mce and brier.

        Recomputed from the logits while the run's folder is there; a committed record keeps those it was made with.
        """
        if self.folder is None:
            return self._facts["metrics"]
        return {
            name: measure(self.predictions[name], len(self.class_counts), self.groups)
            | {"epoch": self._facts["epochs"][name], "loss": self._loss_at(self._facts["epochs"][name])}
            for name in SELECTIONS
        }

    def _loss_at(self, epoch: int) -> float | None:
        """The test loss in the history, that is in the method's own loss."""
        rows = self.history
        rows = rows[rows["stage"] == rows["stage"].max()]
        value = rows.loc[rows["epoch"] == epoch, "test_loss"]
        return float(value.iloc[0]) if len(value) and value.notna().all() else None

    def network(self, selection: str = "selected") -> Network:
        """The trained network, on the CPU in evaluation mode.

        Raises:
            RunError: Only the record is there, which has no weights.
        """
        if self.folder is None:
            raise RunError(f"the weights of run {self.id} are not here, only its record; ltlib train makes them again")
        resolved = self.experiment.resolve()
        network = stages.build_network(resolved, len(self.class_counts))
        network.classifier_input = resolved.stages[-1].classifier_input
        folder = self.folder.parent / "stages" / resolved.stage_id(len(resolved.stages) - 1)
        chosen = folder / "selected.safetensors"
        if selection == "last" or not chosen.is_file():
            chosen = folder / "weights.safetensors"
        network.load_state_dict(store.read_tensors(chosen))
        return network.eval()

    def record(self, folder: Path) -> Path:
        """Write the small committed record: ``<id>.json`` and ``<id>.npz``, together under 100 KB."""
        history = self.history.to_csv(index=False, lineterminator="\n", float_format=f"%.{_DIGITS}g")
        facts = {**self._facts, "metrics": self.metrics, "history": history}
        arrays: dict[str, np.ndarray] = {}
        for name, found in self.predictions.items():
            small = np.uint8 if len(self.class_counts) <= 256 else np.uint16
            arrays["targets"] = found.targets.astype(small)
            arrays[f"{name}_predicted"] = found.predicted.astype(small)
            arrays[f"{name}_confidence"] = found.confidence.astype(np.float16)
        packed = io.BytesIO()
        np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]
        write_bytes(folder / f"{self.id}.npz", packed.getvalue())
        exact = {name: facts[name] for name in ("experiment", "identity")}
        write_json(folder / f"{self.id}.json", _rounded(facts) | exact)
        return folder / f"{self.id}.json"


def _from_stage(stage: Path, targets: np.ndarray) -> dict[str, Predictions]:
    """Predictions by ``last`` and ``selected`` epoch from a finished stage's logits, compared with their digest."""
    tensors = safetensors.torch.load(store.read_sealed(stage, "logits.safetensors"))
    last = Predictions.from_logits(tensors["last"].numpy(), targets)
    chosen = Predictions.from_logits(tensors["selected"].numpy(), targets) if "selected" in tensors else last
    return {"last": last, "selected": chosen}


def measure(found: Predictions, num_classes: int, groups: Mapping[str, list[int]]) -> dict[str, Any]:
    """Every metric of a prediction: accuracy and its kin, calibration, per class and per group."""
    values = metrics.evaluate(found.targets, found.predicted, num_classes, groups)
    if found.logits is not None:
        probabilities = calibration.probabilities(found.logits)
        values["ece"] = calibration.expected_calibration_error(probabilities, found.targets)
        values["mce"] = calibration.maximum_calibration_error(probabilities, found.targets)
        values["brier"] = calibration.brier(probabilities, found.targets)
        values["nll"] = calibration.negative_log_likelihood(probabilities, found.targets)
    correct = found.predicted == found.targets
    for name, error in calibration.group_errors(found.confidence, correct, found.targets, groups).items():
        values["groups"][name]["ece"] = error
    return values


def run(
    experiment: Experiment,
    *,
    report: stages.Report = lambda row: None,
    stop: Callable[[], bool] = lambda: False,
    train: bool = True,
) -> Run:
    """The finished run of an experiment: loaded if it is there, else trained.

    Args:
        experiment: What to train.
        report: Called with each finished epoch's row.
        stop: True asks the training to save its state and stop.
        train: False refuses to train.

    Raises:
        LtlibError: Unknown names, wrong settings, missing data, a training that diverges or is claimed by another
            process.
    """
    found = load(experiment.run_id)
    if found is not None:
        return found
    if not train:
        raise RunError(f"run {experiment.run_id} is not there; train it with ltlib train or ltlib reproduce")
    resolved = experiment.resolve()
    top = places.runs_folder()
    with store.claim(top / "locks" / f"{resolved.run_id}.lock", f"run {resolved.run_id}"):
        found = load(resolved.run_id)
        return found if found is not None else _train(resolved, top, report, stop)


def load(run_id: str) -> Run | None:
    """A finished run by its id: the full folder, else a committed record, else None.

    Raises:
        RunError: What is there under this id is damaged or another run.
    """
    folder = places.runs_folder() / run_id
    if store.finished(folder):
        facts = _facts(folder / "run.json", run_id)
        logits = folder.parent / "stages" / facts["stages"][-1] / "logits.safetensors"
        if store.finished(logits.parent) and logits.is_file():
            return Run(facts, folder, None, logits)
    for records in places.records_folders():
        record, arrays = records / f"{run_id}.json", records / f"{run_id}.npz"
        if record.is_file() and arrays.is_file():
            return Run(_facts(record, run_id), None, records.parent.name, arrays)
    return None


def _facts(path: Path, run_id: str) -> dict[str, Any]:
    """What a run says of itself, if it is the run of that id.

    Raises:
        RunError: It is not, or cannot be read; the sentence names the file.
    """
    facts = read_json(path)
    try:
        own, made = facts["id"], digest(canonical_json(facts["identity"]))[:12]
        Experiment.from_settings(facts["experiment"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RunError(f"{path} is no run this version can read; delete it to make it again") from error
    if not own == made == run_id:
        raise RunError(f"{path} holds run {own if own == made else made}, not {run_id}; rename or delete it")
    return facts


def _names() -> list[str]:
    """Ids under which something lies that looks like a finished run: full folders first, then records."""
    folders = [done.parent for done in sorted(places.runs_folder().glob("*/DONE"))]
    names = [folder.name for folder in folders if not is_temporary(folder)]
    names += [file.stem for folder in places.records_folders() for file in sorted(folder.glob("*.json"))]
    return list(dict.fromkeys(names))


def finished() -> list[Run]:
    """Every finished run: full folders first, then the records of runs that have none.

    Left out is what `verify` names: damaged or renamed runs, and those of components that have changed since.
    """
    found = []
    for name in _names():
        with contextlib.suppress(RunError):
            run = load(name)
            if run is not None and _made_by(run) in (None, run.id):
                found.append(run)
    return found


def _made_by(run: Run) -> str | None:
    """The id that the run's experiment has today; None where its image folder is gone, empty where a name is."""
    try:
        return run.experiment.run_id
    except DataError:
        return None
    except LtlibError:
        return ""


def _train(resolved: Resolved, top: Path, report: stages.Report, stop: Callable[[], bool]) -> Run:
    exp = resolved.experiment
    data = load_data(exp)
    target = stages.device()
    store.refuse_newer(top / resolved.run_id)
    sweep(top)
    started = datetime.now(UTC)
    clock = time.monotonic()
    folders = stages.run_stages(resolved, data, top / "stages", report=report, stop=stop, target=target)
    network = stages.build_network(resolved, data.num_classes)
    facts = {
        "id": resolved.run_id,
        "experiment": exp.settings(),
        "identity": resolved.identity(),
        "stages": [folder.name for folder in folders],
        "selection": resolved.recipe.selection,
        "epochs": stages.stage_facts(folders[-1])["epochs"],
        "class_counts": list(data.class_counts),
        "class_names": list(data.class_names),
        "groups": {name: list(group) for name, group in data.groups.items()},
        "fingerprint": data.fingerprint,
        "parameters": models.parameter_count(network),
        "macs": models.macs(network, image_size=data.image_size),
        "history": _history(folders),
        "provenance": provenance(target)
        | {"started": started.isoformat(timespec="seconds"), "wall_seconds": time.monotonic() - clock},
    }
    place = top / resolved.run_id
    with new_folder(place) as folder:
        write_json(folder / "run.json", facts)
        packed = io.BytesIO()
        np.save(packed, data.test.targets)
        write_bytes(folder / "targets.npy", packed.getvalue())
        write_text(folder / "history.csv", facts["history"])
        made = Run(facts, folder, None, folders[-1] / "logits.safetensors")
        made.predictions = _from_stage(folders[-1], data.test.targets)  # the folder is not sealed yet
        write_json(folder / "metrics.json", made.metrics)
        store.seal(folder)
    found = load(resolved.run_id)
    assert found is not None
    return found


def load_data(exp: Experiment) -> LongTailed:
    """The experiment's images."""
    return datasets.load(
        exp.dataset,
        imbalance_factor=exp.imbalance_factor,
        imbalance_type=exp.imbalance_type,
        order=exp.order,
        class_counts=exp.class_counts,
        subset=exp.subset,
        subset_seed=exp.subset_seed,
        validation=exp.validation,
        limit=exp.limit,
    )


def _history(folders: list[Path]) -> str:
    """The stages' histories under one header, with the stage's number in front."""
    import pandas as pd

    frames = [pd.read_csv(folder / "history.csv") for folder in folders]
    for number, frame in enumerate(frames, 1):
        frame.insert(0, "stage", number)
    return pd.concat(frames, ignore_index=True).to_csv(index=False, lineterminator="\n")


def provenance(target: torch.device) -> dict[str, Any]:
    """Where and with what a result was made: no part of its identity."""
    import ltlib

    return {
        "ltlib": ltlib.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": torch.cuda.get_device_name(target) if target.type == "cuda" else processor(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
    }


def processor() -> str:
    """The CPU's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _commit() -> str | None:
    """The checkout's commit, with ``+`` where files differ from it; None outside a checkout."""
    top = places.checkout()
    if top is None:
        return None
    try:
        head = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=top, capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--", "ltlib"], cwd=top, capture_output=True, text=True, check=True
        )
        return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _rounded(value: Any) -> Any:
    """Numbers of a record to a few digits: small files, and more than any table prints."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value


def verify() -> list[str]:
    """Read every finished run again: what is wrong, one sentence each.

    Checks the digests of run and stage folders, that the identity still gives the id, and the subset's fingerprint
    where the data is there.
    """
    wrong: list[str] = []
    prints: dict[str, str] = {}
    top = places.runs_folder()
    for folder in (done.parent for done in sorted(top.glob("*/DONE")) + sorted((top / "stages").glob("*/DONE"))):
        if not is_temporary(folder):
            wrong += store.problems(folder)
            if folder.parent.name == "stages" and store.finished(folder):
                with _listed(wrong):
                    stages.stage_facts(folder)
    for name in _names():
        found = None
        with _listed(wrong):
            found = load(name)
        if found is None:
            continue
        now = _made_by(found)
        if now not in (None, found.id):
            version = f"now {now}" if now else "unknown now"
            wrong.append(f"run {found.id} was made by another version of its components ({version}); it is not shown")
        elif now and datasets.available(found.experiment.dataset):
            key = canonical_json(found.experiment.resolve().data)
            with _listed(wrong):
                if key not in prints:
                    prints[key] = load_data(found.experiment).fingerprint
                if prints[key] != found.fingerprint:
                    wrong.append(
                        f"run {found.id} was trained on other images than {found.experiment.dataset} gives today"
                    )
    return wrong


@contextlib.contextmanager
def _listed(wrong: list[str]) -> Iterator[None]:
    """Add an error's sentence to the list instead of raising it."""
    try:
        yield
    except LtlibError as error:
        wrong.append(str(error))


__all__ = ["Predictions", "Run", "finished", "load", "load_data", "measure", "run", "verify"]
