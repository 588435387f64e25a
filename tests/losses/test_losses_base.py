"""Losses by name: creation, what is refused, and golden values that a version stands for."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ltlib import losses
from ltlib.errors import SettingError, UnknownName
from ltlib.losses.base import Loss, class_sums

COUNTS = [1_000_000, 100, 10, 1]

# (name, version) to the value on `fixed_batch`; to change what a loss computes, raise its version and add a row.
GOLDEN = {
    ("ce", 1): 1.9121966226783809,
    ("focal", 1): 1.5548009367856157,
    ("bce", 1): 3.586744043680245,
    ("focal_sigmoid", 1): 2.4194118013805808,
    ("label_smoothing", 1): 1.9852546338551187,
    ("ohem", 1): 2.2892773526273427,
    ("weighted_ce", 1): 0.7147682455949818,
    ("class_balanced", 1): 0.4811566836752779,
    ("balanced_softmax", 1): 5.975311501183746,
    ("logit_adjustment", 1): 5.9753115011837465,
    ("vs", 1): 6.580174457981145,
    ("ldam", 2): 48.018853819118796,
    ("equalization", 1): 0.9002834778464628,
    ("lade", 1): 5.987596822125447,
    ("cefl", 1): 1.8001776448453954,
    ("cefl2", 1): 1.8324797149561673,
    ("loss_equalised", 1): 1.5286862940955073,
    ("prior_equalised", 1): 33359.613531243405,
    ("label_aware_smoothing", 1): 1.9480518061264676,
    ("awabs", 1): 7.162444582700819,
    ("deferred", 1): 1.9121966226783809,
    ("ldam_drw", 2): 48.018853819118796,
    ("supcon", 1): 6.16334694724145,
    ("simclr", 1): 1.847203298061638,
    ("bcl", 1): 4.134423593810693,
    ("kcl", 1): 8.745879449297757,
    ("tsc", 1): 8.530363282361169,
    ("concutmix", 1): 4.134423593810693,
    ("paco", 1): 26.676444108205246,
    ("proco", 1): 4.495553422216774,
}

# Every classification loss, and each of its forms that computes something else.
CLASSIFICATION = [
    *(name for name in losses.names() if not losses.create(name, COUNTS).contrastive),
    "bce[alpha=3.0;classes=mean]",
    "focal_sigmoid[gamma=0.5]",
    "label_smoothing[spread=others]",
    "weighted_ce[weights=inverse_sqrt;reduction=batch_size]",
    "weighted_ce[weights=effective_number;beta=0.999;normalise=largest]",
    "class_balanced[base=sigmoid;normalise=none]",
    "class_balanced[base=focal;gamma=0.5;reduction=weight_sum]",
    "cefl[gamma=0.5]",
    "cefl2[gamma=0.5]",
    "lade[importance=sample]",
    "ldam[scale=1.0]",
    "loss_equalised[scope=dataset]",
    "loss_equalised[scope=loss]",
    "label_aware_smoothing[form=convex;spread=all]",
    "awabs[form=linear;epsilon_tail=0.1]",
    "deferred[base=equalization]",
]


def fixed_batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (or features) [6, 4] and targets [6] without a random generator; class 3 stands alone."""
    return 3 * torch.sin(torch.arange(24, dtype=torch.float64) ** 2).view(6, 4), torch.tensor([0, 0, 1, 2, 1, 3])


