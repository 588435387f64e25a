"""The random resized crop: its pixels against torchvision on Pillow images, its windows against torchvision's draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import stats
from sklearn.datasets import load_sample_image
from torchvision.transforms import RandomResizedCrop, functional

from ltlib.batches import augment
from ltlib.batches.resized_crop import DRAWS, central_size, draw, resized_crop
from ltlib.errors import SettingError

SIZES = [(8, 8), (32, 32), (64, 64), (224, 224), (17, 23), (1, 5), (5, 1)]


def samples(height: int, width: int, count: int = 6) -> torch.Tensor:
    """Noise, and pieces of two photographs (as they are, and of the whole photograph): uint8 [count, H, W, 3]."""
    rng = np.random.default_rng(0)
    found = [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count - 4)]
    for name in ("china.jpg", "flower.jpg"):
        photograph = load_sample_image(name)
        found.append(photograph[100 : 100 + height, 200 : 200 + width])
        found.append(np.asarray(Image.fromarray(photograph).resize((width, height))))
    return torch.from_numpy(np.stack(found))


def by_torchvision(image: torch.Tensor, box: list[int]) -> torch.Tensor:
    made = functional.resized_crop(Image.fromarray(image.numpy()), *box, list(image.shape[:2]))
    return torch.from_numpy(np.array(made))


def special(height: int, width: int) -> list[list[int]]:
    """The whole image, single pixels in the corners and the middle, a row, a column, all but the border."""
    pixels_ = [[y, x, 1, 1] for y in {0, height // 2, height - 1} for x in {0, width // 2, width - 1}]
    lines = [[height - 1, 0, 1, width], [0, width - 1, height, 1], [height // 2, 0, 1, width], [0, 0, height, 1]]
    rest = [[0, 0, height, width]] + ([[1, 1, height - 2, width - 2]] if min(height, width) > 2 else [])
    return pixels_ + lines + rest


# --- the pixels ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_every_pixel_equals_torchvisions(size):
    images = samples(*size)
    drawn = draw(0.08, torch.Generator().manual_seed(1), (30,), size)
    boxes = special(*size) + torch.stack([drawn[name] for name in DRAWS], 1).tolist()
    index = torch.arange(len(boxes)) % len(images)
    ours = resized_crop(images[index], *torch.tensor(boxes).unbind(1))
    assert ours.dtype == torch.uint8
    for i, box in enumerate(boxes):
        assert torch.equal(ours[i], by_torchvision(images[index[i]], box)), box


@settings(max_examples=80, deadline=None)
@given(data=st.data(), height=st.integers(1, 70), width=st.integers(1, 70))
def test_every_pixel_equals_torchvisions_at_any_size_and_window(data, height, width):
    image = torch.from_numpy(np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8))
    tall, wide = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    box = [data.draw(st.integers(0, height - tall)), data.draw(st.integers(0, width - wide)), tall, wide]
    ours = resized_crop(image[None], *torch.tensor([box]).unbind(1))[0]
    assert torch.equal(ours, by_torchvision(image, box))


def test_two_pixels_enlarged_to_four_by_hand():
    """Centres at 0.25, 0.75, 1.25, 1.75 of pixels centred at 0.5 and 1.5: shares 0, 1/4, 3/4, 1 of the second."""
    image = torch.tensor([0, 255, 9, 9], dtype=torch.uint8).view(1, 1, 4, 1).expand(1, 4, 4, 3).contiguous()
    ours = resized_crop(image, *torch.tensor([[1, 0, 2, 2]]).unbind(1))
    assert ours[0, :, :, 0].tolist() == [[0, 64, 191, 255]] * 4  # 63.75 and 191.25


def test_the_whole_image_is_itself_and_one_pixel_fills_it():
    images = samples(9, 7)
    count = len(images)
    whole, one = torch.tensor([[0, 0, 9, 7]] * count), torch.tensor([[8, 6, 1, 1]] * count)
    assert torch.equal(resized_crop(images, *whole.unbind(1)), images)
    assert torch.equal(resized_crop(images, *one.unbind(1)), images[:, 8:, 6:].expand_as(images))


def test_images_of_a_batch_do_not_touch_each_other():
    """Alone or all at once: no window's border sees its neighbour."""
    images = samples(16, 12, 40)
    boxes = tuple(draw(0.08, torch.Generator().manual_seed(2), (40,), (16, 12)).values())
    together = resized_crop(images, *boxes)
    alone = torch.cat([resized_crop(images[i : i + 1], *(v[i : i + 1] for v in boxes)) for i in range(40)])
    assert torch.equal(together, alone)


