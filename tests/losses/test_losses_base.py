"""Losses by name: creation, what is refused, and golden values that a version stands for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ltlib import losses
from ltlib.errors import SettingError, UnknownName
from ltlib.losses.base import Loss

COUNTS = [1_000_000, 100, 10, 1]

# (name, version) to the value on `fixed_batch`; to change what a loss computes, raise its version and add a row.
GOLDEN = {
    ("ce", 1): 1.9121966226783809,
    ("focal", 1): 1.5548009367856157,
    ("supcon", 1): 6.16334694724145,
    ("simclr", 1): 1.847203298061638,
}


def fixed_batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (or features) [6, 4] and targets [6] without a random generator; class 3 stands alone."""
    return 3 * torch.sin(torch.arange(24, dtype=torch.float64) ** 2).view(6, 4), torch.tensor([0, 0, 1, 2, 1, 3])


@pytest.mark.parametrize("entry", list(losses.LOSSES), ids=lambda entry: entry.name)
def test_value_is_the_one_its_version_stands_for(entry):
    value = losses.create(entry.name, COUNTS)(*fixed_batch())
    assert float(value) == pytest.approx(GOLDEN[entry.name, entry.version], rel=1e-9)


@pytest.mark.parametrize("name", losses.names())
def test_forward_is_reduce_of_per_sample(name):
    loss = losses.create(name, COUNTS)
    logits, targets = fixed_batch()
    each = loss.per_sample(logits, targets)
    assert each.shape == targets.shape
    assert torch.equal(loss(logits, targets), loss.reduce(each, targets))


@pytest.mark.parametrize("name", losses.names())
@pytest.mark.parametrize("size", [1, 2])
def test_smallest_batches_are_finite(name, size):
    logits = torch.randn(size, 4, requires_grad=True)
    value = losses.create(name, COUNTS)(logits, torch.full((size,), 3))
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()


def test_class_counts_of_any_kind():
    for counts in ([3, 1], (3, 1), np.array([3, 1]), torch.tensor([3, 1]), [3.0, np.int64(1)]):
        alpha = losses.create("focal", counts, alpha="inverse_frequency").alpha
        torch.testing.assert_close(alpha, torch.tensor([0.25, 0.75]))


@pytest.mark.parametrize("counts", [[], [5, 0], [5, -1], [5, 2.5], [5, math.nan], [5, math.inf], ["5"]])
@pytest.mark.parametrize("name", losses.names())
def test_wrong_class_counts_are_refused(name, counts):
    with pytest.raises(SettingError, match="class_counts"):
        losses.create(name, counts)


def test_unknown_names_list_the_nearest():
    with pytest.raises(UnknownName, match="did you mean focal"):
        losses.create("fokal", COUNTS)
    with pytest.raises(UnknownName, match="did you mean gamma"):
        losses.create("focal[gama=1]", COUNTS)
    with pytest.raises(UnknownName, match="did you mean gamma"):
        losses.create("focal", COUNTS, gama=1)


def test_settings_replace_those_of_the_text_and_specs_work():
    assert losses.create("focal[gamma=1]", COUNTS, gamma=3.0).gamma == 3
    assert losses.create(losses.spec("focal[gamma=1]"), COUNTS).gamma == 1
    assert str(losses.spec("focal")) == "focal[alpha=none;gamma=2.0]"


@pytest.mark.parametrize("entry", list(losses.LOSSES), ids=lambda entry: entry.name)
def test_every_loss_presents_itself(entry):
    assert entry.summary.endswith(".")
    assert entry.source
    assert isinstance(losses.create(entry.name, COUNTS), Loss)
