"""`loss_balance`: Tables 1 and 2, each subset alone, and the batch size, on which equalisation inside a batch depends.

The document states no recipe, no weights and no number of runs: recipe `loss_balance`, ImageNet weights and five seeds
are our choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ltlib.experiment import Experiment
from ltlib.grids.base import PHOTOGRAPHS, Document, Extra, Row
from ltlib.registry import format_spec

SUBSETS = ("caltech_part", "ilsvrc_part1", "ilsvrc_part2")
METHODS = ("ce", "oversampling", "prior_equalised", "loss_equalised")
"""The rows CE, OS, PE and LE of Table 2."""
BATCH_SIZES = {"quick": (32, 128), "laptop": (8, 32, 128), "paper": (8, 32, 128)}
NAMES = {"ce": "CE", "oversampling": "OS", "prior_equalised": "PE", "loss_equalised": "LE"}
SEEDS = 5
"""Runs of a cell; the document's figure shows standard deviations over a number of runs that it does not give."""


def _experiment(subset: str, network: str, method: str, batch_size: int = 32) -> Experiment:
    recipe = "loss_balance" if batch_size == 32 else format_spec("loss_balance", {"batch_size": batch_size})
    return Experiment(
        dataset=subset, imbalance_factor=1, model=f"{network}[{PHOTOGRAPHS}]", method=method, recipe=recipe
    )


def _cell(row: Row) -> Experiment:
    """Any run on a subset knows the sizes of Table 1."""
    return _experiment(row["dataset"], row["model"] or "resnet18", row["method"] or "ce")


def _subset(profile: str, subset: str) -> Iterator[Experiment]:
    for network in ("resnet18", "resnet50", "resnet101"):
        for method in METHODS:
            yield _experiment(subset, network, method)


def _batch(profile: str, subset: str) -> Iterator[Experiment]:
    """Cross-entropy and both equalisations at several batch sizes: what LE equalises is the batch."""
    for size in BATCH_SIZES[profile]:
        for method in ("ce", "prior_equalised", "loss_equalised"):
            yield _experiment(subset, "resnet18", method, size)


def _extra() -> dict[str, Extra]:
    own: dict[str, Extra] = {subset: partial(_subset, subset=subset) for subset in SUBSETS}
    return own | {f"batch_{subset}": partial(_batch, subset=subset) for subset in SUBSETS}


LOSS_BALANCE = Document(
    "loss_balance",
    _cell,
    extra=_extra(),
    seeds=lambda grid, profile: None if profile == "quick" else SEEDS,
    names=NAMES,
    classes={"minority1": "S1", "minority2": "S2"},
    proposed=("loss_equalised",),
    home="caltech_part",
)
