"""The resident set: its batches against a Pillow pipeline, streaming, memory, and no host synchronisation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision import transforms
from torchvision.transforms import functional

from ltlib import runs, sealed
from ltlib.batches import augment
from ltlib.batches import resident as module
from ltlib.batches.resident import Resident
from ltlib.errors import DataError, SettingError, UnknownName
from ltlib.files import read_json

MEAN, STD = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
TEXTS = [
    "none",
    "crop4",
    "shift1+flip",
    "crop4+flip",
    "crop3+vflip",
    "flip+vflip+rotate10",
    "crop4+flip+vflip+rotate180",
    "resizedcrop+flip+jitter0.4+rotate15",
    "resizedcrop60+vflip+jitter1",
]
SIZES = [(8, 8), (32, 32), (7, 9), (33, 31)]


def pixels(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (count, height, width, 3), dtype=np.uint8)


def by_pillow(image: np.ndarray, padding: int, draw: dict[str, float], kind: str) -> torch.Tensor:
    """One image at given draws: Pillow, then torchvision's ToTensor and Normalize."""
    height, width = image.shape[:2]
    picture = Image.fromarray(image)
    if "top" in draw:
        box = [int(draw[name]) for name in ("top", "left", "height", "width")]
        picture = functional.resized_crop(picture, *box, [height, width])
    if padding:
        x, y = int(draw["dx"]), int(draw["dy"])
        picture = ImageOps.expand(picture, padding, fill=0).crop((x, y, x + width, y + height))
    if draw.get("flip"):
        picture = ImageOps.mirror(picture)
    if draw.get("vflip"):
        picture = ImageOps.flip(picture)
    if "brightness" in draw:
        changes = [("brightness", functional.adjust_brightness), ("contrast", functional.adjust_contrast)]
        changes.append(("saturation", functional.adjust_saturation))
        for name, change in list(itertools.permutations(changes))[int(draw["colour_order"])]:
            picture = change(picture, draw[name])
    if "angle" in draw:
        picture = picture.rotate(draw["angle"])
    values = transforms.ToTensor()(picture)
    return {
        "mean_std": transforms.Normalize(MEAN, STD),
        "unit": lambda x: x,
        "unit_twice": lambda x: x / 255,
        "imagenet": transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        "half": transforms.Normalize([0.5] * 3, [0.5] * 3),
        "signed": lambda x: (functional.pil_to_tensor(picture).float() - 127) / 128,
    }[kind](values)


def make(images: np.ndarray | torch.Tensor, **settings) -> Resident:
    return Resident(images, np.arange(len(images)) % 5, **({"mean": MEAN, "std": STD} | settings))


