"""How fast: each bench runs both arms in one process on the same cores, in turns, and returns ratios with their range.

Seconds of different machines, or of one machine at different times, say nothing about a method; the ratio of two arms
measured within the same few seconds does. So a bench repeats rounds, each round runs every arm once, and what counts is
the median of the per-round ratios. Ratios of CPU time are given as well: on a busy machine they hold better.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ltlib import augment, provenance
from ltlib.errors import SettingError
from ltlib.places import data_folder
from ltlib.resident import Resident

_BATCH = 128
_SHORTEST = 0.25  # seconds an arm runs in a round: timers and schedulers are too coarse for less
_MEAN, _STD = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)  # of CIFAR-100's training images


# --- what every bench uses -------------------------------------------------------------------------------------------


@dataclass
class Arm:
    """One of the things compared.

    Attributes:
        run: One pass over `count` things; everything it starts has ended when it returns.
        threads: Of torch in this process while it runs.
        wall: Seconds per thing, one entry a round.
        cpu: CPU seconds per thing, child processes included, one entry a round.
    """

    run: Callable[[], None]
    count: int
    threads: int
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def measure(self) -> None:
        """Run passes until enough time has gone by and note the time of one thing."""
        with threads(self.threads):
            passes, cpu, wall = 0, _cpu_seconds(), time.perf_counter()
            while passes == 0 or time.perf_counter() - wall < _SHORTEST:
                self.run()
                passes += 1
            self.wall.append((time.perf_counter() - wall) / (passes * self.count))
            self.cpu.append((_cpu_seconds() - cpu) / (passes * self.count))

    def summary(self) -> dict[str, Any]:
        """Medians over the rounds."""
        wall, cpu = statistics.median(self.wall), statistics.median(self.cpu)
        return {
            "threads": self.threads,
            "images_per_second": 1 / wall,
            "microseconds_per_image": 1e6 * wall,
            "cpu_microseconds_per_image": 1e6 * cpu,
        }


def interleave(arms: Mapping[str, Arm], rounds: int) -> None:
    """Warm every arm up once, then run them in turns, the order reversed every other round."""
    for arm in arms.values():
        with threads(arm.threads):
            arm.run()
    order = list(arms.values())
    for _ in range(rounds):
        for arm in order:
            arm.measure()
        order.reverse()


def ratio(slow: Arm, fast: Arm) -> dict[str, Any]:
    """How many times faster `fast` is: median and range over the rounds, in wall time and in CPU time."""

    def of(mine: list[float], theirs: list[float]) -> dict[str, float]:
        values = [a / b for a, b in zip(theirs, mine, strict=True)]
        return {"median": statistics.median(values), "low": min(values), "high": max(values)}

    return {"wall": of(fast.wall, slow.wall), "cpu": of(fast.cpu, slow.cpu)}


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    from importlib.metadata import version

    return {
        "cpu": provenance.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": version("torchvision"),
        "pillow": version("pillow"),
        "system": platform.platform(terse=True),
    }


def table(rows: Iterable[Iterable[str]]) -> str:
    """Rows of text as aligned columns: the first to the left, the others to the right."""
    cells = [list(row) for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = (
        [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))] for row in cells
    )
    return "\n".join("  ".join(line).rstrip() for line in lines)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """torch limited to so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended (on Windows without the children)."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


# --- bench data ------------------------------------------------------------------------------------------------------


def data(*, count: int = 10_847, rounds: int = 7, seed: int = 0, quiet: bool = False) -> dict[str, Any]:
    """Augmented batches: the resident set against torchvision's usual pipeline.

    Both arms shuffle `count` 32x32 images, crop with padding 4, flip, normalise, and hand out batches of 128 with their
    targets, the short last one too. The peer is what most training code does: a `Dataset` of Pillow images behind a
    `DataLoader`, in this process and with two workers, started anew for each epoch. Ours includes drawing the epoch's
    random numbers. Like is compared with like: two workers with two threads, none with one thread. On a busy machine
    two threads wait for each other far longer than they work, so two workers are compared with one thread as well.

    Args:
        count: Images; 10,847 is CIFAR-100-LT at imbalance factor 100.
        rounds: Measured rounds; at least 5 for a number worth keeping.
        seed: Of the draws.
        quiet: Print nothing.

    Returns:
        JSON-ready: ``bench``, ``images``, ``count``, ``batch``, ``rounds``, ``arms`` (images_per_second,
        microseconds_per_image, cpu_microseconds_per_image, threads, workers), ``ratios`` (median, low, high; of wall
        and of CPU time), ``machine``.

    Raises:
        SettingError: No image or no round.
    """
    if count < 1 or rounds < 1:
        raise SettingError(f"bench data needs at least one image and one round, not {count} and {rounds}")
    images, targets, source = _images(count, seed)
    resident = Resident(images, targets, padding=4, mean=_MEAN, std=_STD)
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
        "batch": _BATCH,
        "rounds": rounds,
        "arms": {name: arm.summary() | {"workers": workers[name]} for name, arm in arms.items()},
        "ratios": ratios,
        "machine": machine(),
    }
    if not quiet:
        print(_data_text(result))  # noqa: T201 - a bench is run to be read
    return result


def _data_text(result: Mapping[str, Any]) -> str:
    """The result as people read it."""
    rows = [["crop4+flip, mean and std", "images/s", "us/image", "CPU us/image"]]
    for name, arm in result["arms"].items():
        times = (arm["microseconds_per_image"], arm["cpu_microseconds_per_image"])
        rows.append([name, f"{arm['images_per_second']:,.0f}", *(f"{value:,.1f}" for value in times)])
    lines = [table(rows), ""]
    for name, kinds in result["ratios"].items():
        texts = [f"{v['median']:.1f}x ({v['low']:.1f} to {v['high']:.1f}) {kind}" for kind, v in kinds.items()]
        lines.append(f"{name}: {', '.join(texts)}")
    host = result["machine"]
    lines.append(f"{result['count']:,} images ({result['images']}), batch {result['batch']}, {result['rounds']} rounds")
    lines.append(f"{host['cpu']}, {host['cores']} cores, torch {host['torch']}, torchvision {host['torchvision']}")
    return "\n".join(lines)


def _ours(resident: Resident, seed: int) -> Callable[[], None]:
    """An epoch over the resident set: one set of draws, then batch after batch."""
    augmentation = augment.create("crop4+flip")
    generator = torch.Generator().manual_seed(seed)

    def epoch() -> None:
        order = torch.randperm(len(resident), generator=generator)
        draws = augmentation.draw(generator, order.shape)
        for first in range(0, len(resident), _BATCH):
            part = slice(first, first + _BATCH)
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


def _peer(images: np.ndarray, targets: np.ndarray, workers: int, seed: int) -> Callable[[], None]:
    """An epoch of the usual pipeline, with torchvision's own transforms."""
    from torchvision import transforms

    steps = [
        transforms.RandomCrop(images.shape[1:3], padding=4),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(_MEAN, _STD),
    ]
    loader = torch.utils.data.DataLoader(
        _PillowImages(images, targets.tolist(), transforms.Compose(steps)),
        batch_size=_BATCH,
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
    if images.shape[1:] != (3, 32, 32) or images.dtype != torch.float32 or targets.shape[0] != images.shape[0]:
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
