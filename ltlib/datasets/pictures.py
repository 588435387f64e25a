"""One image file to pixels, and many of them, in parallel, into an array that lies on the disk.

Memory, however many images there are: all threads together hold at most `MAX_PIXELS` pixels of decoded pictures at a
time (a larger number waits its turn), each of a dozen bytes while it is turned and converted, and the files they come
from. Eight threads with photographs of 500x375 take 20 MB, no set ever more than a gigabyte.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import importlib
import io
import math
import os
import threading
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

import filelock
import numpy as np
from numpy.typing import NDArray

from ltlib.datasets import contents, faults, jpeg
from ltlib.datasets.metadata import without_metadata
from ltlib.datasets.threads import in_threads
from ltlib.errors import DataError, printable
from ltlib.files import digest, new_file, sweep
from ltlib.places import reports_folder
from ltlib.progress import Progress

Found = TypeVar("Found")
MAX_PIXELS = 80_000_000  # below the size at which PIL itself warns of a decompression bomb
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
        uint8 [size, size, 3], read-only.

    Raises:
        DataError: Missing, not an image, cut short, more than `MAX_PIXELS` pixels, or of another content; names the
            file and its index.
    """

    return look(path, lambda image: _square(image, size), index, content)


def look(path: Path, use: Callable[[Any], Found], index: int = 0, content: str | None = None) -> Found:
    """What `use` makes of the picture in a file, a PIL image: upright, RGB, of its own size, as `decode` reads it.

    `use` keeps no part of it: the picture's memory counts until it returns.

    Raises:
        DataError: As `decode`.
    """

    def refuse(why: object) -> DataError:
        return DataError(f"image {index}, {path}, cannot be read ({why}); replace or remove it")

    try:
        with path.open("rb", buffering=0) as stream:
            data = stream.readall()
    except OSError as error:
        raise contents.unreadable(index, path, error) from None
    if content is not None and hashlib.sha256(data).hexdigest() != content:
        raise DataError(f"image {index}, {path}, changed while the set was read; read it again")
    try:
        return _opened(data, use)
    except Exception as error:  # PIL's readers raise nearly every kind of exception on damaged files
        with contextlib.suppress(Exception):
            for bare in without_metadata(data):
                with contextlib.suppress(Exception):
                    return _opened(bare, use)
        raise refuse(_why(data, error)) from error


def _opened(data: bytes, use: Callable[[Any], Found]) -> Found:
    from PIL import Image

    stream = io.BytesIO(data)
    with Image.open(stream, formats=_formats()) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ValueError(f"{width} x {height} pixels, more than {MAX_PIXELS:,}")
        with _ROOM.of(width * height):
            jpeg.load(image, stream)
            return use(_eight_bit_rgb(_upright(image)))


