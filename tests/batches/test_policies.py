"""AutoAugment, RandAugment and CutOut: every operation against torchvision on Pillow images, and their draws."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms import InterpolationMode, autoaugment

from ltlib.batches import augment, pixels, policies
from ltlib.batches.pipeline import transform
from ltlib.batches.resident import Resident
from ltlib.errors import SettingError, UnknownName

MEAN, STD = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
STRENGTHS = {10: range(10), 31: (0, 9, 30)}


def samples(height: int = 32, width: int = 32) -> torch.Tensor:
    """Noise, smooth ramps, a narrow range, one colour, black, white, two values: uint8 [10, H, W, 3]."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (3, height, width, 3))
    ramp = np.linspace(0, 1, height)[:, None, None] * np.linspace(20, 250, width)[None, :, None] * [1.0, 0.5, 0.9]
    narrow = rng.integers(100, 104, (2, height, width, 3))
    plain = np.stack([np.full((height, width, 3), value) for value in (77, 0, 255)])
    two = np.where(rng.random((1, height, width, 3)) < 0.01, 200, 10)
    images = np.concatenate([noise, ramp[None], narrow, plain, two])
    return torch.from_numpy(images.astype(np.uint8))


def magnitude(space, operation, strength, positive):
    """torchvision's signed strength of an operation."""
    if operation == "Identity":
        return 0.0
    values, signed = space[operation]
    value = float(values[strength].item()) if values.ndim else 0.0
    return -value if signed and not positive else value


def by_torchvision(image: np.ndarray, operation: str, value: float) -> np.ndarray:
    changed = autoaugment._apply_op(Image.fromarray(image), operation, value, InterpolationMode.NEAREST, None)
    return np.asarray(changed)


def space(steps: int, size: tuple[int, int]):
    if steps == 10:
        return autoaugment.AutoAugment()._augmentation_space(10, size)
    invert = {"Invert": (torch.tensor(0.0), False)}
    return autoaugment.RandAugment()._augmentation_space(31, size) | invert


# Pillow's blend is one multiplication and one addition in float32; a processor on which its compiler fused them would
# move rare pixels by one level. Without that every operation is equal in every pixel.
BLENDS = {"Color", "Sharpness", "Contrast", "Brightness"}


@pytest.mark.parametrize("operation", policies.OPERATIONS)
@pytest.mark.parametrize("size", [(32, 32), (17, 23)])
def test_every_operation_equals_torchvision_on_pillow(operation, size):
    images = samples(*size)
    different, worst, total = 0, 0, 0
    for steps, strengths in STRENGTHS.items():
        for strength in strengths:
            for positive in (False, True):
                row = policies.row(operation, strength, positive, steps)
                ours = policies.apply(images, torch.full((len(images),), row)).numpy()
                value = magnitude(space(steps, size), operation, strength, positive)
                theirs = np.stack([by_torchvision(image, operation, value) for image in images.numpy()])
                different += (ours != theirs).sum()
                worst = max(worst, np.abs(ours.astype(int) - theirs).max())
                total += ours.size
    allowed = 1e-3 if operation in BLENDS else 0
    assert different <= allowed * total
    assert worst <= (1 if allowed else 0)


@pytest.mark.parametrize("size", [(2, 2), (1, 5), (8, 8)])
def test_small_images_equal_torchvision_too(size):
    images = samples(*size)
    for operation in policies.OPERATIONS:
        ours = policies.apply(images, torch.full((len(images),), policies.row(operation, 6))).numpy()
        value = magnitude(space(10, size), operation, 6, True)
        theirs = np.stack([by_torchvision(image, operation, value) for image in images.numpy()])
        assert np.abs(ours.astype(int) - theirs).max() <= 1
        assert (ours != theirs).mean() <= (1e-3 if operation in BLENDS else 0)


def test_images_of_a_batch_do_not_touch_each_other():
    images = samples()
    rows = torch.arange(len(images)) * 37 % 500
    together = policies.apply(images, rows)
    alone = torch.cat([policies.apply(images[i : i + 1], rows[i : i + 1]) for i in range(len(images))])
    assert torch.equal(together, alone)


def test_identity_is_the_row_of_that_name_and_strength_nought():
    images = samples()
    count = (len(images),)
    assert torch.equal(policies.apply(images, torch.full(count, policies.IDENTITY)), images)
    for operation in ("ShearX", "TranslateY", "Rotate", "Color", "Contrast", "Sharpness", "Brightness"):
        assert torch.equal(policies.apply(images, torch.full(count, policies.row(operation, 0))), images)


