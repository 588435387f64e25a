"""What a name like ``cifar10`` stands for: a builder, which describes, finds, fetches, reads and checks one image set.

A set is a class in a module of its own, registered by name; the package's ``__init__`` lists the modules. Importing
such a module must be cheap, so torch, NumPy and PIL are imported inside the methods that need them.

A family of sets is registered by the form of its names, ``folder:PATH``: whatever follows the colon is its argument.
A set of photographs is asked for at a size of its own by ``NAME@SIZE``, ``caltech_part@32`` (see `photographs`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ltlib.errors import DataError, LtlibError, SettingError, UnknownName
from ltlib.registry import Entry, Registry

if TYPE_CHECKING:
    from ltlib.datasets.images import Source

Channels = tuple[float, float, float]

# The usual values for photographs (ImageNet), where a set has none of its own.
PHOTO_MEAN, PHOTO_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LARGEST = 1024  # pixels, height and width that images are read at


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What is known about an image set before it is read.

    Attributes:
        name: As `load` takes it.
        num_classes: Number of classes.
        image_size: Height and width in pixels, as trained on.
        train_images, test_images: Images of the full set.
        digest: Identity of the source, part of a run's identity: another text where other images are read.
        flips: Whether a mirrored image still is of its class.
        mean, std: Per channel, of pixels in 0..1.
        group_rule: See `class_groups.groups`.
        balanced: Whether all classes have the same number of training images.
        class_names: Name of each class, where they are known without the images.
        class_counts: Training images of each class, where they are known without the images and not all alike.
        drawn_test: Whether the test images are drawn from its images by the subset seed, because it has no test part;
            the counts here are those of seed 0.
        citation: Who made it.
        where: How to get it.
    """

    name: str
    num_classes: int
    image_size: int
    train_images: int
    test_images: int
    digest: str
    flips: bool
    mean: Channels = PHOTO_MEAN
    std: Channels = PHOTO_STD
    group_rule: str = "thirds"
    balanced: bool = False
    class_names: tuple[str, ...] | None = None
    class_counts: tuple[int, ...] | None = None
    drawn_test: bool = False
    citation: str = ""
    where: str = ""

    @property
    def family(self) -> str:
        """The name without a family's argument or a size: where a folder lies says nothing about its images."""
        return re.split("[:@]", self.name, maxsplit=1)[0]


class DatasetBuilder:
    """One image set. A set that is always there needs `info` and `read` alone.

    Attributes:
        name: As it was asked for, the argument of a family or the size included.
        sized: Whether ``NAME@SIZE`` reads its images at another size than its own.
        as_found: Whether its images are whatever somebody has: their counts stay as they are where no imbalance factor
            is given, and one that is given cuts the largest class least, however the classes are called.

    Example:
        >>> @DATASETS.register("blank")
        ... class Blank(DatasetBuilder):
        ...     "Twenty black images in two classes."
        ...     def info(self):
        ...         return DatasetInfo(
        ...             name=self.name, num_classes=2, image_size=8, train_images=10, test_images=10,
        ...             digest=digest("blank 1"), flips=True,
        ...         )
        ...     def read(self, root, fetch=False):
        ...         images = ImageSet(np.zeros((10, 8, 8, 3), np.uint8), np.arange(10) % 2, ["zero", "one"])
        ...         return Source(train=images, test=images)
    """

    sized = False
    as_found = False

    def __init__(self, name: str):
        self.name = name

    @property
    def argument(self) -> str:
        """What follows the colon in a family's name."""
        return self.name.partition(":")[2]

    def info(self) -> DatasetInfo:
        """What is known about the set; named sets must not look at the disk."""
        raise NotImplementedError(f"{type(self).__name__} must say what it is: info(self)")

    def available(self, root: Path) -> bool:
        """Whether `read` would find the files in the data folder `root` without downloading."""
        return True

    def fetch(self, root: Path) -> None:
        """Download the set into `root`, or replace its damaged files; a whole set is left as it is.

        Raises:
            DataError: There is no address to download it from, or the download failed.
        """
        info = self.info()
        if not self.available(root):
            raise DataError(f"{self.name} cannot be downloaded from here: {info.where}")

    def read(self, root: Path, fetch: bool = False) -> Source:
        """All training and test images; `fetch`: whether a missing set may be downloaded.

        Raises:
            DataError: The set is missing or damaged.
        """
        raise NotImplementedError(f"{type(self).__name__} must read its images: read(self, root, fetch=False)")

    def problems(self, root: Path) -> list[str]:
        """One sentence for each file that is missing, damaged or no image.

        Raises:
            DataError: The set cannot be looked through at all.
        """
        self.read(root)
        return []

    def remarks(self, root: Path) -> list[str]:
        """Sentences on where the set as it lies in `root` is read otherwise than its description says; often none.

        Raises:
            DataError: The set is missing.
        """
        return []

    def repair(self) -> str:
        """What helps with files that `problems` names, as words for a person."""
        where = self.info().where
        return f"get them again: {where}" if where else "replace them"


DATASETS = Registry[DatasetBuilder]("dataset")


def builder(name: str) -> DatasetBuilder:
    """The builder of a named set, of one with a size, or of a family's name with its argument.

    Raises:
        UnknownName: With the nearest known names.
        SettingError: A size that is none, or for a set that has one size only.
    """
    return entry(name).factory(name)


def entry(name: str) -> Entry[DatasetBuilder]:
    """What is registered for a set's name, for one with a size, or for a family's name with its argument.

    Raises:
        UnknownName: With the nearest known names.
        SettingError: A size for a set that has one size only.
    """
    prefix, colon, _ = name.partition(":")
    families = {entry.name.partition(":")[0]: entry for entry in DATASETS if ":" in entry.name}
    if colon:
        if prefix not in families:
            raise UnknownName(DATASETS.kind, name, [entry.name for entry in families.values()])
        return families[prefix]
    plain, at, size = name.partition("@")
    if not at or name in DATASETS:
        return DATASETS.get(name)
    found = DATASETS.get(plain)
    if not getattr(found.factory, "sized", False):
        raise SettingError(f"{plain} has images of one size only and cannot be read as @{size}; ask for {plain}")
    return found


def as_found(name: str) -> bool:
    """Whether a set is one of the user's own, see `DatasetBuilder`; an unknown name is none."""
    try:
        return getattr(entry(name).factory, "as_found", False)
    except LtlibError:
        return False


def size_asked(name: str, own: int) -> int:
    """The size in pixels that ``NAME@SIZE`` asks for; `own` where it asks for none.

    Raises:
        SettingError: It is no whole number from 1 to `LARGEST`.
    """
    plain, at, size = name.partition("@")
    if at and not (re.fullmatch("[1-9][0-9]{0,3}", size) and int(size) <= LARGEST):
        raise SettingError(
            f"{name!r} asks for images of {size!r} pixels; write a whole number from 1 to {LARGEST}, as in {plain}@64"
        )
    return int(size) if at else own
