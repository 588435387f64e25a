"""A method's stages in order: build the network, train or take each stage, hand over the outcome.

Each finished stage is a sealed folder named by the identity of everything up to it, so methods that start alike share
it and a killed run goes on with the stage it was in.
"""

from __future__ import annotations

import copy
import csv
import io
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ltlib import mixing as mixings
from ltlib import sealed
from ltlib.batches import augment
from ltlib.batches.draws import SAMPLERS, Draw, epoch_draws, generator
from ltlib.batches.resident import Resident
from ltlib.datasets import ImageSet, LongTailed
from ltlib.errors import RunError
from ltlib.experiment import Resolved
from ltlib.files import new_folder, read_json, sweep, write_json, write_text
from ltlib.losses import Loss
from ltlib.methods import Stage, finishes
from ltlib.mixing import Mixing
from ltlib.models import Network
from ltlib.registry import Spec
from ltlib.training import accelerator, assembly, capture, loop, objectives, steps
from ltlib.training.meters import Meter
from ltlib.training.objectives import Objective

EVALUATION_BATCH = {"cpu": 125, "cuda": 2000}
"""Images of an evaluation step. On a CPU a small batch stays in its caches: 3,300 images/s against 1,900 with 1,000
(ResNet-8, 32x32, one thread)."""
Report = Callable[[Mapping[str, Any]], None]


def device() -> torch.device:
    """Where to train: ``LTLIB_DEVICE``, else a CUDA device, else the CPU."""
    return torch.device(os.environ.get("LTLIB_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu"))


def resident(
    images: ImageSet,
    data: LongTailed,
    resolved: Resolved,
    target: torch.device,
    padding: int = 0,
    max_bytes: int | None = None,
) -> Resident:
    """An image set on the device, normalised as the recipe says; streamed where it takes more than `max_bytes`."""
    return Resident(
        images.images,
        images.targets,
        padding=padding,
        mean=data.mean,
        std=data.std,
        normalise=resolved.recipe.normalise,
        device=target,
        max_bytes=max_bytes,
    )


def residents(data: LongTailed, resolved: Resolved, target: torch.device, padding: int) -> dict[str, Resident]:
    """The sets of a run, ``train`` first: on the device while the memory budget lasts, the rest streamed.

    What is taken is said beforehand, on standard error, where it is much or not all of it is.
    """
    parts = {"train": data.train, "test": data.test}
    if data.validation is not None:
        parts["validation"] = data.validation
    pads = {name: padding if name == "train" else 0 for name in parts}
    needed = {name: Resident.required_bytes(part.images.shape, pads[name]) for name, part in parts.items()}
    kept, note = accelerator.plan_memory(needed, target)
    if note:
        sys.stderr.write(f"ltlib: {note}\n")
    return {
        name: resident(part, data, resolved, target, pads[name], None if name in kept else 0)
        for name, part in parts.items()
    }


@torch.no_grad()
def predict(network: Network, images: Resident, precision: str = "float32") -> Tensor:
    """Logits of every image in order, float32 [N, K] on the network's device; the network is put in evaluation mode."""
    network.eval()
    logits = []
    for index in _batches(images):
        with steps.autocast(precision, images.targets.device):
            logits.append(network(images.batch(index)).float())
    return torch.cat(logits)