def test_grey_images_of_one_channel():
    images = samples()[..., :1].contiguous()
    for operation in ("Equalize", "Contrast", "Sharpness", "AutoContrast", "Rotate"):
        ours = policies.apply(images, torch.full((len(images),), policies.row(operation, 6))).squeeze(-1).numpy()
        value = magnitude(space(10, (32, 32)), operation, 6, True)
        theirs = np.stack([by_torchvision(image, operation, value) for image in images.squeeze(-1).numpy()])
        assert (ours != theirs).mean() <= (1e-3 if operation in BLENDS else 0)


# --- the policies and their draws ------------------------------------------------------------------------------------


def test_the_policy_is_torchvisions():
    theirs = autoaugment.AutoAugment(autoaugment.AutoAugmentPolicy.CIFAR10).policies
    assert tuple(tuple((name, p, k or 0) for name, p, k in pair) for pair in theirs) == policies.CIFAR10


def decode() -> dict[int, tuple[str, int, bool, int]]:
    return {
        policies.row(name, strength, positive, steps): (name, strength, positive, steps)
        for steps in policies.STEPS
        for name in policies.OPERATIONS
        for strength in range(steps)
        for positive in (False, True)
    }


def test_rows_are_distinct_and_fill_the_table():
    rows = decode()
    assert sorted(rows) == list(range(len(rows)))
    assert len(policies.table(8, 8, torch.device("cpu")).kind) == len(rows)


def test_autoaugment_draws_have_the_documented_distribution():
    count = 50_000
    drawn = policies.draw("autoaugment", torch.Generator().manual_seed(1), (count,))
    names = decode()
    for slot in (0, 1):
        expected: dict[tuple[str, int, bool], float] = {}
        for pair in policies.CIFAR10:
            name, chance, strength = pair[slot]
            for positive in (False, True):
                key = (name, strength, positive)
                expected[key] = expected.get(key, 0) + chance / 25 / 2
            key = ("Identity", 0, True)
            expected[key] = expected.get(key, 0) + (1 - chance) / 25
        found = dict.fromkeys(expected, 0)
        for row in drawn[policies.DRAWS[slot]].tolist():
            name, strength, positive, _ = names[row]
            found[name, strength, positive] += 1
        keys = [key for key in expected if expected[key] > 0]
        assert sum(found[key] for key in keys) == count
        assert stats.chisquare([found[k] for k in keys], [expected[k] * count for k in keys]).pvalue > 0.01


def test_autoaugments_two_operations_belong_to_one_pair():
    drawn = policies.draw("autoaugment", torch.Generator().manual_seed(2), (2000,))
    names = decode()
    pairs = {(a[0], a[2], b[0], b[2]) for a, b in policies.CIFAR10}
    for first, second in zip(*(drawn[name].tolist() for name in policies.DRAWS), strict=True):
        a, b = names[first], names[second]
        if "Identity" not in (a[0], b[0]):
            assert (a[0], a[1], b[0], b[1]) in pairs


def test_randaugment_draws_uniformly_and_independently():
    drawn = policies.draw("randaugment9", torch.Generator().manual_seed(3), (100, 280))
    names = decode()
    cells = np.zeros((14, 14))
    order = [name for name in policies.OPERATIONS if name != "Invert"]
    signs = 0
    for first, second in zip(*(drawn[name].flatten().tolist() for name in policies.DRAWS), strict=True):
        assert names[first][1] == names[second][1] == 9
        assert names[first][3] == 31
        cells[order.index(names[first][0]), order.index(names[second][0])] += 1
        signs += names[first][2]
    assert stats.chisquare(cells.flatten()).pvalue > 0.01
    assert stats.binomtest(signs, 28_000).pvalue > 0.01


@pytest.mark.parametrize("text", ["autoaugment", "randaugment9", "randaugment0", "crop2+autoaugment+cutout4"])
def test_draws_do_not_depend_on_the_packing(text):
    augmentation = augment.create(text)
    flat = augmentation.draw(torch.Generator().manual_seed(0), (120,))
    packed = augmentation.draw(torch.Generator().manual_seed(0), (2, 3, 20))
    assert tuple(flat) == tuple(packed) == augmentation.names
    assert all(torch.equal(packed[name].flatten(), flat[name]) for name in flat)


