"""Evaluation: the same numbers whatever the batch, and recorded those of an eager one (by a stand-in recorder)."""

from __future__ import annotations

import copy
import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from test_capture import Refuses, Repeats
from test_steps import Watch, made

from ltlib import models, runs
from ltlib.batches.resident import Resident
from ltlib.experiment import Experiment
from ltlib.training import capture, evaluation, recorded_evaluation, residents
from ltlib.training.meters import PACKED
from ltlib.training.outcome import Evaluation
from ltlib.training.recorded_evaluation import RecordedPredictions


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


# --- recorded --------------------------------------------------------------------------------------------------------


class Look:
    """A network that reads its images' projections or features, and 50 test images in batches of 16 and one of 2."""

    def __init__(self, text: str, patch: pytest.MonkeyPatch, images: int = 50) -> None:
        patch.setitem(evaluation.BATCH, "cpu", 16)
        _, self.network, step, _ = made(text)
        self.objective = step.learner.objective
        pixels = np.random.default_rng(1).integers(0, 256, (images, 8, 8, 3), dtype=np.uint8)
        targets = np.arange(images) % 4
        common: Any = {"mean": (0.5,) * 3, "std": (0.2,) * 3}
        self.sets = {"test": Resident(pixels, targets, **common), "validation": Resident(pixels[:5], [0] * 5, **common)}
        self.whole = 8 if text == "supcon_ce" else None

    def __call__(self, predicted: evaluation.Predict | None = None) -> Evaluation:
        return evaluation.evaluate(self.network, self.objective, self.sets, "float32", self.whole, predicted)

    def moved(self) -> None:
        """Other weights in the same places, as after an epoch."""
        with torch.no_grad():
            for parameter in self.network.parameters():
                parameter.mul_(1.1)
        self.network.train()


@pytest.mark.parametrize("text", ["ce", "ldam", "supcon_ce", "balanced_softmax"])
def test_a_recorded_evaluation_is_the_eager_one_to_the_bit(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    look, recorder = Look(text, monkeypatch), Repeats()
    predicted = RecordedPredictions(recorder)
    earlier = []
    for epoch in range(4):
        look.moved()
        expected = look()
        found = look(predicted)
        assert found.columns == expected.columns
        assert list(found.columns) == list(expected.columns)
        assert found.logits is not None
        assert expected.logits is not None
        assert torch.equal(found.logits, expected.logits)
        earlier.append((found.logits, expected.logits))
        assert predicted.recordings == (2 if epoch else 0), "a set each, from its second look on"
    assert all(torch.equal(*pair) for pair in earlier), "a later look does not write into an earlier one's logits"
    assert recorder.records == 3, "16 and 2 images of the one, 5 of the other"
    assert recorder.attempts == 3 * capture.TRIALS
    assert recorder.replays == 3 * (3 + 1 + 1)


def test_a_network_whose_tensors_have_moved_is_recorded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    look, recorder = Look("ce", monkeypatch), Repeats()
    predicted = RecordedPredictions(recorder)
    for _ in range(2):
        look(predicted)
    look.network.classifier = copy.deepcopy(look.network.classifier)
    look.moved()
    found, expected = look(predicted), look()
    assert found.logits is not None
    assert expected.logits is not None
    assert torch.equal(found.logits, expected.logits)
    assert (predicted.recordings, recorder.renewed) == (4, 1)


def test_a_failed_recording_gives_the_eager_numbers_and_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    look = Look("ce", monkeypatch)
    predicted = RecordedPredictions(Refuses())
    assert look(predicted).columns == look().columns
    with pytest.warns(UserWarning, match="evaluation is not recorded as a CUDA graph and runs eagerly: RuntimeError"):
        assert look(predicted).columns == look().columns
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        look.moved()
        assert look(predicted).columns == look().columns
    assert predicted.recordings == 0


def test_streamed_images_are_looked_at_eagerly(monkeypatch: pytest.MonkeyPatch) -> None:
    look, recorder = Look("ce", monkeypatch), Repeats()
    look.sets = {"test": Resident(np.zeros((20, 8, 8, 3), np.uint8), [0] * 20, normalise="unit", max_bytes=0)}
    predicted = RecordedPredictions(recorder)
    for _ in range(3):
        assert look(predicted).columns == look().columns
    assert recorder.attempts == 0


@pytest.mark.parametrize("text", ["ce", "supcon_ce"])
def test_nothing_is_read_before_the_one_transfer(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    look = Look(text, monkeypatch)
    handed: list[torch.Tensor] = []

    def read(values: torch.Tensor, *rest: Any) -> Evaluation:
        handed.append(values)
        return Evaluation({})

    monkeypatch.setattr(evaluation, "_read", read)
    with Watch() as watch:
        look()
    assert watch.waits == []
    assert [len(values) for values in handed] == [2 * (PACKED + (text == "supcon_ce")) + 1]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_logit_that_is_no_number_is_told(bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    look = Look("ce", monkeypatch)
    assert look().finite

    def broken(*args: Any) -> torch.Tensor:
        logits = evaluation.predict(*args)
        logits[3, 1] = bad
        return logits

    assert not look(broken).finite


def test_the_environment_and_the_device_decide_what_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded_evaluation, "CudaRecorder", lambda device: Repeats())
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    assert recorded_evaluation.predictions(cpu) is evaluation.predict
    assert isinstance(recorded_evaluation.predictions(cuda), RecordedPredictions)
    monkeypatch.setenv("LTLIB_CAPTURE", "off")
    assert recorded_evaluation.predictions(cuda) is evaluation.predict
