"""Methods whose network has several branches."""

from __future__ import annotations

from ltlib.batches import draws
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
