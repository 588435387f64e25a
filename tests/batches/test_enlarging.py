"""Images that a network wants larger than they are stored: enlarged batch by batch, the last thing that is done."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import functional

from ltlib.batches import augment
from ltlib.batches.resident import Resident
from ltlib.errors import SettingError

MEAN, STD = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)


def pixels(count: int, side: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def test_enlarged_by_hand() -> None:
    """A row 0, 128 at twice the size: centres at -1/4, 1/4, 3/4, 5/4 of a pixel, so 0, 32, 96, 128; columns alike."""
    images = np.repeat(np.array([[[[0], [128]], [[0], [128]]]], np.uint8), 3, axis=3)
    batch = Resident(images, [0], normalise="unit", resize=4).batch(torch.tensor([0]))
    expected = torch.tensor([0.0, 32.0, 96.0, 128.0]).expand(1, 3, 4, 4) / 255
    torch.testing.assert_close(batch, expected, rtol=0, atol=1e-7)
    upright = Resident(images.transpose(0, 2, 1, 3), [0], normalise="unit", resize=4).batch(torch.tensor([0]))
    torch.testing.assert_close(upright, expected.transpose(2, 3), rtol=0, atol=1e-7)


@pytest.mark.parametrize("side", [16, 37, 224])
def test_as_torchvision_resizes(side: int) -> None:
    """Its default on tensors, and on Pillow images within what rounding to bytes does."""
    images = pixels(3, 16)
    batch = Resident(images, [0, 1, 2], mean=MEAN, std=STD, resize=side).batch(torch.arange(3))
    resize, normalise = transforms.Resize(side), transforms.Normalize(MEAN, STD)
    assert batch.shape == (3, 3, side, side)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    for image, ours in zip(images, batch, strict=True):
        unit = transforms.ToTensor()(Image.fromarray(image))
        torch.testing.assert_close(ours, normalise(resize(unit)), rtol=0, atol=1e-5)
        by_pillow = transforms.ToTensor()(resize(Image.fromarray(image)))
        assert (ours * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1) - by_pillow).abs().max() < (
            0.51 / 255 * 2
        )


def test_enlarged_after_the_augmentation_and_no_larger_copy_is_kept() -> None:
    images, augmentation = pixels(40, 8), augment.create("shift1+flip+rotate10")
    draws = augmentation.draw(torch.Generator().manual_seed(3), (40,), (8, 8))
    settings = {"padding": augmentation.padding, "mean": MEAN, "std": STD}
    small = Resident(images, [0] * 40, **settings)
    large = Resident(images, [0] * 40, **settings, resize=64)
    streamed = Resident(images, [0] * 40, **settings, resize=64, max_bytes=0)
    index = torch.arange(40).flip(0)
    stored = small.batch(index, draws)
    assert torch.equal(large.stored(index, draws), stored)
    assert torch.equal(large.batch(index, draws), functional.resize(stored, [64, 64], antialias=False))
    assert torch.equal(streamed.batch(index, draws), large.batch(index, draws))
    assert large.nbytes == small.nbytes
    assert large.size == (8, 8)


def test_its_own_size_is_no_change() -> None:
    images = pixels(2, 9)
    same = Resident(images, [0, 1], normalise="unit", resize=9).batch(torch.arange(2))
    assert torch.equal(same, Resident(images, [0, 1], normalise="unit").batch(torch.arange(2)))


def test_smaller_is_refused() -> None:
    with pytest.raises(SettingError, match=r"only enlarges: .* 8x8 pixels, which 7 is below"):
        Resident(pixels(1, 8), [0], normalise="unit", resize=7)