def test_a_policy_leaves_the_draws_of_the_older_parts_as_they_were():
    few = augment.create("crop4+flip+rotate10").draw(torch.Generator().manual_seed(0), (50,))
    many = augment.create("crop4+flip+rotate10+autoaugment+cutout16").draw(torch.Generator().manual_seed(0), (50,))
    assert all(torch.equal(many[name], few[name]) for name in few)


def test_draws_of_the_older_parts_are_what_they_always_were():
    draws = augment.create("crop4+flip+vflip+rotate10").draw(torch.Generator().manual_seed(0), (4,))
    assert draws["dy"].tolist() == [8, 0, 2, 6]
    assert draws["dx"].tolist() == [7, 6, 7, 1]
    assert draws["flip"].tolist() == [True, False, True, True]
    assert draws["vflip"].tolist() == [True, True, True, False]
    assert draws["angle"].tolist() == pytest.approx([3.9533520, 6.0002279, -6.7794108, -4.3546286])


# --- the text --------------------------------------------------------------------------------------------------------


def test_texts():
    assert augment.create("randaugment").policy == "randaugment9"
    assert augment.create("crop4+flip+autoaugment+cutout16") == augment.Augmentation(
        "crop4+flip+autoaugment+cutout16", padding=4, flip=True, policy="autoaugment", hole=16
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("autoaugment3", "takes no number"),
        ("randaugment31", "0 to 30"),
        ("randaugment1.5", "0 to 30"),
        ("autoaugment+randaugment9", "do the same"),
        ("cutout", "needs a number, as in cutout16"),
        ("cutout3", "even"),
        ("cutout0", "even"),
        ("cutout4+flip", "cutout last"),
        ("cutout4+autoaugment", "cutout last"),
    ],
)
def test_bad_texts_are_refused(text, sentence):
    with pytest.raises(SettingError, match=sentence):
        augment.create(text)


def test_unknown_parts_name_the_nearest():
    with pytest.raises(UnknownName, match="cutout16"):
        augment.create("cutuot16")
    with pytest.raises(SettingError, match="no policy"):
        policies.draw("trivialaugment", torch.Generator(), (3,))


# --- CutOut ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(32, 32), (9, 7)])
@pytest.mark.parametrize("side", [2, 4, 16])
def test_cutout_equals_the_reference_loop(size, side):
    """DeVries and Taylor's code: y, x uniform; from y - side // 2 to y + side // 2, clipped to the image."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(1, 256, (200, *size, 3), dtype=torch.uint8, generator=generator)
    draws = augment.create(f"cutout{side}").draw(generator, (200,))
    expected = images.numpy().copy()
    for image, v, u in zip(expected, draws["hole_y"].tolist(), draws["hole_x"].tolist(), strict=True):
        y, x = int(v * size[0]), int(u * size[1])
        y1, y2 = np.clip([y - side // 2, y + side // 2], 0, size[0])
        x1, x2 = np.clip([x - side // 2, x + side // 2], 0, size[1])
        image[y1:y2, x1:x2] = 0
    ours = pixels.cutout(images, draws["hole_y"], draws["hole_x"], draws["hole_side"])
    assert torch.equal(ours, torch.from_numpy(expected))


def test_cutouts_centre_is_uniform_and_the_dataloader_agrees():
    """Rows blacked out per position, ours and the pipeline's, each against the count every position expects."""
    count, side, length = 4000, 4, 8
    white = torch.full((count, length, length, 3), 255, dtype=torch.uint8)
    draws = augment.create(f"cutout{side}").draw(torch.Generator().manual_seed(4), (count,))
    centres = torch.bincount((draws["hole_y"] * 8).long() * 8 + (draws["hole_x"] * 8).long(), minlength=64)
    assert stats.chisquare(centres.numpy()).pvalue > 0.01
    ours = pixels.cutout(white, draws["hole_y"], draws["hole_x"], draws["hole_side"]).eq(0).all(-1)
    pipeline = transform(f"cutout{side}", "unit")
    torch.manual_seed(5)
    image = Image.fromarray(white[0].numpy())
    theirs = torch.stack([pipeline(image) for _ in range(count)]).eq(0).all(1)
    assert theirs.flatten(1).sum(1).max() == side * side
    chance = torch.tensor([sum(abs(p - c + 0.5) < 2.5 and c - 2 <= p < c + 2 for c in range(8)) for p in range(8)]) / 8
    expected = chance[:, None] * chance[None, :] * count
    for found in (ours.sum(0), theirs.sum(0)):
        assert ((found - expected).abs() <= 5 * expected.sqrt()).all()


