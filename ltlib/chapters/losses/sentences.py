"""Sentences of the documents about losses, beside what the formulas give: the same answer in every profile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from ltlib import losses
from ltlib.chapters.losses.batch import MiniBatch
from ltlib.plots.loss_curves import curve

_LOW, _HIGH = 9, 89  # places of p = 0.1 and 0.9 on a curve of 99 points


class Sentence(NamedTuple):
    """A sentence of a document, where it stands, whether the formulas agree, and their numbers."""

    text: str
    source: str
    answer: bool | None
    evidence: str


def tally(said: Sequence[Sentence]) -> str:
    """How many sentences the formulas bear out, and where those stand that they do not."""
    answers = [one.answer for one in said]
    against = list(dict.fromkeys(one.source for one in said if one.answer is False))
    text = f"Of {len(said)} sentences the formulas bear out {answers.count(True)}"
    text += f" and contradict {answers.count(False)} ({'; '.join(against)})" if against else ""
    return f"{text}; {answers.count(None)} cannot be told." if None in answers else f"{text}."


def of_cefl() -> list[Sentence]:
    """What `cefl` says of its loss between cross-entropy and focal loss, at gamma 2."""
    ce, focal, cefl, none = (
        {key: np.array(values) for key, values in curve(name, points=99).items()}
        for name in ("ce", "focal[gamma=2]", "cefl", "cefl[gamma=0]")
    )
    p, gap = ce["probability"], np.abs(none["loss"] - ce["loss"]).max()
    to_ce, to_focal = (np.abs(cefl["loss"] - other["loss"]) for other in (ce, focal))
    nearer = bool(((to_ce < to_focal) == (p < 0.5))[p != 0.5].all())
    low, high = cefl["factor"][_LOW], cefl["factor"][_HIGH]
    return [
        Sentence(
            "Note that when γ = 0, CEFL loss is formally cross-entropy loss.",
            "cefl, section III.C",
            bool(gap < 1e-9),
            f"Largest difference over p: {gap:.0e}. The same holds of CEFL2, of which it is not said.",
        ),
        Sentence(
            "When a sample is poorly classified (p ≤ 0.5) [...] CEFL loss is closer to cross-entropy loss. Conversely "
            "[...] closer to focal loss.",
            "cefl, section III.C",
            nearer,
            f"At gamma 2 CEFL is {to_ce[_LOW]:.3f} from cross-entropy and {to_focal[_LOW]:.3f} from focal at p = 0.1, "
            f"{to_ce[_HIGH]:.3f} and {to_focal[_HIGH]:.3f} at 0.9; they change places at 0.5.",
        ),
        Sentence(
            "The polarized trend of well-classified and poorly classified samples is conducive to make minor classes "
            "in smaller losses and major classes in larger losses as is shown in Fig. 4.",
            "cefl, section III.C",
            bool(low < high),
            f"CEFL keeps {low:.0%} of the cross-entropy at p = 0.1, where minor classes lie, and {high:.0%} at 0.9: "
            "the other way round, as the next paragraph of the document says.",
        ),
    ]


def of_awabs() -> list[Sentence]:
    """What `awabs` says of binary cross-entropy's weight and of focal loss's derivative."""
    missed, alarm = (_bce_ratio(true) for true in (True, False))
    printed, found = focal_gradient(0.3, 1.0)
    return [
        Sentence(
            "If you want false positives to be penalized more than false negatives, α must be greater than 1.",
            "awabs, section 2.2.1",
            alarm > missed,
            f"At alpha 2 a missed class costs {missed:g} times as much as at alpha 1, a false alarm {alarm:g} times.",
        ),
        Sentence(
            "dL_FL(pt)/dx = y(pt − 1)^γ (γ pt log(pt) + pt − 1)",
            "awabs, section 2.2.2",
            abs(printed - found) < 1e-9,
            f"At p = 0.3 and gamma 1 it gives {printed:+.3f}, the derivative of its own loss is {found:+.3f}: the "
            "factor is (1 - p)^gamma. At an even gamma nobody would notice.",
        ),
    ]


def of_loss_balance(batch: MiniBatch) -> Sentence:
    """What `loss_balance` promises, on a batch."""
    le, sums = np.array(batch.shares("loss_equalised")), np.array(batch.shares("loss_equalised[scope=loss]"))
    return Sentence(
        "thereby achieving a balanced total loss for each class",
        "loss_balance, abstract",
        None,
        "The formula is not in what could be read. Equal weight of each class in the batch leaves class losses of "
        f"{le[le > 0].min():.0%} to {le.max():.0%} of the batch above; dividing by the class's own loss "
        f"(scope=loss) gives each {sums.max():.1%}.",
    )


def _bce_ratio(true: bool) -> float:
    """Cost at alpha 2 over that at alpha 1 of a wrong output that should be on (missed) or off (false alarm)."""
    logits = torch.tensor([[-3.0, -60.0]] if true else [[60.0, 3.0]], dtype=torch.float64)
    two, one = (float(losses.create(f"bce[alpha={a}]", (1, 1))(logits, torch.tensor([0]))) for a in (2, 1))
    return round(two / one, 6)


def focal_gradient(p: float, gamma: float) -> tuple[float, float]:
    """The printed derivative of focal loss on one sigmoid, and autograd's, for y = 1."""
    x = torch.logit(torch.tensor([[p]], dtype=torch.float64)).requires_grad_()
    losses.create(f"focal_sigmoid[gamma={gamma}]", (1,))(x, torch.tensor([0])).backward()
    assert x.grad is not None
    return (p - 1) ** gamma * (gamma * p * np.log(p) + p - 1), float(x.grad)
