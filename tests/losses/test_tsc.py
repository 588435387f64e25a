"""Targeted supervised contrastive loss: its targets, their assignment, and its value against loops."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ltlib import losses
from ltlib.errors import SettingError
from ltlib.losses import tsc


def make(classes: int, **changes) -> tsc.Targeted:
    loss = losses.create("tsc", [1] * classes, **changes)
    assert isinstance(loss, tsc.Targeted)
    return loss


# --- the targets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("classes", "width"), [(1, 3), (2, 1), (4, 3), (10, 128), (100, 128)])
def test_the_simplex_is_regular(classes, width):
    points = tsc.simplex(classes, width).double()
    gram = points @ points.T
    torch.testing.assert_close(gram.diagonal(), torch.ones(classes).double(), rtol=0, atol=1e-6)
    between = gram[~torch.eye(classes, dtype=torch.bool)]
    torch.testing.assert_close(between, torch.full_like(between, -1 / max(classes - 1, 1)), rtol=0, atol=1e-6)


def test_adam_tends_to_the_simplex_where_it_fits():
    """The simplex is the minimum: no points are better, and Adam's come close to it."""
    best = float(tsc.uniformity(tsc.simplex(3, 4), 1.0))
    found = tsc.uniform_targets(3, 4, 1.0, 2000)
    start = tsc.uniform_targets(3, 4, 1.0, 0)
    values = [float(tsc.uniformity(points, 1.0)) for points in (start, found)]
    assert best - 1e-6 <= values[1] < values[0]
    assert values[1] - best < 1e-3
    torch.testing.assert_close((found @ found.T)[0, 1:], torch.full((2,), -0.5), rtol=0, atol=0.03)


def test_where_the_simplex_does_not_fit_adam_spreads_the_targets():
    loss = make(8, width=3, target_steps=400)
    nearest = (loss.points @ loss.points.T - 2 * torch.eye(8)).max()
    start = tsc.uniform_targets(8, 3, 0.07, 0)
    assert nearest < (start @ start.T - 2 * torch.eye(8)).max()
    assert torch.equal(make(8, width=3, target_steps=400).points, loss.points)
    torch.testing.assert_close(loss.points.norm(dim=1), torch.ones(8))


def test_adam_can_be_asked_for():
    points = make(3, width=4, points="adam", target_steps=50).points
    assert torch.equal(points, tsc.uniform_targets(3, 4, 0.07, 50))


# --- the assignment --------------------------------------------------------------------------------------------------


def test_assignment_is_the_best_of_all_permutations():
    loss = make(5, width=6)
    loss.centres.copy_(F.normalize(torch.randn(5, 6, generator=torch.Generator().manual_seed(1)), dim=1))
    loss.assign()
    gain = loss.centres @ loss.points.T

    def total(order):
        return sum(float(gain[c, t]) for c, t in enumerate(order))

    best = max(itertools.permutations(range(5)), key=total)
    assert loss.assignment.tolist() == list(best)


def test_centres_follow_the_batch_as_the_reference_code():
    loss = make(3, width=4)
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(2))
    targets = torch.tensor([0, 0, 2]).repeat(2)
    expected = loss.centres.clone()
    for c in (0, 2):
        mean = F.normalize(F.normalize(features, dim=1)[targets == c].mean(0), dim=0)
        expected[c] = F.normalize(0.9 * expected[c] + 0.1 * mean, dim=0)
    loss(features, targets)
    torch.testing.assert_close(loss.centres, expected)
    loss.eval()
    loss(features, targets)
    torch.testing.assert_close(loss.centres, expected)  # in evaluation mode they stay


def test_classes_find_the_targets_their_features_lie_at():
    """Features at the targets in another order: after some batches that order is the assignment."""
    loss = make(4, width=5)
    order = torch.tensor([2, 0, 3, 1])
    targets = torch.arange(4).repeat(2)
    assert loss.assignment.tolist() == [0, 1, 2, 3]
    loss.set_epoch(1, 3)
    assert loss.assignment.tolist() == [0, 1, 2, 3]  # nothing was seen before the first epoch
    for _ in range(40):
        loss(loss.points[order[targets]], targets)
    before = loss(loss.points[order[targets]], targets, torch.zeros(8))
    loss.set_epoch(2, 3)
    assert torch.equal(loss.assignment, order)
    assert loss(loss.points[order[targets]], targets, torch.zeros(8)) < before


