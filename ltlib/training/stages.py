"""A method's stages in order: build the network, train or take each stage, hand over the outcome.

Each finished stage is a sealed folder named by the identity of everything up to it, so methods that start alike share
it and a killed run goes on with the stage it was in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ltlib import mixing as mixings
from ltlib import sealed
from ltlib.batches import augment
from ltlib.batches.draws import SAMPLERS, Draw, epoch_draws, steps_for_images
from ltlib.datasets import LongTailed
from ltlib.experiment import Resolved
from ltlib.files import sweep
from ltlib.methods import Stage, finishes
from ltlib.mixing import Mixing
from ltlib.models import Network, kernels
from ltlib.recipes import Recipe
from ltlib.training import (
    accelerator,
    assembly,
    capture,
    distillation,
    evaluation,
    frozen,
    learner,
    loop,
    norms,
    objectives,
    outcome,
    recorded_evaluation,
    renewal,
    steps,
)
from ltlib.training.objectives import Objective
from ltlib.training.outcome import Evaluation, Trained
from ltlib.training.residents import RunImages

Report = Callable[[Mapping[str, Any]], None]
"""Hears of each finished epoch's row."""


@dataclass(frozen=True)
class StageTraining:
    """One stage under way, as the functions of this module hand it to each other; it does nothing itself.

    Attributes:
        resolved: The run it is part of.
        number: Which of the run's stages, from 0.
        network: As the stages before left it, on the device; trained in place.
        objective: What the stage minimises.
        images: The run's, or their features where those are constant, see `frozen`.
        report: Hears of each epoch.
        stop: True asks to save the state and stop.
    """

    resolved: Resolved
    number: int
    network: Network
    objective: Objective
    images: RunImages
    report: Report
    stop: Callable[[], bool]

    @property
    def stage(self) -> Stage:
        return self.resolved.stages[self.number]

    @property
    def recipe(self) -> Recipe:
        """With what the stage says otherwise."""
        return self.resolved.stage_recipe(self.number)

    @property
    def epochs(self) -> int:
        return self.resolved.epochs(self.number)


def run_stages(
    resolved: Resolved,
    data: LongTailed,
    folder: Path,
    *,
    report: Report = lambda row: None,
    stop: Callable[[], bool] = lambda: False,
    target: torch.device | None = None,
) -> list[Path]:
    """Train what is missing of a run's stages, and before them of its teachers'.

    Args:
        resolved: What to train.
        data: The images.
        folder: Where stages are kept; each gets a sealed folder named by its id.
        report: Called with each finished epoch's row; its ``stage`` counts those of the run's teachers first.
        stop: True asks the training to save its state and stop.
        target: Device; `accelerator.device()` by default.

    Returns:
        The stages' folders, in order.

    Raises:
        DivergedError, Stopped: From `loop.fit`.
    """
    target = target or accelerator.device()
    places = [folder / resolved.stage_id(i) for i in range(len(resolved.stages))]
    for place in places:
        sealed.refuse_newer(place)
    ready = next((i for i, place in enumerate(places) if not outcome.whole(place)), len(places)) - 1
    if ready == len(places) - 1:
        return places
    accelerator.prepare(target)
    kernels.prepare(target)
    teachers, report = _teachers(resolved, data, folder, report, stop, target)
    network = assembly.build(resolved, data.num_classes, load=ready < 0)
    network = network.to(target)
    shown = frozen.Shown(resolved, data, target, stop)
    for i, place in enumerate(places):
        assembly.prepare(network, resolved, i)
        if i <= ready:
            if i == ready:
                network.load_state_dict(sealed.read_tensors(place / "weights.safetensors"))
            continue
        with sealed.claim(folder / "locks" / f"{place.name}.lock", f"stage {place.name}", wait=True):
            if outcome.whole(place):  # somebody else trained it while we waited
                if i + 1 < len(places):  # a finish may have put another classifier there; it is the last stage's
                    network.load_state_dict(sealed.read_tensors(place / "weights.safetensors"))
                continue
            objective = objectives.create(resolved.stages[i], data.class_counts)
            if (teaching := resolved.stages[i].teaching) is not None:
                objective = distillation.Distilled(objective, teachers, teaching.weight, teaching.temperature)
            objective = objective.to(target)
            objective.attach(network)
            images = shown.of(i, network)
            _train_stage(StageTraining(resolved, i, network, objective, images, report, stop), place)
    return places


def _teachers(
    resolved: Resolved, data: LongTailed, folder: Path, report: Report, stop: Callable[[], bool], target: torch.device
) -> tuple[list[Network], Report]:
    """The networks that teach a run, trained first where they are not there; and what hears of the run's own stages."""
    if not resolved.teachers:
        return [], report
    networks, before = list[Network](), 0
    for teacher in (experiment.resolve() for experiment in resolved.teachers):
        heard = _counted(report, before)
        places = run_stages(teacher, data, folder, report=heard, stop=stop, target=target)
        network = assembly.assembled(teacher, data.num_classes)
        network.load_state_dict(sealed.read_tensors(places[-1] / "weights.safetensors"))
        networks.append(network.to(target).eval().requires_grad_(False))
        before += len(teacher.every_stage())
    return networks, _counted(report, before)


def _counted(report: Report, before: int) -> Report:
    """A report whose stages come after as many others."""
    return lambda row: report({**row, "stage": row["stage"] + before})


