"""Whole networks beside classifiers on frozen features: what training all of it is worth, on the same splits."""

from __future__ import annotations

import numpy as np

from ltlib.compare import recommend
from ltlib.compare.recommend import Difference, Recommendation
from ltlib.compare.results import Results


def gain(frozen: Results, said: Recommendation, trained: Results) -> Difference:
    """What the recommended whole network is ahead of the recommended classifier on frozen features, split by split.

    Args:
        frozen: The comparison on frozen features.
        said: What it recommends.
        trained: The comparison of whole networks, on the first of the same splits.
    """
    best = trained.recommendation().method
    ours, theirs = trained.scores()[best], frozen.scores()[said.method][: trained.splits]
    return recommend.difference(np.array(ours) - np.array(theirs), trained.test_share)


def chosen(frozen: Results, said: Recommendation, trained: Results) -> tuple[Results, Recommendation]:
    """Which comparison's recommendation to take away: the whole network only where it is ahead by more than chance."""
    return (trained, trained.recommendation()) if gain(frozen, said, trained).low > 0 else (frozen, said)


def text(frozen: Results, said: Recommendation, trained: Results) -> str:
    """What whole networks come to, in words."""
    own = trained.recommendation()
    first = recommend.text(own, trained.labels, trained.target.metric, trained.scores())
    ahead = gain(frozen, said, trained)
    words = (
        f"{trained.labels[own.method]} with the whole network is {100 * ahead.mean:+.1f} points from "
        f"{frozen.labels[said.method]} on frozen features, on the same {trained.splits} splits (95% interval "
        f"[{100 * ahead.low:+.1f}, {100 * ahead.high:+.1f}]): "
    )
    if ahead.low > 0:
        return f"{first} {words}training all of it is worth it."
    if ahead.high < 0:
        return f"{first} {words}leave the network frozen."
    return f"{first} {words}no difference can be told, so leave the network frozen, which costs less."
