"""`cefl`: Tables 2-5, its curves, and what its chapter adds: the central claim over imbalance factors with more seeds.

Class 0 is the smallest (Eqs. 18 and 19). Which epoch the document reports it does not say: the last is assumed. The
photographs are trained from ImageNet weights; the document says "pretrained" and not from what.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ltlib.experiment import Experiment
from ltlib.grids.base import PHOTOGRAPHS, Document, Row
from ltlib.profiles import Impossible

FACTORS = (1.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)
"""Of Tables 2 and 3 (section IV.A.1); the printed mean leaves the first out."""
FOCAL = "focal[alpha=1;gamma=2]"
OWN = ("cefl[gamma=2]", "cefl2[gamma=2]")
FOUR = ("ce", FOCAL, *OWN)
"""The four losses of the figures and of Table 5."""
CENTRAL = (*FOUR, "class_balanced")
"""What is compared over imbalance factors with several seeds; the last is not in the document's tables."""
_CENTRAL_FACTORS = {"quick": (20.0, 50.0), "laptop": (10.0, 100.0, 500.0), "paper": (10.0, 100.0, 500.0)}
_STAND_INS = {"quick": (100.0,), "laptop": (10.0, 100.0, 500.0)}
"""The imbalance factors whose cells are filled where a profile does not train them all."""
MINOR = ("Hygrocybe", "Suillus", "Entoloma", "Agaricus")
"""The classes that Table 5 marks as minor."""
_RECIPES = {"crop_disease": "cefl_crop_disease", "mushroom": "cefl_mushroom"}


def imbalanced_cifar(dataset: str, factor: float, method: str) -> Experiment:
    """Section IV.A.1: ResNet-18 from random weights, class 0 the smallest."""
    return Experiment(
        dataset=dataset, imbalance_factor=factor, order="ascending", model="resnet18", method=method, recipe="cefl"
    )


def photographs(dataset: str, network: str, method: str) -> Experiment:
    """Sections IV.A.2 and IV.A.3: a set as it is, a pretrained network."""
    model = f"{network}[{PHOTOGRAPHS}]"
    return Experiment(dataset=dataset, imbalance_factor=1, model=model, method=method, recipe=_RECIPES[dataset])


def _cell(row: Row) -> tuple[Experiment, ...]:
    """The trainings behind a cell: one, or those of all columns that a printed mean is over."""
    if row["dataset"] in _RECIPES:
        return (photographs(row["dataset"], row["model"], row["method"]),)
    factor = float(row["imbalance"] or "nan")
    factors = FACTORS[1:] if factor != factor else (factor,)
    return tuple(imbalanced_cifar(row["dataset"], one, row["method"]) for one in factors)


def _represented(row: Mapping[str, Any], profile: str) -> Impossible | None:
    if profile == "paper" or row["dataset"] in _RECIPES:
        return None
    if profile == "laptop" and row["dataset"] == "cifar100":
        return Impossible(f"not in {profile}: CIFAR-10 (Table 2) stands for both sets")
    if float(row["imbalance"] or "nan") in _STAND_INS[profile]:
        return None
    factors = [f"{factor:g}" for factor in _STAND_INS[profile]]
    said = f"factor {factors[0]} stands" if len(factors) == 1 else f"factors {', '.join(factors)} stand"
    return Impossible(f"not in {profile}: imbalance {said} for all")


def _central(profile: str) -> Iterator[Experiment]:
    for factor in _CENTRAL_FACTORS[profile]:
        for method in CENTRAL:
            yield imbalanced_cifar("cifar10", factor, method)


def _curves(profile: str) -> Iterator[Experiment]:
    """Figure 2: cross-entropy and focal loss on the mushrooms, ResNet-34."""
    for method in ("ce", FOCAL):
        yield photographs("mushroom", "resnet34", method)


def _seeds(grid: str, profile: str) -> int | None:
    return 3 if grid == "central" and profile != "quick" else None


def _names() -> dict[str, str]:
    focal = {f"focal[alpha={a};gamma={g}]": f"Focal α {a} γ {g}" for a in ("0.25", "0.75", "1") for g in _GAMMAS}
    own = {f"{loss}[gamma={g}]": f"{loss.upper()} γ {g}" for loss in ("cefl", "cefl2") for g in _GAMMAS}
    return {"ce": "CE"} | focal | own | {"class_balanced": "Class-balanced"}


_GAMMAS = ("0.5", "1", "2", "5")
NAMES = _names()
"""What the rows of the tables are called here."""

CEFL = Document(
    "cefl",
    _cell,
    extra={"central": _central, "curves": _curves},
    keeps_factor=("central",),
    represented=_represented,
    networks={"5": ("resnet101",), "curves": ("resnet34",)},
    seeds=_seeds,
    names=NAMES,
    classes={name: f"{name} *" for name in MINOR},
    proposed=OWN,
    home="central",
)
