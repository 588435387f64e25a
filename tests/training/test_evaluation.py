"""Evaluation: the same numbers whatever the batch."""

from __future__ import annotations

import pytest
import torch

from ltlib import models, runs
from ltlib.experiment import Experiment
from ltlib.training import evaluation, residents


def test_predictions_do_not_depend_on_the_batch(tiny: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    data = runs.load_data(tiny)
    network = models.create("resnet8", 10)
    images = residents.resident(data.test, data, tiny.resolve(), torch.device("cpu"))
    logits, features = evaluation.predict(network, images), evaluation.features(network.train(), images)
    monkeypatch.setitem(evaluation.BATCH, "cpu", 7)
    torch.testing.assert_close(evaluation.predict(network, images), logits, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(evaluation.features(network.train(), images), features, rtol=1e-5, atol=1e-6)
    assert logits.shape == (len(data.test), 10)
    assert not network.training
