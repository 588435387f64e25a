"""An epoch's randomness: the same in any packing, different in every epoch, every image once."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ltlib import mixing
from ltlib.batches import augment
from ltlib.batches.draws import SAMPLERS, Draw, derived_seed, epoch_draws, generator, steps_per_epoch

ORDER = SAMPLERS.create("instance_balanced")
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
    first = [int(ORDER(targets, e, 1, generator(0, "order", 0, e))[0]) for e in range(2000)]
    counts = torch.bincount(torch.tensor(first), minlength=10).double()
    assert float(((counts - 200) ** 2 / 200).sum()) < 33.7


# --- mixing, second streams, noise -----------------------------------------------------------------------------------


def wired(count: int = 37, **changes: object) -> list[Draw]:
    given: dict[str, object] = {"seed": 1, "stage": 0, "epoch": 2, "epochs": 4, "batch_size": 8, "views": 1} | changes
    return epoch_draws(ORDER, CROP, torch.arange(count) % 5, **given)  # type: ignore[arg-type]


REVERSED = SAMPLERS.create("reversed")


@pytest.mark.parametrize(
    "more",
    [
        {"mixing": mixing.create("mixup")},
        {"mixing": mixing.create("cmo[first=0;last=0]")},
        {"second": REVERSED},
        {"noise": (1, 5)},
        {"noise": (2, 1), "views": 2},
    ],
)
def test_other_draws_leave_order_and_augmentation_as_they_are(more: dict[str, object]) -> None:
    """So a method with mixing or noise sees the images of the plain one, and older runs keep their numbers."""
    plain, found = wired(views=more.get("views", 1)), wired(**more)
    assert flat(found) == flat(plain)
    assert [draw.index.shape for draw in found] == [draw.index.shape for draw in plain]


def everything(draw: Draw) -> list[torch.Tensor]:
    found = [draw.index, *draw.views.values(), *draw.mix.values()]
    found += [] if draw.noise is None else [draw.noise]
    return found + ([] if draw.second is None else everything(draw.second))


ALL: dict[str, object] = {"mixing": mixing.create("cmo[first=0;last=0]"), "noise": (1, 5)}


@pytest.mark.parametrize("changed", [{"seed": 2}, {"stage": 1}, {"epoch": 3}])
@pytest.mark.parametrize("more", [ALL, {"second": REVERSED}, {"mixing": mixing.create("mixup")}])
def test_what_is_drawn_beside_depends_on_seed_stage_and_epoch(more: dict[str, object], changed: dict[str, int]) -> None:
    first, again, other = wired(**more), wired(**more), wired(**more, **changed)
    for one, same, another in zip(first, again, other, strict=True):
        pairs = list(zip(everything(one), everything(same), everything(another), strict=True))
        assert all(torch.equal(a, b) for a, b, _ in pairs)
        varied = [not torch.equal(a, c) for a, _, c in pairs if a.unique().numel() > 2]
        assert all(varied)
        assert len(varied) >= 3


def test_a_part_of_a_draw_is_cut_everywhere() -> None:
    draw = wired(**ALL)[0]
    assert draw.steps == 4
    for whole, cut in zip(everything(draw), everything(draw.part(1, 3)), strict=True):
        assert torch.equal(cut, whole[1:3])


def test_a_second_stream_is_repeated_or_cut_to_the_firsts_length() -> None:
    under = SAMPLERS.create("random_undersampling")
    over = SAMPLERS.create("random_oversampling")
    targets = torch.tensor([0] * 20 + [1] * 4)
    given = {"seed": 0, "stage": 0, "epoch": 1, "epochs": 1, "batch_size": 8, "views": 1}
    for second, kinds in ((under, 8), (over, 24)):
        found = epoch_draws(ORDER, CROP, targets, second=second, **given)  # type: ignore[arg-type]
        index = torch.cat([draw.second.index.flatten() for draw in found if draw.second is not None])
        assert len(index) == 24
        assert len(index.unique()) <= kinds
        assert abs(int((targets[index] == 1).sum()) - 12) <= 6


def test_noise_has_rows_for_every_view_of_every_image() -> None:
    found = wired(views=2, noise=(2, 3))
    assert [tuple(draw.noise.shape) for draw in found if draw.noise is not None] == [(4, 16, 3), (1, 10, 3)]
    values = torch.cat([draw.noise.flatten() for draw in found if draw.noise is not None])
    assert float(values.min()) >= 0
    assert float(values.max()) < 1
    assert len(values.unique()) > 0.99 * len(values)


def test_a_second_stream_has_numbers_of_its_own() -> None:
    """The same sampler for both streams: other images in other places, seen in other ways."""
    for draw in wired(second=ORDER):
        assert draw.second is not None
        assert not torch.equal(draw.second.index, draw.index)
        assert not any(torch.equal(draw.second.views[name], value) for name, value in draw.views.items())
