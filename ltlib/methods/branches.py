"""Methods whose network has several branches."""

from __future__ import annotations

from ltlib.batches import draws
from ltlib.methods import parts
from ltlib.methods.parts import loss as loss_
from ltlib.methods.stage import METHODS, Stage


@METHODS.register("bbn", source="Zhou et al. 2020; awabs Tables 4.6 and 4.7")
def bbn() -> tuple[Stage, ...]:
    """Two branches, one on reversed sampling, with attention moving from one to the other.

    Its code takes a hundredth of the rate after 60% of the epochs and again after 80%: less of the re-balancing branch
    is learnt at the full rate there than where a recipe's first drop comes later.
    """
    return (Stage(loss=loss_("ce"), network="bbn", second_sampler=draws.spec("reversed")),)


@METHODS.register("reslt", source="Cui et al. 2022; convergent section 2.5.3")
def reslt(*, beta: float = 0.995) -> tuple[Stage, ...]:
    """Three branches for all, medium and tail, and tail classes, whose logits are summed.

    ``beta`` is the code's for CIFAR-100-LT at 100; for 50 it has 0.99. Its recipe has a decay of 5e-4 and Nesterov
    momentum.
    """
    return (Stage(loss=loss_("ce"), network="reslt", beta=float(beta)),)


@METHODS.register("glmc", source="Du et al. 2023, and its code")
def glmc(
    *,
    consistency: float = 4.0,
    weights: str = "inverse",
    exponent: float = 1.2,
    power: float = 0.0,
    alpha: float = 1.0,
    projection: int = 128,
) -> tuple[Stage, ...]:
    """Two mixed views that agree, while the loss moves from plain to rebalanced labels.

    The defaults are those of the code's command for CIFAR-100-LT at 100, which trains a ResNet-32 four times as wide in
    batches of 64 with a decay of 5e-3: labels weigh ``n_c ** -exponent``, partners are drawn with ``n_c ** -power``. At
    50 it has ``consistency=6;power=0.2``, at 10 ``power=0.2``, on CIFAR-10 ``consistency=1`` (at 10
    ``consistency=2;exponent=1;power=0.2``), on ImageNet-LT ``consistency=10;exponent=1;power=0.2``. Its figures with
    MaxNorm have a second stage that is not in the code; ``weight_balancing`` has one of that kind.
    """
    return (
        Stage(
            loss=loss_("weighted_ce", weights=weights, exponent=float(exponent), reduction="batch_size"),
            weights=(float(consistency), 1.0),
            projection=projection,
            network="glmc",
            mix=parts.mix("glmc", alpha=float(alpha), power=float(power)),
        ),
    )
