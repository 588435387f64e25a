"""Losses by name: ``losses.create("focal", class_counts, gamma=1.0)`` is an `nn.Module` for anybody's training loop.

Classification losses are called ``loss(logits, targets)``, contrastive ones ``loss(features, targets)``; both return a
scalar. ``loss.per_sample`` gives the values before averaging.

Example:
    >>> import torch
    >>> from ltlib import losses
    >>> loss = losses.create("focal", class_counts=[5000, 500, 50], gamma=2.0, alpha="inverse_frequency")
    >>> loss(torch.randn(8, 3), torch.tensor([0, 0, 0, 0, 0, 1, 1, 2])).shape
    torch.Size([])
"""

from __future__ import annotations

from ltlib.losses.base import LOSSES, Loss, create, spec
from ltlib.losses.contrastive import SimCLR, SupCon
from ltlib.losses.cross_entropy import CrossEntropy
from ltlib.losses.focal import Focal

__all__ = ["LOSSES", "CrossEntropy", "Focal", "Loss", "SimCLR", "SupCon", "create", "names", "spec"]

LOSSES.register("ce", source="textbook; convergent Eq. 3")(CrossEntropy)
LOSSES.register("focal", source="Lin et al. 2017, Eq. 5; convergent Eq. 4")(Focal)
LOSSES.register("supcon", source="Khosla et al. 2020, Eq. 2; convergent Eq. 5")(SupCon)
LOSSES.register("simclr", source="Chen et al. 2020, Eq. 1")(SimCLR)


def names() -> list[str]:
    """Names of the losses."""
    return LOSSES.names()
