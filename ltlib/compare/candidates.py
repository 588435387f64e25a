"""What is tried on a set of one's own: methods, simplest first, and what the softmax of each is a probability of.

After plain training a softmax tells how probable a class is where classes are as frequent as in training; after
balanced training, where they are all alike. `Target.adjust` needs to know which of the two it starts from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ltlib import methods
from ltlib.labels import label

BASE = "ce"
"""Plain training, against which everything is held."""
POSTHOC = "ce + prior"
"""The same runs, their logits moved for the target afterwards: nothing is trained for it."""


@dataclass(frozen=True)
class Candidate:
    """A method as it is tried.

    Attributes:
        name: Its id in a comparison.
        method: What is trained.
        learns: Whether its softmax holds for the ``training`` frequencies of the classes, or for ``equal`` ones.
        moved: Whether its logits are moved from there to the target's frequencies.
        label: How it is printed.
    """

    name: str
    method: str
    learns: Literal["training", "equal"]
    moved: bool
    label: str


def _trained(method: str, learns: Literal["training", "equal"], name: str = "") -> Candidate:
    # what was balanced on purpose is moved to another target; what was not is shown as it is, and moved as POSTHOC
    return Candidate(method, method, learns, learns == "equal", name or label(method))


FAST = (
    _trained(BASE, "training", "Plain training"),
    Candidate(POSTHOC, BASE, "training", True, "Plain training, prior adjusted afterwards"),
    _trained("resampling[sampler=class_balanced]", "equal", "Class-balanced sampling"),
    _trained("weighted_ce", "equal", "Weighted cross-entropy"),
    _trained("focal", "training"),
    _trained("balanced_softmax", "equal"),
    _trained("tau_norm", "equal"),
    _trained("crt", "equal"),
    _trained("ldam_drw", "equal"),
)
"""The comparison that takes minutes on frozen features."""

WHOLE = (BASE, POSTHOC, "balanced_softmax", "crt")
"""Where the whole network is trained, which takes long: plain, adjusted, a loss, two stages. Whatever is recommended on
frozen features comes to them."""


def chosen(wanted: Sequence[str] = (), own: Sequence[str] = ()) -> list[Candidate]:
    """The candidates of a comparison, simplest first; plain training is always among them.

    Args:
        wanted: Methods instead of `FAST`, by name or text; empty takes all of those.
        own: Methods of one's own, from a plugin, besides.

    Raises:
        UnknownName: A method that is not known, with the nearest names.
    """
    known = {one.name: one for one in FAST}
    names = list(dict.fromkeys([BASE, *(wanted or known), *own]))
    found = []
    for name in names:
        if name not in known:
            methods.spec(name)
        found.append(known.get(name) or _trained(name, "training"))
    order = list(known)
    return sorted(found, key=lambda one: order.index(one.name) if one.name in known else len(order))