def _square(upright: Any, size: int) -> NDArray[np.uint8]:
    from PIL import Image

    width, height = upright.size
    short = min(width, height)
    # the sizes and offsets torchvision's Resize and CenterCrop come to
    wide, high = size * width // short, size * height // short
    if wide * high > MAX_PIXELS // 32:
        raise ValueError(f"{width} x {height} pixels would be {wide} x {high} once the shorter side is {size}")
    left, top = round((wide - size) / 2), round((high - size) / 2)
    small = upright.resize((wide, high), Image.Resampling.BILINEAR) if short != size else upright
    middle = small.crop((left, top, left + size, top + size))
    return np.frombuffer(middle.tobytes(), np.uint8).reshape(size, size, 3)


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of an image file, turned upright, from its header; 0 and 0 where it is none that we read."""
    from PIL import Image

    with contextlib.suppress(Exception), Image.open(path, formats=_formats()) as image:
        width, height = image.size
        turned = image.getexif().get(_ORIENTATION) in (5, 6, 7, 8)
        return (height, width) if turned else (width, height)
    return 0, 0


class _Room:
    """Pixels that threads may hold decoded at one time, all together."""

    def __init__(self, pixels: int):
        self._free = pixels
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def of(self, pixels: int) -> Iterator[None]:
        """Wait until there is room for so many, which are never more than the whole; hold it while the block runs."""
        with self._changed:
            self._changed.wait_for(lambda: pixels <= self._free)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


_ROOM = _Room(MAX_PIXELS)


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
        grey = np.asarray(image)
        if grey.min() < 0 or grey.max() > 65535:
            raise ValueError("pixels are integers beyond 16 bits")
        eight = np.empty(grey.shape, np.uint8)
        for top in range(0, len(grey), 64):  # not all at once: the quotients take eight times the bytes
            eight[top : top + 64] = np.rint(grey[top : top + 64].astype(np.int64) / 257)
        image = Image.fromarray(eight)
    if image.mode == "P":
        image = image.convert("RGBA")  # PIL warns where a palette has a transparent colour
    return image if image.mode == "RGB" else image.convert("RGB")


def read_all(folder: Path, names: Sequence[str], size: int, values: Sequence[str] | None = None) -> NDArray[np.uint8]:
    """Read many images, several at a time, into a file in ``cache/images`` of the reports folder.

    The file is used for the same files' contents in the same order, so a second run starts at once, and a second
    process waits for the first. It can be deleted at any time. Pixels are never in memory all at once, unless there is
    no place to write them.

    Args:
        folder: The folder the names are relative to.
        names: Paths of the files.
        size: Height and width of the result.
        values: `contents.digests` of the files, where they are known already.

    Returns:
        uint8 [N, size, size, 3], in the order of `names`; read-only, a memory map of that file.

    Raises:
        Unusable: Images that cannot be read, for the reasons `decode` gives, or have changed meanwhile; names them all.
        DataError: No place to write, and all together do not fit in memory.
    """
    values = contents.digests(folder, names) if values is None else values
    key = digest("\n".join([f"decoder {_DECODER}", str(size), *values]))
    cache = reports_folder() / "cache" / "images" / f"{key[:16]}.npy"
    shape = (len(names), size, size, 3)

    def fill(images: NDArray[np.uint8], meanwhile: Callable[[], None] = lambda: None) -> None:
        _refuse(folder, _decode_each(folder, names, size, values, images.__setitem__, meanwhile=meanwhile))

    found = _stored(cache, shape)
    if found is None:
        with contextlib.suppress(OSError), _turn(cache.parent):
            found = _stored(cache, shape)  # where another process has made it meanwhile
            if found is None:
                _make(cache, shape, fill)
                found = _stored(cache, shape)
    if found is None:
        try:
            found = np.empty(shape, np.uint8)
        except MemoryError:
            raise DataError(
                f"{len(names):,} images of {size} pixels take {np.prod(shape, dtype=float) / 2**30:,.0f} GiB of "
                f"memory, more than there is, and cannot be written to {cache.parent} either; make room there, set "
                "LTLIB_REPORTS to another folder, or read them smaller, as in folder:PATH@32"
            ) from None
        fill(found)
        found.flags.writeable = False
    return found


def undecodable(folder: Path, names: Sequence[str], size: int, skip: Container[int] = ()) -> dict[int, str]:
    """Try to decode every image; a sentence for each that cannot be, by its place in `names`. `skip`: other places."""
    return _decode_each(folder, names, size, None, lambda index, pixels: None, skip)


def _decode_each(
    folder: Path,
    names: Sequence[str],
    size: int,
    values: Sequence[str] | None,
    keep: Callable[[int, NDArray[np.uint8]], None],
    skip: Container[int] = (),
    meanwhile: Callable[[], None] = lambda: None,
) -> dict[int, str]:
    """Hand the pixels of each image to `keep`, in threads; sentences for those that have none, by place."""

    def one(index: int) -> None:
        keep(index, decode(folder / names[index], size, index, None if values is None else values[index]))

    places = [index for index in range(len(names)) if index not in skip]
    return in_threads(places, one, f"reading {printable(folder.name)}", meanwhile)


def _refuse(folder: Path, wrong: Mapping[int, str]) -> None:
    if wrong:
        contents.forget(folder)  # what was known of a file that has changed is not true
    faults.refuse(folder, wrong)


def _stored(cache: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """The array in a file that is whole, as a memory map."""
    with contextlib.suppress(OSError, ValueError, EOFError):
        images = np.load(cache, mmap_mode="r", allow_pickle=False)
        if images.shape == shape and images.dtype == np.uint8:
            return images
    return None


def _make(cache: Path, shape: tuple[int, ...], fill: Callable[[NDArray[np.uint8], Callable[[], None]], None]) -> None:
    """Fill an array that lies in a new file; what is there already goes to the disk while the rest is decoded.

    Raises:
        OSError: The file cannot be written. Its whole size is reserved first: a disk that is full when a page of a
            memory map is written ends the process.
    """
    sweep(cache.parent)
    with new_file(cache) as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
        stream.flush()
        start = stream.tell()
        _reserve(stream, start + math.prod(shape))
        images = np.memmap(stream, np.uint8, "r+", start, shape)
        fill(images, lambda: os.fsync(stream.fileno()))
        images.flush()
        del images  # a file that is mapped cannot be renamed on every system


def _reserve(stream: IO[bytes], size: int) -> None:
    """Have the disk keep room for a whole file."""
    try:
        os.posix_fallocate(stream.fileno(), 0, size)
    except (AttributeError, OSError) as error:  # a system, or a file system, that cannot
        if getattr(error, "errno", None) not in (None, errno.EINVAL, errno.EOPNOTSUPP):
            raise
        for first in range(stream.tell(), size, 1 << 20):
            stream.write(bytes(min(1 << 20, size - first)))
        stream.flush()


@contextlib.contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """One process at a time decodes: two would share the cores and do the same work. Where none can wait, all do."""
    folder.mkdir(parents=True, exist_ok=True)
    held = filelock.FileLock(folder.with_name(f".{folder.name}.lock"))
    with contextlib.suppress(OSError, NotImplementedError):
        try:
            held.acquire(timeout=2)
        except filelock.Timeout:
            with Progress(1, "waiting for another process, which reads images").waiting():
                held.acquire()
    try:
        yield
    finally:
        held.release()