def test_one_channel():
    images = samples(13, 16)[..., :1].contiguous()
    boxes = tuple(draw(0.2, torch.Generator().manual_seed(3), (6,), (13, 16)).values())
    for i, made in enumerate(resized_crop(images, *boxes)):
        picture = Image.fromarray(images[i, :, :, 0].numpy())
        expected = functional.resized_crop(picture, *(int(v[i]) for v in boxes), [13, 16])
        assert np.array_equal(made[..., 0].numpy(), np.asarray(expected))


# --- the draws -------------------------------------------------------------------------------------------------------


def one_by_one(share, seed, count, size):
    """The same random numbers, image after image with Python's numbers, as torchvision's `get_params` goes on."""
    generator, (rows, columns) = torch.Generator().manual_seed(seed), size
    tries = []
    for _ in range(10):
        area = torch.empty(count).uniform_(share, 1.0, generator=generator).tolist()
        ratio = torch.empty(count).uniform_(math.log(3 / 4), math.log(4 / 3), generator=generator).tolist()
        tries.append(list(zip(area, ratio, strict=True)))
    place = [torch.rand(count, generator=generator).tolist() for _ in range(2)]
    for i in range(count):
        for area, ratio in (one[i] for one in tries):
            wide = round(math.sqrt(rows * columns * area * math.exp(ratio)))
            tall = round(math.sqrt(rows * columns * area / math.exp(ratio)))
            if 0 < wide <= columns and 0 < tall <= rows:
                yield (int(place[0][i] * (rows - tall + 1)), int(place[1][i] * (columns - wide + 1)), tall, wide)
                break
        else:
            tall, wide = central_size(rows, columns)
            yield ((rows - tall) // 2, (columns - wide) // 2, tall, wide)


@pytest.mark.parametrize(("share", "size"), [(0.08, (64, 64)), (0.08, (8, 8)), (0.9, (10, 40)), (0.5, (30, 20))])
def test_windows_are_those_of_the_rule_at_equal_numbers(share, size):
    drawn = draw(share, torch.Generator().manual_seed(4), (300,), size)
    assert list(drawn) == list(DRAWS)
    ours = torch.stack(list(drawn.values()), 1)
    assert ours.dtype == torch.int64
    assert ours.tolist() == [list(box) for box in one_by_one(share, 4, 300, size)]


@pytest.mark.parametrize(("share", "size"), [(0.08, (8, 8)), (0.3, (6, 9)), (0.5, (5, 8))])
def test_windows_are_as_frequent_as_torchvisions(share, size):
    """Sizes against sizes, and places within the most frequent size: two samples, one law."""
    count, few = 20_000, 5_000
    drawn = torch.stack(list(draw(share, torch.Generator().manual_seed(5), (count,), size).values()), 1).tolist()
    torch.manual_seed(6)
    image = Image.new("RGB", size[::-1])
    theirs = [RandomResizedCrop.get_params(image, [share, 1.0], [3 / 4, 4 / 3]) for _ in range(few)]
    kinds = {box[2:] for box in theirs} | {tuple(box[2:]) for box in drawn}
    table = np.array([[sum(tuple(box[2:]) == kind for box in boxes) for kind in kinds] for boxes in (drawn, theirs)])
    frequent = table.sum(0) >= 50
    pooled = np.concatenate([table[:, frequent], table[:, ~frequent].sum(1, keepdims=True)], 1)
    assert stats.chi2_contingency(pooled[:, pooled.sum(0) > 0]).pvalue > 0.01
    tall, wide = max((kind for kind in kinds if kind != size), key=lambda k: table[1, list(kinds).index(k)])
    places = [
        np.bincount(
            [y * size[1] + x for y, x, *kind in boxes if tuple(kind) == (tall, wide)], minlength=size[0] * size[1]
        )
        for boxes in (drawn, theirs)
    ]
    both = np.array(places)[:, np.sum(places, 0) > 0]
    assert both.shape[1] == (size[0] - tall + 1) * (size[1] - wide + 1) > 1
    assert stats.chi2_contingency(both).pvalue > 0.01


def test_areas_and_shapes_of_large_images_are_torchvisions():
    drawn = draw(0.08, torch.Generator().manual_seed(7), (40, 100), (224, 224))
    torch.manual_seed(8)
    image = Image.new("RGB", (224, 224))
    top, left, height, width = np.array(
        [RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)]
    ).T
    ours = {name: value.flatten().numpy() for name, value in drawn.items()}
    assert stats.ks_2samp(ours["height"] * ours["width"], height * width).pvalue > 0.01
    assert stats.ks_2samp(ours["height"] / ours["width"], height / width).pvalue > 0.01
    assert stats.ks_2samp(ours["top"] / (225 - ours["height"]), top / (225 - height)).pvalue > 0.01
    assert stats.ks_2samp(ours["left"] / (225 - ours["width"]), left / (225 - width)).pvalue > 0.01
    assert (ours["top"] + ours["height"] <= 224).all()
    assert (ours["left"] + ours["width"] <= 224).all()


