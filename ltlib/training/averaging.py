"""The average of a training's weights: kept beside them, and in their place where the network is looked at.

Only what is trained is averaged. Batch normalisation's statistics belong to other weights, so they are taken anew
(Izmailov et al. 2018, section 3.2), see `ltlib.training.renewal`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from ltlib.models import Network
from ltlib.recipes.averages import Average


class Averaged(nn.Module):
    """The average, in buffers of its own, so that checkpoints and recordings hold it like everything else.

    Args:
        network: What is trained; its parameters that take a gradient now are averaged.
        average: Which average.
    """

    count: Tensor

    def __init__(self, network: Network, average: Average):
        super().__init__()
        self._average = average
        self._weights = [weight for weight in network.parameters() if weight.requires_grad]
        self._statistics = list(network.buffers())
        self.register_buffer("count", torch.zeros((), device=self._weights[0].device))
        for i, weight in enumerate(self._weights):
            self.register_buffer(f"a{i}", weight.detach().clone())

    @property
    def _averages(self) -> list[Tensor]:
        return [self.get_buffer(f"a{i}") for i in range(len(self._weights))]

    def after_step(self) -> None:
        """The weights join, where the average is one over steps."""
        if self._average.each_step:
            self._join()

    def after_epoch(self, epoch: int, epochs: int) -> None:
        """The weights join, where the average is one over epochs and this one (from 1) counts."""
        if self._average.joins(epoch, epochs):
            self._join()

    @torch.no_grad()
    def _join(self) -> None:
        self.count.add_(1)  # on the device, and read there: a recorded step has this in it
        kept = self._average.keeps(self.count)
        averages, weights = self._averages, list[Tensor](self._weights)
        torch._foreach_mul_(averages, kept)
        torch._foreach_add_(averages, list(torch._foreach_mul(weights, 1 - kept)))
        if self._average.leads:
            back = self._average.returns(self.count)
            for weight, average in zip(weights, averages, strict=True):
                weight.copy_(torch.where(back, average, weight))

    @contextlib.contextmanager
    def in_place(self, renew: Callable[[], None]) -> Iterator[None]:
        """While the block runs, the network has the averaged weights and statistics; afterwards its own again.

        Args:
            renew: Takes the network's statistics anew, as `renewal.renew_statistics` does.
        """
        places = [*self._weights, *self._statistics]
        own = [tensor.detach().clone() for tensor in places]
        try:
            self.settle(renew)
            yield
        finally:
            _write(places, own)

    def settle(self, renew: Callable[[], None]) -> None:
        """Leave the averaged weights and statistics in the network; nothing happens before the first have joined."""
        if self.count:
            _write(self._weights, self._averages)
            renew()


@torch.no_grad()
def _write(places: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for place, value in zip(places, values, strict=True):
        place.copy_(value)
