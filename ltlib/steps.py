"""The optimizer's steps over a draw, eagerly: batch, forward, backward, SGD, count. No host synchronisation."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from ltlib.meters import Meter
from ltlib.models import Network
from ltlib.objectives import Objective
from ltlib.recipes import Recipe
from ltlib.resident import Resident
from ltlib.sampling import Draw


class Step(Protocol):
    """Runs the steps of a draw at one learning rate."""

    def __call__(self, draw: Draw, lr: float) -> Tensor:
        """Train on every batch of the draw; returns the losses, float32 [S], on the device."""


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager:
    """The precision context of a forward pass: bf16 autocast, or nothing for float32."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def optimizer(network: Network, recipe: Recipe, factors: Mapping[str, float]) -> torch.optim.SGD:
    """SGD over the parts that are trained; a part without a factor is frozen (its gradients are switched off).

    Args:
        network: Its ``parts`` are the names `factors` uses.
        recipe: Momentum, Nesterov, weight decay.
        factors: Learning rate factor per part.
    """
    groups = []
    for name, part in network.parts.items():
        trained = name in factors
        part.requires_grad_(trained)
        parameters = list(part.parameters())
        if trained and parameters:
            groups.append({"params": parameters, "factor": factors[name]})
    return torch.optim.SGD(
        groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.nesterov, weight_decay=recipe.weight_decay
    )


class EagerStep:
    """One Python loop over the batches of a draw.

    Args:
        network: Trained in place.
        objective: What is minimised.
        optimizer: Its groups carry a ``factor`` of the learning rate.
        data: Training images.
        meter: Counts what is trained on.
        precision: ``float32`` or ``bf16``.
    """

    def __init__(
        self,
        network: Network,
        objective: Objective,
        optimizer: torch.optim.Optimizer,
        data: Resident,
        meter: Meter,
        precision: str = "float32",
    ):
        self.network, self.objective, self.optimizer = network, objective, optimizer
        self.data, self.meter, self.precision = data, meter, precision
        self.device = data.targets.device

    def __call__(self, draw: Draw, lr: float) -> Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["factor"]
        draw = draw.to(self.device)
        losses = torch.empty(draw.steps, device=self.device)
        for s in range(draw.steps):
            index = draw.index[s]
            images = self.data.batch(index.expand(self.objective.views, -1), {k: v[s] for k, v in draw.views.items()})
            targets = self.data.targets[index]
            with autocast(self.precision, self.device):
                loss, logits = self.objective(self.network, images, targets)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            losses[s] = loss.detach()
            self.meter.update(loss.detach(), None if logits is None else logits.detach(), targets)
        return losses