def test_the_window_in_the_middle_where_nothing_fits():
    """Nine tenths of a strip of 10 x 40 with a width of at most 4/3 of its height: 10 x 13, then 27 columns of room."""
    assert central_size(10, 40) == (10, 13)
    assert central_size(40, 10) == (13, 10)
    assert central_size(9, 9) == (9, 9)
    drawn = draw(0.9, torch.Generator(), (50,), (10, 40))
    for name, value in (("top", 0), ("left", 13), ("height", 10), ("width", 13)):
        assert drawn[name].unique().tolist() == [value]
    image = Image.new("RGB", (40, 10))
    assert RandomResizedCrop.get_params(image, [0.9, 1.0], [3 / 4, 4 / 3]) == (0, 13, 10, 13)


def test_the_full_area_of_a_square_is_the_image():
    """Of the same area as 8 x 8, only 8 x 8 fits into it."""
    drawn = draw(1.0, torch.Generator(), (200,), (8, 8))
    assert drawn["height"].unique().tolist() == drawn["width"].unique().tolist() == [8]


@pytest.mark.parametrize("shape", [(3, 40), (2, 3, 20)])
def test_draws_do_not_depend_on_the_packing(shape):
    augmentation = augment.create("resizedcrop+flip+jitter0.4+rotate15")
    flat = augmentation.draw(torch.Generator().manual_seed(0), (120,), (16, 16))
    packed = augmentation.draw(torch.Generator().manual_seed(0), shape, (16, 16))
    assert tuple(flat) == tuple(packed) == augmentation.names
    for name, value in flat.items():
        assert packed[name].shape == shape
        assert torch.equal(packed[name].flatten(), value)


def test_further_parts_leave_the_window_alone_and_the_size_is_needed():
    few = augment.create("resizedcrop").draw(torch.Generator().manual_seed(0), (50,), (32, 32))
    many = augment.create("resizedcrop+flip+jitter1+rotate9").draw(torch.Generator().manual_seed(0), (50,), (32, 32))
    assert all(torch.equal(many[name], few[name]) for name in few)
    with pytest.raises(SettingError, match="image_size"):
        augment.create("resizedcrop+flip").draw(torch.Generator(), (3,))