def fixed_noise(loss: Loss, like: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """What a loss with noise takes besides logits and targets: numbers spread over [0, 1), the same every time."""
    count = torch.arange(like.numel(), dtype=torch.float64)
    return ((count * 0.618033988749895).remainder(1).view(like.shape),) if loss.noise else ()


@pytest.mark.parametrize("entry", list(losses.LOSSES), ids=lambda entry: entry.name)
def test_value_is_the_one_its_version_stands_for(entry):
    loss = losses.create(entry.name, COUNTS)
    logits, targets = fixed_batch()
    value = loss(logits, targets, *fixed_noise(loss, logits))
    assert float(value) == pytest.approx(GOLDEN[entry.name, entry.version], rel=1e-9)


@pytest.mark.parametrize("name", losses.names())
def test_forward_is_reduce_of_per_sample(name):
    loss = losses.create(name, COUNTS).eval()  # some keep what they see in training
    logits, targets = fixed_batch()
    noise = fixed_noise(loss, logits)
    each = loss.per_sample(logits, targets, *noise)
    assert each.shape == targets.shape
    assert torch.equal(loss(logits, targets, *noise), loss.reduce(each, targets))


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


@pytest.mark.parametrize("text", CLASSIFICATION)
def test_gradient_is_the_numerical_one(text):
    loss = losses.create(text, [40, 30, 20, 1])
    targets = torch.tensor([0, 3, 1, 0, 0])  # class 2 is not in the batch
    logits = (2 * torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))).requires_grad_()
    noise = fixed_noise(loss, logits)
    if "scope=loss" in text:  # its weights are detached: the value does not change with them, only the gradient
        gradient = torch.autograd.grad(loss(logits, targets), logits)[0]
        plain = losses.create("ce", [1] * 4).per_sample(logits, targets)
        weights = loss.per_sample(logits, targets).detach() / plain.detach()
        torch.testing.assert_close(gradient, torch.autograd.grad((weights * plain).mean(), logits)[0])
    else:
        assert torch.autograd.gradcheck(lambda z: loss(z, targets, *noise), (logits,))


@pytest.mark.parametrize("text", CLASSIFICATION)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_huge_logits_have_finite_value_and_gradient(text, dtype):
    size = 1e4
    rows = [[size, -size, 0], [-size, size, 0], [size, size, size], [-size, -size, -size], [0, 0, size], [0, 0, 0]]
    logits = torch.tensor(rows, dtype=dtype, requires_grad=True)
    loss = losses.create(text, [1_000_000, 100, 1])
    noise = fixed_noise(loss, logits)
    for targets in ([0, 0, 1, 2, 0, 2], [1, 1, 1, 1, 1, 1], [2, 0, 0, 1, 2, 1]):
        logits.grad = None
        values = loss.per_sample(logits, torch.tensor(targets), *noise)
        value = loss.reduce(values, torch.tensor(targets))
        value.backward()
        assert values.dtype == torch.float32
        assert torch.isfinite(values).all()
        assert torch.isfinite(value)
        assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("text", CLASSIFICATION)
