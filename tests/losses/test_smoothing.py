"""Label smoothing, label-aware smoothing and AWABS against plain arithmetic."""

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
from ltlib.losses import mislas_epsilons
from ltlib.losses.smoothing import smoothing_factors

C10, C100 = long_tailed_counts(5000, 10, 100), long_tailed_counts(500, 100, 100)
AWARE = ["label_aware_smoothing", "awabs"]


def slow(logits, targets, epsilons, spread, counts=None):
    """-sum_k s_k log p_k with the label s written out; with counts, p is the balanced softmax."""
    values = []
    for row, y in zip(logits.tolist(), targets.tolist(), strict=True):
        size = len(row)
        shifted = [z + (math.log(counts[k]) if counts else 0) for k, z in enumerate(row)]
        top = max(shifted)
        log_sum = top + math.log(math.fsum(math.exp(z - top) for z in shifted))
        eps = epsilons[y]
        if spread == "prior":
            label = [1 - eps if k == y else eps * counts[k] / (sum(counts) - counts[y]) for k in range(size)]
        elif spread == "all":
            label = [eps / size + (1 - eps if k == y else 0) for k in range(size)]
        else:
            label = [1 - eps if k == y else eps / (size - 1) for k in range(size)]
        assert math.fsum(label) == pytest.approx(1)
        values.append(-math.fsum(s * (z - log_sum) for s, z in zip(label, shifted, strict=True)))
    return values


def factor(n, counts, form, head, tail):
    """awabs Eqs. 3.11-3.13, letter by letter."""
    n1, nk = max(counts), min(counts)
    if form == "concave":
        return tail + (head - tail) * math.sin(math.pi * (n - nk) / (2 * (n1 - nk)))
    if form == "linear":
        return tail + (head - tail) * (n - nk) / (n1 - nk)
    return head + (head - tail) * math.sin(3 * math.pi / 2 + math.pi * (n - nk) / (2 * (n1 - nk)))


@settings(max_examples=80, deadline=None)
@given(
    batch=st.integers(1, 9),
    classes=st.integers(2, 8),
    form=st.sampled_from(["concave", "linear", "convex"]),
    spread=st.sampled_from(["others", "all"]),
    epsilons=st.sampled_from([(0.3, 0.0), (0.4, 0.1), (0.5, 0.5), (0.0, 0.0)]),
    seed=st.integers(0, 10_000),
)
def test_equals_the_formula(batch, classes, form, spread, epsilons, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(batch, classes, dtype=torch.float64, generator=generator)
    targets = torch.randint(classes, (batch,), generator=generator)
    counts = [10**6, *torch.randint(1, 500, (classes - 2,), generator=generator).tolist(), 1]
    head, tail = epsilons
    factors = [factor(n, counts, form, head, tail) for n in counts]
    chosen = {"form": form, "epsilon_head": head, "epsilon_tail": tail, "spread": spread}
    for name, prior in (("label_aware_smoothing", None), ("awabs", counts)):
        loss = losses.create(name, counts, **chosen)
        expected = slow(logits, targets, factors, spread, prior)
        assert loss.per_sample(logits, targets).tolist() == pytest.approx(expected, rel=1e-10, abs=1e-12)
        assert float(loss(logits, targets)) == pytest.approx(math.fsum(expected) / batch, rel=1e-10, abs=1e-12)
    plain = losses.create("label_smoothing", counts, epsilon=head, spread=spread)
    expected = slow(logits, targets, [head] * classes, spread)
    assert plain.per_sample(logits, targets).tolist() == pytest.approx(expected, rel=1e-10, abs=1e-12)


def test_golden_factors():
    first = smoothing_factors(C10, epsilon_head=0.3, epsilon_tail=0.0)
    assert [round(float(e), 6) for e in first[[0, 5, 9]]] == [0.3, 0.032021, 0.0]
    second = smoothing_factors(C100, epsilon_head=0.4, epsilon_tail=0.1)
    assert [round(float(e), 6) for e in second[[0, 50, 99]]] == [0.4, 0.140809, 0.1]


def test_forms_are_ordered_between_the_same_ends():
    concave, linear, convex = (
        smoothing_factors(C10, form, epsilon_head=0.4, epsilon_tail=0.1) for form in ("concave", "linear", "convex")
    )
    for factors in (concave, linear, convex):
        torch.testing.assert_close(factors[[0, -1]], torch.tensor([0.4, 0.1], dtype=torch.float64))
    assert (concave[1:-1] > linear[1:-1]).all()
    assert (linear[1:-1] > convex[1:-1]).all()


@pytest.mark.parametrize("form", ["concave", "linear", "convex"])
def test_equal_classes_all_have_the_factor_of_the_largest(form):
    factors = smoothing_factors([7, 7, 7], form, epsilon_head=0.4, epsilon_tail=0.1)
    torch.testing.assert_close(factors, torch.full((3,), 0.4, dtype=torch.float64))


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return 3 * torch.randn(40, 10, generator=generator), torch.randint(10, (40,), generator=generator)


@pytest.mark.parametrize("spread", ["others", "all"])
@pytest.mark.parametrize("form", ["concave", "linear", "convex"])
def test_equal_epsilons_are_label_smoothing(batch, form, spread):
    settings = {"epsilon_head": 0.2, "epsilon_tail": 0.2, "form": form, "spread": spread}
    aware = losses.create("label_aware_smoothing", C10, **settings)(*batch)
    torch.testing.assert_close(aware, losses.create("label_smoothing", C10, epsilon=0.2, spread=spread)(*batch))
    logits, targets = batch
    shifted = logits + torch.tensor(C10).log()
    awabs = losses.create("awabs", C10, **settings)(*batch)
    smooth = losses.create("label_smoothing", C10, epsilon=0.2, spread=spread)(shifted, targets)
    torch.testing.assert_close(awabs, smooth)


def test_label_smoothing_is_torchs(batch):
    ours = losses.create("label_smoothing", C10, epsilon=0.1)(*batch)
    torch.testing.assert_close(ours, F.cross_entropy(*batch, label_smoothing=0.1))


def test_the_two_spreads_differ_by_a_factor_of_epsilon(batch):
    code = losses.create("label_smoothing", C10, epsilon=0.3, spread="all")(*batch)
    paper = losses.create("label_smoothing", C10, epsilon=0.3 * 9 / 10, spread="others")(*batch)
    torch.testing.assert_close(code, paper)


def test_epsilon_zero_is_cross_entropy_and_balanced_softmax(batch):
    none = {"epsilon_head": 0.0, "epsilon_tail": 0.0}
    torch.testing.assert_close(losses.create("las", C10, **none)(*batch), F.cross_entropy(*batch))
    awabs = losses.create("awabs", C10, **none)(*batch)
    torch.testing.assert_close(awabs, losses.create("balanced_softmax", C10)(*batch))


def test_the_optimum_of_awabs_is_the_smoothed_label():
    """awabs section 3.3.1: at the optimum the balanced softmax equals s."""
    logits = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    loss = losses.create("awabs", [100, 50, 10, 1], epsilon_head=0.3)
    counts = torch.tensor([100.0, 50, 10, 1], dtype=torch.float64)
    label = torch.tensor([0.7, 0.1, 0.1, 0.1], dtype=torch.float64)
    with torch.no_grad():
        logits.copy_((label / counts).log())
    loss(logits, torch.tensor([0])).backward()
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), atol=1e-12, rtol=0)


