"""The code of BCL (FlamieZhu/Balanced-Contrastive-Learning), written down plainly from reading it, against ours."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ltlib import losses, methods, models, runs
from ltlib.errors import SettingError, UnknownName
from ltlib.experiment import Experiment
from ltlib.methods import Stage
from ltlib.runs import cost
from ltlib.training import assembly, objectives

COUNTS = [40, 9, 2]
Rows = list[list[float]]


def linear(rows: Rows, weight: Rows, bias: list[float]) -> Rows:
    return [
        [sum(x * w for x, w in zip(row, ws, strict=True)) + b for ws, b in zip(weight, bias, strict=True)]
        for row in rows
    ]


def head(rows: Rows, state: dict[str, Any], name: str) -> Rows:
    """resnext.py, BCLModel.head and head_fc: linear, batch norm in training mode, ReLU, linear; then length one."""
    hidden = linear(rows, state[f"{name}.0.weight"], state[f"{name}.0.bias"])
    columns = []
    for column, gamma, beta in zip(
        zip(*hidden, strict=True), state[f"{name}.1.weight"], state[f"{name}.1.bias"], strict=True
    ):
        mean = sum(column) / len(column)
        variance = sum((x - mean) ** 2 for x in column) / len(column)
        columns.append([max(0.0, gamma * (x - mean) / math.sqrt(variance + 1e-5) + beta) for x in column])
    out = linear([list(row) for row in zip(*columns, strict=True)], state[f"{name}.3.weight"], state[f"{name}.3.bias"])
    return [[x / math.hypot(*row) for x in row] for row in out]


def contrast(samples: Rows, labels: list[int], centres: Rows, temperature: float) -> float:
    """contrastive.py, BalSCL: anchors are the samples; classes are averaged, prototypes take part."""
    others, classes = samples + centres, labels + list(range(len(centres)))
    total = 0.0
    for i, anchor in enumerate(samples):
        similar = [sum(a * b for a, b in zip(anchor, other, strict=True)) / temperature for other in others]
        denominator = 0.0
        for j, value in enumerate(similar):
            if j != i:
                in_class = classes.count(classes[j]) - (classes[j] == labels[i])
                denominator += math.exp(value) / in_class
        positives = [j for j in range(len(others)) if j != i and classes[j] == labels[i]]
        total -= sum(similar[j] - math.log(denominator) for j in positives) / len(positives)
    return total / len(samples)


def classified(features: Rows, labels: list[int], weight: Rows) -> tuple[Rows, float]:
    """resnext.py, NormedLinear with s = 30; logitadjust.py: the logarithm of each class's share is added."""
    logits, total = [], 0.0
    for row, y in zip(features, labels, strict=True):
        cosines = [sum(a * b for a, b in zip(row, w, strict=True)) / math.hypot(*row) / math.hypot(*w) for w in weight]
        logits.append([30 * c for c in cosines])
        moved = [z + math.log(n / sum(COUNTS)) for z, n in zip(logits[-1], COUNTS, strict=True)]
        total += math.log(sum(map(math.exp, moved))) - moved[y]
    return logits, total / len(labels)


class Given(models.Backbone):
    """Features as they are given."""

    feature_dim = 6

    def forward(self, images: Tensor) -> Tensor:
        return images


def test_the_objective_of_three_views_is_the_codes() -> None:
    """main.py, train: the first view is classified, the second and third compared; 1.0 and 0.35 of the two losses."""
    stage = methods.stages("bcl")[0]
    objective = objectives.create(stage, COUNTS)
    assert objective.views == 3
    generator = torch.Generator().manual_seed(3)
    network = models.Network(
        Given(), models.CLASSIFIERS.create("normed", 6, 3), models.classifiers.PROJECTORS["prototypes"](6, 4)
    )
    models.initialise(network, 0)
    network = network.double().train()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "projector" in name:  # batch norm's scales and shifts too
                parameter.copy_(torch.randn(parameter.shape, dtype=torch.float64, generator=generator))
    labels = [0, 0, 1, 2, 0]
    features = torch.randn(15, 6, dtype=torch.float64, generator=generator)
    found, logits = objective(network, objectives.Batch(features, torch.tensor(labels)))
    state = {name: value.tolist() for name, value in network.state_dict().items()}
    samples = head(features.tolist(), state, "projector.images")[5:]
    centres = head(state["classifier.weight"], state, "projector.prototypes")
    expected_logits, ce = classified(features.tolist()[:5], labels, state["classifier.weight"])
    compared = contrast(samples, labels * 2, centres, 0.1)
    assert found.item() == pytest.approx(1.0 * ce + 0.35 * compared, rel=1e-6), "logits are float32 in a step"
    objective.weights = (1.0, 0.0)
    alone, _ = objective(network, objectives.Batch(features, torch.tensor(labels)))
    assert alone.item() == pytest.approx(compared, rel=1e-8)
    exact = objective.loss(network.classify(features[:5]), torch.tensor(labels))
    assert exact.item() == pytest.approx(ce, rel=1e-8)
    assert logits is not None
    assert [z for row in logits.tolist() for z in row] == pytest.approx(
        [z for row in expected_logits for z in row], rel=1e-6
    )


def test_a_network_has_both_heads_and_trains_them(tmp_path: Path, reports: Path) -> None:
    experiment = Experiment(
        dataset="digits",
        imbalance_factor=20,
        model="resnet8",
        method="bcl",
        recipe="ldam[epochs=2;batch_size=16;warmup_epochs=0;augmentation=shift1]",
        limit=90,
    )
    run = runs.run(experiment)
    start = assembly.build(experiment.resolve(), 10).state_dict()
    after = run.network("last").state_dict()
    moved = {name for name in start if not torch.equal(start[name], after[name])}
    for name in ("images.0.weight", "images.1.running_mean", "images.3.weight", "prototypes.0.weight"):
        assert f"projector.{name}" in moved
    assert {"projector.prototypes.1.running_mean", "projector.prototypes.3.weight", "classifier.weight"} <= moved
    assert run.history["train_loss"].iloc[-1] < run.history["train_loss"].iloc[0]


def test_three_views_cost_three() -> None:
    base = Experiment(dataset="cifar10", model="resnet32", recipe="ldam[evaluate_every=200]")
    ce, supcon, bcl = (cost.work(base.replace(method=name)).macs for name in ("ce", "supcon_ce", "bcl"))
    assert (bcl - ce) == pytest.approx(2 * (supcon - ce))


def test_wrong_projectors_are_refused() -> None:
    with pytest.raises(UnknownName, match="projector"):
        models.create("resnet8", 10, projector=8, projector_kind="mpl")
    for wrong in (
        {"contrastive": losses.spec("supcon"), "loss": losses.spec("ce")},
        {"contrastive": losses.spec("bcl")},
    ):
        with pytest.raises(SettingError, match="projector=prototypes is for the contrastive loss bcl"):
            Stage(projector="prototypes", **wrong)
