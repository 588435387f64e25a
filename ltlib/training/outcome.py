"""What a stage gives, and the sealed folder that keeps it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ltlib import sealed
from ltlib.errors import RunError
from ltlib.files import new_folder, read_json, write_json, write_text
from ltlib.models import Network


class Evaluation(NamedTuple):
    """What one look at the network without learning gives.

    Attributes:
        columns: Of the history: ``test_loss`` and so on.
        logits: float32 [N, K] of the test images, the caller's own; None where nothing is classified.
        finite: Whether no logit of the test images is NaN or infinite.
    """

    columns: dict[str, float]
    logits: Tensor | None = None
    finite: bool = True


@dataclass
class Trained:
    """What training a stage gives besides its network.

    Attributes:
        history: One row an epoch.
        logits: float32 [N, K] of the test images at the ``last`` epoch, and at the ``selected`` one where that is
            another; empty where nothing was classified.
        epochs: The ``last`` and the ``selected`` epoch.
        weights: The network's tensors at the selected epoch where it is not the last one.
    """

    history: list[dict[str, float]]
    logits: dict[str, Tensor] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    weights: dict[str, Tensor] | None = None


def write(place: Path, network: Network, trained: Trained, held_out: Mapping[str, Tensor], seconds: float) -> None:
    """Write a finished stage's folder, wholly or not at all.

    Args:
        place: The folder; its name is the stage's id.
        network: With the last epoch's weights.
        trained: What else came of it.
        held_out: What post-hoc methods are fitted on, see `evaluation.held_out`; may be empty.
        seconds: What it took, from start to end.
    """
    with new_folder(place) as folder:
        sealed.write_tensors(folder / "weights.safetensors", network.state_dict())
        if trained.weights is not None:
            sealed.write_tensors(folder / "selected.safetensors", trained.weights)
        if trained.logits:
            sealed.write_tensors(folder / "logits.safetensors", trained.logits)
        if held_out:
            sealed.write_tensors(folder / "held_out.safetensors", dict(held_out))
        write_text(folder / "history.csv", history_csv(trained.history))
        write_json(folder / "outcome.json", {"id": place.name, "epochs": trained.epochs, "wall_seconds": seconds})
        sealed.seal(folder)


def facts(place: Path) -> dict[str, Any]:
    """What a finished stage says of itself: the epochs of ``last`` and ``selected``, seconds.

    Raises:
        RunError: It is not finished, or its folder has the name of another stage.
    """
    if not sealed.finished(place):
        raise RunError(f"stage {place.name} is not finished in {place.parent}")
    found = read_json(place / "outcome.json")
    if found.get("id", place.name) != place.name:
        raise RunError(f"{place} holds stage {found['id']}; give it back its name or delete it")
    return found


def whole(place: Path) -> bool:
    """Whether a stage is finished.

    Raises:
        RunError: Its folder has the name of another stage.
    """
    return sealed.finished(place) and bool(facts(place))


def history_csv(rows: list[dict[str, float]]) -> str:
    """History rows as CSV in full precision; missing values are empty."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: "" if isinstance(v, float) and math.isnan(v) else repr(v) for k, v in row.items()})
    return out.getvalue()
