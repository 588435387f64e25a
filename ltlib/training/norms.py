"""A cap on how long the rows of a classifier may be (max-norm, Alshammari et al. 2022, section 4.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def cap_of(classifier: nn.Module, share: float) -> Tensor:
    """The norm of the shortest row and `share` of the way to that of the longest, a scalar on the device."""
    norms = classifier.get_parameter("weight").norm(dim=1)
    return norms.min() + share * (norms.max() - norms.min())


@torch.no_grad()
def cap_norms(classifier: nn.Module, cap: Tensor) -> None:
    """Scale the rows that are longer than `cap` down to it; biases stay."""
    weight = classifier.get_parameter("weight")
    norms = weight.norm(dim=1, keepdim=True)
    weight.mul_((cap / norms.clamp(min=1e-12)).clamp(max=1.0))
