"""A method's stages in order: build the network, train or take each stage, hand over the outcome.

Each finished stage is a sealed folder named by the identity of everything up to it, so methods that start alike share
it and a killed run goes on with the stage it was in.
"""

from __future__ import annotations

import csv
import io
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ltlib import augment, models, objectives, sampling, steps, store, training
from ltlib.datasets import ImageSet, LongTailed
from ltlib.errors import RunError
from ltlib.experiment import Resolved
from ltlib.files import new_folder, read_json, sweep, write_json, write_text
from ltlib.meters import Meter
from ltlib.methods import Stage
from ltlib.models import Network
from ltlib.objectives import Objective
from ltlib.resident import Resident

EVALUATION_BATCH = {"cpu": 125, "cuda": 2000}
"""Images of an evaluation step. On a CPU a small batch stays in its caches: 3,300 images/s against 1,900 with 1,000
(ResNet-8, 32x32, one thread)."""
Report = Callable[[Mapping[str, Any]], None]


def device() -> torch.device:
    """Where to train: ``LTLIB_DEVICE``, else a CUDA device, else the CPU."""
    return torch.device(os.environ.get("LTLIB_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu"))


def build_network(resolved: Resolved, num_classes: int) -> Network:
    """The network of a run with its initial weights, on the CPU: parts that any stage needs, one seed for all."""
    first = resolved.stages[0]
    network = models.create(
        resolved.model,
        num_classes,
        projector=max(stage.projection for stage in resolved.stages),
        classifier_input=first.classifier_input,
    )
    models.initialise(network, sampling.derived_seed(resolved.seed, "weights"))
    return network.to(memory_format=torch.channels_last)


def resident(
    images: ImageSet, data: LongTailed, resolved: Resolved, target: torch.device, padding: int = 0
) -> Resident:
    """An image set on the device, normalised as the recipe says."""
    return Resident(
        images.images,
        images.targets,
        padding=padding,
        mean=data.mean,
        std=data.std,
        normalise=resolved.recipe.normalise,
        device=target,
    )


@torch.no_grad()
def predict(network: Network, images: Resident, precision: str = "float32") -> Tensor:
    """Logits of every image in order, float32 [N, K] on the network's device; the network is put in evaluation mode."""
    network.eval()
    place = images.targets.device
    logits = []
    for index in torch.arange(len(images), device=place).split(EVALUATION_BATCH.get(place.type, 500)):
        with steps.autocast(precision, place):
            logits.append(network(images.batch(index)).float())
    return torch.cat(logits)


def run_stages(
    resolved: Resolved,
    data: LongTailed,
    folder: Path,
    *,
    report: Report = lambda row: None,
    stop: Callable[[], bool] = lambda: False,
    target: torch.device | None = None,
) -> list[Path]:
    """Train what is missing of a run's stages.

    Args:
        resolved: What to train.
        data: The images.
        folder: Where stages are kept; each gets a sealed folder named by its id.
        report: Called with each finished epoch's row.
        stop: True asks the training to save its state and stop.
        target: Device; `device()` by default.

    Returns:
        The stages' folders, in order.

    Raises:
        DivergedError, Stopped: From `training.fit`.
    """
    target = target or device()
    places = [folder / resolved.stage_id(i) for i in range(len(resolved.stages))]
    for place in places:
        store.refuse_newer(place)
    ready = next((i for i, place in enumerate(places) if not _whole(place)), len(places)) - 1
    if ready == len(places) - 1:
        return places
    network = build_network(resolved, data.num_classes)
    padding = augment.create("+".join(resolved.recipe.augmentation) or "none").padding
    train = resident(data.train, data, resolved, target, padding)
    tests = {"test": resident(data.test, data, resolved, target)}
    if data.validation is not None:
        tests["validation"] = resident(data.validation, data, resolved, target)
    if ready >= 0:
        network.load_state_dict(store.read_tensors(places[ready] / "weights.safetensors"))
    network = network.to(target)
    for i in range(ready + 1, len(places)):
        with store.claim(folder / "locks" / f"{places[i].name}.lock", f"stage {places[i].name}", wait=True):
            if _whole(places[i]):  # somebody else trained it while we waited
                network.load_state_dict(store.read_tensors(places[i] / "weights.safetensors"))
                continue
            _train_stage(resolved, i, network, data, train, tests, places[i], report, stop)
    return places


