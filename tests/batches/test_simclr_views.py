"""The augmentation of compared views: SimCLR's colours, grey and blur, pixel by pixel Pillow's and torchvision's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from scipy import stats
from torchvision import transforms
from torchvision.transforms import functional

from ltlib.batches import augment, blur, colour, distortion
from ltlib.batches.pipeline import transform
from ltlib.batches.resident import Resident
from ltlib.errors import SettingError, UnknownName

ORDERS = list(itertools.permutations(range(4)))
SIZES = [(8, 8), (32, 32), (7, 9), (1, 5), (2, 1)]


def samples(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Noise, and smooth colours, whose hue is another matter than that of noise."""
    generator = np.random.default_rng(seed)
    noise = generator.integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    base = generator.integers(0, 236, (count, 1, 1, 3))
    smooth = (base + generator.integers(0, 20, (count, height, width, 3))).astype(np.uint8)
    return torch.from_numpy(np.concatenate([noise[: count // 2], smooth[count // 2 :]]))


def pillow(image: torch.Tensor) -> Image.Image:
    return Image.fromarray(image.numpy())


def turn(levels: int) -> float:
    """A hue factor of torchvision that turns by so many levels, modulo 256: it cuts 255 times the factor off."""
    signed = levels - 256 if levels > 128 else levels
    return (signed + (0.5 if signed > 0 else -0.5 if signed < 0 else 0.0)) / 255


def test_every_colour_is_turned_as_pillow_turns_it():
    """All 2^24 colours, there and back, in every sector of the circle and with every rounding."""
    levels = np.arange(256, dtype=np.uint8)
    for start, shift in zip(range(0, 256, 32), (0, 1, 17, 43, 128, 200, 230, 255), strict=True):
        red = levels[start : start + 32]
        cube = np.stack(np.meshgrid(red, levels, levels, indexing="ij"), -1).reshape(2048, 1024, 3)
        hue, saturation, value = (np.asarray(plane) for plane in Image.fromarray(cube).convert("HSV").split())
        moved = Image.merge("HSV", [Image.fromarray(p) for p in (hue + np.uint8(shift), saturation, value)])
        planes = torch.from_numpy(cube).permute(2, 0, 1)[None].float()
        found = distortion.turned(planes, torch.tensor([shift]))[0].permute(1, 2, 0)
        assert (found.numpy() == np.asarray(moved.convert("RGB"))).all()


@pytest.mark.parametrize("size", SIZES)
def test_the_distortion_is_torchvisions_at_equal_draws(size):
    images = samples(200, *size)
    draws = distortion.draw(0.4, torch.Generator().manual_seed(1), (200,))
    draws["colour_order"][:24] = torch.arange(24)
    expected = []
    for i, image in enumerate(map(pillow, images)):
        for kind in ORDERS[int(draws["colour_order"][i])] if draws["hue"][i] >= 0 else ():
            change = (functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation)
            if kind < 3:
                image = change[kind](image, float(draws[distortion.DRAWS[kind]][i]))
            else:
                image = functional.adjust_hue(image, turn(int(draws["hue"][i])))
        expected.append(np.asarray(image))
    found = distortion.distort(images, *(draws[name] for name in distortion.DRAWS))
    assert (found.numpy() == np.stack(expected)).all()
    left = draws["hue"] < 0
    assert left.sum() > 20
    assert torch.equal(found[left], images[left])


@pytest.mark.parametrize("size", SIZES)
def test_the_blur_is_pillows(size):
    images = samples(120, *size)
    sigma = torch.empty(120).uniform_(*blur.SIGMA, generator=torch.Generator().manual_seed(2))
    sigma[:4] = torch.tensor([0.1, 2.0, 1.0, 1.4142135])
    found = blur.blur(images, *blur.weights(sigma))
    expected = [
        np.asarray(pillow(image).filter(ImageFilter.GaussianBlur(s)))
        for image, s in zip(images, sigma.tolist(), strict=True)
    ]
    assert (found.numpy() == np.stack(expected)).all()
    assert not torch.equal(found, images) or size == (2, 1)
    unblurred = (torch.full((120,), value) for value in (blur.ONE, 0, 0))
    assert torch.equal(blur.blur(images, *unblurred), images)


def test_grey_is_torchvisions():
    images, grey = samples(10, 5, 6), torch.arange(10) % 2 == 0
    found = colour.greyed(images, grey)
    for image, made, is_grey in zip(images, found, grey, strict=True):
        wanted = functional.rgb_to_grayscale(pillow(image), 3) if is_grey else pillow(image)
        assert (made.numpy() == np.asarray(wanted)).all()


def test_images_of_one_channel_have_no_colour_to_lose():
    images = samples(6, 8, 8)[..., :1].contiguous()
    draws = augment.create("distort0.4+grey100").draw(torch.Generator().manual_seed(0), (6,))
    found = distortion.distort(images, *(draws[name] for name in distortion.DRAWS))
    three = distortion.distort(
        images.expand(-1, -1, -1, 3),
        *(draws[n] for n in distortion.DRAWS[:3]),
        draws["hue"] * 0 - 1,
        draws["colour_order"],
    )
    assert found.shape == images.shape
    assert torch.equal(found[..., 0], three[..., 0])
    assert torch.equal(colour.greyed(images, draws["grey"]), images)


def test_draws_have_the_documented_distribution():
    text = "distort0.4+grey20+blur50"
    draws = augment.create(text).draw(torch.Generator().manual_seed(3), (100, 120))
    flat = {name: value.flatten().numpy() for name, value in draws.items()}
    changed = flat["hue"] >= 0
    assert stats.binomtest(int(changed.sum()), 12_000, 0.8).pvalue > 0.01
    for name in distortion.DRAWS[:3]:
        assert stats.kstest(flat[name][changed], stats.uniform(0.6, 0.8).cdf).pvalue > 0.01
        assert (flat[name][~changed] == 1).all()
    signed = np.where(flat["hue"] > 128, flat["hue"] - 256, flat["hue"])[changed]
    assert (signed.min(), signed.max()) == (-25, 25)  # 0.1 of 255, cut off
    inner = np.bincount(signed[np.abs(signed) < 25] + 24, minlength=49)
    assert stats.chisquare(inner, np.where(np.arange(49) == 24, 2, 1) / 50 * inner.sum()).pvalue > 0.01
    assert stats.chisquare(np.bincount(flat["colour_order"], minlength=24)).pvalue > 0.01
    assert stats.binomtest(int(flat["grey"].sum()), 12_000, 0.2).pvalue > 0.01
    blurred = flat["blur_own"] < blur.ONE
    assert stats.binomtest(int(blurred.sum()), 12_000, 0.5).pvalue > 0.01
    total = flat["blur_own"] + 2 * flat["blur_next"] + 2 * flat["blur_far"]
    assert (np.abs(total - blur.ONE) <= 1).all()


def test_simclr_is_short_for_its_parts():
    short = augment.create("simclr")
    assert short == augment.create("resizedcrop20+flip+distort0.4+grey20+blur50")
    assert (short.share, short.distortion, short.grey, short.blur) == (0.2, 0.4, 0.2, 0.5)
    assert short.text != "simclr", "what a run is known by are the parts"
    draws = short.draw(torch.Generator(), (2,), (8, 8))
    assert tuple(draws) == short.names


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("grey", "needs a number"),
        ("blur0", "chance of blur must be above 0"),
        ("grey101", "chance of grey must be above 0 and at most 100"),
        ("distort3", "the distort must be above 0 and at most 2"),
        ("jitter0.4+distort0.4", "do the same"),
        ("distort0.4+jitter0.4", "do the same"),
        ("blur50+grey20", "write the crop first"),
    ],
)
def test_bad_texts_are_refused(text, sentence):
    with pytest.raises(SettingError, match=sentence):
        augment.create(text)


def test_simclr_stands_alone():
    for text in ("simclr2", "simclr+flip"):
        with pytest.raises(UnknownName, match="did you mean simclr"):
            augment.create(text)


def test_the_dataloaders_pipeline_has_the_same_pixels_at_equal_draws(monkeypatch):
    """Every draw of torchvision's replaced by ours: what it then makes of an image is what the batch holds."""
    images = samples(60, 32, 32)
    draws = augment.create("simclr").draw(torch.Generator().manual_seed(6), (60,), (32, 32))
    batch = Resident(images, [0] * 60, normalise="unit").batch(torch.arange(60), draws)
    pipeline = transform("simclr", "unit")
    current, coins = 0, iter(())

    def box(image, scale, ratio):
        assert scale == [0.2, 1.0]
        return tuple(int(draws[name][current]) for name in ("top", "left", "height", "width"))

    def jitter(*ranges):
        assert ranges[3] == (-0.1, 0.1)
        order = torch.tensor(ORDERS[int(draws["colour_order"][current])])
        return order, *(float(draws[name][current]) for name in distortion.DRAWS[:3]), turn(int(draws["hue"][current]))

    def coin(*shape):
        return torch.tensor([0.0 if next(coins) else 0.999])

    monkeypatch.setattr(transforms.RandomResizedCrop, "get_params", staticmethod(box))
    monkeypatch.setattr(transforms.ColorJitter, "get_params", staticmethod(jitter))
    sigma = draws["blur_own"].clone()
    for current in range(60):
        flags = [draws["flip"][current], draws["hue"][current] >= 0, draws["grey"][current]]
        coins = iter([*map(bool, flags), False])
        monkeypatch.setattr(torch, "rand", coin)
        made = pipeline(pillow(images[current]))
        monkeypatch.undo()
        monkeypatch.setattr(transforms.RandomResizedCrop, "get_params", staticmethod(box))
        monkeypatch.setattr(transforms.ColorJitter, "get_params", staticmethod(jitter))
        if sigma[current] == blur.ONE:  # the blur has a test of its own: Pillow is given no weights
            assert torch.equal(made, batch[current])
    assert (sigma == blur.ONE).sum() > 15
