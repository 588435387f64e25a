"""What a step hands to an objective, and what every objective has."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from ltlib.losses import Loss
from ltlib.models import Network


class Batch(NamedTuple):
    """What an objective sees, on the device, already augmented and mixed.

    Attributes:
        images: float [V * B, 3, H, W], view after view.
        targets: int64 [B].
        partner_targets: int64 [B], classes of what was mixed in, where labels are mixed.
        share: float [B], share of the own label, where labels are mixed.
        second_images: float [B, 3, H, W], the second stream of a two-branch method.
        second_targets: int64 [B].
        noise: float [rows, columns], uniform.
    """

    images: Tensor
    targets: Tensor
    partner_targets: Tensor | None = None
    share: Tensor | None = None
    second_images: Tensor | None = None
    second_targets: Tensor | None = None
    noise: Tensor | None = None


class Objective(nn.Module):
    """Base: ``objective(network, batch)`` gives the scalar to minimise and the logits to count.

    Attributes:
        views: Augmented views of each image in a batch.
        looked_at: Of these, how many are only looked at, without a gradient.
        loss: The classification loss, also what the evaluation reports as loss; None where nothing is classified.
    """

    views = 1
    looked_at = 0
    loss: Loss | None

    def forward(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """One batch, without a host synchronisation.

        Args:
            network: In training mode.
            batch: Images, classes and what goes with them.

        Returns:
            The scalar loss and the logits [B, K] of the first view, or None.
        """
        raise NotImplementedError

    def split(self, network: Network, batch: Batch, classes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One batch, its scalar in two parts that add up to it: that of images of some classes, and the rest.

        Args:
            network: In training mode.
            batch: As in `forward`.
            classes: bool [K], on the device.

        Returns:
            Both scalars and the logits [B, K].
        """
        raise NotImplementedError

    def attach(self, network: Network) -> None:
        """Called once before a training, or its rest, with the network as it then is: copies of it are made here."""

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Called before each epoch, from 1: deferred weights, BBN's alpha, TSC's assignment."""
        if self.loss is not None:
            self.loss.set_epoch(epoch, epochs)

    def noise(self, num_classes: int) -> tuple[int, int] | None:
        """Rows an image and columns of the uniform numbers a step needs; None for none."""
        return (1, num_classes) if self.loss is not None and self.loss.noise else None