def test_low_precision_logits_are_computed_in_float32(text):
    logits = torch.randn(16, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    loss, targets = losses.create(text, COUNTS), torch.arange(16) % 3
    noise = fixed_noise(loss, logits)
    assert torch.equal(loss(logits, targets, *noise), loss(logits.float(), targets, *noise))


@pytest.mark.parametrize("text", CLASSIFICATION)
def test_float32_is_near_float64(text):
    logits = 3 * torch.randn(32, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    loss, targets = losses.create(text, COUNTS), torch.arange(32) % 4
    noise = fixed_noise(loss, logits)
    single, double = (loss(z, targets, *noise) for z in (logits.float(), logits))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("text", CLASSIFICATION)
def test_order_of_the_batch_does_not_matter(text):
    generator = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(12, 4, dtype=torch.float64, generator=generator), torch.arange(12) % 3
    loss, order = losses.create(text, COUNTS), torch.randperm(12, generator=generator)
    noise = fixed_noise(loss, logits)
    shuffled = loss(logits[order], targets[order], *(n[order] for n in noise))
    torch.testing.assert_close(shuffled, loss(logits, targets, *noise))


@pytest.mark.parametrize("text", CLASSIFICATION)
def test_state_has_nothing_to_load_and_copies_compute_the_same(text):
    loss = losses.create(text, COUNTS)
    assert not loss.state_dict()
    logits, targets = fixed_batch()
    noise = fixed_noise(loss, logits)
    assert torch.equal(copy.deepcopy(loss)(logits, targets, *noise), loss(logits, targets, *noise))


@pytest.mark.parametrize("text", CLASSIFICATION)
def test_mixed_labels(text):
    loss = losses.create(text, COUNTS)
    logits, targets = fixed_batch()
    partner, noise = targets.flip(0), fixed_noise(loss, logits)
    if not loss.mixable:
        with pytest.raises(SettingError, match="mixed labels"):
            loss.mixed(logits, targets, partner, 0.5)
        return
    own, other = loss(logits, targets, *noise), loss(logits, partner, *noise)
    torch.testing.assert_close(loss.mixed(logits, targets, partner, 0.3, *noise), 0.3 * own + 0.7 * other)
    torch.testing.assert_close(loss.mixed(logits, targets, partner, torch.ones(6), *noise), own)
    lam = torch.linspace(0, 1, 6, dtype=torch.float64)
    first = loss.reduce(lam * loss.per_sample(logits, targets, *noise), targets)
    second = loss.reduce((1 - lam) * loss.per_sample(logits, partner, *noise), partner)
    torch.testing.assert_close(loss.mixed(logits, targets, partner, lam, *noise), first + second)


def test_margins_and_batch_weights_are_the_ones_not_mixable():
    refused = {name for name in losses.names() if not losses.create(name, COUNTS).mixable}
    compared = {"supcon", "simclr", "bcl", "kcl", "tsc", "concutmix", "paco", "proco"}
    assert refused == compared | {"lade", "ldam", "ldam_drw", "loss_equalised"}
    assert losses.create("loss_equalised[scope=dataset]", COUNTS).mixable


def test_only_lade_with_another_test_prior_and_ldam_adjust():
    logits = torch.randn(5, 4)
    for text in CLASSIFICATION:
        scale = 1 if "ldam" not in text or "scale=1" in text else 30
        assert torch.equal(losses.create(text, COUNTS).adjust(logits), scale * logits), text


def test_only_deferred_losses_change_with_the_epoch():
    logits, targets = fixed_batch()
    changed = set()
    for text in CLASSIFICATION:
        loss = losses.create(text, COUNTS)
        noise = fixed_noise(loss, logits)
        before = loss(logits, targets, *noise)
        loss.set_epoch(200, 200)
        if not torch.equal(before, loss(logits, targets, *noise)):
            changed.add(text)
    assert changed == {"deferred", "ldam_drw", "deferred[base=equalization]"}


# --- sums of classes -------------------------------------------------------------------------------------------------


class Atomics(TorchDispatchMode):
    """Refuses what adds in the order in which CUDA's threads come."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func.overloadpacket.__name__ not in ("index_add", "index_add_", "scatter_add", "scatter_add_")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("rows", "width", "classes"), [(32, 128, 4), (256, 128, 100), (7, 1, 3), (5, 2, 9)])
def test_sums_of_classes_are_the_same_bits_both_ways(rows, width, classes):
    """The way of a CPU and that of CUDA, against sums one row after the other."""
    draw = torch.Generator().manual_seed(rows)
    values, targets = torch.randn(rows, width, generator=draw), torch.randint(0, classes, (rows,), generator=draw)
    expected = torch.zeros(classes, width)
    for value, target in zip(values, targets.tolist(), strict=True):
        expected[target] += value
    with Atomics():
        sorted_ = class_sums(values, targets, classes, by_sorting=True)
    assert torch.equal(sorted_, expected)
    assert torch.equal(class_sums(values, targets, classes), expected)
    ones = torch.ones(1).expand(rows)
    assert torch.equal(class_sums(ones, targets, classes), torch.bincount(targets, minlength=classes).float())


def test_a_centre_that_follows_on_cuda_adds_in_order(monkeypatch):
    """TSC's centres, and the means of classes: with the choice that a GPU makes, no atomics."""
    from ltlib.losses import tsc

    real = class_sums
    monkeypatch.setattr(tsc, "class_sums", lambda *args: real(*args, by_sorting=True))
    loss = losses.create("tsc", [1] * 4, width=8)
    unit = torch.nn.functional.normalize(torch.randn(16, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    before = loss.centres.clone()
    with Atomics():
        loss.observe(unit, torch.arange(16) % 3)
    assert (loss.centres[:3] != before[:3]).any(1).all()
    assert torch.equal(loss.centres[3], before[3])
