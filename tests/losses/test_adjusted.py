"""Balanced softmax, logit adjustment and vector scaling against plain arithmetic."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ltlib import losses
from ltlib.datasets import long_tailed_counts
from ltlib.errors import SettingError
from ltlib.losses.weights import log_prior

C10, C100 = long_tailed_counts(5000, 10, 100), long_tailed_counts(500, 100, 100)


def slow(logits, targets, counts, gamma, tau):
    values, total, largest = [], sum(counts), max(counts)
    for row, y in zip(logits.tolist(), targets.tolist(), strict=True):
        scaled = [z / (largest / n) ** gamma + tau * math.log(n / total) for z, n in zip(row, counts, strict=True)]
        top = max(scaled)
        values.append(top + math.log(math.fsum(math.exp(s - top) for s in scaled)) - scaled[y])
    return values


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 9),
    classes=st.integers(2, 8),
    gamma=st.sampled_from([0.0, 0.05, 0.3]),
    tau=st.sampled_from([0.0, 1.0, 2.5]),
    seed=st.integers(0, 10_000),
)
def test_equals_the_formula(batch, classes, gamma, tau, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(batch, classes, dtype=torch.float64, generator=generator)
    targets = torch.randint(classes, (batch,), generator=generator)
    counts = [10**6, *torch.randint(1, 500, (classes - 2,), generator=generator).tolist(), 1]

    def check(name, expected, **settings):
        loss = losses.create(name, counts, **settings)
        assert loss.per_sample(logits, targets).tolist() == pytest.approx(expected, rel=1e-10, abs=1e-13)

    check("vs", slow(logits, targets, counts, gamma, tau), gamma=gamma, tau=tau)
    check("logit_adjustment", slow(logits, targets, counts, 0.0, tau), tau=tau)
    check("balanced_softmax", slow(logits, targets, counts, 0.0, 1.0))


def test_golden_priors():
    assert [round(float(v), 6) for v in log_prior(C10)[[0, -1]]] == [-0.908742, -5.513913]
    assert [round(float(v), 6) for v in log_prior(C100)[[0, -1]]] == [-3.077036, -7.682206]


@pytest.mark.parametrize(("gamma", "expected"), [(0.05, 1.258925), (0.2, 2.511886), (0.3, 3.981072)])
def test_golden_factors_of_the_rarest_class(gamma, expected):
    for counts in (C10, C100):
        delta = losses.create("vs", counts, gamma=gamma).delta
        assert delta[0] == 1
        assert float(delta[-1]) == pytest.approx(expected, abs=5e-7)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return 3 * torch.randn(40, 10, generator=generator), torch.randint(10, (40,), generator=generator)


def test_limits(batch):
    def value(text):
        return losses.create(text, C10)(*batch)

    torch.testing.assert_close(value("balanced_softmax"), value("logit_adjustment[tau=1]"))
    torch.testing.assert_close(value("vs[gamma=0;tau=0.7]"), value("logit_adjustment[tau=0.7]"))
    torch.testing.assert_close(value("vs[gamma=0;tau=0]"), F.cross_entropy(*batch))
    torch.testing.assert_close(value("logit_adjustment[tau=0]"), F.cross_entropy(*batch))
    equal = losses.create("balanced_softmax", [7] * 10)(*batch)
    torch.testing.assert_close(equal, F.cross_entropy(*batch))


def test_rare_classes_need_larger_logits():
    """At equal logits the loss of a class is -log of its prior: the network must outbid the prior itself."""
    loss = losses.create("balanced_softmax", C10)
    values = loss.per_sample(torch.zeros(10, 10, dtype=torch.float64), torch.arange(10))
    torch.testing.assert_close(values, -log_prior(C10))


def test_the_inverse_prior_is_dealt_out_in_the_opposite_order():
    """Classes of 2, 7 and 3 images: the largest gets the share of the smallest."""
    loss = losses.create("logit_adjustment[tau=1.5;inverse=0.5]", [2, 7, 3])
    logits, targets = torch.tensor([[0.3, -1.0, 2.0]], dtype=torch.float64), torch.tensor([1])
    z = [0.3, -1.0, 2.0]
    shift = [1.5 * math.log(n / 12) - 0.5 * math.log(m / 12) for n, m in zip([2, 7, 3], [7, 2, 3], strict=True)]
    scaled = [a + b for a, b in zip(z, shift, strict=True)]
    expected = math.log(sum(math.exp(s) for s in scaled)) - scaled[1]
    assert float(loss(logits, targets)) == pytest.approx(expected, rel=1e-12)
    assert losses.spec("logit_adjustment").identity()["settings"] == {"tau": 1.0}, "runs from before keep their ids"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("logit_adjustment", {"tau": -1.0}),
        ("logit_adjustment", {"inverse": -1.0}),
        ("vs", {"gamma": -0.1}),
        ("vs", {"tau": math.nan}),
    ],
)
def test_wrong_settings_are_refused(name, wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        losses.create(name, [3, 1], **wrong)
