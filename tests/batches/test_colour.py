"""Colour jitter: its pixels against torchvision on Pillow images, its factors and orders against ColorJitter's."""

from __future__ import annotations

import itertools
import platform

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import stats
from test_resized_crop import samples
from torchvision.transforms import ColorJitter, functional

from ltlib.batches import augment, colour
from ltlib.batches.pipeline import transform

ORDERS = list(itertools.permutations(range(3)))
CHANGES = (functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation)
# Pillow's blend is one multiplication and one addition; elsewhere compilers fuse them, which moves rare pixels.
EXACT = platform.machine() in ("x86_64", "AMD64")


def by_torchvision(picture: Image.Image, factors: list[float], order: int) -> np.ndarray:
    for kind in ORDERS[order]:
        picture = CHANGES[kind](picture, factors[kind])
    return np.asarray(picture)


def check(images: torch.Tensor, factors: torch.Tensor, order: torch.Tensor) -> None:
    ours = colour.jitter(images, *factors.unbind(1), order).numpy()
    assert ours.dtype == np.uint8
    for i, made in enumerate(ours):
        array = images[i].numpy()
        expected = by_torchvision(Image.fromarray(array), factors[i].tolist(), int(order[i]))
        if EXACT:
            assert np.array_equal(made, expected), (factors[i], order[i])
        else:
            assert np.abs(made.astype(int) - expected).max() <= 4


# --- the pixels ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (64, 64), (224, 224), (17, 23), (1, 5)])
@pytest.mark.parametrize("strength", [0.4, 2.0])
def test_every_pixel_equals_torchvisions(size, strength):
    images = samples(*size)
    drawn = colour.draw(strength, torch.Generator().manual_seed(1), (36,))
    factors = torch.stack([drawn[name] for name in colour.DRAWS[:3]], 1)
    check(images.repeat(6, 1, 1, 1), factors, torch.arange(36) // 6)


def test_limits_of_the_factors_in_every_order():
    """0 (black; flat; grey), 1 and 2 for each of the three, in each of six orders; and images of one colour."""
    cases = list(itertools.product(itertools.product((0.0, 1.0, 2.0), repeat=3), range(6)))
    plain = torch.tensor([[0, 0, 0], [255, 255, 255], [200, 100, 50]], dtype=torch.uint8)
    images = torch.cat([samples(8, 8), plain[:, None, None].expand(3, 8, 8, 3)])
    index = torch.arange(len(cases)) % len(images)
    check(images[index], torch.tensor([one[0] for one in cases]), torch.tensor([one[1] for one in cases]))


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    factors=st.lists(st.floats(0, 3, width=32), min_size=3, max_size=3),
    order=st.integers(0, 5),
)
def test_every_pixel_equals_torchvisions_at_any_factors(height, width, factors, order):
    generator = np.random.default_rng(height * 20 + width)
    image = torch.from_numpy(generator.integers(0, 256, (1, height, width, 3), dtype=np.uint8))
    check(image, torch.tensor([factors]), torch.tensor([order]))


def test_one_pixel_by_hand():
    """Red 200, green 100, blue 50: grey is 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2, of which 124 is left."""
    image = torch.tensor([200, 100, 50], dtype=torch.uint8).view(1, 1, 1, 3)

    def made(*factors: float, order: int = 0) -> list[int]:
        numbers = (torch.tensor([value]) for value in factors)
        return colour.jitter(image, *numbers, torch.tensor([order])).flatten().tolist()

    assert made(0.5, 1.0, 1.0) == [100, 50, 25]
    assert made(1.0, 0.5, 1.0) == [162, 112, 87]  # (200 + 124) / 2, ...
    assert made(1.0, 1.0, 0.0) == [124, 124, 124]
    assert made(2.0, 1.0, 1.0) == [255, 200, 100]
    assert made(2.0, 1.0, 0.0, order=0) == [205, 205, 205]  # brightened, then made grey: 205.05
    assert made(2.0, 1.0, 0.0, order=5) == [248, 248, 248]  # made grey, then brightened


def test_factors_of_one_change_nothing():
    images = samples(16, 12)
    ones = torch.ones(len(images))
    for order in range(6):
        assert torch.equal(colour.jitter(images, ones, ones, ones, torch.full((len(images),), order)), images)


def test_images_of_a_batch_do_not_touch_each_other():
    images = samples(16, 12, 40)
    drawn = tuple(colour.draw(0.9, torch.Generator().manual_seed(2), (40,)).values())
    together = colour.jitter(images, *drawn)
    alone = torch.cat([colour.jitter(images[i : i + 1], *(v[i : i + 1] for v in drawn)) for i in range(40)])
    assert torch.equal(together, alone)


