"""``ltlib bench data``: augmented batches of the resident set against the usual Pillow and `DataLoader` pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ltlib.batches import augment
from ltlib.batches.resident import Resident
from ltlib.bench.common import BATCH, MEAN, STD, Arm, interleave, machine, ratio, table
from ltlib.errors import SettingError
from ltlib.places import data_folder

PHOTOGRAPHS = {64: 256, 224: 64}
"""Images of the second comparison, by their side in pixels."""
TABLE_1 = "resizedcrop+flip+jitter0.4+rotate15"
"""What Table 1 of the `cefl` document does to photographs."""


def data(*, count: int = 10_847, rounds: int = 7, seed: int = 0, quiet: bool = False) -> dict[str, Any]:
    """Augmented batches: the resident set against torchvision's usual pipeline.

    Both arms shuffle `count` 32x32 images, crop with padding 4, flip, normalise, and hand out batches of 128 with their
    targets, the short last one too. The peer is what most training code does: a `Dataset` of Pillow images behind a
    `DataLoader`, in this process and with two workers, started anew for each epoch. Ours includes drawing the epoch's
    random numbers. Like is compared with like: two workers with two threads, none with one thread. On a busy machine
    two threads wait for each other far longer than they work, so two workers are compared with one thread as well.

    Then the augmentation of photographs, `TABLE_1`, at each side of `PHOTOGRAPHS`, with one thread and no workers.

    Args:
        count: Images; 10,847 is CIFAR-100-LT at imbalance factor 100.
        rounds: Measured rounds; at least 5 for a number worth keeping.
        seed: Of the draws.
        quiet: Print nothing.

    Returns:
        JSON-ready: ``bench``, ``images``, ``count``, ``batch``, ``rounds``, ``arms`` (images_per_second,
        microseconds_per_image, cpu_microseconds_per_image, threads, workers), ``ratios`` (median, low, high; of wall
        and of CPU time), ``photographs`` (by side: count, arms, ratio), ``machine``.

    Raises:
        SettingError: No image or no round.
    """
    if count < 1 or rounds < 1:
        raise SettingError(f"bench data needs at least one image and one round, not {count} and {rounds}")
    images, targets, source = _images(count, seed)
    resident = Resident(images, targets, padding=4, mean=MEAN, std=STD)
    ours = _ours(resident, seed)
    arms = {
        "resident, 1 thread": Arm(ours, count, threads=1),
        "resident, 2 threads": Arm(ours, count, threads=2),
        "Pillow, no workers": Arm(_peer(images, targets, workers=0, seed=seed), count, threads=1),
        "Pillow, 2 workers": Arm(_peer(images, targets, workers=2, seed=seed), count, threads=1),
    }
    interleave(arms, rounds)
    ratios = {
        "no workers against 1 thread": ratio(arms["Pillow, no workers"], arms["resident, 1 thread"]),
        "2 workers against 2 threads": ratio(arms["Pillow, 2 workers"], arms["resident, 2 threads"]),
        "2 workers against 1 thread": ratio(arms["Pillow, 2 workers"], arms["resident, 1 thread"]),
    }
    workers = {name: int(name.endswith("2 workers")) * 2 for name in arms}
    result = {
        "bench": "data",
        "images": source,
        "count": count,
        "batch": BATCH,
        "rounds": rounds,
        "arms": {name: arm.summary() | {"workers": workers[name]} for name, arm in arms.items()},
        "ratios": ratios,
        "photographs": {str(side): _photographs(side, number, rounds, seed) for side, number in PHOTOGRAPHS.items()},
        "machine": machine(),
    }
    if not quiet:
        print(_data_text(result))  # noqa: T201 - a bench is run to be read
    return result


def _photographs(side: int, count: int, rounds: int, seed: int) -> dict[str, Any]:
    """The augmentation of photographs, ours and torchvision's, on random pixels of this side."""
    rng = np.random.default_rng(seed)
    images, targets = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8), np.zeros(count, np.int64)
    resident = Resident(images, targets, mean=MEAN, std=STD)
    arms = {
        "resident": Arm(_ours(resident, seed, TABLE_1), count, threads=1),
        "Pillow": Arm(_peer(images, targets, workers=0, seed=seed, text=TABLE_1), count, threads=1),
    }
    interleave(arms, rounds)
    summaries = {name: arm.summary() for name, arm in arms.items()}
    return {"count": count, "arms": summaries, "ratio": ratio(arms["Pillow"], arms["resident"])}


