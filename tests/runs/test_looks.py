"""More looks at an image and several networks at once, against slow forms."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import ltlib
from ltlib.experiment import Experiment
from ltlib.runs import looks
from ltlib.runs.facts import load_record
from ltlib.runs.result import Predictions


class Weighing(nn.Module):
    """Logits of 2 classes that depend on where in the image things are."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.einsum("nchw,kchw->nk", images, self.weights)


def softmax(row: np.ndarray) -> np.ndarray:
    powers = np.exp(row - row.max())
    return powers / powers.sum()


@pytest.mark.parametrize("mirrored", [True, False])
def test_a_prediction_is_the_mean_of_all_looks(mirrored: bool) -> None:
    images = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    network = Weighing()
    found = looks.Looks(network, mirrored)(images).numpy()
    for image, own in zip(images.numpy(), found, strict=True):
        if mirrored:
            seen = [image, image[:, :, ::-1]]
        else:
            wide = np.pad(image, ((0, 0), (1, 1), (1, 1)), mode="edge")
            seen = [wide[:, i : i + 4, j : j + 4] for i, j in ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))]
        each = [softmax(np.array([(one * w).sum() for w in network.weights.numpy()])) for one in seen]
        np.testing.assert_allclose(own, np.mean(each, axis=0), rtol=1e-5)


def test_runs_are_looked_at_again_with_their_last_weights_and_what_is_found_is_kept(
    tiny: Experiment, reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ltlib.run(tiny)
    found = looks.accuracy([run])
    assert 0 < found <= 1
    kept = reports / "cache" / "looks" / f"{run.id}.npz"
    with np.load(kept) as arrays:
        probabilities = arrays["probabilities"]
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert (probabilities.argmax(1) == run.predictions["last"].targets).mean() == found
    monkeypatch.setattr(type(run), "network", lambda *_: pytest.fail("looked at a second time"))
    assert looks.accuracy([run]) == found


def test_a_record_has_no_weights_to_look_again_with(tiny: Experiment, tmp_path: Path) -> None:
    alone = load_record(ltlib.run(tiny).record(tmp_path / "records"))
    assert math.isnan(looks.accuracy([alone]))


def test_several_networks_say_what_their_mean_probabilities_say() -> None:
    """Two networks, each wrong on another image and less sure of it, are right on both together."""
    targets = np.array([0, 1])
    logits = [np.array([[3.0, 0.0], [0.5, 0.0]]), np.array([[0.0, 0.5], [0.0, 3.0]])]
    some: list[Any] = [
        SimpleNamespace(predictions={"last": Predictions.from_logits(one.astype(np.float32), targets)})
        for one in logits
    ]
    assert looks.ensemble(some) == 1.0
    assert [float((one.predictions["last"].predicted == targets).mean()) for one in some] == [0.5, 0.5]
    assert math.isnan(looks.ensemble(some[:1]))
    some[1].predictions["last"] = Predictions(targets, targets, np.ones(2))
    assert math.isnan(looks.ensemble(some)), "a record has no logits"