@pytest.mark.parametrize("kind", augment.NORMALISATIONS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("text", TEXTS)
def test_batch_equals_pillow_bit_for_bit(text, size, kind):
    images, augmentation = pixels(20, *size), augment.create(text)
    generator = torch.Generator().manual_seed(7)
    index = torch.randint(0, 20, (40,), generator=generator)
    index[:2] = torch.tensor([0, 19])
    draws = augmentation.draw(generator, (40,), size)
    batch = make(images, padding=augmentation.padding, normalise=kind).batch(index, draws)
    for i, source in enumerate(index.tolist()):
        draw = {name: value[i].item() for name, value in draws.items()}
        assert torch.equal(batch[i], by_pillow(images[source], augmentation.padding, draw, kind))


def test_extreme_windows_see_zeros_not_neighbours():
    images = np.stack([np.full((4, 4, 3), value, np.uint8) for value in (255, 7, 255)])
    resident = make(images, padding=2, normalise="unit")
    offsets = torch.tensor([0, 0, 4, 4]), torch.tensor([0, 4, 0, 4])
    for index in (0, 1, 2):
        batch = resident.batch(torch.full((4,), index), {"dy": offsets[0], "dx": offsets[1]})
        for corner, values in enumerate(batch[:, 0]):
            inside = torch.zeros(4, 4)
            rows = slice(2, 4) if corner < 2 else slice(0, 2)
            columns = slice(2, 4) if corner % 2 == 0 else slice(0, 2)
            inside[rows, columns] = float(images[index, 0, 0, 0])
            assert torch.equal(values, inside / 255)


def test_batches_are_channels_last_and_of_the_asked_for_type():
    resident = make(pixels(6, 8, 8), padding=1, dtype=torch.bfloat16)
    batch = resident.batch(torch.arange(6), augment.create("shift1+flip").draw(torch.Generator(), (6,)))
    assert batch.shape == (6, 3, 8, 8)
    assert batch.dtype == torch.bfloat16
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert len(resident) == 6
    assert resident.targets.tolist() == [0, 1, 2, 3, 4, 0]
    assert resident.targets.dtype == torch.int64


def test_without_draws_a_padded_set_gives_its_images():
    images = pixels(6, 9, 7)
    index = torch.tensor([5, 0, 3])
    expected = augment.normalise(torch.from_numpy(images[index]), "mean_std", MEAN, STD)
    assert torch.equal(make(images, padding=3).batch(index), expected)
    assert torch.equal(make(images).batch(index, {}), expected)


def test_one_channel():
    images = pixels(4, 5, 6)[..., :1]
    batch = Resident(images, [0, 1, 2, 3], normalise="unit").batch(torch.arange(4))
    assert torch.equal(batch, torch.from_numpy(images).permute(0, 3, 1, 2) / 255)


@pytest.mark.parametrize("text", ["crop4+flip+vflip+rotate10", "resizedcrop+flip+vflip+jitter0.4+rotate10"])
def test_packing_changes_nothing(text):
    augmentation = augment.create(text)
    draws = augmentation.draw(torch.Generator().manual_seed(0), (30,), (16, 16))
    resident, index = (
        make(pixels(30, 16, 16), padding=augmentation.padding),
        torch.randperm(30, generator=torch.Generator().manual_seed(1)),
    )
    whole = resident.batch(index, draws)
    for first, last in ((0, 7), (7, 29), (29, 30)):
        part = {name: value[first:last] for name, value in draws.items()}
        assert torch.equal(resident.batch(index[first:last], part), whole[first:last])


@pytest.mark.parametrize("text", ["shift1+flip", "resizedcrop+flip+jitter0.4"])
@pytest.mark.parametrize("max_bytes", [None, 0])
def test_views_come_one_after_another(max_bytes, text):
    resident, index = make(pixels(9, 8, 8), padding=1, max_bytes=max_bytes), torch.tensor([4, 8, 0, 0])
    draws = augment.create(text).draw(torch.Generator().manual_seed(2), (2, 4), (8, 8))
    both = resident.batch(index, draws)
    views = [resident.batch(index, {name: value[v] for name, value in draws.items()}) for v in range(2)]
    assert torch.equal(both, torch.cat(views))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("source", ["array", "memory map", "tensor"])
def test_streaming_gives_identical_batches(text, source, tmp_path):
    images, augmentation = pixels(25, 9, 7), augment.create(text)
    resident = make(images, padding=augmentation.padding)
    host: np.ndarray | torch.Tensor = images
    if source == "memory map":
        np.save(tmp_path / "images.npy", images)
        host = np.load(tmp_path / "images.npy", mmap_mode="r")
    elif source == "tensor":
        host = torch.from_numpy(images)
    needed = Resident.required_bytes(images.shape, augmentation.padding)
    streamed = make(host, padding=augmentation.padding, max_bytes=needed - 1)
    assert streamed.streaming
    assert not make(host, padding=augmentation.padding, max_bytes=needed).streaming
    index = torch.tensor([24, 3, 3, 0, 11])
    draws = augmentation.draw(torch.Generator().manual_seed(3), (5,), (9, 7))
    assert torch.equal(streamed.batch(index, draws), resident.batch(index, draws))
    assert torch.equal(streamed.targets, resident.targets)


def test_memory_is_known_beforehand():
    images = pixels(25, 9, 7)
    for padding in (0, 4):
        needed = Resident.required_bytes(images.shape, padding)
        assert make(images, padding=padding).nbytes == needed == 25 * ((9 + 2 * padding) * (7 + 2 * padding) * 3 + 8)
    assert make(images, max_bytes=10).nbytes == 25 * 8


@pytest.mark.filterwarnings("error")
def test_a_read_only_array_is_taken_without_a_warning_and_left_alone():
    images = pixels(5, 8, 8)
    before = images.copy()
    images.setflags(write=False)
    resident = make(images, padding=1)
    resident.batch(torch.arange(5), augment.create("shift1+flip+rotate10").draw(torch.Generator(), (5,)))
    assert np.array_equal(images, before)


class Blocking(TorchDispatchMode):
    """Collects the operations that make a device wait for the host or have shapes that depend on values."""

    NAMES = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal", "lift_fresh")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls += 1
        name = func.overloadpacket.__name__
        masks = any(
            isinstance(index, torch.Tensor) and index.dtype == torch.bool
            for index in (args[1] if name in ("index", "index_put", "index_put_") else ())
        )
        if name in self.NAMES or masks:
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("text", TEXTS)
def test_a_batch_never_waits_for_the_device(text):
    """Nor makes a tensor of Python numbers, which a CUDA graph refuses; tables are made at the first call."""
    augmentation = augment.create(text)
    resident = make(pixels(20, 8, 8), padding=augmentation.padding)
    draws, index = augmentation.draw(torch.Generator(), (2, 12), (8, 8)), torch.arange(12)
    resident.batch(index, draws)
    with Blocking() as seen:
        resident.batch(index, draws)
    assert seen.calls > 3
    assert seen.found == []


def test_the_watch_for_waiting_sees_it():
    values = torch.arange(4)
    with Blocking() as seen:
        values[values > 1]
        values.sum().item()
        values.nonzero()
        values[values > 2] = torch.tensor([0])
    assert seen.found == ["index", "_local_scalar_dense", "nonzero", "lift_fresh", "index_put_"]


@pytest.mark.parametrize("text", ["none", "crop4+flip+autoaugment+cutout4", "resizedcrop+flip+jitter0.4+rotate10"])
def test_a_cpus_pieces_change_nothing(text, monkeypatch):
    """Three images at a time, two views of ten: seven pieces, the last one of two images."""
    augmentation, calls = augment.create(text), []
    draws, index = augmentation.draw(torch.Generator().manual_seed(4), (2, 10), (9, 7)), torch.arange(10).flip(0)
    resident = make(pixels(10, 9, 7), padding=augmentation.padding, dtype=torch.bfloat16)
    whole = resident.batch(index.expand(2, 10), draws)
    changed = resident._changed
    monkeypatch.setattr(resident, "_changed", lambda *given: calls.append(len(given[1])) or changed(*given))
    monkeypatch.setattr(module, "PIECE_BYTES", 3 * 9 * 7 * 3 + 5)
    pieces = resident.batch(index.expand(2, 10), draws)
    assert calls == [3] * 6 + [2]
    assert torch.equal(pieces, whole)
    assert pieces.dtype == whole.dtype == torch.bfloat16
    assert pieces.stride() == whole.stride()


def test_bad_sets_are_refused():
    images = pixels(4, 8, 8)
    with pytest.raises(DataError, match="uint8"):
        make(images.astype(np.float32))
    with pytest.raises(DataError, match="uint8"):
        make(images[0])
    with pytest.raises(DataError, match="without images"):
        make(images[:0])
    with pytest.raises(DataError, match="4 images but 3 targets"):
        Resident(images, [0, 1, 2], normalise="unit")
    with pytest.raises(SettingError, match="padding"):
        make(images, padding=-1)
    with pytest.raises(SettingError, match="mean"):
        Resident(images, [0, 1, 2, 3])


def test_bad_draws_are_refused():
    resident = make(pixels(4, 8, 8))
    with pytest.raises(SettingError, match="without padding"):
        resident.batch(torch.arange(4), augment.create("shift1").draw(torch.Generator(), (4,)))
    with pytest.raises(UnknownName, match="angle"):
        resident.batch(torch.arange(4), {"angl": torch.zeros(4)})


def test_a_streamed_run_is_the_resident_one(tiny, reports, tmp_path, monkeypatch, capfd):
    """Also where only the training set has room, with labels mixed from the whole set; what is streamed is said."""
    experiment = tiny.replace(method="cmo", limit=60, recipe="convergent[augmentation=shift1;epochs=8]")
    found = {}
    for name, budget in (("resident", ""), ("partly", "20000"), ("streamed", "0")):
        monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / name))
        monkeypatch.setenv("LTLIB_MEMORY", budget)
        run = runs.run(experiment)
        stage = read_json(run.folder / "run.json")["stages"][-1]
        folder = tmp_path / name / "runs" / "stages" / stage
        history = [line.split(",") for line in (folder / "history.csv").read_text().splitlines()]
        seconds = history[0].index("seconds")
        kept = [[value for i, value in enumerate(row) if i != seconds] for row in history]
        found[name] = (kept, sealed.read_tensors(folder / "weights.safetensors"))
        said = [line for line in capfd.readouterr().err.splitlines() if "memory" in line]
        wanted = {"resident": [], "partly": ["test"], "streamed": ["train, test"]}[name]
        assert [line.rpartition(": ")[2] for line in said] == wanted
    for name in ("partly", "streamed"):
        assert found[name][0] == found["resident"][0]
        assert all(torch.equal(value, found["resident"][1][key]) for key, value in found[name][1].items())
