"""Learning from teachers beside the labels (Hinton et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib.models import Network
from ltlib.training.objective import Batch, Objective


class Distilled(Objective):
    """What another objective asks for, and what teachers say: ``(1 - w) L + w distillation(z, t)``.

    Args:
        inner: Classifies the first view.
        teachers: In evaluation mode, where the images are; they are no part of this module's state.
        weight: w.
        temperature: See `distillation`.
    """

    def __init__(self, inner: Objective, teachers: Sequence[Network], weight: float, temperature: float):
        super().__init__()
        self.inner, self.loss, self.views, self.looked_at = inner, inner.loss, inner.views, inner.looked_at
        self.weight, self.temperature = weight, temperature
        self._teachers = tuple(teachers)  # a tuple's modules are not registered: checkpoints hold only what learns

    def forward(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor | None]:
        loss, logits = self.inner(network, batch)
        assert logits is not None
        with torch.no_grad():
            seen = batch.images[: len(batch.targets)]
            taught = torch.stack([teacher(seen).float() for teacher in self._teachers]).mean(0)
        said = distillation(logits, taught, self.temperature)
        return (1 - self.weight) * loss + self.weight * said, logits

    def attach(self, network: Network) -> None:
        self.inner.attach(network)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        self.inner.set_epoch(epoch, epochs)

    def noise(self, num_classes: int) -> tuple[int, int] | None:
        return self.inner.noise(num_classes)


def distillation(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """``T^2 KL(softmax(t / T) || softmax(z / T))``, the mean over a batch (Hinton et al. 2015, section 2).

    Args:
        logits: z, the student's, float [B, K].
        taught: t, what it should say, [B, K].
        temperature: T; its square keeps the size of the gradient whatever T is.
    """
    own, wanted = ((each / temperature).log_softmax(1) for each in (logits, taught))
    return temperature**2 * F.kl_div(own, wanted, reduction="batchmean", log_target=True)
