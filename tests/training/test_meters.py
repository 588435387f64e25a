"""The running sums on the device against the metrics that read everything at once."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ltlib import calibration
from ltlib.training.meters import Meter


@pytest.mark.parametrize("sharpness", [0.1, 1.0, 5.0, 50.0])
@pytest.mark.parametrize("batches", [[1000], [128] * 7 + [104], [1] * 1000])
def test_agrees_with_metrics_of_all_images_at_once(sharpness: float, batches: list[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1000, 10, generator=generator) * sharpness
    targets = torch.randint(0, 10, (1000,), generator=generator)
    meter = Meter()
    for part, wanted in zip(logits.split(batches), targets.split(batches), strict=True):
        meter.update(F.cross_entropy(part, wanted, reduction="none"), part, wanted)
    found = meter.result()
    rows = calibration.probabilities(logits.numpy())
    assert found["accuracy"] == pytest.approx(float((rows.argmax(1) == targets.numpy()).mean()), abs=1e-12)
    assert found["ece"] == pytest.approx(calibration.expected_calibration_error(rows, targets.numpy()), abs=1e-6)
    own = torch.log_softmax(logits.double(), 1)[torch.arange(1000), targets]
    assert found["loss"] == pytest.approx(float(-own.mean()), rel=1e-6)


def test_a_mean_loss_counts_once_for_each_image() -> None:
    meter = Meter()
    meter.update(torch.tensor(1.0), None, torch.zeros(30, dtype=torch.int64))
    meter.update(torch.tensor(4.0), None, torch.zeros(10, dtype=torch.int64))
    assert meter.result()["loss"] == pytest.approx(70 / 40)


def test_nan_where_nothing_was_classified_or_counted() -> None:
    meter = Meter()
    assert all(math.isnan(value) for value in meter.result().values())
    meter.update(torch.tensor(1.0), None, torch.zeros(3, dtype=torch.int64))
    found = meter.result()
    assert found["loss"] == 1.0
    assert math.isnan(found["accuracy"])
    assert math.isnan(found["ece"])


def test_certain_and_undecided_predictions() -> None:
    """Confidence exactly 1 and exactly 1/K: the last bin and its own, by hand."""
    meter = Meter()
    logits = torch.tensor([[200.0, 0.0], [200.0, 0.0], [0.0, 0.0]])
    meter.update(torch.zeros(3), logits, torch.tensor([0, 1, 0]))
    found = meter.result()
    assert found["accuracy"] == pytest.approx(2 / 3)
    # two with confidence 1, one right: a gap of 1 over both; one of confidence 1/2, right: a gap of 1/2
    assert found["ece"] == pytest.approx((1.0 + 0.5) / 3)


def test_reset_forgets_in_place() -> None:
    meter = Meter()
    place = meter.sums.data_ptr()
    meter.update(torch.ones(2), torch.randn(2, 3), torch.tensor([0, 1]))
    meter.reset()
    assert meter.sums.data_ptr() == place
    assert not np.any([value == value for value in meter.result().values()])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_diverged_network_is_counted_without_an_error(bad: float) -> None:
    """The epoch's losses say it; an index error in the bins would hide it, and on a GPU end the process."""
    meter = Meter()
    meter.update(torch.full((2,), bad), torch.full((2, 3), bad), torch.tensor([0, 1]))
    assert not math.isfinite(meter.result()["loss"])


def test_a_confidence_on_an_edge_lies_in_the_bin_below() -> None:
    """1/5 is 3/15, where bins three and four meet. In float64 no float32 confidence but 1 lies on an edge."""
    meter = Meter().float()  # as on a device without float64
    meter.update(torch.zeros(1), torch.zeros(1, 5), torch.tensor([0]))
    assert meter.bins[0].nonzero().flatten().tolist() == [2]