def _train_stage(
    resolved: Resolved,
    i: int,
    network: Network,
    data: LongTailed,
    train: Resident,
    tests: Mapping[str, Resident],
    place: Path,
    report: Report,
    stop: Callable[[], bool],
) -> None:
    stage, recipe, target = resolved.stages[i], resolved.recipe, train.targets.device
    checkpoint = store.CheckpointFile(place.parent / "work" / place.name, place.name)
    sweep(place.parent)
    if checkpoint.folder.is_dir():
        sweep(checkpoint.folder, older_than=0)  # the stage's lock is held
    network.classifier_input = stage.classifier_input
    if stage.classifier == "reset":
        models.initialise(network, sampling.derived_seed(resolved.seed, "classifier", i), parts=("classifier",))
    objective = objectives.create(stage, data.class_counts).to(target)
    meter = Meter(target)
    optimizer = steps.optimizer(network, recipe, stage.lr)
    step = steps.EagerStep(network, objective, optimizer, train, meter, resolved.precision)
    order = sampling.SAMPLERS.create(stage.sampler)
    augmentation = augment.create("+".join(recipe.augmentation) or "none")
    epochs = resolved.epochs(i)
    targets = torch.as_tensor(data.train.targets)

    def draws(epoch: int) -> list[sampling.Draw]:
        return sampling.epoch_draws(
            order,
            augmentation,
            targets,
            seed=resolved.seed,
            stage=i,
            epoch=epoch,
            epochs=epochs,
            batch_size=recipe.batch_size,
            views=objective.views,
        )

    started = time.monotonic()
    outcome = training.fit(
        network,
        optimizer,
        step,
        meter,
        draws,
        recipe,
        epochs,
        evaluate=lambda: evaluate(network, objective, tests, resolved.precision),
        checkpoint=checkpoint,
        selection=recipe.selection if stage.loss is not None else "last",
        report=lambda row: report({"stage": i + 1, "epochs": epochs, **row}),
        stop=stop,
        before_epoch=lambda: train_mode(network, stage),
    )
    facts = {"id": place.name, "epochs": outcome.epochs, "wall_seconds": time.monotonic() - started}
    _write_stage(place, network, outcome, facts)
    _remove(checkpoint.folder)


def train_mode(network: Network, stage: Stage) -> None:
    """Training mode, with the batch normalisation of frozen parts (or of all, if the stage says so) left as it is."""
    network.train()
    for name, part in network.parts.items():
        if stage.batch_norm == "eval" or name not in stage.lr:
            part.eval()


def evaluate(
    network: Network, objective: Objective, sets: Mapping[str, Resident], precision: str
) -> tuple[dict[str, float], Tensor | None]:
    """Loss, accuracy and ECE of each set as history columns, and the logits of ``test``.

    The loss is the stage's classification loss (for ``supcon_ce`` its cross-entropy, without its weight). A stage that
    classifies nothing evaluates nothing.
    """
    if objective.loss is None:
        return {}, None
    columns: dict[str, float] = {}
    test = None
    for name, images in sets.items():
        logits = predict(network, images, precision)
        meter = Meter(logits.device)
        with torch.no_grad():
            meter.update(objective.loss.per_sample(logits, images.targets), logits, images.targets)
        columns |= {f"{name}_{key}": value for key, value in meter.result().items()}
        test = logits if name == "test" else test
    return columns, test


def _write_stage(place: Path, network: Network, outcome: training.Outcome, facts: dict[str, Any]) -> None:
    with new_folder(place) as folder:
        store.write_tensors(folder / "weights.safetensors", network.state_dict())
        if outcome.weights is not None:
            store.write_tensors(folder / "selected.safetensors", outcome.weights)
        if outcome.logits:
            store.write_tensors(folder / "logits.safetensors", outcome.logits)
        write_text(folder / "history.csv", history_csv(outcome.history))
        write_json(folder / "outcome.json", facts)
        store.seal(folder)


def history_csv(rows: list[dict[str, float]]) -> str:
    """History rows as CSV in full precision; missing values are empty."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: "" if isinstance(v, float) and math.isnan(v) else repr(v) for k, v in row.items()})
    return out.getvalue()


def stage_facts(place: Path) -> dict[str, Any]:
    """What a finished stage says of itself: the epochs of ``last`` and ``selected``, seconds.

    Raises:
        RunError: It is not finished, or its folder has the name of another stage.
    """
    if not store.finished(place):
        raise RunError(f"stage {place.name} is not finished in {place.parent}")
    facts = read_json(place / "outcome.json")
    if facts.get("id", place.name) != place.name:
        raise RunError(f"{place} holds stage {facts['id']}; give it back its name or delete it")
    return facts


def _whole(place: Path) -> bool:
    """Whether a stage is finished; see `stage_facts`."""
    return store.finished(place) and bool(stage_facts(place))


def _remove(folder: Path) -> None:
    for file in folder.glob("*"):
        file.unlink(missing_ok=True)
    if folder.is_dir():
        folder.rmdir()
