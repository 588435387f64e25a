"""One image file to pixels, and many of them with a cache."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ltlib.datasets import contents
from ltlib.datasets.metadata import without_metadata
from ltlib.errors import DataError, RunError, printable
from ltlib.files import digest, write_bytes
from ltlib.places import reports_folder
from ltlib.progress import Progress

MAX_PIXELS = 80_000_000  # below the size at which PIL itself warns of a decompression bomb
QUICK = 3_000  # so few images need no progress line
_DECODER = 2  # bumped when `decode` gives other pixels or the cache another key: an older cache is not used
_ORIENTATION = 0x0112  # EXIF's number of it
# PIL looks at what is in a file, not at its name, and a reader it has may start a program (EPS: Ghostscript). So only
# the readers of `listing.SUFFIXES` are asked, those whose files have a certain start first; and only they are imported.
_READERS = {
    "PNG": "Png",
    "JPEG": "Jpeg",
    "BMP": "Bmp",
    "GIF": "Gif",
    "TIFF": "Tiff",
    "WEBP": "WebP",
    "AVIF": "Avif",
    "PPM": "Ppm",
    "JPEG2000": "Jpeg2K",
    "TGA": "Tga",
}


def decode(path: Path, size: int, index: int = 0, content: str | None = None) -> NDArray[np.uint8]:
    """Read an image file as RGB, its shorter side resized to `size` (bilinear), the middle square kept.

    A photograph is turned upright as its EXIF orientation says; other metadata plays no part, and damaged metadata is
    passed over. Grey, CMYK and palette images become RGB; an alpha channel is dropped; 16-bit grey is scaled to 8 bits,
    not clipped; of an animation the first frame is taken. The kind of picture is told by what is in the file; one whose
    suffix is not among `listing.SUFFIXES` is not read.

    Args:
        path: The file.
        size: Height and width of the result, in pixels.
        index: Place of the file in its list, for the error.
        content: SHA-256 the file must have.

    Returns:
        uint8 [size, size, 3].

    Raises:
        DataError: Missing, not an image, cut short, more than `MAX_PIXELS` pixels, or of another content; names the
            file and its index.
    """

    def refuse(why: object) -> DataError:
        return DataError(f"image {index}, {path}, cannot be read ({why}); replace or remove it")

    try:
        data = path.read_bytes()
    except OSError as error:
        raise contents.unreadable(index, path, error) from None
    if content is not None and hashlib.sha256(data).hexdigest() != content:
        raise DataError(f"image {index}, {path}, changed while the set was read; read it again")
    try:
        return _pixels(data, size)
    except Exception as error:  # PIL's readers raise nearly every kind of exception on damaged files
        with contextlib.suppress(Exception):
            for bare in without_metadata(data):
                with contextlib.suppress(Exception):
                    return _pixels(bare, size)
        raise refuse(_why(data, error)) from error


def _pixels(data: bytes, size: int) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=_formats()) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ValueError(f"{width} x {height} pixels, more than {MAX_PIXELS:,}")
        upright: Image.Image = _eight_bit_rgb(_upright(image))
        width, height = upright.size
        short = min(width, height)
        # the sizes and offsets torchvision's Resize and CenterCrop come to
        wide, high = size * width // short, size * height // short
        if wide * high > MAX_PIXELS // 32:
            raise ValueError(f"{width} x {height} pixels would be {wide} x {high} once the shorter side is {size}")
        left, top = round((wide - size) / 2), round((high - size) / 2)
        small = upright.resize((wide, high), Image.Resampling.BILINEAR) if short != size else upright
        return np.array(small.crop((left, top, left + size, top + size)))


@functools.cache
def _formats() -> tuple[str, ...]:
    """PIL's names of the formats that are read; those it was built without are left out."""
    from PIL import Image

    for module in _READERS.values():
        with contextlib.suppress(ImportError):
            importlib.import_module(f"PIL.{module}ImagePlugin")
    return tuple(name for name in _READERS if name in Image.OPEN)


def _why(data: bytes, error: Exception) -> str:
    """Why a file is no picture that we read."""
    from PIL import UnidentifiedImageError

    if not data:
        return "it is empty"
    if isinstance(error, UnidentifiedImageError):
        return f"what is in it is none of {', '.join(_formats())}"
    return " ".join(str(error).split()) or type(error).__name__


def _upright(image: Any) -> Any:
    """The image turned as its orientation tag says.

    `PIL.ImageOps.exif_transpose` also writes the other tags anew, which fails where one is damaged.
    """
    from PIL import Image

    image.load()
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    turn = None
    with contextlib.suppress(Exception):  # tags that cannot be read say nothing of how to turn
        turn = turns.get(image.getexif().get(_ORIENTATION))
    return image if turn is None else image.transpose(turn)


def _eight_bit_rgb(image: Any) -> Any:
    from PIL import Image

    if image.mode == "F":
        raise ValueError("pixels are floating-point numbers of unknown range")
    if image.mode.startswith("I"):  # convert() would clip 16 bits to 255
        grey = np.asarray(image).astype(np.int64)
        if grey.min() < 0 or grey.max() > 65535:
            raise ValueError("pixels are integers beyond 16 bits")
        image = Image.fromarray(np.rint(grey / 257).astype(np.uint8))
    if image.mode == "P":
        image = image.convert("RGBA")  # PIL warns where a palette has a transparent colour
    return image if image.mode == "RGB" else image.convert("RGB")


def read_all(folder: Path, names: Sequence[str], size: int, values: Sequence[str] | None = None) -> NDArray[np.uint8]:
    """Read many images, several at a time; what was read is kept in ``cache/images`` of the reports folder.

    The cache is used for the same files' contents in the same order, so a second run, or a second process, starts at
    once. It can be deleted at any time.

    Args:
        folder: The folder the names are relative to.
        names: Paths of the files.
        size: Height and width of the result.
        values: `contents.digests` of the files, where they are known already.

    Returns:
        uint8 [N, size, size, 3], in the order of `names`; read-only.

    Raises:
        DataError: As `decode`, for the first image that cannot be read; or all together do not fit in memory.
    """
    values = contents.digests(folder, names) if values is None else values
    key = digest("\n".join([f"decoder {_DECODER}", str(size), *values]))
    cache = reports_folder() / "cache" / "images" / f"{key[:16]}.npy"
    shape = (len(names), size, size, 3)
    with contextlib.suppress(OSError, ValueError, EOFError):
        images = np.load(cache, mmap_mode="r", allow_pickle=False)
        if images.shape == shape and images.dtype == np.uint8:
            return images
    try:
        images = np.empty(shape, np.uint8)
    except MemoryError:
        raise DataError(
            f"{len(names):,} images of {size} pixels take {np.prod(shape, dtype=float) / 2**30:,.0f} GiB of memory, "
            "more than there is; read them smaller, as in folder:PATH@32"
        ) from None
    progress = Progress(len(names), f"reading {printable(folder.name)}", enabled=len(names) > QUICK)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        try:
            paths = [folder / name for name in names]
            found = pool.map(decode, paths, [size] * len(paths), range(len(paths)), values)
            for index, pixels in enumerate(found):
                images[index] = pixels
                progress.step()
        except BaseException:
            contents.forget(folder)  # what was known of a file that has changed is not true
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    images.flags.writeable = False
    with contextlib.suppress(RunError):  # without a place to write, the next process reads the files again
        stream = io.BytesIO()
        np.save(stream, images)
        write_bytes(cache, stream.getvalue())
    return images
