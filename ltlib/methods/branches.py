"""Methods whose network has several branches."""

from __future__ import annotations

from ltlib.batches import draws
from ltlib.methods import parts
from ltlib.methods.parts import loss as loss_
from ltlib.methods.stage import METHODS, Stage


@METHODS.register("bbn", source="Zhou et al. 2020; awabs Tables 4.6 and 4.7")
def bbn() -> tuple[Stage, ...]:
    """Two branches, one on reversed sampling, with attention moving from one to the other."""
    return (Stage(loss=loss_("ce"), network="bbn", second_sampler=draws.spec("reversed")),)


@METHODS.register("reslt", source="Cui et al. 2022; convergent section 2.5.3")
def reslt(*, beta: float = 0.99) -> tuple[Stage, ...]:
    """Three branches for all, medium and tail, and tail classes, whose logits are summed."""
    return (Stage(loss=loss_("ce"), network="reslt", beta=float(beta)),)


@METHODS.register("glmc", source="Du et al. 2023, and its code")
def glmc(
    *,
    consistency: float = 10.0,
    weights: str = "inverse",
    power: float = 0.2,
    alpha: float = 1.0,
    projection: int = 128,
) -> tuple[Stage, ...]:
    """Two mixed views that agree, while the loss moves from plain to rebalanced labels.

    The defaults are those of the code for CIFAR, which trains a ResNet-32 four times as wide with a decay of 5e-3. Its
    figures with MaxNorm have a second stage that is not in the code; ``weight_balancing`` has one of that kind.
    """
    return (
        Stage(
            loss=loss_("weighted_ce", weights=weights, reduction="batch_size"),
            weights=(float(consistency), 1.0),
            projection=projection,
            network="glmc",
            mix=parts.mix("glmc", alpha=float(alpha), power=float(power)),
        ),
    )
