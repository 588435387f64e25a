"""Each component's output on fixed input, as values with a tolerance: the bits differ between processors.

``python tests/test_golden.py`` writes the values anew, once a change of them is meant.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ltlib import datasets, losses, models, runs
from ltlib.batches import augment
from ltlib.batches.draws import SAMPLERS, epoch_draws, generator
from ltlib.experiment import VERSIONS, Experiment
from ltlib.recipes import OPTIMIZERS
from ltlib.runs import Run

PLACE = Path(__file__).parent / "golden" / "values.json"
COUNTS = [500, 120, 30, 8, 2]
NETWORKS = {
    "resnet8": 8,
    "resnet32": 32,
    "resnet18": 16,
    "efficientnet_lite0[size=tiny]": 16,
    "mobilenet_v2[size=tiny]": 32,
    "resnet50v2[size=tiny]": 32,
    "vit_b_16[size=tiny]": 16,
    "convnext_base[size=tiny]": 32,
}
"""Name to the height and width of the images."""


def images(size: int) -> torch.Tensor:
    """Two images that no generator has a part in."""
    return torch.sin(torch.arange(2 * 3 * size * size, dtype=torch.float64) ** 1.3).reshape(2, 3, size, size).float()


def logits() -> torch.Tensor:
    return 4 * torch.cos(torch.arange(40, dtype=torch.float64) ** 1.7).reshape(8, 5).float()


def forward(name: str, size: int) -> list[float]:
    network = models.create(name, 10, projector=16).train()
    models.initialise(network, 0)
    features, projection = network.embed(images(size))
    assert projection is not None
    return [*network.classify(features)[0].tolist(), *projection[0, :4].tolist()]


def draws() -> dict[str, list[float]]:
    found = augment.create("crop4+flip+vflip+rotate10").draw(generator(0, "augment", 0, 1), (2, 4))
    return {name: value.flatten().double().tolist() for name, value in found.items()}


def epoch(sampler: str) -> dict[str, list[float]]:
    found = epoch_draws(
        SAMPLERS.create(sampler),
        augment.create("shift1+flip"),
        torch.arange(11) % 3,
        seed=3,
        stage=1,
        epoch=2,
        epochs=4,
        batch_size=4,
        views=2,
    )
    index = [i for draw in found for i in draw.index.flatten().tolist()]
    return {"index": index} | {
        name: [v for draw in found for v in draw.views[name].flatten().double().tolist()] for name in found[0].views
    }


def loss(name: str) -> list[float]:
    made = losses.create(name, COUNTS)
    targets, noise = torch.tensor([0, 0, 0, 1, 1, 2, 3, 4]), {}
    if getattr(made, "noise", False):
        noise = {"noise": images(5)[0, :1].flatten().repeat(2)[:40].reshape(8, 5).abs()}
    return made.per_sample(logits(), targets, **noise).double().tolist()


def optimizer(name: str, rows: int = 0) -> list[float]:
    """Weights after three steps at given gradients; a vector, or a matrix where it has rows."""
    weight = torch.nn.Parameter(
        torch.linspace(-1, 1, 5 * max(rows, 1)).view(-1, 5) if rows else torch.linspace(-1, 1, 5)
    )
    made = OPTIMIZERS.create(name).make([{"params": [weight]}], 0.1, 0.01, False)
    for step in range(3):
        weight.grad = logits()[step : step + rows].clone() if rows else logits()[step].clone()
        made.step()
    return weight.detach().double().flatten().tolist()


def subset(dataset: str, rule: str) -> dict[str, Any]:
    data = datasets.load(dataset, imbalance_factor=20, subset=rule, subset_seed=1)
    return {"counts": list(data.class_counts), "fingerprint": data.fingerprint}


def components() -> dict[str, tuple[str, Callable[[], Any]]]:
    """Name of the value -> the version to bump, and how it is made."""
    found: dict[str, tuple[str, Callable[[], Any]]] = {
        f"model {name}": (f"version of {name} in ltlib/models", lambda name=name, size=size: forward(name, size))  # type: ignore[misc]
        for name, size in NETWORKS.items()
    }
    found |= {
        f"loss {text}": (f"version of {text} in ltlib/losses", lambda text=text: loss(text))  # type: ignore[misc]
        for text in (*losses.names(), "focal[alpha=inverse_frequency;gamma=1]")
    }
    found |= {
        f"sampler {name}": (f"version of {name} in ltlib/batches/draws.py", lambda name=name: epoch(name))  # type: ignore[misc]
        for name in SAMPLERS.names()
    }
    found |= {
        f"optimizer {text}": (f"version of {text} in ltlib/recipes/optimizers.py", lambda text=text: optimizer(text))  # type: ignore[misc]
        for text in (*OPTIMIZERS.names(), "sgd[nesterov=true]")
    }
    muon = "version of muon in ltlib/recipes/optimizers.py"
    found["optimizer muon on a matrix"] = (muon, lambda: optimizer("muon", rows=3))
    found |= {
        f"subset {rule}": ('experiment.VERSIONS["subset"]', lambda rule=rule: subset("digits", rule))  # type: ignore[misc]
        for rule in ("random", "ldam", "first")
    }
    return found | {"augmentation draws": ('experiment.VERSIONS["sampling"]', draws)}


def short(run: Run) -> dict[str, Any]:
    """A run in a few numbers."""
    keys = ("accuracy", "f1", "ece", "nll", "loss")
    columns = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
    return {
        "fingerprint": run.fingerprint,
        "history": {name: run.history[name].tolist() for name in columns},
        "last": {key: run.metrics["last"][key] for key in keys},
    }


def same(found: Any, known: Any, rel: float, absolute: float) -> bool:
    if isinstance(known, dict):
        return found.keys() == known.keys() and all(same(found[k], known[k], rel, absolute) for k in known)
    if isinstance(known, list):
        return len(found) == len(known) and all(same(a, b, rel, absolute) for a, b in zip(found, known, strict=True))
    if isinstance(known, float):
        return bool(np.isclose(found, known, rtol=rel, atol=absolute))
    return bool(found == known)


def require(name: str, where: str, found: Any, rel: float, absolute: float) -> None:
    known = json.loads(PLACE.read_text())
    assert name in known, f"{name} has no golden value yet; python tests/test_golden.py writes it"
    assert same(found, known[name], rel, absolute), (
        f"{name} gives other numbers than before, so stored runs would no longer be what they say. If that is meant, "
        f"bump the {where} and write the new values with python tests/test_golden.py; the run ids in "
        f"tests/golden/run_ids.json change with it.\nnow:    {found}\nbefore: {known[name]}"
    )


@pytest.mark.parametrize("name", components())
def test_components(name: str) -> None:
    where, make = components()[name]
    require(name, where, json.loads(json.dumps(make())), 1e-3, 1e-4)


def test_a_training_of_two_epochs(trained: Run) -> None:
    """Ten steps amplify rounding, so the tolerance is wider; the images must be the same."""
    require("training on digits", 'experiment.VERSIONS["training"], or "batches"', short(trained), 0.02, 0.02)


def test_the_comparison_sees_a_small_change() -> None:
    known = {"a": [1.0, 2.0], "b": "x"}
    assert same({"a": [1.0, 2.0001], "b": "x"}, known, 1e-3, 0)
    assert not same({"a": [1.0, 2.01], "b": "x"}, known, 1e-3, 0)
    assert not same({"a": [1.0], "b": "x"}, known, 1e-3, 0)
    assert not same({"a": [1.0, 2.0], "b": "y"}, known, 1e-3, 0)


def test_versions_are_whole_numbers() -> None:
    assert all(isinstance(version, int) and version >= 1 for version in VERSIONS.values())


def _write() -> None:
    import os
    import tempfile

    from conftest import TINY

    experiment: Experiment = TINY
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"LTLIB_REPORTS": folder, "LTLIB_DEVICE": "cpu"}
        values = {name: make() for name, (_, make) in components().items()}
        values["training on digits"] = short(runs.run(experiment))
    PLACE.write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    _write()
