"""What an epoch does to a hundred small tensors, done to all of them at once: on a GPU a kernel each takes the host
longer to start than the device to run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor


@torch.no_grad()
def all_finite(tensors: Iterable[Tensor]) -> Tensor:
    """Whether no number of the tensors is NaN or infinite, a bool scalar on their device; integers are finite.

    Read from each tensor's largest magnitude, which is NaN where a number is.
    """
    floating = [tensor.detach() for tensor in tensors if tensor.is_floating_point() and tensor.numel()]
    if not floating:
        return torch.ones((), dtype=torch.bool)
    return torch.stack(torch._foreach_norm(floating, math.inf)).isfinite().all()


class Copies:
    """Copies of tensors by name, written anew in place as often as wanted."""

    def __init__(self) -> None:
        self._own: dict[str, Tensor] = {}

    @torch.no_grad()
    def take(self, tensors: Mapping[str, Tensor]) -> None:
        """Be copies of these; room is made anew only for what is new or of another shape."""
        groups: dict[tuple[torch.device, torch.dtype], tuple[list[Tensor], list[Tensor]]] = {}
        kept: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            own = self._own.get(name)
            if own is None or own.shape != tensor.shape or own.dtype != tensor.dtype or own.device != tensor.device:
                own = torch.empty_like(tensor, requires_grad=False)  # in its layout: only equal ones are copied at once
            kept[name] = own
            places, values = groups.setdefault((tensor.device, tensor.dtype), ([], []))
            places.append(own)
            values.append(tensor.detach())
        for places, values in groups.values():
            torch._foreach_copy_(places, values)
        self._own = kept

    def tensors(self) -> dict[str, Tensor]:
        """The copies, copied again, in plain order."""
        return {name: plain_copy(own) for name, own in self._own.items()}


def plain_copy(tensor: Tensor) -> Tensor:
    """A copy as files have it: channels_last tensors in their plain order, put back by ``copy_``."""
    return tensor.detach().clone(memory_format=torch.contiguous_format)