def _batches(images: Resident) -> tuple[Tensor, ...]:
    """Numbers of all images in order, in evaluation batches; where the images are."""
    place = images.targets.device
    index = torch.arange(len(images), device="cpu" if images.streaming else place)
    return index.split(EVALUATION_BATCH.get(place.type, 500))


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
        sealed.refuse_newer(place)
    ready = next((i for i, place in enumerate(places) if not _whole(place)), len(places)) - 1
    if ready == len(places) - 1:
        return places
    accelerator.prepare(target)
    network = assembly.build(resolved, data.num_classes)
    padding = augment.create("+".join(resolved.recipe.augmentation) or "none").padding
    tests = residents(data, resolved, target, padding)
    train = tests.pop("train")
    network = network.to(target)
    for i in range(len(places)):
        assembly.prepare(network, resolved, i)
        if i <= ready:
            if i == ready:
                network.load_state_dict(sealed.read_tensors(places[i] / "weights.safetensors"))
            continue
        with sealed.claim(folder / "locks" / f"{places[i].name}.lock", f"stage {places[i].name}", wait=True):
            if _whole(places[i]):  # somebody else trained it while we waited
                if i + 1 < len(places):  # a finish may have put another classifier there; it is the last stage's
                    network.load_state_dict(sealed.read_tensors(places[i] / "weights.safetensors"))
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
    stage = resolved.stages[i]
    checkpoint = sealed.CheckpointFile(place.parent / "work" / place.name, place.name)
    sweep(place.parent)
    if checkpoint.folder.is_dir():
        sweep(checkpoint.folder, older_than=0)  # the stage's lock is held
    objective = objectives.create(stage, data.class_counts).to(train.targets.device)
    mixing = mixings.create(stage.mix) if stage.mix is not None else None
    started = time.monotonic()
    outcome = loop.Outcome([])
    if resolved.epochs(i):
        outcome = _fit(resolved, i, network, objective, mixing, data, train, tests, checkpoint, report, stop)
    if stage.finish is not None:
        _finish(stage.finish, network, objective, data, train, tests, resolved.precision, outcome)
    held_out = _held_out(network, objective, tests, resolved.precision, outcome.weights)
    facts = {"id": place.name, "epochs": outcome.epochs, "wall_seconds": time.monotonic() - started}
    _write_stage(place, network, outcome, held_out, facts)
    _remove(checkpoint.folder)


def _fit(
    resolved: Resolved,
    i: int,
    network: Network,
    objective: Objective,
    mixing: Mixing | None,
    data: LongTailed,
    train: Resident,
    tests: Mapping[str, Resident],
    checkpoint: loop.Checkpoint,
    report: Report,
    stop: Callable[[], bool],
) -> loop.Outcome:
    """Train the network for a stage's epochs."""
    stage, recipe, target = resolved.stages[i], resolved.stage_recipe(i), train.targets.device
    meter = Meter(target)
    optimizer = steps.optimizer(network, recipe, stage.lr)
    step = steps.EagerStep(
        network,
        objective,
        optimizer,
        train,
        meter,
        resolved.precision,
        mixing=mixing,
        class_counts=torch.as_tensor(data.class_counts),
        max_norm=stage.max_norm,
    )
    epochs = resolved.epochs(i)
    second = SAMPLERS.create(stage.second_sampler) if stage.second_sampler is not None else None
    order, targets = SAMPLERS.create(stage.sampler), torch.as_tensor(data.train.targets)
    augmentation = augment.create("+".join(recipe.augmentation) or "none")

    def draws(epoch: int) -> list[Draw]:
        return epoch_draws(
            order,
            augmentation,
            targets,
            seed=resolved.seed,
            stage=i,
            epoch=epoch,
            epochs=epochs,
            batch_size=recipe.batch_size,
            views=objective.views,
            mixing=mixing,
            image_size=(data.image_size, data.image_size),
            second=second,
            noise=objective.noise(data.num_classes),
        )

    return loop.fit(
        network,
        optimizer,
        capture.captured(step, target),
        meter,
        draws,
        recipe,
        epochs,
        evaluate=lambda: evaluate(network, objective, tests, resolved.precision),
        checkpoint=checkpoint,
        selection=recipe.selection if stage.loss is not None and stage.finish is None else "last",
        report=lambda row: report({"stage": i + 1, "epochs": epochs, **row}),
        stop=stop,
        new_epoch=lambda epoch: objective.set_epoch(epoch, epochs),
        before_epoch=lambda: train_mode(network, stage),
        objective=objective,
    )


