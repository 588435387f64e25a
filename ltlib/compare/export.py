"""A model to take away: a folder with weights, labels, preprocessing, temperature and prior, which `predict` reads.

``model.json`` says everything that is not a tensor, ``weights.safetensors`` holds the network, ``predictions.csv`` what
the model says of the test images it is reported on, and ``DONE`` the digests of all. Nothing in it can run code.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ltlib import calibration, losses, models, sealed, version
from ltlib.calibration import posthoc
from ltlib.compare.candidates import Candidate
from ltlib.compare.results import Results, prior
from ltlib.errors import SettingError
from ltlib.files import new_folder, write_json, write_text
from ltlib.models.classifiers import Cosine, ScaledLinear
from ltlib.registry import format_spec

if TYPE_CHECKING:
    from ltlib.models import Network
    from ltlib.runs import Run

FORMAT = 1
SPLIT = 0
"""Of whose test images the report shows the predictions; the model is the one that was not trained on them."""


def write(
    found: Results,
    one: Candidate,
    folder: Path,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    size: int,
    command: str = "",
) -> Path:
    """Write the model of a candidate's first split.

    The temperature is fitted on the test images of the other splits, by the models that were not trained on them.

    Args:
        found: The comparison.
        one: The candidate.
        folder: Where to; replaced as a whole.
        mean: Per channel, of pixels in 0..1, as the set was normalised with.
        std: The same.
        size: Side in pixels at which images are read.
        command: What repeats the comparison; kept with the model.

    Raises:
        SettingError: A network of several branches or with a classifier on a projection, which is not exported.
        RunError: Only the record of the run is here.
    """
    run = found.runs[one.method][SPLIT]
    network = run.network("last")
    _simple(run, network)
    scale, offset = affine(run)
    facts: dict[str, Any] = {
        "format": FORMAT,
        "ltlib": version.__version__,
        "command": command,
        "run": run.id,
        "method": one.name,
        "model": _bare(run.experiment.model),
        "classifier": "cosine" if isinstance(network.classifier, Cosine) else "linear",
        "labels": run.class_names,
        "class_counts": run.class_counts,
        "size": size,
        "resize": run.experiment.resolve().recipe.resize,
        "normalise": run.experiment.resolve().recipe.normalise,
        "mean": list(mean),
        "std": list(std),
        "scale": scale,
        "offset": offset,
        "temperature": temperature(found, one),
        "moved": moves(found, one, run.class_counts),
        "target": {"name": found.target.name, "weights": list(found.target.weights)},
    }
    with new_folder(folder) as place:
        sealed.write_tensors(place / "weights.safetensors", {k: v.contiguous() for k, v in folded(network).items()})
        write_json(place / "model.json", facts)
        write_text(place / "predictions.csv", _predictions(found, one, facts))
        sealed.seal(place)
    return folder


def probabilities(logits: np.ndarray, facts: dict[str, Any]) -> np.ndarray:
    """What a model says: ``softmax((z + b) / T)`` of its loss's logits z, b from the training to the target's prior.

    In this order the temperature moves no decision, and the model decides as the comparison did.

    Args:
        logits: float [N, K].
        facts: Of ``model.json``: ``temperature`` and ``moved``.

    Returns:
        float64 [N, K].
    """
    moved = np.asarray(logits, dtype=np.float64) + np.asarray(facts["moved"], dtype=np.float64)
    return calibration.probabilities(moved / facts["temperature"])


def temperature(found: Results, one: Candidate) -> float:
    """Fitted on the test images of all splits but the exported one; for a balanced target each class counts alike."""
    others = [split for split in range(found.splits) if split != SPLIT]
    logits = np.concatenate([np.maximum(found.logits(one, split), -1e9) for split in others])
    actual = np.concatenate([found.targets(split) for split in others])
    return posthoc.fit_temperature(logits, actual, balanced=found.target.name == "balanced")


def moves(found: Results, one: Candidate, class_counts: Sequence[int]) -> list[float]:
    """What is added to the logits of each class for the target; zeros where the candidate is not moved."""
    if not one.moved:
        return [0.0] * len(class_counts)
    moved = found.target.adjust(np.zeros((1, len(class_counts))), prior(one, class_counts))[0]
    return np.maximum(moved, -1e9).tolist()  # a class of weight 0 is never predicted; JSON has no infinity


def affine(run: Run) -> tuple[float, list[float]]:
    """What a run's loss makes of its network's logits at test time, as ``scale z + offset``.

    Raises:
        SettingError: It is nothing of that form.
    """
    spec = run.experiment.resolve().stages[-1].loss
    classes = len(run.class_counts)
    if spec is None:
        return 1.0, [0.0] * classes
    loss = losses.create(spec, run.class_counts)
    tried = torch.randn(4, classes, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    offset = loss.adjust(torch.zeros(1, classes, dtype=torch.float64))[0]
    scale = float(loss.adjust(torch.ones(1, classes, dtype=torch.float64))[0, 0] - offset[0])
    if not torch.allclose(loss.adjust(tried), scale * tried + offset):
        raise SettingError(f"the logits of {spec.name} cannot be exported; choose another method")
    return scale, offset.tolist()


def folded(network: Network) -> dict[str, torch.Tensor]:
    """The network's tensors, learnable scales multiplied into the linear classifier that they scale."""
    tensors = dict(network.state_dict())
    if isinstance(network.classifier, ScaledLinear):
        tensors = {name: value for name, value in tensors.items() if not name.startswith("classifier.")}
        own = network.classifier
        tensors["classifier.weight"] = own.linear.weight.detach() * own.scales.detach()[:, None]
        if own.linear.bias is not None:
            scales = own.scales.detach() if own.bias == "scaled" else 1.0
            tensors["classifier.bias"] = own.linear.bias.detach() * scales
    return tensors


def _simple(run: Run, network: Network) -> None:
    plain = run.experiment.resolve().stages[0].network == "plain" and network.projector is None
    if not plain or not isinstance(network.classifier, nn.Linear | Cosine | ScaledLinear):
        raise SettingError(
            f"the network of {run.experiment.method} has parts that are not exported; choose another method"
        )


def _bare(model: str) -> str:
    """A network's text without the weights it began from."""
    spec = models.spec(model)
    return format_spec(spec.name, {name: value for name, value in spec.settings.items() if name != "weights"})


def _predictions(found: Results, one: Candidate, facts: dict[str, Any]) -> str:
    """What the model says of the test images of the reported split, as CSV with a line an image, in the set's order."""
    run = found.runs[one.method][SPLIT]
    said = probabilities(np.asarray(run.predictions["last"].logits), facts)
    stream = io.StringIO()
    lines = csv.writer(stream, lineterminator="\n")
    lines.writerow(["place", "label", "predicted", "confidence"])
    for place, (target, row) in enumerate(zip(found.targets(SPLIT), said, strict=True)):
        best = int(row.argmax())
        lines.writerow([place, run.class_names[target], run.class_names[best], f"{row[best]:.9f}"])
    return stream.getvalue()
