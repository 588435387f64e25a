"""What learns in a stage, put together once and handed to the steps, the epochs and the checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from ltlib.models import Network
from ltlib.recipes import Recipe
from ltlib.training import optimizers
from ltlib.training.meters import Meter
from ltlib.training.objectives import Objective


@dataclass(frozen=True)
class Learner:
    """A network, what it minimises, the optimizer that moves it, and the sums of what it was trained on.

    These four are what training changes, all in place; everything else of a training stays as it is.
    """

    network: Network
    objective: Objective
    optimizer: torch.optim.Optimizer
    meter: Meter


def create(network: Network, objective: Objective, recipe: Recipe, factors: Mapping[str, float]) -> Learner:
    """The learner of a network: an optimizer of its trained parts, and empty sums where its parameters are.

    Args:
        network: On the device it is trained on.
        objective: There too.
        recipe: See `optimizers.create`.
        factors: Learning rate factor per part.
    """
    device = next(network.parameters()).device
    return Learner(network, objective, optimizers.create(network, recipe, factors), Meter(device))