def test_epsilons_of_mislas():
    assert mislas_epsilons(10, 100) == (0.3, 0.0)
    assert mislas_epsilons(100, 100) == (0.4, 0.1)
    assert mislas_epsilons(100, 10) == (0.2, 0.0)
    assert mislas_epsilons(100, 200) == mislas_epsilons(100, 100)
    assert mislas_epsilons(10, 20) == mislas_epsilons(10, 10)


@pytest.mark.parametrize("name", AWARE)
@pytest.mark.parametrize(
    "wrong",
    [
        {"epsilon_head": 0.6},
        {"epsilon_head": 0.1, "epsilon_tail": 0.2},
        {"epsilon_tail": -0.1},
        {"epsilon_tail": math.nan},
        {"form": "cubic"},
        {"spread": "none"},
    ],
)
def test_wrong_settings_are_refused(name, wrong):
    with pytest.raises(SettingError, match=next(reversed(wrong))):
        losses.create(name, [3, 1], **wrong)


def test_wrong_epsilon_of_label_smoothing_is_refused():
    for epsilon in (-0.1, 0.51, math.nan, True):
        with pytest.raises(SettingError, match="epsilon"):
            losses.create("label_smoothing", [3, 1], epsilon=epsilon)


def test_awabs_may_spread_by_the_prior_and_then_its_optimum_is_level():
    """The other classes' logits are alike at the smallest loss; with ``others`` they differ by log n_k."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(9, 10, dtype=torch.float64, generator=generator)
    targets = torch.randint(10, (9,), generator=generator)
    factors = [factor(n, C10, "concave", 0.3, 0.0) for n in C10]
    loss = losses.create("awabs[spread=prior]", C10)
    expected = slow(logits, targets, factors, "prior", C10)
    assert loss.per_sample(logits, targets).tolist() == pytest.approx(expected, rel=1e-10)
    level = torch.zeros(1, 10, dtype=torch.float64)
    level[0, 0] = math.log(0.7 * (sum(C10) - C10[0]) / (0.3 * C10[0]))
    level.requires_grad_()
    loss.per_sample(level, torch.tensor([0])).sum().backward()
    assert level.grad is not None
    assert float(level.grad.abs().max()) < 1e-12
    assert int(level.argmax()) == 0, "and it predicts the image's own class"
    with pytest.raises(SettingError, match="spread"):
        losses.create("label_aware_smoothing[spread=prior]", C10)


@pytest.mark.parametrize("form", ["concave", "linear", "convex"])
def test_smoothing_the_tail_exchanges_the_ends(form):
    """With counts 100, 55, 10 the middle one is half way, so the factors are those of 10, 55, 100 read backwards."""
    head = smoothing_factors([100, 55, 10], form, epsilon_head=0.4, epsilon_tail=0.1)
    tail = smoothing_factors([100, 55, 10], form, epsilon_head=0.4, epsilon_tail=0.1, smoothed="tail")
    assert tail.tolist() == pytest.approx(head.flip(0).tolist(), abs=1e-15)
    assert (tail[0].item(), tail[2].item()) == pytest.approx((0.1, 0.4))
    with pytest.raises(SettingError, match="smoothed"):
        smoothing_factors([100, 10], epsilon_head=0.4, epsilon_tail=0.1, smoothed="middle")
