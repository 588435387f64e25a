"""What training on photographs would take on cards that are not here, by network and method; an estimate throughout.

- **FLOPs**: two for each multiply-accumulate of convolutions, linear layers and attention; a training step is three
  forward passes (four with `batch_parts`), an evaluation is one. Optimizers are left out: Adam's some ten operations a
  weight and step are below a thousandth.
- **GPU-hours**: FLOPs over `UTILISATION` of a card's dense peak in the run's precision. That one share stands for all
  networks and cards is the assumption: depthwise convolutions (MobileNet, ConvNeXt) reach less of it, large matrix
  products more, and the H200's peak grew more than its memory's bandwidth.
- **memory**: `ltlib.training.memory`, at least that.
- **disk**: weights and test logits of the finished stages; features of a frozen backbone that are kept are left out.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import cache

from ltlib import datasets, models
from ltlib.experiment import Experiment, Resolved
from ltlib.recipes import Recipe
from ltlib.registry import Spec
from ltlib.runs import cost
from ltlib.training import memory, objectives

LARGE = 128
"""Pixels a side, as the network sees them, from which runs are told of here; smaller ones take minutes."""


@dataclass(frozen=True)
class Card:
    """A GPU: its dense peak in FLOP/s by precision (float32 without TF32, as the trainings here are)."""

    name: str
    bf16: float
    float32: float

    def hours(self, flops: float, precision: str) -> float:
        return flops / (UTILISATION * (self.bf16 if precision == "bf16" else self.float32)) / 3600


CARDS = (Card("A100", 312e12, 19.5e12), Card("H200", 989e12, 67e12))
"""NVIDIA's data sheets of the A100 and of the H200 SXM, whose 1,979 TFLOP/s in bf16 are those with sparsity."""
UTILISATION = 0.25
"""Share of the peak: 77 of the A100's 312 TFLOP/s is what a stock ResNet-18 reaches by the figures of
KellerJordan/cifar10-airbench, see `cost.REFERENCE_GPU`. Not measured here."""
LIMIT = 40 * 2**30
"""Bytes of the smaller A100: what takes more is shown with the `batch_parts` that bring it below."""


@dataclass
class Row:
    """All runs of a network and a method that are left.

    Attributes:
        model, method: As the experiments name them.
        runs: How many.
        flops: Of all of them, each stage that they share once, and the features of a frozen backbone.
        hours: By card.
        memory: Bytes of the largest step.
        parts: The `batch_parts` that bring a larger step below `LIMIT`, and its bytes then; None where it is below.
        disk: Bytes.
    """

    model: str
    method: str
    runs: int
    flops: float
    hours: dict[str, float]
    memory: int
    parts: tuple[int, int] | None
    disk: int


def rows(experiments: Iterable[Experiment], todo: Container[str]) -> list[Row]:
    """The runs on large images, by network and method in the order they come; needs neither data nor weights.

    Args:
        experiments: To train.
        todo: Names of the pieces of `cost.pieces` that are not finished.
    """
    found: dict[tuple[str, str], Row] = {}
    counted: set[str] = set()
    for experiment in experiments:
        resolved = experiment.resolve()
        if resolved.recipe.side(datasets.info(experiment.dataset).image_size) < LARGE:
            continue
        key = experiment.model, experiment.method
        row = found.setdefault(key, Row(*key, 0, 0.0, dict.fromkeys((card.name for card in CARDS), 0.0), 0, None, 0))
        row.runs += 1
        every = resolved.every_stage()
        for i, (name, work) in enumerate(cost.pieces(experiment).items()):
            if name in counted or name not in todo:
                continue
            counted.add(name)
            row.flops += 2 * work.macs
            for card in CARDS:
                row.hours[card.name] += card.hours(2 * work.macs, resolved.precision)
            if i >= len(every):  # features that are kept
                continue
            row.disk += cost.stage_bytes(experiment)
            needed, parts = _memory(*_step(*every[i]))
            if needed > row.memory:
                row.memory, row.parts = needed, parts
    return list(found.values())


def lines(found: Iterable[Row]) -> list[str]:
    """The rows as printed, below what they assume; nothing where there are none."""
    table = [
        (
            row.model,
            row.method,
            f"{row.runs} run{'' if row.runs == 1 else 's'}",
            f"{_number(row.flops / 1e15)} PFLOP",
            *(f"{_number(row.hours[card.name])} h {card.name}" for card in CARDS),
            f"{row.memory / 2**30:.1f} GiB"
            + (f" (batch_parts={row.parts[0]}: {row.parts[1] / 2**30:.1f})" if row.parts else ""),
            f"{row.disk / 1e9:.2f} GB of disk",
        )
        for row in found
    ]
    if not table:
        return []
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    peaks = ", ".join(f"{card.name} {card.bf16 / 1e12:g} and {card.float32 / 1e12:g}" for card in CARDS)
    return [
        f"  networks on images of {LARGE} pixels and more (estimates; nothing measured here): GPU-hours at "
        f"{UTILISATION:.0%} of the dense peak (TFLOP/s in bf16 and float32: {peaks}), memory of a step counted from "
        "shapes, at least that",
        *(
            "    " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
            for row in table
        ),
    ]


def _number(value: float) -> str:
    """Two places after the point; of less than a hundredth one digit, as ``0.0003``."""
    return f"{value:,.2f}" if value >= 0.01 else f"{value:.1g}"


def _step(resolved: Resolved, i: int) -> tuple[Spec, int, Recipe, int, int, frozenset[str]]:
    """What the memory of a step depends on."""
    stage, recipe = resolved.stages[i], resolved.recipe
    info = datasets.info(resolved.experiment.dataset)
    bare = Recipe(
        batch_size=recipe.batch_size,
        batch_parts=recipe.batch_parts,
        optimizer=recipe.optimizer,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        precision=resolved.precision,
    )
    return (
        resolved.model,
        info.num_classes,
        bare,
        recipe.side(info.image_size),
        objectives.views(stage),
        frozenset(stage.lr),
    )


@cache
def _memory(
    model: Spec, num_classes: int, recipe: Recipe, side: int, views: int, trained: frozenset[str]
) -> tuple[int, tuple[int, int] | None]:
    """Bytes of a step of a plain network; where that is above `LIMIT`, the parts that change it, and the bytes then."""
    network = models.shapes(model, num_classes)
    for name, part in network.parts.items():
        part.requires_grad_(name in trained)
    needed = memory.step_memory(network, recipe, side, views=views).total
    return needed, None if needed <= LIMIT else memory.fewest_parts(network, recipe, side, LIMIT, views=views)
