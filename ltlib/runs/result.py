"""A finished run: what was asked for, its history, predictions and metrics, and the small record that is committed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import calibration, metrics, sealed
from ltlib.calibration.effects import before_and_after, scores
from ltlib.errors import RunError
from ltlib.experiment import Experiment
from ltlib.files import canonical_json, digest, write_bytes, write_text
from ltlib.models import Network
from ltlib.runs import splits
from ltlib.training import assembly

if TYPE_CHECKING:
    import pandas as pd

SELECTIONS = ("last", "selected")
IN_RECORD = ("targets", *(f"{name}_{what}" for name in SELECTIONS for what in ("predicted", "confidence")))
"""The arrays of a committed record, [N] each."""
HELD_OUT = "held_out.safetensors"
_DIGITS = 7  # of a number in a record
_DEEPEST = 4
"""Levels of keys of which each has a line in a record: ``metrics``, ``selected``, ``posthoc`` and its methods."""
_DETAILS = ("bins", "cross_fitted", "sets")
"""Of a post-hoc method's numbers, what a record keeps for the selected epoch alone."""


@dataclass(frozen=True)
class Predictions:
    """What a network says of some images, those of the test set or the held-out ones.

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
    def identity(self) -> dict[str, Any]:
        """What identifies it, as `Resolved.identity` gave it when it was made."""
        return self._facts["identity"]

    @property
    def own(self) -> list[str]:
        """Its components that do not come from this package, as ``loss count_power``."""
        return self._facts.get("own", [])

    @property
    def weights(self) -> dict[str, str]:
        """The weights its network began from, as `Chosen.facts` says them; empty where they were drawn."""
        return self._facts.get("weights", {})

    @property
    def teachers(self) -> dict[str, float]:
        """The runs whose networks taught this one, by id, and the seconds that training each took; mostly none."""
        return {teacher["id"]: float(teacher["seconds"]) for teacher in self._facts.get("teachers", [])}

    @property
    def stages(self) -> list[str]:
        """The ids of its stages, in order."""
        return self._facts["stages"]

    @property
    def cell_id(self) -> str:
        """Its identity apart from its two seeds, as `Experiment.cell_id`; its components need not be known here."""
        identity = self.identity | {"seed": 0, "data": self.identity["data"] | {"subset_seed": 0}}
        return digest(canonical_json(identity))[:12]

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
        """SHA-256 of the indices and classes of the images trained on.

        A run that is older than `subset_fingerprint` has that of the subset here, held-out images among them.
        """
        return self._facts["fingerprint"]

    @property
    def contents(self) -> str:
        """`ltlib.datasets.images.Source.contents` of its set; empty for runs that have none."""
        return self._facts.get("contents", "")

    @property
    def subset_fingerprint(self) -> str:
        """The same of the whole subset: the images trained on and, with ``validation="subset"``, those held out."""
        return self._facts.get("subset_fingerprint", self._facts["fingerprint"])

    @property
    def test_fingerprint(self) -> str:
        """The same of the test images; empty for runs that are older than it."""
        return self._facts.get("test_fingerprint", "")

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
        """Training and evaluation, summed over epochs; without its teachers'."""
        rows = csv.DictReader(io.StringIO(self._facts["history"]))  # no table of it: a thousand runs are summed at once
        return sum(float(row["seconds"]) for row in rows)

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row an epoch; the columns are listed in `ltlib.training.stages`."""
        import pandas as pd

        return pd.read_csv(io.StringIO(self._facts["history"]))

    @cached_property
    def predictions(self) -> dict[str, Predictions]:
        """Test predictions by ``last`` and ``selected`` epoch."""
        assert self._predictions is not None
        if self.folder is not None:
            targets = sealed.array_of(sealed.read_sealed(self.folder, "targets.npy"), self.folder / "targets.npy")
            return stage_predictions(self._predictions.parent, targets)
        file = sealed.read_arrays(self._predictions)
        targets = file["targets"].astype(np.int64)
        return {
            name: Predictions(
                targets, file[f"{name}_predicted"].astype(np.int64), file[f"{name}_confidence"].astype(float)
            )
            for name in SELECTIONS
        }

    @cached_property
    def held_out(self) -> dict[str, Predictions] | None:
        """Predictions for the held-out training images by ``last`` and ``selected`` epoch.

        None for a run without ``validation="subset"``, for one trained before these were kept, and for a record, whose
        metrics have under ``posthoc`` what was made of them.
        """
        if self.folder is None or self._predictions is None:
            return None
        stage = self._predictions.parent
        if not (stage / HELD_OUT).is_file():
            return None
        tensors = sealed.read_sealed_tensors(stage, HELD_OUT)
        return _by_selection(tensors, tensors["targets"].numpy())

    @cached_property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """By ``last`` and ``selected``: `measure` with epoch and loss, and `before_and_after` as ``posthoc``.

        A run with `test_per_class` has under ``splits`` what `splits.scores` gives.

        Recomputed from the logits while the run's folder is there; a committed record keeps those it was made with, so
        an older one lacks the keys that came later, and ``posthoc`` of the last epoch its bins, folds and sets.
        ``posthoc`` is there where `held_out` is.
        """
        if self.folder is None:
            return self._facts["metrics"]
        found: dict[str, dict[str, Any]] = {}
        for name in SELECTIONS:
            same = found and self.predictions[name] is self.predictions[SELECTIONS[0]]
            values = dict(found[SELECTIONS[0]]) if same else self._measured(name)
            epoch = self._facts["epochs"][name]
            found[name] = values | {"epoch": epoch, "loss": self._loss_at(epoch)}
        return found

    def _measured(self, selection: str) -> dict[str, Any]:
        said = self.predictions[selection]
        values = measure(said, len(self.class_counts), self.groups)
        if self.experiment.test_per_class is not None:
            values["splits"] = splits.scores(self.experiment, said, self.class_counts)
        if self.held_out is not None and said.logits is not None:
            held = self.held_out[selection]
            assert held.logits is not None
            values["posthoc"] = before_and_after(
                said.logits, said.targets, held.logits, held.targets, self.class_counts, self.groups
            )
        return values

    def _loss_at(self, epoch: int) -> float | None:
        """The test loss in the history, that is in the method's own loss."""
        rows = list(csv.DictReader(io.StringIO(self._facts["history"])))
        last = max(float(row["stage"]) for row in rows)
        found = [row["test_loss"] for row in rows if (float(row["stage"]), float(row["epoch"])) == (last, epoch)]
        return float(found[0]) if found and all(found) else None

    def files(self) -> list[Path]:
        """Where it lies: its folder's files and those of its stages that are here, or the two of a record."""
        assert self._predictions is not None
        if self.folder is None:
            return [self._predictions.with_suffix(".json"), self._predictions]
        stages = [self.folder.parent / "stages" / name for name in self.stages]
        return [file for folder in (self.folder, *stages) for file in sorted(folder.glob("*")) if file.is_file()]

    def network(self, selection: str = "selected") -> Network:
        """The trained network, on the CPU in evaluation mode.

        Raises:
            RunError: Only the record is there, which has no weights, or the weights are damaged or another network's.
        """
        if self.folder is None:
            raise RunError(f"run {self.id} is here only as a record, without weights; ltlib train --weights makes them")
        network = assembly.assembled(self.experiment.resolve(), len(self.class_counts))
        folder = self.folder.parent / "stages" / self.stages[-1]
        chosen = folder / "selected.safetensors"
        if selection == "last" or not chosen.is_file():
            chosen = folder / "weights.safetensors"
        try:
            network.load_state_dict(sealed.read_sealed_tensors(folder, chosen.name))
        except RuntimeError as error:
            raise RunError(
                f"{chosen} holds the weights of another network; delete {folder} to make it again"
            ) from error
        return network.eval()

    def record(self, folder: Path) -> Path:
        """Write the small committed record: ``<id>.json`` and ``<id>.npz``, together under 100 KB."""
        history = self.history.to_csv(index=False, lineterminator="\n", float_format=f"%.{_DIGITS}g")
        kept = {name: _shortened(values) if name == "last" else values for name, values in self.metrics.items()}
        facts = {**self._facts, "metrics": kept, "history": history}
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
        write_text(folder / f"{self.id}.json", _json(_rounded(facts) | exact) + "\n")
        return folder / f"{self.id}.json"


