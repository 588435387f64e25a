"""Two arms of `bench run` on images that stay on the device: a good engineer's plain loop, and the workbook's own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib import runs
from ltlib.batches import augment
from ltlib.batches.draws import Draw
from ltlib.batches.resident import Resident
from ltlib.bench.peer import Note
from ltlib.bench.workload import Workload
from ltlib.models import Network, kernels
from ltlib.training import (
    accelerator,
    assembly,
    capture,
    evaluation,
    learner,
    loop,
    objectives,
    recorded_evaluation,
    residents,
    stages,
    steps,
)
from ltlib.training.outcome import Trained


def strong(work: Workload, target: torch.device, *, note: Note = lambda losses: None) -> Network:
    """A plain loop by somebody who knows the usual remedies: resident images, batched augmentation, channels_last
    memory, fused SGD on CUDA, no host synchronisation within an epoch, evaluation in large batches. Nothing else of
    ours.

    Args:
        work: What to train.
        target: Device.
        note: Hears of each loss.
    """
    recipe, precision = work.recipe(), work.resolved.precision
    network = assembly.build(work.resolved, work.data.num_classes).to(target)
    train, test = resident(work, target)
    fused = {"fused": True} if target.type == "cuda" else {}
    optimizer = torch.optim.SGD(
        network.parameters(), recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay, **fused
    )
    for epoch in range(1, work.epochs + 1):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate(epoch, recipe.epochs)
        network.train()
        total = torch.zeros(2, device=target)
        for draw in (draw.to(target) for draw in work.draws(epoch)):
            for s in range(draw.steps):
                index = draw.index[s]
                images = train.batch(index, {name: values[s, 0] for name, values in draw.views.items()})
                targets = train.targets[index]
                with steps.autocast(precision, target):
                    logits = network(images)
                loss = F.cross_entropy(logits.float(), targets)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                note(loss.detach())
                right = (logits.detach().argmax(1) == targets).float().mean()
                total += torch.stack((loss.detach(), right)) * len(targets)
        total.tolist()  # the epoch's one look from the host
        if work.evaluated(epoch):
            logits = evaluation.predict(network, test, precision)
            F.cross_entropy(logits, test.targets).item()
            (logits.argmax(1) == test.targets).float().mean().item()
    return network


def ours(work: Workload, target: torch.device, *, note: Note = lambda losses: None) -> Trained:
    """The workbook's training in memory: `loop.fit` with its step and its evaluation, and no file.

    Args:
        work: What to train.
        target: Device.
        note: Hears of the losses of each chunk of steps.
    """
    accelerator.prepare(target)
    kernels.prepare(target)
    resolved, recipe = work.resolved, work.recipe()
    stage = resolved.stages[0]
    network = assembly.build(resolved, work.data.num_classes).to(target)
    train, test = resident(work, target)
    objective = objectives.create(stage, work.data.class_counts).to(target)
    learning = learner.create(network, objective, recipe, stage.lr)
    step = capture.captured(steps.EagerStep(learning, train, resolved.precision), target)
    predicted = recorded_evaluation.predictions(target)

    def noted(draw: Draw, lr: float) -> Tensor:
        losses = step(draw, lr)
        note(losses)
        return losses

    return loop.fit(
        learning,
        noted,
        work.draws,
        recipe,
        work.epochs,
        evaluate=lambda: evaluation.evaluate(network, objective, {"test": test}, resolved.precision, None, predicted),
        checkpoint=_Nowhere(),
        selection="last",
        before_epoch=lambda: stages.train_mode(network, stage),
    )


def ours_with_files(work: Workload) -> runs.Run:
    """A whole run as a user gets it: images loaded, trained, evaluated, and its folder written (to a temporary one).

    Raises:
        DataError: The images are not on this machine.
    """
    with temporary_reports():
        return runs.run(work.experiment)


def resident(work: Workload, target: torch.device) -> tuple[Resident, Resident]:
    """Training and test images on the device."""
    padding = augment.create("+".join(work.recipe().augmentation) or "none").padding
    train = residents.resident(work.data.train, work.data, work.resolved, target, padding)
    return train, residents.resident(work.data.test, work.data, work.resolved, target)


@contextmanager
def temporary_reports() -> Iterator[None]:
    """A reports folder of this block's own, deleted at its end."""
    before = os.environ.get("LTLIB_REPORTS")
    with tempfile.TemporaryDirectory(prefix="ltlib-bench-", ignore_cleanup_errors=True) as folder:
        os.environ["LTLIB_REPORTS"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["LTLIB_REPORTS"]
            else:
                os.environ["LTLIB_REPORTS"] = before


class _Nowhere:
    """A checkpoint that keeps nothing."""

    def load(self) -> None:
        return None

    def save(self, values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        pass
