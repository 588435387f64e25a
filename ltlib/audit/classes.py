"""Classes: how many images they have, and which are too small to judge."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ltlib.audit.findings import Finding, counted, named

HALF_WIDTH = 0.2
"""The widest interval that a class's recall is judged by: this much to either side."""
_Z = 1.959964  # of 95%


def fewest(half_width: float = HALF_WIDTH) -> int:
    """Test images from which on the 95% interval of a recall is never wider than `half_width` to either side.

    Wilson's interval of a recall of one half, which is the widest: ``z / (2 sqrt(n + z^2))`` to either side.
    """
    return math.ceil((_Z / (2 * half_width)) ** 2 - _Z**2)


def findings(names: Sequence[str], counts: Sequence[int], tested: Sequence[int], drawn: bool) -> Iterator[Finding]:
    """Imbalance, and classes that are too small.

    Args:
        names: Of the classes.
        counts: Images that are trained on; of a drawn set all.
        tested: Test images.
        drawn: Whether the test images are drawn from the others.
    """
    order = sorted(range(len(names)), key=lambda place: -counts[place])
    largest, smallest = order[0], order[-1]
    factor = f"{counts[largest] / counts[smallest]:.3g}" if counts[smallest] else "infinite"
    yield Finding(
        "imbalance",
        "note",
        len(names),
        (),
        f"{counted(len(names), 'class', 'classes')}, {counted(sum(counts), 'image')}"
        f"{'' if drawn else ' to train on'}: from {counts[largest]:,} ({names[largest]}) to {counts[smallest]:,} "
        f"({names[smallest]}), imbalance factor {factor}.",
    )
    least = fewest()
    small = [names[place] for place in order if tested[place] < least]
    if small:
        share = " in a split" if drawn else ""
        verb = "has" if len(small) == 1 else "have"
        yield Finding(
            "small_classes",
            "warning",
            len(small),
            (),
            f"{counted(len(small), 'class', 'classes')} {verb} fewer than {least} test images{share} ({named(small)}): "
            f"the 95% interval of the recall of such a class may reach ±{100 * HALF_WIDTH:.0f} points and more; judge "
            "them by group, over several splits, or add images.",
            groups=(tuple(small),),
        )
