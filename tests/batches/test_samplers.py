"""Samplers: their distributions, epoch lengths and reproducibility."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from ltlib import methods
from ltlib.batches import samplers
from ltlib.batches.draws import SAMPLERS, spec
from ltlib.errors import DataError, SettingError, UnknownName

COUNTS = [60, 25, 10, 0, 5]  # class 3 has no image
TARGETS = torch.repeat_interleave(torch.arange(5), torch.tensor(COUNTS))[
    torch.randperm(100, generator=torch.Generator().manual_seed(9))
]


def epoch(text: str, number: int = 1, epochs: int = 10, seed: int = 0, targets: torch.Tensor = TARGETS) -> torch.Tensor:
    return SAMPLERS.create(text)(targets, number, epochs, torch.Generator().manual_seed(seed))


def many(text: str, number: int = 1, epochs: int = 10, draws: int = 60, start: int = 0) -> torch.Tensor:
    return torch.cat([epoch(text, number, epochs, seed) for seed in range(start, start + draws)])


def test_they_are_all_registered_where_training_looks():
    assert SAMPLERS is samplers.SAMPLERS
    assert SAMPLERS.names()[0] == "instance_balanced"
    assert len(SAMPLERS.names()) == 9


def test_the_old_sampler_gives_its_old_order():
    generator = torch.Generator().manual_seed(3)
    expected = torch.randperm(100, generator=torch.Generator().manual_seed(3))
    assert torch.equal(SAMPLERS.create("instance_balanced")(TARGETS, 1, 10, generator), expected)
    assert spec("instance_balanced").version == 1


LENGTHS = {
    **dict.fromkeys(("instance_balanced", "class_balanced", "square_root", "progressively_balanced"), 100),
    **dict.fromkeys(("reversed", "deferred"), 100),
    **dict.fromkeys(("class_aware", "random_oversampling"), 60 * 4),
    "random_undersampling": 5 * 4,
}


@pytest.mark.parametrize("name", SAMPLERS.names())
@pytest.mark.parametrize("number", [1, 5, 10])
def test_an_epoch_has_the_documented_length(name, number):
    order = epoch(name, number)
    assert order.dtype == torch.int64
    assert len(order) == LENGTHS[name] == samplers.epoch_length(name, COUNTS)
    assert order.min() >= 0
    assert order.max() < 100


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_an_epoch_can_be_drawn_again(name):
    for number in (1, 9, 10):
        assert torch.equal(epoch(name, number, seed=5), epoch(name, number, seed=5))
        assert not torch.equal(epoch(name, number, seed=5), epoch(name, number, seed=6))


# --- chances of classes ----------------------------------------------------------------------------------------------


def effective(beta: float) -> list[float]:
    return [0 if n == 0 else n * (1 - beta) / (1 - beta**n) for n in COUNTS]


EXPECTED = {
    ("class_balanced", 1): [1, 1, 1, 0, 1],
    ("square_root", 1): [n**0.5 for n in COUNTS],
    ("reversed", 1): [0 if n == 0 else 1 / n for n in COUNTS],
    ("progressively_balanced", 1): COUNTS,
    ("progressively_balanced", 4): [(2 / 3) * n / 100 + (1 / 3) * (n > 0) / 4 for n in COUNTS],
    ("progressively_balanced", 10): [1, 1, 1, 0, 1],
    ("deferred", 9): effective(0.9999),
    ("deferred[beta=0.9]", 9): effective(0.9),
    ("deferred[beta=1]", 9): [1, 1, 1, 0, 1],
    ("deferred[beta=0;start=0]", 1): COUNTS,
}


@pytest.mark.parametrize(("text", "number"), EXPECTED)
def test_classes_are_drawn_by_their_chances(text, number):
    drawn = torch.bincount(TARGETS[many(text, number)], minlength=5).numpy()
    chances = np.array(EXPECTED[text, number], dtype=float)
    assert drawn[3] == 0
    keep = chances > 0
    expected = chances[keep] / chances.sum() * drawn.sum()
    assert stats.chisquare(drawn[keep], expected).pvalue > 0.01


@pytest.mark.parametrize("text", ["class_balanced", "square_root", "reversed", "class_aware", "random_oversampling"])
def test_images_of_a_class_are_as_likely(text):
    drawn = torch.bincount(many(text, draws=200, start=1000), minlength=100)
    for c in (0, 1, 2, 4):
        own = drawn[c == TARGETS].numpy()
        # rounds through a whole class leave nothing to chance, so their counts may be equal
        assert own.min() == own.max() or stats.chisquare(own).pvalue > 0.01 / 4  # four looks


def test_places_are_independent():
    """Neighbouring places of class-balanced sampling: every pair of classes as often."""
    classes = TARGETS[many("class_balanced", draws=80)].view(-1, 2)
    classes = torch.where(classes == 4, 3, classes)
    cells = torch.bincount(classes[:, 0] * 4 + classes[:, 1], minlength=16)
    assert stats.chisquare(cells.numpy()).pvalue > 0.01


def test_progressive_balance_of_a_single_epoch_starts_as_the_images_are():
    drawn = torch.bincount(TARGETS[many("progressively_balanced", 1, 1)], minlength=5).numpy()
    keep = [0, 1, 2, 4]
    assert stats.chisquare(drawn[keep], np.array(COUNTS)[keep] / 100 * drawn.sum()).pvalue > 0.01


def test_deferred_changes_after_four_fifths_of_the_epochs():
    everything = torch.arange(200)
    for number, plain in ((1, True), (160, True), (161, False), (200, False)):
        order = epoch("deferred", number, 200, targets=everything % 7)
        assert torch.equal(order.sort().values, everything) == plain
    assert torch.equal(epoch("deferred[start=1]", 10).sort().values, torch.arange(100))


# --- class by class --------------------------------------------------------------------------------------------------


def test_class_aware_takes_classes_in_rounds_and_images_in_cycles():
    order = epoch("class_aware", seed=4)
    classes = TARGETS[order].view(-1, 4)  # four images of a class in a row
    assert (classes == classes[:, :1]).all()
    rounds = classes[:, 0].view(-1, 4)  # every round has every class once
    assert torch.equal(rounds.sort(1).values, torch.tensor([0, 1, 2, 4]).expand_as(rounds))
    for c, count in enumerate(COUNTS):
        own = order[TARGETS[order] == c]
        for start in range(0, len(own) - count + 1, max(count, 1)):
            if count:  # each cycle holds every image of the class once
                assert len(own[start : start + count].unique()) == count
    assert torch.bincount(TARGETS[order], minlength=5).tolist() == [60, 60, 60, 0, 60]


def test_class_aware_keeps_its_rounds_for_any_number_of_images_a_turn():
    """What MiSLAS's RandomCycleIter guarantees, for any number of images a turn."""
    for per_class in (1, 3, 4, 7):
        order = epoch(f"class_aware[per_class={per_class}]", seed=per_class)
        classes = TARGETS[order].tolist()
        assert len(classes) == 240
        turns = [classes[start : start + per_class] for start in range(0, 240, per_class)]
        assert all(len(set(turn)) == 1 for turn in turns)
        heads = [turn[0] for turn in turns]
        for start in range(0, len(heads) - 3, 4):
            assert sorted(heads[start : start + 4]) == [0, 1, 2, 4]


