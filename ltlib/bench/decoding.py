"""``ltlib bench decode``: a folder of photographs to an array on the disk, against PIL alone on the same cores."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ltlib.bench.common import Arm, compare, counted, describe, interleave, machine, table
from ltlib.datasets import contents, pictures, threads
from ltlib.errors import SettingError

SIZES = ((300, 200), (500, 375))
"""Width and height of the photographs: of Caltech-101 and of ImageNet they are usual."""
DISTINCT = 200
"""Photographs that are painted; the others are copies of them."""


def decode(
    *, count: int = 2_000, size: int = 64, rounds: int = 7, seed: int = 0, quiet: bool = False
) -> dict[str, Any]:
    """JPEG files to pixels: `pictures.read_all`, its digests known, against PIL in as many threads.

    Ours checks each file against its digest, turns it upright, looks whether it is whole, and writes the pixels to a
    file that is flushed to the disk. PIL opens, converts, resizes and crops the same way; its pixels are thrown away.

    Args:
        count: Photographs of each of `SIZES`, JPEG at quality 90.
        size: Height and width of the result.
        rounds: Measured rounds; at least 5 for a number worth keeping.
        seed: Of the photographs.
        quiet: Print nothing.

    Returns:
        JSON-ready: ``bench``, ``count``, ``size``, ``rounds``, ``workers``, ``arms`` (`common.describe`), ``ratios``
        (by width and height: how much of PIL's speed ours has, `common.compare`), ``machine``.

    Raises:
        SettingError: No image, no round, or a size below one.
    """
    if count < 1 or rounds < 1 or size < 1:
        raise SettingError(f"bench decode needs an image, a round and a pixel at least, not {count}, {rounds}, {size}")
    with tempfile.TemporaryDirectory(prefix="ltlib-bench-") as place, reports(Path(place) / "reports") as made:
        arms = dict[str, Arm]()
        for width, height in SIZES:
            folder = Path(place) / f"{width}x{height}"
            names = photographs(folder, width, height, count, seed)
            values = contents.digests(folder, names)
            arms[f"ltlib, {folder.name}"] = Arm(_ours(folder, names, size, values, made), count, threads=1)
            arms[f"PIL, {folder.name}"] = Arm(_peer(folder, names, size), count, threads=1)
        interleave(arms, rounds)
    names = [f"{width}x{height}" for width, height in SIZES]
    result = {
        "bench": "decode",
        "count": count,
        "size": size,
        "rounds": rounds,
        "workers": threads.workers(),
        "arms": {name: describe(arm) for name, arm in arms.items()},
        "ratios": {name: compare(arms[f"PIL, {name}"], arms[f"ltlib, {name}"]) for name in names},
        "machine": machine(),
    }
    if not quiet:
        print(_text(result))  # noqa: T201 - a bench is run to be read
    return result


def photographs(folder: Path, width: int, height: int, count: int, seed: int = 0) -> list[str]:
    """Write JPEG files that take as long to decode as photographs: soft patches of colour, edges, noise of a sensor."""
    from PIL import Image

    folder.mkdir(parents=True)
    rng = np.random.default_rng((seed, width, height))
    names = [f"{index:05}.jpg" for index in range(count)]
    for name in names[:DISTINCT]:
        pixels = np.zeros((height, width, 3))
        for cell, weight in ((64, 0.6), (16, 0.3), (4, 0.1)):
            patches = rng.integers(0, 256, (height // cell + 2, width // cell + 2, 3), dtype=np.uint8)
            pixels += weight * np.asarray(Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC))
        pixels += rng.normal(0, 4, pixels.shape)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name, quality=90)
    for place in range(DISTINCT, count):
        shutil.copyfile(folder / names[place % DISTINCT], folder / names[place])
    return names


@contextmanager
def reports(folder: Path) -> Iterator[Path]:
    """Another reports folder while the block runs; gives the folder that decoded images are kept in."""
    before = os.environ.get("LTLIB_REPORTS")
    os.environ["LTLIB_REPORTS"] = str(folder)
    try:
        yield folder / "cache" / "images"
    finally:
        if before is None:
            del os.environ["LTLIB_REPORTS"]
        else:
            os.environ["LTLIB_REPORTS"] = before


def _ours(folder: Path, names: Sequence[str], size: int, values: Sequence[str], made: Path) -> Callable[[], None]:
    """Read all images as if for the first time."""

    def run() -> None:
        for file in made.glob("*.npy"):
            file.unlink()
        pictures.read_all(folder, names, size, values)

    return run


def _peer(folder: Path, names: Sequence[str], size: int) -> Callable[[], None]:
    def run() -> None:
        with ThreadPoolExecutor(threads.workers()) as pool:
            for image in pool.map(by_pil, [folder / name for name in names], [size] * len(names)):
                if image.size != (size, size):
                    raise AssertionError(f"not an image of the bench: {image.size}")

    return run


def by_pil(path: Path, size: int) -> Any:
    """What `torchvision.datasets.ImageFolder` with Resize and CenterCrop does to a file: a PIL image."""
    from PIL import Image

    with Image.open(path) as opened:
        image: Any = opened.convert("RGB")
    short = min(image.size)
    wide, high = (size * side // short for side in image.size)
    image = image.resize((wide, high), Image.Resampling.BILINEAR)
    left, top = round((wide - size) / 2), round((high - size) / 2)
    return image.crop((left, top, left + size, top + size))


def _text(result: Mapping[str, Any]) -> str:
    """The result as people read it."""
    rows = [[f"JPEG to {result['size']} pixels", "images/s", "CPU us/image"]]
    for name, arm in result["arms"].items():
        rows.append([name, f"{arm['images_per_second']:,.0f}", f"{arm['cpu_microseconds_per_image']:,.0f}"])
    lines = [table(rows), ""]
    for name, kinds in result["ratios"].items():
        wall, cpu = (
            f"{values['median']:.0%} ({values['low']:.0%} to {values['high']:.0%})"
            for values in (kinds["wall"], kinds["cpu"])
        )
        lines.append(f"{name}: {wall} of PIL's speed, {cpu} in CPU time, rounds: {counted(kinds)}")
    host = result["machine"]
    lines.append(f"{result['count']:,} images each, {result['workers']} threads, {result['rounds']} rounds")
    lines.append(f"{host['cpu']}, {host['cores']} cores")
    return "\n".join(lines)
