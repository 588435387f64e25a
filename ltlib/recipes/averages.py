"""Averages of a training's weights by name, as recipes name them: ``ema[decay=0.999]``, ``swa[start=0.75]``.

What a training does with one is in `ltlib.training.averaging`: the average is what is evaluated and kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ltlib.limits import BELOW_ONE, check_limits
from ltlib.registry import Registry


class Average(Protocol):
    """When weights join an average, and how much of it stays."""

    each_step: bool
    """Whether they join after every step; else at the end of an epoch."""

    def joins(self, epoch: int, epochs: int) -> bool:
        """Whether the weights join at the end of an epoch (from 1)."""

    def keeps(self, count: Tensor) -> Tensor:
        """The share of the average that stays when the weights join it as the `count`-th, from 1; 0 starts anew."""


AVERAGES = Registry[Average]("average")


@AVERAGES.register("ema", source="Polyak and Juditsky 1992; its beginning as in TensorFlow's ExponentialMovingAverage")
@dataclass(frozen=True, kw_only=True)
class Ema:
    """Exponential moving average over steps: a = d a + (1 - d) w with d = min(decay, (1 + n) / (10 + n)) at step n.

    The second term lets the start be forgotten in a training shorter than 1 / (1 - decay) steps.
    """

    decay: float = 0.999
    each_step = True

    def __post_init__(self) -> None:
        check_limits({"decay": BELOW_ONE}, "average ema", vars(self))

    def joins(self, epoch: int, epochs: int) -> bool:
        return False

    def keeps(self, count: Tensor) -> Tensor:
        return ((1 + count) / (10 + count)).clamp(max=self.decay)


@AVERAGES.register("swa", source="Izmailov et al. 2018, Algorithm 1, with the recipe's own schedule")
@dataclass(frozen=True, kw_only=True)
class Swa:
    """The mean of the weights at the ends of the epochs after a share of them. Before that the weights are evaluated
    as they are.

    Izmailov et al. keep the rate high from `start` on; here it goes on as the recipe says.
    """

    start: float = 0.75
    each_step = False

    def __post_init__(self) -> None:
        check_limits({"start": BELOW_ONE}, "average swa", vars(self))

    def joins(self, epoch: int, epochs: int) -> bool:
        return epoch > round(self.start * epochs)

    def keeps(self, count: Tensor) -> Tensor:
        return 1 - 1 / count