# --- the resident path and the DataLoader's --------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["crop4+flip+autoaugment+cutout16", "flip+rotate10+randaugment14", "vflip+cutout8"])
def test_a_resident_batch_equals_pillow_image_by_image(text):
    augmentation = augment.create(text)
    images = samples()
    resident = Resident(images, [0] * len(images), padding=augmentation.padding, mean=MEAN, std=STD)
    index = torch.arange(len(images)).repeat(6)
    draws = augmentation.draw(torch.Generator().manual_seed(7), (len(index),))
    names = decode()
    expected = []
    for i, k in enumerate(index.tolist()):
        image = images[k : k + 1]
        one = {name: value[i : i + 1] for name, value in draws.items()}
        if "dy" in one:
            image = pixels.crop(image, 4, one["dy"], one["dx"])
        if "vflip" in one:
            image = pixels.vertical_flip(image, one["vflip"])
        if "flip" in one:
            image = pixels.horizontal_flip(image, one["flip"])
        if "angle" in one:
            image = pixels.rotate(image, one["angle"])
        array = image[0].numpy()
        for name in policies.DRAWS:
            if name in one:
                operation, strength, positive, steps = names[int(one[name])]
                array = by_torchvision(
                    array, operation, magnitude(space(steps, (32, 32)), operation, strength, positive)
                )
        image = torch.from_numpy(array.copy())[None]
        if "hole_side" in one:
            image = pixels.cutout(image, one["hole_y"], one["hole_x"], one["hole_side"])
        expected.append(augment.normalise(image, "mean_std", MEAN, STD))
    ours = resident.batch(index, draws)
    different = (ours - torch.cat(expected)).abs()
    assert (different > 0).float().mean() <= 1e-3  # see BLENDS
    assert different.max() <= 1.01 / 255 / min(STD)


class Watch(TorchDispatchMode):
    """Refuses what needs the data on the host, or has a shape that depends on it."""

    BLOCKING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "bincount", "is_nonzero", "equal")

    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        self.calls += 1
        assert name.rstrip("_") not in self.BLOCKING, name
        if name.startswith("index"):
            flat = torch.utils._pytree.tree_leaves((args, kwargs))
            assert not any(isinstance(item, torch.Tensor) and item.dtype == torch.bool for item in flat), name
        return func(*args, **(kwargs or {}))


def test_nothing_waits_for_the_device():
    augmentation = augment.create("crop4+flip+autoaugment+cutout16")
    images = samples()
    resident = Resident(images, [0] * len(images), padding=4, mean=MEAN, std=STD)
    draws = augmentation.draw(torch.Generator(), (2, 10))
    resident.batch(torch.arange(10), draws)  # makes the table
    with Watch() as watch:
        resident.batch(torch.arange(10), draws)
    assert watch.calls > 50


def test_the_pipeline_has_the_statistics_of_the_batched_path():
    """Mean of every pixel over many draws, within five standard errors; the same for its square."""
    text, count = "autoaugment+cutout4", 1200
    image = samples(8, 8)[3:4]
    draws = augment.create(text).draw(torch.Generator().manual_seed(8), (count,))
    resident = Resident(image, [0], normalise="unit")
    ours = resident.batch(torch.zeros(count, dtype=torch.int64), draws)
    torch.manual_seed(9)
    pipeline, source = transform(text, "unit"), Image.fromarray(image[0].numpy())
    theirs = torch.stack([pipeline(source) for _ in range(count)])
    for a, b in ((ours, theirs), (ours**2, theirs**2)):
        error = ((a.var(0) + b.var(0)) / count).sqrt()
        assert ((a.mean(0) - b.mean(0)).abs() <= 5 * error).all()


def test_the_pipeline_can_be_sent_to_worker_processes():
    for text in ("autoaugment+cutout4", "randaugment5"):
        pipeline = transform(text, "unit")
        again = pickle.loads(pickle.dumps(pipeline))
        source = Image.fromarray(samples(8, 8)[0].numpy())
        torch.manual_seed(0)
        first = pipeline(source)
        torch.manual_seed(0)
        assert torch.equal(again(source), first)