def _finish(
    finish: Spec,
    network: Network,
    objective: Objective,
    data: LongTailed,
    train: Resident,
    tests: Mapping[str, Resident],
    precision: str,
    outcome: loop.Outcome,
) -> None:
    """Change the network after its training, evaluate it anew, and add that as one more row of the history."""
    network.eval()
    with torch.no_grad():
        features = torch.cat([network.backbone(train.batch(index)).float() for index in _batches(train)])
    finishes.FINISHES.create(finish)(network, features, train.targets, data.class_counts)
    columns, logits = evaluate(network, objective, tests, precision)
    assert logits is not None
    outcome.logits = {"last": logits}
    epoch = len(outcome.history) + 1
    outcome.history.append({"epoch": epoch, "lr": 0.0, "seconds": 0.0, **columns})
    outcome.epochs = {"last": epoch, "selected": epoch}
    outcome.weights = None


def train_mode(network: Network, stage: Stage) -> None:
    """Training mode; frozen parts keep their batch statistics, all parts do for ``eval``, none does for ``shift``."""
    network.train()
    for name, part in network.parts.items():
        if stage.batch_norm == "eval" or (name not in stage.lr and stage.batch_norm != "shift"):
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
        outputs = predict(network, images, precision)
        logits = objective.loss.adjust(outputs)
        meter = Meter(logits.device)
        with torch.no_grad():
            meter.update(_losses(objective.loss, outputs, images.targets), logits, images.targets)
        columns |= {f"{name}_{key}": value for key, value in meter.result().items()}
        test = logits if name == "test" else test
    return columns, test


def _held_out(
    network: Network,
    objective: Objective,
    sets: Mapping[str, Resident],
    precision: str,
    selected: Mapping[str, Tensor] | None,
) -> dict[str, Tensor]:
    """What post-hoc methods are fitted on: logits [M, K] of the held-out images with the last weights, and with the
    selected ones where those are others, and the images' classes. Empty without a validation set or a classification.
    """
    if objective.loss is None or "validation" not in sets:
        return {}
    images = sets["validation"]
    found = {"targets": images.targets, "last": objective.loss.adjust(predict(network, images, precision))}
    if selected is not None:
        chosen = copy.deepcopy(network)
        chosen.load_state_dict(selected)
        found["selected"] = objective.loss.adjust(predict(chosen, images, precision))
    return found


def _losses(loss: Loss, logits: Tensor, targets: Tensor) -> Tensor:
    """Each test image's loss; a loss with noise gets the same numbers at every evaluation."""
    if not loss.noise:
        return loss.per_sample(logits, targets)
    noise = torch.rand(logits.shape, generator=generator(0, "evaluation")).to(logits.device)
    return loss.per_sample(logits, targets, noise)  # type: ignore[call-arg]


def _write_stage(
    place: Path, network: Network, outcome: loop.Outcome, held_out: dict[str, Tensor], facts: dict[str, Any]
) -> None:
    with new_folder(place) as folder:
        sealed.write_tensors(folder / "weights.safetensors", network.state_dict())
        if outcome.weights is not None:
            sealed.write_tensors(folder / "selected.safetensors", outcome.weights)
        if outcome.logits:
            sealed.write_tensors(folder / "logits.safetensors", outcome.logits)
        if held_out:
            sealed.write_tensors(folder / "held_out.safetensors", held_out)
        write_text(folder / "history.csv", history_csv(outcome.history))
        write_json(folder / "outcome.json", facts)
        sealed.seal(folder)


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
    if not sealed.finished(place):
        raise RunError(f"stage {place.name} is not finished in {place.parent}")
    facts = read_json(place / "outcome.json")
    if facts.get("id", place.name) != place.name:
        raise RunError(f"{place} holds stage {facts['id']}; give it back its name or delete it")
    return facts


def _whole(place: Path) -> bool:
    """Whether a stage is finished; see `stage_facts`."""
    return sealed.finished(place) and bool(stage_facts(place))


def _remove(folder: Path) -> None:
    for file in folder.glob("*"):
        file.unlink(missing_ok=True)
    if folder.is_dir():
        folder.rmdir()
