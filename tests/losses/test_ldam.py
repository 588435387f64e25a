"""LDAM and deferred re-weighting."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ltlib import losses
from ltlib.datasets import long_tailed_counts
from ltlib.errors import SettingError, UnknownName
from ltlib.losses import LDAM, CrossEntropy, Deferred, Equalization, class_weights

C10, C100 = long_tailed_counts(5000, 10, 100), long_tailed_counts(500, 100, 100)


@pytest.mark.parametrize(("counts", "mean"), [(C10, 0.300613), (C100, 0.299323)])
def test_golden_margins(counts, mean):
    margins = losses.create("ldam", counts).margins
    assert [round(float(m), 6) for m in (margins[0], margins[-1], margins.mean())] == [0.158114, 0.5, mean]


def slow(logits, targets, counts, max_margin, scale):
    largest = max(n**-0.25 for n in counts)
    values = []
    for row, y in zip(logits.tolist(), targets.tolist(), strict=True):
        shifted = [
            scale * (z - (max_margin * counts[y] ** -0.25 / largest if k == y else 0)) for k, z in enumerate(row)
        ]
        top = max(shifted)
        values.append(top + math.log(math.fsum(math.exp(s - top) for s in shifted)) - shifted[y])
    return values


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 9),
    classes=st.integers(2, 8),
    max_margin=st.sampled_from([0.0, 0.3, 0.5]),
    scale=st.sampled_from([1.0, 30.0]),
    seed=st.integers(0, 10_000),
)
def test_equals_the_formula(batch, classes, max_margin, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.rand(batch, classes, dtype=torch.float64, generator=generator) - 1
    targets = torch.randint(classes, (batch,), generator=generator)
    counts = [10**6, *torch.randint(1, 500, (classes - 2,), generator=generator).tolist(), 1]
    loss = losses.create("ldam", counts, max_margin=max_margin, scale=scale)
    expected = slow(logits, targets, counts, max_margin, scale)
    assert loss.per_sample(logits, targets).tolist() == pytest.approx(expected, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("name", ["ldam", "ldam_drw", "deferred[base=ldam]"])
def test_probabilities_at_test_time_are_those_that_were_trained(name):
    """Without its margin the loss is the cross-entropy of softmax(s z); of bare cosines softmax is nearly flat."""
    cosines, targets = torch.rand(20, 10, dtype=torch.float64) * 2 - 1, torch.arange(20) % 10
    adjusted = losses.create(name, C10).adjust(cosines)
    plain = losses.create("ldam[max_margin=0]", C10)
    torch.testing.assert_close(F.cross_entropy(adjusted, targets), plain(cosines, targets))
    assert torch.equal(adjusted.argmax(1), cosines.argmax(1))
    assert cosines.softmax(1).max() < 0.5 < adjusted.softmax(1).max()


def test_margin_zero_is_scaled_cosine_cross_entropy():
    cosines, targets = torch.rand(20, 10) * 2 - 1, torch.arange(20) % 10
    loss = losses.create("ldam[max_margin=0]", C10)
    torch.testing.assert_close(loss(cosines, targets), F.cross_entropy(30 * cosines, targets))


def test_cosines_bound_the_loss_below_what_architectures_printed_as_a_mean():
    worst = torch.ones(1, 100, dtype=torch.float64)
    worst[0, -1] = -1
    value = float(losses.create("ldam", C100)(worst, torch.tensor([99])))
    assert value == pytest.approx(2 * 30 + 30 * 0.5 + math.log(99), rel=1e-6)


@pytest.mark.parametrize("wrong", [{"max_margin": -0.1}, {"scale": 0.0}, {"scale": math.nan}])
@pytest.mark.parametrize("name", ["ldam", "ldam_drw"])
def test_wrong_settings_are_refused(name, wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        losses.create(name, [3, 1], **wrong)


# --- deferred re-weighting --------------------------------------------------------------------------------------------


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(40, 10, generator=generator) * 2 - 1, torch.randint(10, (40,), generator=generator)


@pytest.mark.parametrize(
    ("epochs", "share", "first"), [(200, 0.8, 161), (40, 0.8, 33), (1, 0.8, 1), (100, 0.29, 30), (10, 0.0, 1)]
)
def test_weights_start_after_their_share_of_the_epochs(epochs, share, first):
    loss = losses.create("deferred", C10, start_share=share)
    late = class_weights(C10, "effective_number").float()
    for epoch in range(1, epochs + 1):
        loss.set_epoch(epoch, epochs)
        assert torch.equal(loss.weights, late if epoch >= first else torch.ones(10)), epoch


def test_share_one_never_starts():
    loss = losses.create("deferred[start_share=1]", C10)
    loss.set_epoch(200, 200)
    assert loss.weights.eq(1).all()


def test_before_it_is_ldam_and_after_torchs_weighted_mean(batch):
    loss, plain = losses.create("ldam_drw", C10), losses.create("ldam", C10)
    torch.testing.assert_close(loss(*batch), plain(*batch))
    loss.set_epoch(160, 200)
    torch.testing.assert_close(loss(*batch), plain(*batch))
    loss.set_epoch(161, 200)
    weights = class_weights(C10, "effective_number").float()[batch[1]]
    torch.testing.assert_close(loss(*batch), (weights * plain.per_sample(*batch)).sum() / weights.sum())
    assert round(float(loss.weights[0]), 6) == 0.050611
    loss.set_epoch(1, 200)  # a new stage starts without weights
    torch.testing.assert_close(loss(*batch), plain(*batch))


def test_ce_after_the_switch_is_torchs_weight(batch):
    loss = losses.create("deferred[weights=inverse]", C10)
    loss.set_epoch(9, 10)
    weight = class_weights(C10).float()
    torch.testing.assert_close(loss(*batch), F.cross_entropy(*batch, weight=weight))
    exact = losses.create("deferred[weights=inverse]", C10)
    exact.set_epoch(9, 10)
    logits = batch[0].double()
    expected = F.cross_entropy(logits, batch[1], weight=class_weights(C10))
    torch.testing.assert_close(exact(logits, batch[1]), expected, rtol=1e-12, atol=0)


def test_the_buffer_is_written_in_place():
    loss = losses.create("ldam_drw", C10)
    place, seen = loss.weights.data_ptr(), loss.weights
    loss.set_epoch(200, 200)
    assert loss.weights.data_ptr() == place
    assert seen[0] < 0.1


def test_the_inner_loss_gets_noise_and_epochs(batch):
    class Told(CrossEntropy):
        def set_epoch(self, epoch, epochs):
            self.told = (epoch, epochs)

    inner = Told()
    Deferred(inner, [1.0] * 10).set_epoch(3, 7)
    assert inner.told == (3, 7)
    loss = Deferred(Equalization(C10, threshold=1.0, gamma=0.5), [1.0] * 10)
    assert loss.noise
    values = [float(loss(*batch, torch.full((40, 10), noise))) for noise in (0.4, 0.6)]
    assert values[0] == 0  # every other class is left out
    assert values[1] == pytest.approx(float(F.cross_entropy(*batch)))


def test_what_cannot_be_deferred():
    for name in ("weighted_ce", "class_balanced", "supcon", "deferred"):
        with pytest.raises(SettingError, match="re-weighted"):
            losses.create("deferred", C10, base=name)
    with pytest.raises(UnknownName, match="loss"):
        losses.create("deferred", C10, base="nothing")
    for wrong in ({"start_share": 1.5}, {"start_share": -0.1}, {"beta": 1.0}, {"weights": "none"}):
        with pytest.raises(SettingError, match=next(iter(wrong))):
            losses.create("deferred", C10, **wrong)
    with pytest.raises(SettingError, match="class 1"):
        Deferred(LDAM([3, 1]), [1.0, 0.0])