def _train_stage(training: StageTraining, place: Path) -> None:
    """Train a stage, or go on with it, and write its folder; its lock is held."""
    checkpoint = sealed.CheckpointFile(place.parent / "work" / place.name, place.name)
    sweep(place.parent)
    if checkpoint.folder.is_dir():
        sweep(checkpoint.folder, older_than=0)
    started = time.monotonic()
    trained = _fit(training, checkpoint) if training.epochs else Trained([])
    if training.stage.finish is not None:
        _finish(training, trained)
    held_out = evaluation.held_out(
        training.network,
        training.objective,
        training.images.evaluated.get("validation"),
        training.resolved.precision,
        trained.weights,
    )
    outcome.write(place, training.network, trained, held_out, time.monotonic() - started)
    _remove(checkpoint.folder)


def _fit(training: StageTraining, checkpoint: loop.Checkpoint) -> Trained:
    """Train the network for a stage's epochs."""
    stage, recipe, data = training.stage, training.recipe, training.images.data
    mixing = mixings.create(stage.mix) if stage.mix is not None else None
    learning = learner.create(training.network, training.objective, recipe, stage.lr)
    step = steps.EagerStep(
        learning,
        training.images.train,
        training.resolved.precision,
        mixing=mixing,
        class_counts=torch.as_tensor(data.class_counts),
        parts=recipe.batch_parts,
        sharpness=recipe.sharpness,
        sharpness_below=recipe.sharpness_below,
    )

    def train() -> None:
        train_mode(training.network, stage, recipe.frozen)

    predicted = recorded_evaluation.predictions(step.device)

    draws = _draws(training, mixing)

    def renew(epoch: int) -> None:
        train()
        batches = (batch.images for draw in draws(epoch) for batch in step.batches(draw))
        renewal.renew_statistics(training.network, batches, training.resolved.precision)

    return loop.fit(
        learning,
        capture.captured(step, step.device),
        draws,
        recipe,
        training.epochs,
        evaluate=lambda: _evaluate(training, predicted),
        checkpoint=checkpoint,
        selection=training.resolved.selection(training.number) if stage.loss and stage.finish is None else "last",
        report=lambda row: training.report({"stage": training.number + 1, "epochs": training.epochs, **row}),
        stop=training.stop,
        before_epoch=train,
        after_epoch=_cap(training),
        renew=renew,
    )


def _cap(training: StageTraining) -> Callable[[], None]:
    """What is done after the steps of each epoch; made before the first, while the weights are the stage's start."""
    classifier, share = training.network.classifier, training.stage.max_norm
    if share is None:
        return lambda: None
    cap = norms.cap_of(classifier, share)
    return lambda: norms.cap_norms(classifier, cap)


def most_steps(stage: Stage, images: int, batch_size: int) -> int | None:
    """Where a stage cuts the order of an epoch, in steps; None for nowhere."""
    return steps_for_images(images, batch_size) if stage.epoch_ends == "images" else None


def _draws(training: StageTraining, mixing: Mixing | None) -> Callable[[int], list[Draw]]:
    """What draws an epoch (from 1) of a stage."""
    stage, recipe, data = training.stage, training.recipe, training.images.data
    second = SAMPLERS.create(stage.second_sampler) if stage.second_sampler is not None else None
    order, targets = SAMPLERS.create(stage.sampler), torch.as_tensor(data.train.targets)
    augmentation = augment.create("+".join(recipe.augmentation) or "none")
    most = most_steps(stage, len(targets), recipe.batch_size)

    def draws(epoch: int) -> list[Draw]:
        return epoch_draws(
            order,
            augmentation,
            targets,
            seed=training.resolved.seed,
            stage=training.number,
            epoch=epoch,
            epochs=training.epochs,
            batch_size=recipe.batch_size,
            views=training.objective.views,
            compared=augment.create(stage.view_augmentation) if stage.view_augmentation else None,
            mixing=mixing,
            image_size=(data.image_size, data.image_size),
            second=second,
            noise=training.objective.noise(data.num_classes),
            most_steps=most,
        )

    return draws


def _finish(training: StageTraining, trained: Trained) -> None:
    """Change the network after its training, evaluate it anew, and add that as one more row of the history."""
    train, finish = training.images.train, training.stage.finish
    assert finish is not None
    features = evaluation.features(training.network, train)
    finishes.FINISHES.create(finish)(training.network, features, train.targets, training.images.data.class_counts)
    found = _evaluate(training)
    assert found.logits is not None
    trained.logits = {"last": found.logits}
    epoch = len(trained.history) + 1
    trained.history.append({"epoch": epoch, "lr": 0.0, "seconds": 0.0, **found.columns})
    trained.epochs = {"last": epoch, "selected": epoch}
    trained.weights = None


def _evaluate(training: StageTraining, predicted: evaluation.Predict | None = None) -> Evaluation:
    whole = training.recipe.batch_size if training.stage.selects_by == "objective" else None
    images, precision = training.images.evaluated, training.resolved.precision
    return evaluation.evaluate(training.network, training.objective, images, precision, whole, predicted)


def train_mode(network: Network, stage: Stage, frozen: Collection[str] = ()) -> None:
    """Training mode; frozen parts keep their batch statistics, all parts do for ``eval``; for ``shift`` those alone do
    that the recipe has frozen."""
    network.train()
    for name, part in network.parts.items():
        if name in frozen or stage.batch_norm == "eval" or (name not in stage.lr and stage.batch_norm != "shift"):
            part.eval()


def _remove(folder: Path) -> None:
    for file in folder.glob("*"):
        file.unlink(missing_ok=True)
    if folder.is_dir():
        folder.rmdir()
