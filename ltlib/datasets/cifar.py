"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), read from the layout torchvision uses.

The batches are pickles, so each file is compared with its known MD5 before it is opened, and then only NumPy's array
constructors may be called. The MD5 values are those of torchvision.
"""

from __future__ import annotations

import functools
import hashlib
import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ltlib.datasets import download
from ltlib.datasets.images import ImageSet, Source
from ltlib.errors import DataError


@dataclass(frozen=True)
class Layout:
    """Where a CIFAR set lies and how its files are recognised.

    Attributes:
        name: Name in the registry.
        folder: Folder inside the data folder.
        archive: The file it is distributed as.
        train, test: File name to MD5, in the order of the images.
        meta: The file with the class names, and its MD5.
        labels: Key of the targets in a batch.
        label_names: Key of the class names in the meta file.
    """

    name: str
    folder: str
    archive: download.Archive
    train: dict[str, str]
    test: dict[str, str]
    meta: tuple[str, str]
    labels: bytes
    label_names: bytes

    @property
    def files(self) -> dict[str, str]:
        """Every file that is read, and its MD5."""
        return self.train | self.test | dict([self.meta])


LAYOUTS = {
    "cifar10": Layout(
        name="cifar10",
        folder="cifar-10-batches-py",
        archive=download.Archive(
            "cifar-10-python.tar.gz",
            ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
            size=170_498_071,
            md5="c58f30108f718f92721af3b95e74349a",
        ),
        train={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        },
        test={"test_batch": "40351d587109b95175f43aff81a1287e"},
        meta=("batches.meta", "5ff9c542aee3614f3951f8cda6e48888"),
        labels=b"labels",
        label_names=b"label_names",
    ),
    "cifar100": Layout(
        name="cifar100",
        folder="cifar-100-python",
        archive=download.Archive(
            "cifar-100-python.tar.gz",
            ("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
            size=169_001_437,
            md5="eb9058c3a382ffc7106e4002c42a8d85",
        ),
        train={"train": "16019d7e3df5f24257cddd939b257f8d"},
        test={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
        meta=("meta", "7973b15100ade9c7d40fb424638fde48"),
        labels=b"fine_labels",
        label_names=b"fine_label_names",
    ),
}


class _ArraysOnly(pickle.Unpickler):
    """Builds NumPy arrays, numbers, texts and containers; refuses to call anything else."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return np.ndarray(0).__reduce__()[0]
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")


def present(layout: Layout, root: Path) -> bool:
    """Whether all files are there (not whether they are intact)."""
    return all((root / layout.folder / name).is_file() for name in layout.files)


def problems(layout: Layout, root: Path) -> list[str]:
    """What is wrong with the files, one sentence each; none when the set is whole."""
    found = []
    for name, md5 in layout.files.items():
        path = root / layout.folder / name
        if not path.is_file():
            found.append(f"{path} is missing")
        elif download.file_md5(path) != md5:
            found.append(f"{path} is damaged (its MD5 is not {md5})")
    return found


def provide(layout: Layout, root: Path, fetch: bool = False, opener: download.Opener | None = None) -> None:
    """Make sure the extracted files are there: extract an archive that lies in `root`, or download it if asked to.

    Two processes never work on the same set: the second waits, then finds it done.

    Args:
        layout: The set.
        root: Data folder.
        fetch: Whether the network may be used; then damaged files are replaced too.
        opener: See `download.fetch`.

    Raises:
        DataError: The set is missing and may not be downloaded, or cannot be.
    """
    place, archive = root / layout.folder, root / layout.archive.name
    if present(layout, root) and not (fetch and problems(layout, root)):
        return
    if not fetch and (place.exists() or not archive.is_file()):
        lacks = "is incomplete" if place.exists() else "is not there"
        raise DataError(
            f"{layout.name} {lacks}: expected {place} (or {archive.name} beside it, from {layout.archive.urls[0]}); "
            f"run: ltlib data download {layout.name}"
        )
    with download.lock(root, layout.name):
        if present(layout, root) and not (fetch and problems(layout, root)):
            return
        if fetch and not (archive.is_file() and download.intact(archive, layout.archive)):
            download.fetch(layout.archive, root, opener=opener)
        download.extract(archive, place, layout.archive, files=layout.files)


def read(layout: Layout, root: Path) -> Source:
    """Read the whole set: 50,000 training and 10,000 test images, 32x32.

    The last set read is kept in memory, so that the runs of one process read it once; treat its arrays as read-only.

    Raises:
        DataError: A file is missing or its MD5 is wrong.
    """
    stamp = []
    for name in layout.files:
        path = root / layout.folder / name
        if not path.is_file():
            raise DataError(f"{path} is missing; run: ltlib data download {layout.name}")
        stamp.append((path.stat().st_mtime_ns, path.stat().st_size))
    return _read(layout.name, root.resolve(), tuple(stamp))


@functools.lru_cache(maxsize=1)
def _read(name: str, root: Path, stamp: tuple[tuple[int, int], ...]) -> Source:
    layout = LAYOUTS[name]
    folder = root / layout.folder
    meta = _unpickle(layout, folder / layout.meta[0], layout.meta[1])
    class_names = [label.decode() for label in meta[layout.label_names]]

    def images(files: dict[str, str]) -> ImageSet:
        batches = [_unpickle(layout, folder / file, md5) for file, md5 in files.items()]
        planes = np.concatenate([batch[b"data"] for batch in batches]).reshape(-1, 3, 32, 32)
        pixels = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
        pixels.flags.writeable = False
        return ImageSet(pixels, np.concatenate([batch[layout.labels] for batch in batches]), class_names)

    return Source(images(layout.train), images(layout.test))


def _unpickle(layout: Layout, path: Path, md5: str) -> dict[bytes, Any]:
    """Open a batch once its MD5 is known to be right: the bytes that were checked are the bytes that are read."""
    data = path.read_bytes()
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != md5:
        raise DataError(f"{path} is damaged (its MD5 is not {md5}); run: ltlib data download {layout.name}")
    return _ArraysOnly(io.BytesIO(data), encoding="bytes").load()
