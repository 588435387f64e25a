"""What sits on the features: classifiers by name, and the projector of contrastive training."""

from __future__ import annotations

from torch import nn

from ltlib.registry import Registry

CLASSIFIERS = Registry[nn.Module]("classifier")


@CLASSIFIERS.register("linear", source="textbook")
def linear(width: int, num_classes: int) -> nn.Module:
    """Linear classifier ``z = W f + b``."""
    return nn.Linear(width, num_classes)


def projector(width: int, out: int) -> nn.Module:
    """Two-layer projector ``W_2 relu(W_1 f)``, D -> D -> P, with biases (Khosla et al. 2020, section 3.1).

    The network normalises its output to length one.
    """
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, out))
