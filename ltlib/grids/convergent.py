"""`convergent`: Tables 1-9, the text's own recipe, feature spaces, robustness over imbalance factors."""

from __future__ import annotations

from collections.abc import Iterator

from ltlib.experiment import Experiment
from ltlib.grids.base import Document, Row

FACTORS = {"quick": (2.0, 5.0, 20.0, 50.0), "laptop": (10.0, 100.0), "paper": (1.0, 10.0, 50.0, 100.0)}
"""Imbalance factors of the robustness sweep. Digits allow less than CIFAR-10: their largest class has 130 images."""


def _cell(row: Row, recipe: str = "convergent") -> Experiment:
    """Tables 1-9. The imbalance factor is 10 in the author's code and stated nowhere in the text."""
    return Experiment(
        dataset=row["dataset"],
        imbalance_factor=10,
        model=row["model"],
        method=row["method"],
        recipe=recipe,
    )


def _text_recipe(dataset: str) -> Iterator[Experiment]:
    """ResNet-18 as the report's text has it, where that differs from the author's code (`_cell`)."""
    recipe = "convergent_text[batch_size=64]" if dataset == "butterfly" else "convergent_text"
    for method in ("ce", "focal", "supcon_ce"):
        yield _cell({"dataset": dataset, "model": "resnet18", "method": method}, recipe)


def _features(profile: str) -> Iterator[Experiment]:
    """The one network whose features the chapter on long tails maps; a run of Table 1."""
    yield _cell({"dataset": "cifar10", "model": "resnet18", "method": "ce"})


def _separability(profile: str) -> Iterator[Experiment]:
    """Feature spaces of ce, supcon and supcon_ce (and SimCLR's), for the hypotheses on separability."""
    for method in ("ce", "supcon", "supcon_ce", "simclr", "simclr_ce"):
        yield _cell({"dataset": "cifar10", "model": "resnet18", "method": method})


def _factors(profile: str) -> Iterator[Experiment]:
    """ce, focal and supcon_ce over imbalance factors: robustness."""
    for method in ("ce", "focal", "supcon_ce"):
        for factor in FACTORS[profile]:
            found = _cell({"dataset": "cifar10", "model": "resnet18", "method": method})
            yield found.replace(imbalance_factor=factor)


CONVERGENT = Document(
    "convergent",
    _cell,
    extra={
        "text_cifar10": lambda profile: _text_recipe("cifar10"),
        "text_cifar100": lambda profile: _text_recipe("cifar100"),
        "text_butterfly": lambda profile: _text_recipe("butterfly"),
        "features": _features,
        "separability": _separability,
        "factors": _factors,
    },
    keeps_factor=("factors",),
    names={"ce": "CE", "focal": "Focal", "supcon_ce": "SupCon + CE"},
    proposed=("supcon_ce",),
    home="1",
)
