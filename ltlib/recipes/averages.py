"""Averages of a training's weights by name: ``ema[decay=0.999]``, ``swa[start=0.75]``, ``lookahead[k=5;alpha=0.5]``.

What a training does with one is in `ltlib.training.averaging`: the average is what is evaluated and kept. The first two
leave the training itself alone; with ``lookahead`` it goes on from the average. Since version 2 batch statistics are
taken anew from batches as they are trained on, see `ltlib.training.renewal`.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ltlib.limits import BELOW_ONE, Limit, check_limits
from ltlib.registry import Registry


class Average:
    """When weights join an average, and how much of it stays.

    Attributes:
        each_step: Whether they join after every step; else at the end of an epoch.
        leads: Whether the training goes on from the average where `returns` says so.
    """

    each_step = True
    leads = False

    def joins(self, epoch: int, epochs: int) -> bool:
        """Whether the weights join at the end of an epoch (from 1)."""
        return False

    def keeps(self, count: Tensor) -> Tensor:
        """The share of the average that stays when the weights join it as the `count`-th, from 1; 0 starts anew."""
        raise NotImplementedError

    def returns(self, count: Tensor) -> Tensor:
        """Whether the training goes on from the average once the `count`-th weights have joined it, a bool tensor."""
        raise NotImplementedError


AVERAGES = Registry[Average]("average")


@AVERAGES.register(
    "ema", version=2, source="Polyak and Juditsky 1992; its beginning as in TensorFlow's ExponentialMovingAverage"
)
@dataclass(frozen=True, kw_only=True)
class Ema(Average):
    """Exponential moving average over steps: a = d a + (1 - d) w with d = min(decay, (1 + n) / (10 + n)) at step n.

    The second term lets the start be forgotten in a training shorter than 1 / (1 - decay) steps.
    """

    decay: float = 0.999

    def __post_init__(self) -> None:
        check_limits({"decay": BELOW_ONE}, "average ema", vars(self))

    def keeps(self, count: Tensor) -> Tensor:
        return ((1 + count) / (10 + count)).clamp(max=self.decay)


@AVERAGES.register("swa", version=2, source="Izmailov et al. 2018, Algorithm 1, with the recipe's own schedule")
@dataclass(frozen=True, kw_only=True)
class Swa(Average):
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


@AVERAGES.register("lookahead", version=2, source="Zhang et al. 2019")
@dataclass(frozen=True, kw_only=True)
class Lookahead(Average):
    """Slow weights that take a share of the way to the fast ones every k steps, which then go on from there.

    ``s = s + alpha (w - s); w = s``. So it is another training, not only another look at it. The optimizer's momentum
    is kept over the change, one of the three ways the paper names. The slow weights are evaluated, after an epoch too
    that ends between two changes, with batch statistics taken anew, as of any average here; the paper takes those of
    the fast ones.
    """

    k: int = 5
    alpha: float = 0.5
    leads = True

    def __post_init__(self) -> None:
        check_limits({"k": Limit(1, whole=True), "alpha": Limit(most=1, above=True)}, "average lookahead", vars(self))

    def keeps(self, count: Tensor) -> Tensor:
        return 1 - self.alpha * self.returns(count)

    def returns(self, count: Tensor) -> Tensor:
        return count % self.k == 0
