"""Sharpness-aware minimisation: the gradient is taken where the loss is worst nearby (Foret et al. 2021, Eq. 2 and 3).

``e = rho g / |g|`` with the gradient g of all trained weights together; the step is made from the weights w with the
gradient at w + e. Weight decay is no part of g. As in the code that most long-tail work uses (davda54/sam), the second
look at a batch does not move the statistics of batch normalisation; nor does it what a loss keeps of past batches, as
PaCo's queue, of which both looks see the same.

ImbSAM (Zhou et al. 2023) climbs for rare classes alone. The batch's loss is a head's and a tail's part,
L = L_H + L_T, each a sum over its images by the size of the batch; the step is made with the gradient of L_H at w and
that of L_T at w + e, ``e = rho g_T / |g_T|``. Rare is a class of fewer training images than the recipe says. A batch
without such images makes a plain step. In the authors' code the second look moves the batch statistics; here it does
not. A mixed image counts with both its labels, which their code does not mix.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

_SMALLEST = 1e-12
"""A gradient shorter than this is no direction; the reference code's."""


class OneLook:
    """What an objective keeps of past batches, before a first look at one.

    Args:
        objective: All of its state may change in a look, the weights of networks that follow included.
    """

    def __init__(self, objective: nn.Module):
        self._state: list[Tensor] = [value.detach() for value in objective.state_dict(keep_vars=True).values()]
        self._before = [value.clone() for value in self._state]

    @contextlib.contextmanager
    def again(self) -> Iterator[None]:
        """While the block runs, the state is as before the first look; afterwards as that one has left it."""
        after = [value.clone() for value in self._state]
        self._set(self._before)
        try:
            yield
        finally:
            self._set(after)

    @torch.no_grad()
    def _set(self, values: list[Tensor]) -> None:
        for own, value in zip(self._state, values, strict=True):
            own.copy_(value)


@contextlib.contextmanager
def climbed(network: nn.Module, rho: float) -> Iterator[None]:
    """While the block runs, the weights are `rho` further up along their gradient; afterwards exactly where they were.

    Args:
        network: Its parameters have their gradient; those without one stay.
        rho: Length of the way, above 0.
    """
    weights: list[Tensor] = [weight for weight in network.parameters() if weight.grad is not None]
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [module.momentum for module in norms]
    own = [weight.detach().clone() for weight in weights]
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    length = torch.stack(torch._foreach_norm(gradients)).norm().add(_SMALLEST)
    with torch.no_grad():
        torch._foreach_add_(weights, list(torch._foreach_mul(gradients, rho / length)))
    for module in norms:
        module.momentum = 0.0
    try:
        yield
    finally:
        for module, momentum in zip(norms, momenta, strict=True):
            module.momentum = momentum
        with torch.no_grad():
            torch._foreach_copy_(weights, own)
