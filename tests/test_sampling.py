"""An epoch's randomness: the same in any packing, different in every epoch, every image once."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ltlib import augment, sampling
from ltlib.sampling import Draw, derived_seed, epoch_draws, steps_per_epoch

ORDER = sampling.SAMPLERS.create("instance_balanced")
CROP = augment.create("crop4+flip")


def draws(count: int = 37, batch: int = 8, views: int = 2, **changes: int) -> list[Draw]:
    numbers = {"seed": 1, "stage": 0, "epoch": 1, "epochs": 3} | changes
    return epoch_draws(ORDER, CROP, torch.zeros(count, dtype=torch.int64), batch_size=batch, views=views, **numbers)


def flat(found: list[Draw]) -> tuple[list[int], dict[str, list[list[float]]]]:
    """The epoch image by image, whatever the batches: index [M], draws [V, M]."""
    index = [i for draw in found for i in draw.index.flatten().tolist()]
    names = found[0].views
    views = {
        name: torch.cat([draw.views[name].transpose(0, 1).flatten(1) for draw in found], 1).tolist() for name in names
    }
    return index, views


@given(st.integers(2, 60), st.integers(2, 70))
@settings(max_examples=40, deadline=None)
def test_every_image_once_and_a_single_one_left_over_is_dropped(count: int, batch: int) -> None:
    found = draws(count, batch)
    index, _ = flat(found)
    assert len(index) == len(set(index)) == count - (count % batch == 1)
    assert set(index) <= set(range(count))
    assert sum(draw.steps for draw in found) == steps_per_epoch(count, batch)
    assert all(draw.index.shape[1] >= 2 for draw in found)
    assert all(value.shape == (draw.steps, 2, draw.index.shape[1]) for draw in found for value in draw.views.values())


def test_the_packing_into_batches_changes_nothing() -> None:
    expected = flat(draws(batch=37))
    for batch in (2, 5, 10, 36 // 2, 40):
        index, views = flat(draws(batch=batch))
        assert index == expected[0][: len(index)]
        assert views == {name: [row[: len(index)] for row in rows] for name, rows in expected[1].items()}


def test_the_same_numbers_give_the_same_draws_whatever_was_drawn_before() -> None:
    first = flat(draws())
    torch.manual_seed(99)
    torch.rand(3)
    draws(seed=5)
    assert flat(draws()) == first


@pytest.mark.parametrize("changed", [{"seed": 2}, {"stage": 1}, {"epoch": 2}])
def test_seed_stage_and_epoch_each_give_other_draws(changed: dict[str, int]) -> None:
    (index, views), (other_index, other_views) = flat(draws()), flat(draws(**changed))
    assert index != other_index
    assert all(views[name] != other_views[name] for name in views)


def test_the_number_of_epochs_is_no_part_of_the_draws() -> None:
    """A plain sampler's first epochs are the same in a shorter training."""
    assert flat(draws(epochs=3)) == flat(draws(epochs=200))


def test_two_views_of_an_image_are_drawn_apart() -> None:
    _, views = flat(draws(count=200, batch=200))
    assert views["dy"][0] != views["dy"][1]
    assert 0.3 < sum(a == b for a, b in zip(*views["flip"], strict=True)) / 200 < 0.7


def test_purposes_have_unrelated_streams() -> None:
    seeds = {
        derived_seed(s, purpose, *n) for s in (0, 1) for purpose in ("order", "augment") for n in ((), (1,), (1, 2))
    }
    assert len(seeds) == 12
    assert derived_seed(1, "order", 12) != derived_seed(1, "order", 1, 2)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_orders_are_uniform() -> None:
    """Each image is first about equally often: chi-square over 10 images, 2,000 epochs, 99.99% quantile."""
    targets = torch.zeros(10, dtype=torch.int64)
    first = [int(ORDER(targets, e, 1, sampling.generator(0, "order", 0, e))[0]) for e in range(2000)]
    counts = torch.bincount(torch.tensor(first), minlength=10).double()
    assert float(((counts - 200) ** 2 / 200).sum()) < 33.7