def _data_text(result: Mapping[str, Any]) -> str:
    """The result as people read it."""
    rows = [["crop4+flip, mean and std", "images/s", "us/image", "CPU us/image"]]
    arms, ratios = dict(result["arms"]), dict(result["ratios"])
    for side, one in result["photographs"].items():
        arms |= {f"{TABLE_1} at {side} pixels, {name}": arm for name, arm in one["arms"].items()}
        ratios[f"{TABLE_1} at {side} pixels, {one['count']} images"] = one["ratio"]
    for name, arm in arms.items():
        times = (arm["microseconds_per_image"], arm["cpu_microseconds_per_image"])
        rows.append([name, f"{arm['images_per_second']:,.0f}", *(f"{value:,.1f}" for value in times)])
    lines = [table(rows), ""]
    for name, kinds in ratios.items():
        texts = [f"{v['median']:.1f}x ({v['low']:.1f} to {v['high']:.1f}) {kind}" for kind, v in kinds.items()]
        lines.append(f"{name}: {', '.join(texts)}")
    host = result["machine"]
    lines.append(f"{result['count']:,} images ({result['images']}), batch {result['batch']}, {result['rounds']} rounds")
    lines.append(f"{host['cpu']}, {host['cores']} cores, torch {host['torch']}, torchvision {host['torchvision']}")
    return "\n".join(lines)


def _ours(resident: Resident, seed: int, text: str = "crop4+flip") -> Callable[[], None]:
    """An epoch over the resident set: one set of draws, then batch after batch."""
    augmentation = augment.create(text)
    generator = torch.Generator().manual_seed(seed)

    def epoch() -> None:
        order = torch.randperm(len(resident), generator=generator)
        draws = augmentation.draw(generator, order.shape, resident.size)
        for first in range(0, len(resident), BATCH):
            part = slice(first, first + BATCH)
            index = order[part]
            _use(resident.batch(index, {name: value[part] for name, value in draws.items()}), resident.targets[index])

    return epoch


class _PillowImages(torch.utils.data.Dataset):
    """The usual in-memory image set: an array, a Pillow image per item, a transform."""

    def __init__(self, images: np.ndarray, targets: list[int], transform: Callable[[Any], Tensor]):
        self.images, self.targets, self.transform = images, targets, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        return self.transform(Image.fromarray(self.images[index])), self.targets[index]


def _peer(
    images: np.ndarray, targets: np.ndarray, workers: int, seed: int, text: str = "crop4+flip"
) -> Callable[[], None]:
    """An epoch of the usual pipeline, with torchvision's own transforms."""
    from torchvision import transforms

    flip = transforms.RandomHorizontalFlip()
    changes = {
        "crop4+flip": [transforms.RandomCrop(images.shape[1:3], padding=4), flip],
        TABLE_1: [
            transforms.RandomResizedCrop(images.shape[1:3]),
            flip,
            transforms.ColorJitter(0.4, 0.4, 0.4),
            transforms.RandomRotation(15),
        ],
    }
    steps = [*changes[text], transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    loader = torch.utils.data.DataLoader(
        _PillowImages(images, targets.tolist(), transforms.Compose(steps)),
        batch_size=BATCH,
        shuffle=True,
        num_workers=workers,
        generator=torch.Generator().manual_seed(seed),
    )

    def epoch() -> None:
        for batch, classes in loader:
            _use(batch, classes)

    return epoch


def _use(images: Tensor, targets: Tensor) -> None:
    """Hold what an arm hands out to the shape both must have."""
    if (
        tuple(images.shape[1:]) not in [(3, side, side) for side in (32, *PHOTOGRAPHS)]
        or images.dtype != torch.float32
        or targets.shape[0] != images.shape[0]
    ):
        raise AssertionError(f"not a batch of the bench: {images.dtype} {list(images.shape)}, {list(targets.shape)}")


def _images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, str]:
    """CIFAR-100 training images where they are on this machine, else random ones: uint8 [count, 32, 32, 3]."""
    from torchvision.datasets import CIFAR100

    rng = np.random.default_rng(seed)
    try:
        cifar = CIFAR100(str(data_folder()), train=True)
    except (RuntimeError, OSError):  # not there, damaged, or not readable
        pixels = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        return pixels, rng.integers(0, 100, count), "random pixels"
    chosen = rng.choice(len(cifar.data), count, replace=count > len(cifar.data))
    return np.ascontiguousarray(cifar.data[chosen]), np.asarray(cifar.targets)[chosen], "cifar100"
