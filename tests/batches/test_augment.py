"""Augmentation: its text, its draws, and its pixels against Pillow and torchvision."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from scipy import stats
from torchvision import transforms

from ltlib.batches import augment
from ltlib.batches.pipeline import transform
from ltlib.errors import SettingError, UnknownName

SIZES = [(8, 8), (32, 32), (7, 9), (33, 31), (1, 5), (64, 48)]
MEAN, STD = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)


def pixels(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(1, 256, (count, height, width, 3), dtype=np.uint8))


def pillow(images: torch.Tensor) -> list[Image.Image]:
    return [Image.fromarray(image.numpy()) for image in images]


def stack(images: list[Image.Image]) -> torch.Tensor:
    return torch.from_numpy(np.stack([np.asarray(image) for image in images]))


# --- the text --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("none", ()),
        ("crop4+flip", ("dy", "dx", "flip")),
        ("shift1", ("dy", "dx")),
        ("flip+vflip+rotate10", ("flip", "vflip", "angle")),
        ("vflip + flip", ("flip", "vflip")),
        ("crop2+vflip+rotate7.5", ("dy", "dx", "vflip", "angle")),
        ("resizedcrop+flip", ("top", "left", "height", "width", "flip")),
        ("jitter0.4 + rotate15", ("brightness", "contrast", "saturation", "colour_order", "angle")),
    ],
)
def test_create_names_the_draws(text, names):
    assert augment.create(text).names == names
    assert tuple(augment.create(text).draw(torch.Generator(), (2,), (8, 8))) == names


def test_create_reads_numbers():
    assert augment.create("crop4+flip") == augment.Augmentation("crop4+flip", padding=4, flip=True)
    assert augment.create("shift1 + rotate10").text == "shift1+rotate10"
    assert augment.create("rotate7.5").degrees == 7.5
    assert augment.create("resizedcrop").share == augment.create("resizedcrop8").share == 0.08
    assert augment.create("resizedcrop12.5").share == 0.125
    assert augment.create("resizedcrop100").share == 1.0
    assert augment.create("crop4+jitter0.25") == augment.Augmentation("crop4+jitter0.25", padding=4, jitter=0.25)


def test_unknown_part_names_the_nearest():
    for text, nearest in (("flip+rotat10", "rotate10"), ("resizecrop", "resizedcrop"), ("jiter0.4", "jitter0.4")):
        with pytest.raises(UnknownName, match=f"did you mean .*{nearest}"):
            augment.create(text)
    for text in ("", "crop4+", "4crop", "crop-4", "crop 4"):
        with pytest.raises(UnknownName):
            augment.create(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("crop", "needs a number"),
        ("rotate", "needs a number"),
        ("flip2", "takes no number"),
        ("crop0", "at least 1"),
        ("crop1.5", "whole number"),
        ("rotate0", "above 0"),
        ("rotate200", "at most 180"),
        ("crop4+shift1", "do the same"),
        ("flip+flip", "do the same"),
        ("flip+crop4", "crop first"),
        ("rotate10+flip", "crop first"),
        ("resizedcrop0", "above 0 and at most 100 percent"),
        ("resizedcrop101", "above 0 and at most 100 percent"),
        ("crop4+resizedcrop", "do the same"),
        ("resizedcrop8+shift1", "do the same"),
        ("resizedcrop+resizedcrop20", "do the same"),
        ("flip+resizedcrop", "crop first"),
        ("jitter", "needs a number, as in jitter0.4"),
        ("jitter0", "above 0 and at most 2"),
        ("jitter40", "above 0 and at most 2"),
        ("jitter0.4+flip", "then flips, jitter or distort, grey, blur, rotation"),
        ("rotate10+jitter0.4", "then flips, jitter or distort, grey, blur, rotation"),
        ("cutout4+jitter0.4", "then flips, jitter or distort, grey, blur, rotation"),
        ("none+flip", "alone"),
    ],
)
def test_bad_texts_are_refused(text, sentence):
    with pytest.raises(SettingError, match=sentence):
        augment.create(text)


# --- the draws -------------------------------------------------------------------------------------------------------


def test_draws_have_the_documented_distribution():
    draws = augment.create("crop4+flip+vflip+rotate10").draw(torch.Generator().manual_seed(3), (90, 100))
    cells = torch.bincount((draws["dy"] * 9 + draws["dx"]).flatten(), minlength=81)
    assert cells.shape == (81,)
    assert stats.chisquare(cells.numpy()).pvalue > 0.01  # uniform over the 81 windows, so dy and dx are independent
    for name in ("flip", "vflip"):
        assert draws[name].dtype == torch.bool
        assert stats.binomtest(int(draws[name].sum()), 9000).pvalue > 0.01
    angle = draws["angle"].flatten().numpy()
    assert draws["angle"].dtype == torch.float32
    assert stats.kstest(angle, stats.uniform(-10, 20).cdf).pvalue > 0.01
    assert abs(np.corrcoef(draws["flip"].flatten(), draws["vflip"].flatten())[0, 1]) < 0.04


@pytest.mark.parametrize("shape", [(3, 40), (120,), (2, 3, 20)])
def test_draws_do_not_depend_on_the_packing(shape):
    augmentation = augment.create("crop4+flip+rotate10")
    flat = augmentation.draw(torch.Generator().manual_seed(0), (120,))
    packed = augmentation.draw(torch.Generator().manual_seed(0), shape)
    for name, value in flat.items():
        assert packed[name].shape == shape
        assert torch.equal(packed[name].flatten(), value)


def test_a_further_part_leaves_earlier_draws_alone():
    few = augment.create("crop4+flip").draw(torch.Generator().manual_seed(0), (50,))
    many = augment.create("crop4+flip+vflip+rotate10").draw(torch.Generator().manual_seed(0), (50,))
    assert all(torch.equal(many[name], few[name]) for name in few)


def test_draws_need_a_cpu_generator():
    class Elsewhere:
        device = torch.device("cuda")

    with pytest.raises(SettingError, match="CPU generator"):
        augment.create("flip").draw(Elsewhere(), (3,))


# --- the pixels ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("padding", [1, 4])
def test_crop_equals_pillow(size, padding):
    images = pixels(40, *size)
    draws = augment.create(f"crop{padding}").draw(torch.Generator().manual_seed(1), (40,))
    draws["dy"][:4] = torch.tensor([0, 0, 2 * padding, 2 * padding])  # the corners, where a neighbour could leak in
    draws["dx"][:4] = torch.tensor([0, 2 * padding, 0, 2 * padding])
    expected = []
    for image, y, x in zip(pillow(images), draws["dy"].tolist(), draws["dx"].tolist(), strict=True):
        expected.append(ImageOps.expand(image, padding, fill=0).crop((x, y, x + size[1], y + size[0])))
    assert torch.equal(augment.crop(images, padding, draws["dy"], draws["dx"]), stack(expected))


@pytest.mark.parametrize("size", SIZES)
def test_flips_equal_pillow(size):
    images, flip = pixels(10, *size), torch.arange(10) % 3 == 0
    mirror = [ImageOps.mirror(image) if f else image for image, f in zip(pillow(images), flip, strict=True)]
    upside = [ImageOps.flip(image) if f else image for image, f in zip(pillow(images), flip, strict=True)]
    assert torch.equal(augment.horizontal_flip(images, flip), stack(mirror))
    assert torch.equal(augment.vertical_flip(images, flip), stack(upside))


@pytest.mark.parametrize("size", [*SIZES, (224, 224)])
def test_rotation_equals_pillow_in_every_pixel(size):
    special = [0.0, -0.0, 1e-7, 10.0, -10.0, 45.0, 90.0, -90.0, 180.0, -180.0]
    count = 60 if size[0] < 100 else 15
    angle = torch.empty(count).uniform_(-180, 180, generator=torch.Generator().manual_seed(2))
    angle[: len(special)] = torch.tensor(special)
    images = pixels(count, *size)
    expected = stack([image.rotate(a) for image, a in zip(pillow(images), angle.tolist(), strict=True)])
    assert torch.equal(augment.rotate(images, angle), expected)


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), angle=st.floats(-180, 180, width=32))
def test_rotation_equals_pillow_at_any_size_and_angle(height, width, angle):
    images = pixels(1, height, width)
    expected = stack([pillow(images)[0].rotate(angle)])
    assert torch.equal(augment.rotate(images, torch.tensor([angle])), expected)


@pytest.mark.skipif(not os.environ.get("LTLIB_DATA"), reason="set LTLIB_DATA to the folder with CIFAR")
def test_rotation_of_real_images_equals_pillow_in_every_pixel():
    from torchvision.datasets import CIFAR100

    images = torch.from_numpy(CIFAR100(os.environ["LTLIB_DATA"], train=True).data[:2000])
    angle = augment.create("rotate10").draw(torch.Generator().manual_seed(0), (2000,))["angle"]
    expected = stack([image.rotate(a) for image, a in zip(pillow(images), angle.tolist(), strict=True)])
    assert torch.equal(augment.rotate(images, angle), expected)


# --- normalising -----------------------------------------------------------------------------------------------------


def test_normalise_equals_torchvision_bit_for_bit():
    levels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(1, 16, 16, 3).contiguous()
    unit = transforms.ToTensor()(pillow(levels)[0])[None]
    expected = {
        "mean_std": transforms.Normalize(MEAN, STD)(unit),
        "unit": unit,
        "unit_twice": unit / 255,
        "imagenet": transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))(unit),
        "half": transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))(unit),
        "signed": torch.from_numpy((levels.numpy().astype(np.float32) - 127) / 128).permute(0, 3, 1, 2),
    }
    assert set(expected) == set(augment.NORMALISATIONS)
    for kind, values in expected.items():
        assert torch.equal(augment.normalise(levels, kind, MEAN, STD), values)
    exact = (levels.double().permute(0, 3, 1, 2) / 255 - torch.tensor(MEAN).double().view(3, 1, 1)) / torch.tensor(
        STD
    ).double().view(3, 1, 1)
    torch.testing.assert_close(expected["mean_std"].double(), exact, rtol=0, atol=1e-6)


def test_normalise_keeps_channels_last_and_the_asked_for_type():
    images = pixels(4, 6, 5)
    values = augment.normalise(images, "unit", dtype=torch.bfloat16)
    assert values.dtype == torch.bfloat16
    assert values.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(values, augment.normalise(images, "unit").bfloat16())


def test_normalise_refuses_what_it_cannot_do():
    images = pixels(1, 2, 2)
    with pytest.raises(UnknownName, match="unit_twice"):
        augment.normalise(images, "unit_twize")
    with pytest.raises(SettingError, match="imagenet needs a mean and a std for each of the 1 channels"):
        augment.normalise(images[..., :1], "imagenet")
    for mean, std in ((None, None), (MEAN, (1.0,)), (MEAN, (0.0, 1.0, 1.0)), (MEAN, (float("nan"), 1.0, 1.0))):
        with pytest.raises(SettingError, match="std"):
            augment.normalise(images, "mean_std", mean, std)


# --- the DataLoader's pipeline ---------------------------------------------------------------------------------------


def test_transform_gives_the_same_images_equally_often():
    """shift1+flip has 18 outcomes: the pipeline gives each of them, bit for bit, and nothing else, at equal rates."""
    image = pixels(1, 8, 8)
    dy, dx, flip = (grid.flatten() for grid in torch.meshgrid(*map(torch.arange, (3, 3, 2)), indexing="ij"))
    possible = augment.horizontal_flip(augment.crop(image.expand(18, -1, -1, -1), 1, dy, dx), flip.bool())
    possible = augment.normalise(possible, "mean_std", MEAN, STD)
    pipeline = transform("shift1+flip", "mean_std", MEAN, STD)
    torch.manual_seed(0)
    seen = torch.zeros(18)
    for _ in range(1800):
        equal = (possible == pipeline(pillow(image)[0])).flatten(1).all(1)
        assert equal.sum() == 1
        seen += equal
    assert stats.chisquare(seen.numpy()).pvalue > 0.01


@pytest.mark.parametrize("kind", augment.NORMALISATIONS)
def test_transform_has_the_statistics_of_the_batched_path(kind):
    """Mean and spread of every pixel over many draws, each within five standard errors."""
    text, count = "crop2+flip+vflip+rotate10", 1500
    image = pixels(1, 9, 7, seed=4)
    augmentation = augment.create(text)
    draws = augmentation.draw(torch.Generator().manual_seed(5), (count,))
    batch = augment.crop(image.expand(count, -1, -1, -1), 2, draws["dy"], draws["dx"])
    batch = augment.vertical_flip(augment.horizontal_flip(batch, draws["flip"]), draws["vflip"])
    ours = augment.normalise(augment.rotate(batch, draws["angle"]), kind, MEAN, STD)
    torch.manual_seed(6)
    pipeline, source = transform(text, kind, MEAN, STD), pillow(image)[0]
    theirs = torch.stack([pipeline(source) for _ in range(count)])
    assert theirs.shape == ours.shape
    for a, b in ((ours, theirs), ((ours - ours.mean(0)) ** 2, (theirs - theirs.mean(0)) ** 2)):
        error = ((a.var(0) + b.var(0)) / count).sqrt()
        assert ((a.mean(0) - b.mean(0)).abs() <= 5 * error).all()


def test_transform_without_parts_is_totensor_and_normalize():
    image = pillow(pixels(1, 8, 8))[0]
    expected = transforms.Normalize(MEAN, STD)(transforms.ToTensor()(image))
    assert torch.equal(transform("none", "mean_std", MEAN, STD)(image), expected)
    for kind in augment.NORMALISATIONS:
        ours = augment.normalise(pixels(1, 8, 8), kind, MEAN, STD)[0]
        assert torch.equal(transform("none", kind, MEAN, STD)(image), ours)


def test_transform_can_be_sent_to_worker_processes():
    pipeline = transform("crop4+flip+vflip+rotate10", "unit_twice")
    again = pickle.loads(pickle.dumps(pipeline))
    image = pillow(pixels(1, 8, 8))[0]
    torch.manual_seed(0)
    first = pipeline(image)
    torch.manual_seed(0)
    assert torch.equal(again(image), first)


def test_transform_refuses_early():
    with pytest.raises(UnknownName):
        transform("cropp4", "unit")
    with pytest.raises(SettingError, match="mean"):
        transform("flip")
