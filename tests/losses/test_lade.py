"""LADE against plain arithmetic, in the reference code's form and the paper's."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ltlib import losses
from ltlib.errors import SettingError
from ltlib.losses.weights import log_prior


def slow(logits, targets, counts, alpha, lam, importance):
    rows, labels = logits.tolist(), targets.tolist()
    size, classes = len(rows), len(counts)
    pi = [n / sum(counts) for n in counts]
    prior_ce = []
    for row, y in zip(rows, labels, strict=True):
        shifted = [z + math.log(p) for z, p in zip(row, pi, strict=True)]
        prior_ce.append(math.log(math.fsum(math.exp(s) for s in shifted)) - shifted[y])
    term = 0.0
    for c in range(classes):
        own = [row[c] for row, y in zip(rows, labels, strict=True) if y == c]
        mean = math.fsum(own) / len(own) if own else 0.0
        weights = [(1 / classes) / pi[c if importance == "class" else y] for y in labels]
        d = math.log(math.fsum(v * math.exp(row[c]) for v, row in zip(weights, rows, strict=True)) / size)
        term += pi[c] * (-(mean - d) + lam * d**2)
    return math.fsum(prior_ce) / size + alpha * term


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 9),
    classes=st.integers(2, 8),
    alpha=st.sampled_from([0.0, 0.1, 1.0]),
    lam=st.sampled_from([0.0, 0.01, 0.5]),
    importance=st.sampled_from(["class", "sample"]),
    seed=st.integers(0, 10_000),
)
def test_equals_the_formula(batch, classes, alpha, lam, importance, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(batch, classes, dtype=torch.float64, generator=generator)
    targets = torch.randint(classes, (batch,), generator=generator)
    counts = [10**6, *torch.randint(1, 500, (classes - 2,), generator=generator).tolist(), 1]
    loss = losses.create("lade", counts, alpha=alpha, regularisation=lam, importance=importance)
    expected = slow(logits, targets, counts, alpha, lam, importance)
    assert float(loss(logits, targets)) == pytest.approx(expected, rel=1e-10, abs=1e-12)


def test_alpha_zero_is_logit_adjustment():
    logits, targets = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 4
    counts = [500, 50, 5, 1]
    adjusted = losses.create("logit_adjustment", counts)(logits, targets)
    torch.testing.assert_close(losses.create("lade[alpha=0]", counts)(logits, targets), adjusted)


def test_on_a_balanced_set_both_forms_agree():
    logits, targets = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 4
    values = [losses.create("lade", [9] * 4, importance=form)(logits, targets) for form in ("class", "sample")]
    torch.testing.assert_close(*values)


def test_without_the_square_the_reference_codes_shift_has_no_gradient():
    logits = torch.randn(20, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    targets = torch.arange(20) % 4
    uniform = losses.create("lade", [5] * 4, regularisation=0.0)._term(logits, targets)
    shifted = losses.create("lade", [500, 50, 5, 1], regularisation=0.0)
    pi = shifted._exact["pi"]
    total = torch.autograd.grad(shifted._term(logits, targets), logits)[0]
    torch.testing.assert_close(total, torch.autograd.grad(uniform, logits)[0] * 4 * pi)


def test_adjust_puts_in_the_test_prior():
    counts, logits = [60, 30, 10], torch.randn(5, 3, dtype=torch.float64)
    assert torch.equal(losses.create("lade", counts).adjust(logits), logits)
    training = losses.create("lade", counts, test_prior="training").adjust(logits)
    torch.testing.assert_close(training, logits + log_prior(counts))
    given = losses.create("lade[test_prior=0.1+0.3+0.6]", counts).adjust(logits)
    torch.testing.assert_close(given, logits + torch.tensor([0.1, 0.3, 0.6], dtype=torch.float64).log())
    scaled = losses.create("lade", counts, test_prior=(1, 3, 6)).adjust(logits)
    torch.testing.assert_close(scaled, given)


@pytest.mark.parametrize(
    "wrong",
    [
        {"alpha": -0.1},
        {"regularisation": -1.0},
        {"importance": "none"},
        {"test_prior": "test"},
        {"test_prior": (0.5, 0.5, 0.0)},
        {"test_prior": (1.0,)},
        {"test_prior": (1.0, 0.0)},
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        losses.create("lade", [3, 1], **wrong)