def test_a_state_can_be_stored_and_read():
    loss, other = make(4, width=5), make(4, width=5)
    loss(torch.randn(8, 5), torch.arange(4).repeat(2))
    loss.assign()
    other.load_state_dict(loss.state_dict())
    assert set(loss.state_dict()) == {"points", "centres", "assignment"}
    assert torch.equal(other.centres, loss.centres)


# --- the value -------------------------------------------------------------------------------------------------------


def in_loops(features, targets, noise, points, assignment, k, weight, temperature):
    """Li et al. 2022, Eq. 4, sample by sample, with two views."""
    rows = [[x / math.hypot(*row) for x in row] for row in features.tolist()] + points.tolist()
    targets, noise, count = targets.tolist(), noise.tolist(), len(features)

    def similarity(i, j):
        return math.fsum(a * b for a, b in zip(rows[i], rows[j], strict=True)) / temperature

    values = []
    for i in range(count):
        everything = [a for a in range(len(rows)) if a != i]
        log_sum = math.log(math.fsum(math.exp(similarity(i, a)) for a in everything))
        view = [(i + count // 2) % count]
        candidates = [a for a in range(count) if targets[a] == targets[i] and a != i and a not in view]
        candidates.sort(key=lambda a, i=i: (noise[i] + noise[a]) % 1)
        positives = view + candidates[:k]
        total = math.fsum(similarity(i, p) - log_sum for p in positives)
        total += weight * (similarity(i, count + assignment[targets[i]]) - log_sum)
        values.append(-total / (len(positives) + 1))
    return values


@settings(max_examples=25, deadline=None)
@given(
    half=st.integers(1, 6),
    classes=st.integers(1, 5),
    k=st.integers(0, 6),
    weight=st.sampled_from([0.0, 0.2, 1.0]),
    seed=st.integers(0, 10_000),
)
def test_equals_the_formula(half, classes, k, weight, seed):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2 * half, 5, dtype=torch.float64, generator=generator)
    targets = torch.randint(classes, (half,), generator=generator).repeat(2)
    noise = torch.rand(2 * half, dtype=torch.float64, generator=generator)
    loss = make(classes, width=5, k=k, target_weight=weight, temperature=0.2)
    loss.assignment.copy_(torch.randperm(classes, generator=generator))
    values = in_loops(features, targets, noise, loss.points, loss.assignment.tolist(), k, weight, 0.2)
    torch.testing.assert_close(loss.per_sample(features, targets, noise).tolist(), values, rtol=1e-10, atol=1e-12)
    assert float(loss(features, targets, noise)) == pytest.approx(math.fsum(values) / len(values), rel=1e-10)


def test_gradient_is_the_numerical_one():
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(8, 4, dtype=torch.float64, generator=generator).requires_grad_()
    targets, noise = torch.tensor([0, 0, 0, 1]).repeat(2), torch.rand(8, generator=generator)
    loss = make(2, width=4, k=2, temperature=0.5)
    assert torch.autograd.gradcheck(lambda z: loss(z, targets, noise), (features,))


def test_training_turns_each_class_towards_its_target():
    generator = torch.Generator().manual_seed(4)
    loss = make(3, width=4, target_weight=1.0, temperature=0.2)
    features = torch.randn(12, 4, generator=generator).requires_grad_()
    targets = torch.tensor([0, 0, 0, 0, 1, 2]).repeat(2)
    start = (F.normalize(features, dim=1) @ loss.points.T).gather(1, targets[:, None]).mean()
    optimizer = torch.optim.SGD([features], lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        loss(features, targets, torch.zeros(12)).backward()
        optimizer.step()
    cosines = F.normalize(features, dim=1) @ loss.points.T
    assert torch.equal(cosines.argmax(1), targets)
    assert cosines.gather(1, targets[:, None]).mean() > max(0.7, start + 0.3)


def test_bad_calls_are_refused():
    with pytest.raises(SettingError, match="width 6, the features 4"):
        make(3, width=6)(torch.randn(4, 4), torch.zeros(4, dtype=torch.int64))
    for wrong in ("tsc[points=grid]", "tsc[target_weight=-1]", "tsc[width=-1]", "tsc[temperature=0]"):
        with pytest.raises(SettingError):
            losses.create(wrong, [1, 1])