def test_oversampling_uses_the_images_of_a_class_equally_often():
    times = torch.bincount(epoch("random_oversampling"), minlength=100)
    for c, count in enumerate(COUNTS):
        if count:
            own = times[c == TARGETS]
            assert own.sum() == 60
            assert own.min() == 60 // count
            assert own.max() == -(-60 // count)
    ten = torch.cat([epoch("random_oversampling", seed=s) for s in range(50)])
    extra = torch.bincount(ten, minlength=100)[TARGETS == 1] - 50 * (60 // 25)
    assert stats.chisquare(extra.numpy()).pvalue > 0.01  # who gets the last ten copies is anew each epoch


def test_undersampling_takes_another_choice_each_epoch():
    order = epoch("random_undersampling")
    assert torch.bincount(TARGETS[order], minlength=5).tolist() == [5, 5, 5, 0, 5]
    assert len(order.unique()) == 20
    times = torch.bincount(many("random_undersampling", draws=300), minlength=100)
    assert stats.chisquare(times[TARGETS == 0].numpy()).pvalue > 0.01
    assert times[TARGETS == 4].eq(300).all()


@pytest.mark.parametrize("name", ["random_oversampling", "random_undersampling"])
def test_the_order_of_classes_is_shuffled(name):
    """The class at the first place, over many epochs."""
    first = torch.stack([TARGETS[epoch(name, seed=s)[0]] for s in range(400)])
    cells = torch.bincount(first, minlength=5)[[0, 1, 2, 4]]
    assert stats.chisquare(cells.numpy()).pvalue > 0.01


# --- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_balanced_sets_are_drawn_in_balance(name):
    targets = torch.arange(60) % 3
    drawn = torch.bincount(targets[torch.cat([epoch(name, 9, 10, s, targets) for s in range(30)])], minlength=3)
    assert stats.chisquare(drawn.numpy()).pvalue > 0.01


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_one_class_and_one_image(name):
    for targets in (torch.zeros(4, dtype=torch.int64), torch.full((1,), 2)):
        order = epoch(name, 10, targets=targets)
        assert len(order) == len(targets) == samplers.epoch_length(name, torch.bincount(targets).tolist())


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="there are none"):
        epoch("class_balanced", targets=torch.zeros(0, dtype=torch.int64))
    for text in ("deferred[start=2]", "deferred[beta=-1]", "class_aware[per_class=0]"):
        with pytest.raises(SettingError):
            SAMPLERS.create(text)
    with pytest.raises(UnknownName, match="class_balanced"):
        spec("class_balance")


def test_samplers_leave_out_and_repeat() -> None:
    targets = np.repeat([0, 1], [9, 3])
    under = samplers.uses(targets, "random_undersampling")
    over = samplers.uses(targets, "random_oversampling")
    assert [int(under[targets == c].sum()) for c in (0, 1)] == [3, 3]
    assert under.max() == 1
    assert over[targets == 0].tolist() == [1] * 9
    assert over[targets == 1].tolist() == [3] * 3


def test_reversed_is_by_counts_and_not_by_effective_numbers():
    """At 20,000 and 10,000 images effective numbers (beta 0.9999) are 8,647 and 6,321; counts are as 2 to 1."""
    first, second = samplers.Reversed().chances(torch.tensor([20_000.0, 10_000.0]).double(), 1, 1).tolist()
    assert second / first == pytest.approx(2)
    assert methods.stages("bbn")[0].second_sampler == spec("reversed")
