"""PaCo against loops over its formula and the reference code's matrix form; its queue by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from ltlib import losses
from ltlib.errors import SettingError
from ltlib.losses import ParametricContrastive

COUNTS = [60, 20, 5]


def made(**settings) -> ParametricContrastive:
    loss = losses.create("paco", COUNTS, **{"queue": 6, "width": 4, **settings})
    assert isinstance(loss, ParametricContrastive)
    return loss.double()


def batch(seed: int = 0, count: int = 5) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    q, k = (torch.randn(count, 4, dtype=torch.float64, generator=generator) for _ in range(2))
    logits = torch.randn(count, 3, dtype=torch.float64, generator=generator)
    return q, k, logits, torch.tensor([0, 1, 0, 2, 0])[:count]


def unit(rows: torch.Tensor) -> list[list[float]]:
    return F.normalize(rows, dim=1).tolist()


def in_loops(q, k, logits, targets, queue, classes, alpha, beta, gamma, temperature):
    """The formula, anchor by anchor."""
    y, values = targets.tolist(), []
    others = [*unit(q), *unit(k), *(unit(queue) if len(queue) else [])]
    of = [*y, *y, *classes]
    for i, anchor in enumerate(unit(q)):
        similar = [sum(a * b for a, b in zip(anchor, other, strict=True)) / temperature for other in others]
        centres = [z + math.log(n / sum(COUNTS)) for z, n in zip(logits[i].tolist(), COUNTS, strict=True)]
        total = math.fsum(map(math.exp, centres))
        total += gamma * math.fsum(math.exp(s) for j, s in enumerate(similar) if j != i)
        positives = [j for j in range(len(of)) if j != i and of[j] == y[i]]
        value = beta * (centres[y[i]] - math.log(total))
        value += alpha * math.fsum(similar[j] - math.log(total) for j in positives)
        values.append(-value / (beta + alpha * len(positives)))
    return values


@pytest.mark.parametrize(("alpha", "beta", "gamma"), [(0.02, 1.0, 1.0), (0.5, 2.0, 0.3), (0.0, 1.0, 0.0)])
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_equals_the_formula_with_an_empty_a_partial_and_a_full_queue(alpha, beta, gamma, temperature):
    loss = made(alpha=alpha, beta=beta, gamma=gamma, temperature=temperature)
    kept: list[tuple[torch.Tensor, int]] = []
    for seed, count in ((0, 4), (1, 5), (2, 5)):
        q, k, logits, targets = batch(seed, count)
        queue = torch.stack([key for key, _ in kept]) if kept else torch.zeros(0, 4).double()
        expected = in_loops(q, k, logits, targets, queue, [c for _, c in kept], alpha, beta, gamma, temperature)
        found = loss.per_sample(q, targets, k, logits)
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-9)
        kept = [*kept, *zip(k, targets.tolist(), strict=True)][-6:]


def test_equals_the_reference_codes_matrix_form():
    """losses.py, PaCoLoss.forward, in its order, with a queue that is full."""
    loss = made(alpha=0.05, beta=1.5, gamma=0.7, temperature=0.2)
    filled, _, _, _ = batch(7, 5)
    loss.keep(F.normalize(torch.cat([filled, filled[:1]]), dim=1), torch.tensor([0, 1, 2, 2, 0, 1]))
    q, k, logits, targets = batch(3)
    features = torch.cat([F.normalize(q, dim=1), F.normalize(k, dim=1), loss.keys.double()])
    labels = torch.cat([targets, targets, loss.key_classes])
    prior = torch.tensor(COUNTS).double() / 85
    similar = torch.cat([logits + prior.log(), features[:5] @ features.T / 0.2], 1)
    similar = similar - similar.max(1, keepdim=True).values
    others = 1 - torch.eye(5, 16, dtype=torch.float64)
    mask = (targets[:, None] == labels).double() * others
    weight = torch.cat([F.one_hot(targets, 3) * 1.5, mask * 0.05], 1)
    total = (similar.exp() * torch.cat([torch.ones(5, 3), 0.7 * others], 1)).sum(1, keepdim=True)
    expected = -((weight * (similar - total.log())).sum(1) / weight.sum(1)).mean()
    torch.testing.assert_close(loss(q, targets, keys=k, centres=logits), expected, rtol=1e-10, atol=0)


def test_the_queue_goes_round():
    loss = made(queue=3)
    keys = torch.eye(4).double()
    loss.keep(keys[:2], torch.tensor([0, 1]))
    assert loss.key_classes.tolist() == [0, 1, -1]
    loss.keep(keys[2:], torch.tensor([2, 0]))
    assert loss.key_classes.tolist() == [0, 1, 2]
    assert torch.equal(loss.keys, keys[[3, 1, 2]])
    assert loss.place.item() == 1
    loss.eval()(*batch(count=2)[::3])
    assert torch.equal(loss.keys, keys[[3, 1, 2]]), "nothing is kept outside training"


def test_without_contrast_it_is_logit_adjusted_cross_entropy():
    """alpha and gamma 0 leave the centres alone."""
    q, k, logits, targets = batch()
    found = made(alpha=0, gamma=0).per_sample(q, targets, k, logits)
    expected = losses.create("logit_adjustment", COUNTS).per_sample(logits, targets)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)


def test_gradient_is_the_numerical_one_and_keys_get_none():
    q, k, logits, targets = batch()
    loss = made(temperature=0.5).eval()
    loss.keep(F.normalize(k, dim=1), targets)
    assert torch.autograd.gradcheck(
        lambda q, z: loss(q, targets, keys=k, centres=z), (q.requires_grad_(), logits.requires_grad_())
    )
    k.requires_grad_()
    loss(q, targets, keys=k, centres=logits).backward()
    assert k.grad is None


def test_float32_is_finite_at_a_small_temperature():
    loss = losses.create("paco[temperature=0.001;queue=8;gamma=0]", COUNTS)
    q = torch.tensor([[1e4, 0], [-1e4, 0], [1e-4, 1e-4]], requires_grad=True)
    value = loss(q, torch.tensor([0, 0, 1]))
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(q.grad).all()


def test_bad_settings_and_a_queue_that_is_too_short_are_refused():
    for text in ("temperature=0", "alpha=-1", "beta=0", "gamma=-1", "queue=0", "momentum=2", "width=-1"):
        with pytest.raises(SettingError):
            losses.create(f"paco[{text}]", COUNTS)
    with pytest.raises(SettingError, match="a batch of 5 images does not fit into paco's queue of 4"):
        made(queue=4)(batch()[0], batch()[3])
