"""PaCo's objective: keys from a network that follows, a queue of them, and centres that classify."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from ltlib.losses import Loss, ParametricContrastive
from ltlib.models import Network
from ltlib.training.contrast import Contrastive
from ltlib.training.objective import Batch


class ParametricContrast(Contrastive):
    """``L = w_1 paco(q, k, g(h_1), y) + w_2 loss(g(h_1), y)``: the first view asks, the second one is looked up.

    Keys k are the second view's projections by a copy of backbone and projector, which before each step moves towards
    them by ``1 - momentum`` and has batch statistics of its own. `attach` makes the copy, which is kept in checkpoints
    with the queue. In the reference code the second view is shuffled between several GPUs; with one that changes
    nothing.
    """

    looked_at = 1

    def __init__(self, contrastive: Loss, loss: Loss | None, weights: tuple[float, float]):
        super().__init__(contrastive, loss, weights)
        self.follower = nn.ModuleDict()

    def attach(self, network: Network) -> None:
        assert network.projector is not None
        copied = {"backbone": copy.deepcopy(network.backbone), "projector": copy.deepcopy(network.projector)}
        self.follower.update(copied)
        self.follower.requires_grad_(False).train()

    def forward(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor | None]:
        size = batch.targets.shape[0]
        features = network.features(batch.images[:size])
        assert network.projector is not None
        assert self.loss is not None
        logits = network.classify(features).float()
        keys = self.looked_up(network, batch.images[size:])
        value = self.contrastive(network.projector(features), batch.targets, keys=keys, centres=logits)
        total = self.weights[0] * value
        return total + self.weights[1] * self.loss(logits, batch.targets) if self.weights[1] else total, logits

    @torch.no_grad()
    def looked_up(self, network: Network, images: Tensor) -> Tensor:
        """Keys [B, P] of images; in training mode the copy moves first."""
        assert isinstance(self.contrastive, ParametricContrastive)
        if self.training:
            for name, copied in self.follower.items():
                for own, leading in zip(copied.parameters(), network.parts[name].parameters(), strict=True):
                    own.lerp_(leading, 1 - self.contrastive.momentum)
        return self.follower["projector"](self.follower["backbone"](images))
