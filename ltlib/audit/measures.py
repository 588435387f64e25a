"""What each image is measured by, in one pass over the files, kept by what is in them.

An image of more than `SIDE` pixels a side is reduced to that first: what is looked for is to be seen then too, and
memory stays bounded whatever cameras give.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ltlib.audit import extra, kept, quality
from ltlib.datasets.pictures import look
from ltlib.datasets.threads import in_threads
from ltlib.errors import printable

SIDE = 512  # pixels
TINY = 32  # pixels
HASH = 16  # the perceptual hash has its square of bits
SAVED = 30.0  # seconds between two times that what is measured goes to the disk
_FORMAT = 1

ROW = np.dtype(
    [
        ("content", "S64"),
        ("pixels", "S64"),
        ("width", "<i4"),
        ("height", "<i4"),
        ("hash", "u1", (HASH * HASH // 8,)),
        ("mirrored", "u1", (HASH * HASH // 8,)),
        ("raw", "<f4", (len(quality.RAW),)),
        ("tiny", "u1", (TINY, TINY, 3)),
    ]
)
"""Of one image: SHA-256 of the file and of its pixels, its size, the perceptual hash of it and of its mirror image, the
numbers that its quality is judged by, and itself at `TINY` pixels."""
Rows = NDArray[np.void]


def measure(top: Path, names: Sequence[str], values: Sequence[str]) -> tuple[Rows, dict[int, str]]:
    """Measure images, or take what is known of them.

    Args:
        top: The folder that names are relative to.
        names: Paths of the files.
        values: SHA-256 of the files.

    Returns:
        A `ROW` for each, in their order, and for those that are no images a sentence each by place; their rows are 0.
    """
    key = _key(top)
    before = kept.load(key, ROW)
    known = {} if before is None else {bytes(row["content"]).decode(): row for row in before}
    todo = [place for place, value in enumerate(values) if value not in known]
    saved = time.monotonic()

    def one(place: int) -> None:
        known[values[place]] = _row(top / names[place], place, values[place])

    def meanwhile() -> None:
        nonlocal saved
        if time.monotonic() - saved > SAVED:
            _save(key, dict(known), values)
            saved = time.monotonic()

    wrong = in_threads(todo, one, f"looking at {printable(top.name)}", meanwhile)
    rows = np.zeros(len(names), ROW)
    for place, value in enumerate(values):
        if value in known:
            rows[place] = known[value]
    if todo:
        _save(key, known, values)
    return rows, wrong


def _row(path: Path, place: int, value: str) -> Any:
    size, pixels, small = look(path, _reduced, place, value)
    row = np.zeros((), ROW)
    row["content"], row["pixels"] = value.encode(), pixels.encode()
    row["width"], row["height"] = size
    row["tiny"] = np.asarray(_tiny(small))
    row["raw"] = quality.raw(small, size)
    imagehash = extra.library("imagehash")
    if imagehash is not None:
        from PIL import Image

        mirrored = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        for name, image in (("hash", small), ("mirrored", mirrored)):
            row[name] = np.packbits(imagehash.phash(image, hash_size=HASH).hash.reshape(-1))
    return row


def _reduced(image: Any) -> tuple[tuple[int, int], str, Any]:
    """Size, SHA-256 of the pixels, and the image with at most `SIDE` pixels a side."""
    from PIL import Image

    width, height = image.size
    pixels = hashlib.sha256(f"{width} x {height}".encode())
    pixels.update(image.tobytes())
    part = SIDE / max(width, height)
    if part >= 1:
        return (width, height), pixels.hexdigest(), image.copy()
    size = max(1, round(width * part)), max(1, round(height * part))
    return (width, height), pixels.hexdigest(), image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)


def _tiny(image: Any) -> Any:
    from PIL import Image

    return image.resize((TINY, TINY), Image.Resampling.BOX)


def _key(top: Path) -> str:
    return f"measures {_FORMAT}; {extra.versions('imagehash', 'cleanvision')}; {os.path.realpath(top)}"


def _save(key: str, known: Mapping[str, Any], values: Sequence[str]) -> None:
    rows = [known[value] for value in dict.fromkeys(values) if value in known]
    kept.save(key, np.array(rows, ROW))
