"""The optimizer's steps over a draw, eagerly: batch, forward, backward, update, count. No host synchronisation.

`ltlib.training.capture` records the same step as a CUDA graph.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from ltlib.batches.draws import Draw
from ltlib.batches.resident import Resident
from ltlib.mixing import Mixing
from ltlib.mixing.guided import GuidedCutMix, strongest
from ltlib.models.network import evaluating
from ltlib.training.learner import Learner
from ltlib.training.objectives import Batch
from ltlib.training.optimizers import set_rates
from ltlib.training.parts import check_parts, in_parts
from ltlib.training.sharpness import OneLook, climbed


class Step(Protocol):
    """Runs the steps of a draw at one learning rate."""

    def __call__(self, draw: Draw, lr: float) -> Tensor:
        """Train on every batch of the draw; returns the losses, float32 [S], on the device."""


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager:
    """The precision context of a forward pass: bf16 autocast, or nothing for float32."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def send(value: Tensor, device: torch.device) -> Tensor:
    """A tensor on the device; from pinned memory to CUDA, the only way in which the host need not wait."""
    if device.type == "cuda" and value.device.type == "cpu":
        value = value.pin_memory()
    return value.to(device, non_blocking=True)


class EagerStep:
    """One Python loop over the batches of a draw.

    Args:
        learner: Trained in place.
        data: Training images.
        precision: ``float32`` or ``bf16``.
        mixing: Mixes images and labels.
        class_counts: [K], for mixings that look at them.
        parts: In how many a batch goes through the network, see `ltlib.training.parts`.
        sharpness: Of the recipe, see `ltlib.training.sharpness`.
        sharpness_below: Of the recipe; above 0 it needs the `class_counts`, and an objective with `Objective.split`.

    Raises:
        SettingError: Parts of a network that draws random numbers.
    """

    def __init__(
        self,
        learner: Learner,
        data: Resident,
        precision: str = "float32",
        *,
        mixing: Mixing | None = None,
        class_counts: Tensor | None = None,
        parts: int = 1,
        sharpness: float = 0.0,
        sharpness_below: int = 0,
    ):
        check_parts(learner.network, parts)
        self.parts, self.sharpness = parts, sharpness
        self.learner, self.data, self.precision = learner, data, precision
        self.device = data.targets.device
        self.mixing = mixing
        self.rare: Tensor | None = None
        if sharpness_below:
            assert class_counts is not None
            self.rare = (class_counts < sharpness_below).to(self.device)
        self.class_counts = None if class_counts is None else class_counts.to(self.device)

    def __call__(self, draw: Draw, lr: float) -> Tensor:
        set_rates(self.learner.optimizer, lr)
        here = draw.each(lambda value: send(value, self.device))
        losses = torch.empty(draw.steps, device=self.device)
        for s in range(draw.steps):
            losses[s] = self.one(here, s, draw)
        return losses

    def batches(self, draw: Draw) -> Iterator[Batch]:
        """The batches of a draw, one after the other; nothing is trained."""
        here = draw.each(lambda value: send(value, self.device))
        return (self.batch(here, s, draw) for s in range(draw.steps))

    def one(self, draw: Draw, s: int, host: Draw | None = None) -> Tensor:
        """Train on step `s` of a draw on the device, at the rates that are set; returns the loss, a scalar.

        Args:
            draw: On the device.
            s: From 0.
            host: The same draw on the host; a streamed set reads there which images to send.
        """
        batch, learner = self.batch(draw, s, host), self.learner
        loss, logits = self._gradients(batch) if self.rare is None else self._gradients_for_rare(batch, self.rare)
        learner.optimizer.step()
        if learner.average is not None:
            learner.average.after_step()
        learner.meter.update(loss.detach(), None if logits is None else logits.detach(), batch.targets)
        return loss.detach()

    def _gradients(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Leave the gradients of a batch beside the weights; its loss and logits."""
        learner = self.learner
        first_look = OneLook(learner.objective) if self.sharpness else None
        loss, logits = self.objective(batch)
        learner.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if first_look is not None:
            with climbed(learner.network, self.sharpness), first_look.again():
                worst, _ = self.objective(batch)
                learner.optimizer.zero_grad(set_to_none=True)
                worst.backward()
        return loss, logits

    def _gradients_for_rare(self, batch: Batch, rare: Tensor) -> tuple[Tensor, Tensor | None]:
        """The same where the climb is for some classes alone, see `ltlib.training.sharpness`."""
        learner = self.learner
        tail, head, logits = self._split(batch, rare)
        learner.optimizer.zero_grad(set_to_none=True)
        head.backward(retain_graph=True)
        plain = [(weight, weight.grad) for weight in learner.network.parameters() if weight.grad is not None]
        learner.optimizer.zero_grad(set_to_none=True)
        tail.backward()
        with climbed(learner.network, self.sharpness):
            worst, _, _ = self._split(batch, rare)
            learner.optimizer.zero_grad(set_to_none=True)
            worst.backward()
        for weight, gradient in plain:
            assert weight.grad is not None
            weight.grad.add_(gradient)
        return tail + head, logits

    def _split(self, batch: Batch, rare: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        network = self.learner.network
        with autocast(self.precision, self.device):
            return self.learner.objective.split(network, batch, rare)

    def objective(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """What the step minimises, a scalar, and the logits to count, in its precision and parts."""
        network = self.learner.network
        with autocast(self.precision, self.device), in_parts(network, self.parts):
            return self.learner.objective(network, batch)

    @torch.no_grad()
    def strongest(self, images: Tensor) -> Tensor:
        """Where the network as it is answers most strongly to images: row and column in pixels of them, int64 [B, 2].

        It is looked at in evaluation mode and left as it was.
        """
        backbone = self.learner.network.backbone
        with evaluating(backbone), autocast(self.precision, self.device):
            return strongest(backbone.energy(self.data.enlarged(images)), self.data.size)

    def batch(self, draw: Draw, s: int, host: Draw | None = None) -> Batch:
        """Step `s` of a draw on the device: images augmented, mixed and enlarged, with their classes.

        They are mixed as they are stored: the boxes of a mixing are drawn for that size. Views beyond those that a
        mixing mixes stay as they are.
        """
        index, views = draw.index[s], {key: value[s] for key, value in draw.views.items()}
        numbers = host if host is not None and self.data.streaming else draw
        alike = self.learner.objective.views if draw.compared is None else 1
        images = self.data.stored(numbers.index[s].expand(alike, -1), views)
        if draw.compared is not None:
            others = {key: value[s] for key, value in draw.compared.items()}
            rest = numbers.index[s].expand(self.learner.objective.views - 1, -1)
            images = torch.cat([images, self.data.stored(rest, others)])
        targets = self.data.targets[index]
        noise = None if draw.noise is None else draw.noise[s]
        second_images = second_targets = partner_targets = share = None
        if draw.second is not None:
            assert numbers.second is not None
            own = {key: value[s] for key, value in draw.second.views.items()}
            rows = 1 if self.mixing is None else self.mixing.views
            second_images = self.data.stored(numbers.second.index[s].expand(rows, -1), own)
            second_targets = self.data.targets[draw.second.index[s]]
        if self.mixing is not None:
            mix = {key: value[s] for key, value in draw.mix.items()}
            beside = second_images
            if isinstance(self.mixing, GuidedCutMix):
                assert beside is not None
                mix = self.mixing.placed(mix, self.strongest(beside), self.data.size)
            if self.mixing.partners == "batch":
                beside, second_targets = images[mix["partner"]], targets[mix["partner"]]
            mixed = self.mixing.views * len(targets)
            made = self.mixing.apply(images[:mixed], beside, mix)
            images = made if mixed == len(images) else torch.cat([made, images[mixed:]])
            if self.mixing.partners != "none":
                assert second_targets is not None
                partner_targets = second_targets
                share = self.mixing.label_share(mix["lam"], targets, partner_targets, self.class_counts)
        images = self.data.enlarged(images)
        second_images = None if second_images is None else self.data.enlarged(second_images)
        return Batch(images, targets, partner_targets, share, second_images, second_targets, noise)
