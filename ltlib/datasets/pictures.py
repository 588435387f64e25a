"""One image file to pixels, and many of them with a cache."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ltlib.errors import DataError, RunError
from ltlib.files import digest, write_bytes
from ltlib.places import reports_folder
from ltlib.progress import Progress

MAX_PIXELS = 80_000_000  # below the size at which PIL itself warns of a decompression bomb
QUICK = 3_000  # so few images need no progress line
_DECODER = 1  # bumped when `decode` gives other pixels: an older cache is not used


def decode(path: Path, size: int, index: int = 0) -> NDArray[np.uint8]:
    """Read an image file as RGB, its shorter side resized to `size` (bilinear), the middle square kept.

    A photograph is turned upright as its EXIF orientation says. Grey, CMYK and palette images become RGB; an alpha
    channel is dropped; 16-bit grey is scaled to 8 bits, not clipped; of an animation the first frame is taken.

    Args:
        path: The file.
        size: Height and width of the result, in pixels.
        index: Place of the file in its list, for the error.

    Returns:
        uint8 [size, size, 3].

    Raises:
        DataError: Missing, not an image, cut short, or more than `MAX_PIXELS` pixels; names the file and its index.
    """
    from PIL import Image, ImageOps

    def refuse(why: object) -> DataError:
        return DataError(f"image {index}, {path}, cannot be read ({why}); replace or remove it")

    try:
        with Image.open(path) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise refuse(f"{width} x {height} pixels, more than {MAX_PIXELS:,}")
            upright: Image.Image = _eight_bit_rgb(ImageOps.exif_transpose(image))
            width, height = upright.size
            short = min(width, height)
            # the sizes and offsets torchvision's Resize and CenterCrop come to
            wide, high = size * width // short, size * height // short
            if wide * high > MAX_PIXELS // 32:
                raise refuse(f"{width} x {height} pixels would be {wide} x {high} once the shorter side is {size}")
            left, top = round((wide - size) / 2), round((high - size) / 2)
            small = upright.resize((wide, high), Image.Resampling.BILINEAR) if short != size else upright
            return np.array(small.crop((left, top, left + size, top + size)))
    except DataError:
        raise
    except FileNotFoundError:
        raise refuse("it is missing") from None
    except Exception as error:  # PIL's readers raise nearly every kind of exception on damaged files
        raise refuse(str(error) or type(error).__name__) from error


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


def read_all(folder: Path, names: Sequence[str], size: int) -> NDArray[np.uint8]:
    """Read many images, several at a time; what was read is kept in ``cache/images`` of the reports folder.

    The cache is used while every file keeps its name, size and time of change, so a second run, or a second process,
    starts at once. It can be deleted at any time.

    Args:
        folder: The folder the names are relative to.
        names: Paths of the files.
        size: Height and width of the result.

    Returns:
        uint8 [N, size, size, 3], in the order of `names`; read-only.

    Raises:
        DataError: As `decode`, for the first image that cannot be read.
    """
    stamps = []
    for index, name in enumerate(names):
        try:
            stat = (folder / name).stat()
        except OSError:
            raise DataError(f"image {index}, {folder / name}, is missing; restore it") from None
        stamps.append(f"{name}\t{stat.st_size}\t{stat.st_mtime_ns}")
    key = digest("\n".join([f"decoder {_DECODER}", str(folder.resolve()), str(size), *stamps]))
    cache = reports_folder() / "cache" / "images" / f"{key[:16]}.npy"
    shape = (len(names), size, size, 3)
    with contextlib.suppress(OSError, ValueError, EOFError):
        images = np.load(cache, mmap_mode="r", allow_pickle=False)
        if images.shape == shape and images.dtype == np.uint8:
            return images
    images = np.empty(shape, np.uint8)
    progress = Progress(len(names), f"reading {folder.name}", enabled=len(names) > QUICK)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        try:
            paths = [folder / name for name in names]
            for index, pixels in enumerate(pool.map(decode, paths, [size] * len(paths), range(len(paths)))):
                images[index] = pixels
                progress.step()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    images.flags.writeable = False
    with contextlib.suppress(RunError):  # without a place to write, the next process reads the files again
        stream = io.BytesIO()
        np.save(stream, images)
        write_bytes(cache, stream.getvalue())
    return images