def stage_predictions(stage: Path, targets: np.ndarray) -> dict[str, Predictions]:
    """Predictions by ``last`` and ``selected`` epoch from a finished stage's logits, compared with their digest."""
    return _by_selection(sealed.read_sealed_tensors(stage, "logits.safetensors"), targets)


def _by_selection(tensors: Mapping[str, Any], targets: np.ndarray) -> dict[str, Predictions]:
    """Predictions from stored logits; one object for both where the selected epoch is the last."""
    last = Predictions.from_logits(tensors["last"].numpy(), targets)
    chosen = Predictions.from_logits(tensors["selected"].numpy(), targets) if "selected" in tensors else last
    return {"last": last, "selected": chosen}


def measure(found: Predictions, num_classes: int, groups: Mapping[str, list[int]]) -> dict[str, Any]:
    """Every metric of a prediction: `metrics.evaluate`, each group's ``ece``, and from logits `before_after.scores`."""
    values = metrics.evaluate(found.targets, found.predicted, num_classes, groups)
    if found.logits is not None:
        values |= scores(calibration.probabilities(found.logits), found.targets)
    correct = found.predicted == found.targets
    for name, error in calibration.group_errors(found.confidence, correct, found.targets, groups).items():
        values["groups"][name]["ece"] = error
    return values


def _shortened(values: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics without what only the pages' post-hoc figures of the selected epoch show: a record is small."""
    parts = values.get("posthoc", {})
    left = {name: {key: own[key] for key in own if key not in _DETAILS} for name, own in parts.items()}
    return {**values, "posthoc": left} if left else dict(values)


def _rounded(value: Any) -> Any:
    """Numbers of a record to a few digits: small files, and more than any table prints."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value


def _json(value: Any, indent: str = "") -> str:
    """JSON with a line for each key; lists, and what lies deeper than a post-hoc method's keys, on one line."""
    deep = len(indent) >= _DEEPEST
    if deep or not isinstance(value, Mapping) or not value:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":") if deep else None)
    lines = (
        f"{indent} {json.dumps(key, ensure_ascii=False)}: {_json(item, indent + ' ')}" for key, item in value.items()
    )
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
