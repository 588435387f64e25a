"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), read from the layout torchvision uses.

The batches are pickles, so each file is compared with its known MD5 before it is opened, and then only NumPy's array
constructors may be called. The MD5 values are those of torchvision.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltlib.datasets.base import DATASETS, DatasetBuilder, DatasetInfo
from ltlib.errors import DataError
from ltlib.files import digest

if TYPE_CHECKING:
    from ltlib.datasets.download import Archive, Opener
    from ltlib.datasets.images import ImageSet, Source


@DATASETS.register("cifar10", source="Krizhevsky 2009")
class Cifar10(DatasetBuilder):
    """CIFAR-10: ten classes of 5,000 training and 1,000 test images, 32x32.

    Attributes:
        folder: Folder inside the data folder.
        filename, url, size, md5: The archive it is distributed as, its bytes and checksum.
        train, test: Files and their MD5, in the order of the images.
        meta: The file with the class names, and its MD5.
        labels: Key of the targets in a batch.
        label_names: Key of the class names in the meta file.
    """

    num_classes = 10
    group_rule = "cuts[sizes=3+4+3]"
    class_names: tuple[str, ...] | None = (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    )
    folder = "cifar-10-batches-py"
    filename = "cifar-10-python.tar.gz"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    size = 170_498_071
    md5 = "c58f30108f718f92721af3b95e74349a"
    train: tuple[tuple[str, str], ...] = (
        ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
        ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
        ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
        ("data_batch_4", "634d18415352ddfa80567beed471001a"),
        ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
    )
    test = (("test_batch", "40351d587109b95175f43aff81a1287e"),)
    meta = ("batches.meta", "5ff9c542aee3614f3951f8cda6e48888")
    labels = b"labels"
    label_names = b"label_names"

    def info(self) -> DatasetInfo:
        return DatasetInfo(
            name=self.name,
            num_classes=self.num_classes,
            image_size=32,
            train_images=50_000,
            test_images=10_000,
            digest=digest(f"{self.name}: {self.filename}, md5 {self.md5}"),
            flips=True,
            # Cui et al. 2019, LDAM-DRW and most code after them normalise both sets with the values of CIFAR-10.
            mean=(0.4914, 0.4822, 0.4465),
            std=(0.2023, 0.1994, 0.2010),
            group_rule=self.group_rule,
            balanced=True,
            class_names=self.class_names,
            citation='A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009',
            where=f"ltlib data download {self.name}",
        )

    @property
    def archive(self) -> Archive:
        """What `download` fetches."""
        from ltlib.datasets.download import Archive

        return Archive(self.filename, (self.url,), self.size, self.md5)

    @property
    def files(self) -> dict[str, str]:
        """Every file that is read, and its MD5."""
        return dict((*self.train, *self.test, self.meta))

    def present(self, root: Path) -> bool:
        """Whether all files are there (not whether they are intact)."""
        return all((root / self.folder / name).is_file() for name in self.files)

    def available(self, root: Path) -> bool:
        """Extracted, or an archive to extract lies in the data folder."""
        return self.present(root) or ((root / self.filename).is_file() and not (root / self.folder).exists())

    def problems(self, root: Path) -> list[str]:
        from ltlib.datasets.download import file_md5

        found = []
        for name, md5 in self.files.items():
            path = root / self.folder / name
            if not path.is_file():
                found.append(f"{path} is missing")
            elif file_md5(path) != md5:
                found.append(f"{path} is damaged (its MD5 is not {md5})")
        return found

    def repair(self) -> str:
        return f"ltlib data download {self.name} replaces them"

    def fetch(self, root: Path) -> None:
        self.provide(root, fetch=True)

    def provide(self, root: Path, fetch: bool = False, opener: Opener | None = None) -> None:
        """Make sure the extracted files are there: extract an archive that lies in `root`, or download it if asked to.

        Two processes never work on the same set: the second waits, then finds it done.

        Args:
            root: Data folder.
            fetch: Whether the network may be used; then damaged files are replaced too.
            opener: See `download.fetch`.

        Raises:
            DataError: The set is missing and may not be downloaded, or cannot be.
        """
        from ltlib.datasets import download

        place, archive = root / self.folder, root / self.filename
        if self.present(root) and not (fetch and self.problems(root)):
            return
        if not fetch and (place.exists() or not archive.is_file()):
            lacks = "is incomplete" if place.exists() else "is not there"
            raise DataError(
                f"{self.name} {lacks}: expected {place} (or {archive.name} beside it, from {self.url}); "
                f"run: ltlib data download {self.name}"
            )
        with download.lock(root, self.name):
            if self.present(root) and not (fetch and self.problems(root)):
                return
            if fetch and not (archive.is_file() and download.intact(archive, self.archive)):
                download.fetch(self.archive, root, opener=opener)
            download.extract(archive, place, self.archive, files=self.files)

    def read(self, root: Path, fetch: bool = False) -> Source:
        """The whole set.

        The last set read is kept in memory, so that the runs of one process read it once; treat its arrays as
        read-only.

        Raises:
            DataError: A file is missing or its MD5 is wrong.
        """
        self.provide(root, fetch)
        found = [(root / self.folder / name).stat() for name in self.files]
        stamps = tuple((stat.st_mtime_ns, stat.st_size) for stat in found)
        return _read(type(self), self.name, root.resolve(), stamps)  # type: ignore[arg-type]

    def unpickle(self, root: Path, file: str, md5: str) -> dict[bytes, Any]:
        """Open a file once its MD5 is known to be right: the bytes that were checked are the bytes that are read."""
        from ltlib.datasets.pickles import load_arrays

        path = root / self.folder / file
        data = path.read_bytes()
        if hashlib.md5(data, usedforsecurity=False).hexdigest() != md5:
            raise DataError(f"{path} is damaged (its MD5 is not {md5}); run: ltlib data download {self.name}")
        return load_arrays(data)


@DATASETS.register("cifar100", source="Krizhevsky 2009")
class Cifar100(Cifar10):
    """CIFAR-100: a hundred classes (the fine labels) of 500 training and 100 test images, 32x32."""

    num_classes = 100
    group_rule = "cuts[sizes=36+35+29]"
    class_names = None
    folder = "cifar-100-python"
    filename = "cifar-100-python.tar.gz"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    size = 169_001_437
    md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    train = (("train", "16019d7e3df5f24257cddd939b257f8d"),)
    test = (("test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),)
    meta = ("meta", "7973b15100ade9c7d40fb424638fde48")
    labels = b"fine_labels"
    label_names = b"fine_label_names"


@functools.lru_cache(maxsize=1)
def _read(kind: type[Cifar10], name: str, root: Path, stamps: tuple[tuple[int, int], ...]) -> Source:
    import numpy as np

    from ltlib.datasets.images import ImageSet, Source

    cifar = kind(name)
    class_names = [label.decode() for label in cifar.unpickle(root, *cifar.meta)[cifar.label_names]]

    def images(files: tuple[tuple[str, str], ...]) -> ImageSet:
        batches = [cifar.unpickle(root, file, md5) for file, md5 in files]
        planes = np.concatenate([batch[b"data"] for batch in batches]).reshape(-1, 3, 32, 32)
        pixels = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
        pixels.flags.writeable = False
        return ImageSet(pixels, np.concatenate([batch[cifar.labels] for batch in batches]), class_names)

    return Source(images(cifar.train), images(cifar.test))