def test_one_channel():
    images = samples(13, 16)[..., :1].contiguous()
    drawn = colour.draw(0.8, torch.Generator().manual_seed(3), (6,))
    for i, made in enumerate(colour.jitter(images, *drawn.values())):
        factors = [float(drawn[name][i]) for name in colour.DRAWS[:3]]
        picture = Image.fromarray(images[i, :, :, 0].numpy())
        difference = made[..., 0].numpy().astype(int) - by_torchvision(picture, factors, int(drawn["colour_order"][i]))
        assert np.abs(difference).max() <= (0 if EXACT else 4)


def test_the_mean_of_the_largest_white_image_is_white():
    """Sums beyond what float32 counts exactly, and a mean of exactly one half, which Pillow rounds up."""
    assert colour.rounded_mean(torch.full((1, 600, 700), 255.0)).tolist() == [255.0]
    assert colour.rounded_mean(torch.tensor([[[3.0, 4.0]], [[3.0, 3.0]]])).tolist() == [4.0, 3.0]


# --- the draws -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [0.4, 1.5])
def test_draws_have_color_jitters_distribution(strength):
    drawn = colour.draw(strength, torch.Generator().manual_seed(4), (60, 100))
    theirs = ColorJitter(strength, strength, strength)
    for name in colour.DRAWS[:3]:
        low, high = getattr(theirs, name)
        assert drawn[name].dtype == torch.float32
        assert stats.kstest(drawn[name].flatten().numpy(), stats.uniform(low, high - low).cdf).pvalue > 0.01
    torch.manual_seed(5)
    found = np.zeros((2, 6))
    found[0] = np.bincount(drawn["colour_order"].flatten(), minlength=6)
    for _ in range(3000):
        order = ColorJitter.get_params(None, None, None, None)[0].tolist()
        found[1, ORDERS.index(tuple(kind for kind in order if kind < 3))] += 1
    assert stats.chisquare(found[0]).pvalue > 0.01
    assert stats.chi2_contingency(found).pvalue > 0.01
    pairs = np.corrcoef([drawn[name].flatten().numpy() for name in colour.DRAWS])
    assert np.abs(pairs - np.eye(4)).max() < 0.05


# --- both new parts in the text, and their pipeline ------------------------------------------------------------------


def test_the_dataloaders_pipeline_has_the_same_pixels_at_equal_draws(monkeypatch):
    """Every draw of torchvision's replaced by ours: what it then makes of an image is what the batch holds."""
    from torchvision import transforms

    from ltlib.batches.resident import Resident

    images, text = samples(32, 32), "resizedcrop20+flip+vflip+jitter0.6+rotate20"
    augmentation = augment.create(text)
    draws = augmentation.draw(torch.Generator().manual_seed(6), (len(images),), (32, 32))
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)
    batch = Resident(images, [0] * len(images), mean=mean, std=std).batch(torch.arange(len(images)), draws)
    pipeline = transform(text, "mean_std", mean, std)
    current = 0
    asked: list[object] = []

    def box(image, scale, ratio):
        asked.extend([scale, ratio])
        return tuple(int(draws[name][current]) for name in ("top", "left", "height", "width"))

    def jitter(*ranges):
        asked.append(ranges)
        order = torch.tensor([*ORDERS[int(draws["colour_order"][current])], 3])
        return order, *(float(draws[name][current]) for name in colour.DRAWS[:3]), None

    monkeypatch.setattr(transforms.RandomResizedCrop, "get_params", staticmethod(box))
    monkeypatch.setattr(transforms.ColorJitter, "get_params", staticmethod(jitter))
    monkeypatch.setattr(
        transforms.RandomRotation, "get_params", staticmethod(lambda degrees: float(draws["angle"][current]))
    )
    for flip in ("flip", "vflip"):
        kind = transforms.RandomHorizontalFlip if flip == "flip" else transforms.RandomVerticalFlip
        change = functional.hflip if flip == "flip" else functional.vflip
        monkeypatch.setattr(
            kind,
            "forward",
            lambda self, image, flip=flip, change=change: change(image) if draws[flip][current] else image,
        )
    for current in range(len(images)):
        assert torch.equal(pipeline(Image.fromarray(images[current].numpy())), batch[current])
    assert asked[:3] == [[0.2, 1.0], [3 / 4, 4 / 3], ((0.4, 1.6), (0.4, 1.6), (0.4, 1.6), None)]
