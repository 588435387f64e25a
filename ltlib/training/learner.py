"""What learns in a stage, put together once and handed to the steps, the epochs and the checkpoints."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from ltlib.models import Network
from ltlib.recipes import AVERAGES, Recipe
from ltlib.training import optimizers
from ltlib.training.averaging import Averaged
from ltlib.training.meters import Meter
from ltlib.training.objectives import Objective


@dataclass(frozen=True)
class Learner:
    """A network, what it minimises, the optimizer that moves it, the sums of what it was trained on, and the average of
    its weights where the recipe asks for one.

    These are what training changes, all in place; everything else of a training stays as it is.
    """

    network: Network
    objective: Objective
    optimizer: torch.optim.Optimizer
    meter: Meter
    average: Averaged | None = None

    def shown(self, renew: Callable[[], None]) -> contextlib.AbstractContextManager:
        """While it lasts, the network is what is evaluated: the average where there is one, see `Averaged.in_place`."""
        return contextlib.nullcontext() if self.average is None else self.average.in_place(renew)


def create(network: Network, objective: Objective, recipe: Recipe, factors: Mapping[str, float]) -> Learner:
    """The learner of a network: an optimizer of its trained parts, and empty sums where its parameters are.

    Args:
        network: On the device it is trained on.
        objective: There too.
        recipe: See `optimizers.create`.
        factors: Learning rate factor per part.
    """
    device = next(network.parameters()).device
    optimizer = optimizers.create(network, recipe, factors)
    spec = recipe.average_spec
    average = None if spec is None else Averaged(network, AVERAGES.create(spec))
    return Learner(network, objective, optimizer, Meter(device), average)
