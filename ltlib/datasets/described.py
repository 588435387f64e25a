"""What will be done to the images of a set before it is trained on, as data and in words."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ltlib.datasets import registry
from ltlib.datasets.base import as_found, builder
from ltlib.datasets.drawn import Drawn
from ltlib.datasets.own_files import OwnFiles
from ltlib.datasets.sizes import sizes
from ltlib.errors import printable

_NAMED = 12  # classes that a line names


@dataclass(frozen=True)
class Resized:
    """What becomes of the sizes of images: the shorter side is made `to` pixels, then the middle square is kept.

    Attributes:
        smallest, largest: Width and height of the images of fewest and of most pixels.
        to: Height and width as trained on.
        cropped: Images that are not square, whose edges are cut off; no aspect ratio is changed.
        enlarged: Images whose shorter side is below `to`.
        unchanged: Images that are `to` x `to` as they are.
    """

    smallest: tuple[int, int]
    largest: tuple[int, int]
    to: int
    cropped: int
    enlarged: int
    unchanged: int

    def __str__(self) -> str:
        small, large = (f"{width}x{height}" for width, height in (self.smallest, self.largest))
        words = f"images of {small}" + (f" to {large}" if small != large else "") + " pixels"
        if small == large == f"{self.to}x{self.to}":
            return f"{words}, read as they are"
        words += f", read at {self.to}x{self.to}: the shorter side becomes {self.to}, the aspect ratio stays"
        if self.cropped:
            words += f"; the edges of {_images(self.cropped)} that {_are(self.cropped)} not square are cut off"
        return words + (f"; {_images(self.enlarged)} {_are(self.enlarged)} enlarged" if self.enlarged else "")


@dataclass(frozen=True)
class Described:
    """What a set is and what is done to it; see `describe`.

    Attributes:
        name: As given.
        class_names: Name of each class.
        found: Images of each class that could be trained on: those of the training part, before any is taken away.
        trained, validated, tested: Images of each class that are trained on, validated on and tested on.
        asked: The imbalance factor that was asked for.
        by_size: Whether it cuts classes by their size.
        drawn: Whether the test images are drawn from all images, because there is no test part.
        seed: The seed of all that is drawn.
        groups, grouped: Groups of two or more images that stay on one side, and images in them.
        together: Why images are of one group; empty without groups.
        left_out: What is not read and why; empty where nothing is.
        resized: None where the images are no files.
    """

    name: str
    class_names: tuple[str, ...]
    found: tuple[int, ...]
    trained: tuple[int, ...]
    validated: tuple[int, ...]
    tested: tuple[int, ...]
    asked: float
    by_size: bool
    drawn: bool
    seed: int
    groups: int = 0
    grouped: int = 0
    together: str = ""
    left_out: str = ""
    resized: Resized | None = None

    @property
    def imbalance_factor(self) -> float:
        """Largest over smallest class of the images trained on; infinite where a class has none."""
        return max(self.trained) / min(self.trained) if min(self.trained) else float("inf")

    @property
    def cut(self) -> int:
        """Images that are there to be trained on and are not used."""
        return sum(self.found) - sum(self.trained) - sum(self.validated)

    @property
    def untested(self) -> tuple[str, ...]:
        """Classes without a test image."""
        return tuple(name for name, count in zip(self.class_names, self.tested, strict=True) if not count)

    def lines(self) -> list[str]:
        """Sentences for a person, without line breaks."""
        how = f"drawn with seed {self.seed}, a fifth of each class" if self.drawn else "as its test part"
        validated = f", {sum(self.validated):,} to validate on" if any(self.validated) else ""
        said = [
            f"{self.name}: {len(self.class_names):,} classes, {sum(self.trained):,} images to train on{validated}, "
            f"{sum(self.tested):,} to test on ({how})",
            f"images per class, trained on + tested on: {self._counts()}",
            self._factor(),
        ]
        if self.untested:
            said.append(f"not tested, for lack of images: {_few(self.untested)}")
        if self.groups:
            said.append(
                f"{_images(self.grouped)} in {self.groups:,} group{'s' * (self.groups > 1)} {self.together}: each "
                "group stays on one side"
            )
        said += [text for text in (self.left_out, str(self.resized or "")) if text]
        return [" ".join(printable(line).split()) for line in said]

    def _counts(self) -> str:
        order = sorted(range(len(self.class_names)), key=lambda index: -self.trained[index])
        shown = order if len(order) <= _NAMED else [*order[: _NAMED // 2], *order[-_NAMED // 2 :]]
        words = [f"{self.class_names[i]} {self.trained[i]:,} + {self.tested[i]:,}" for i in shown]
        if len(order) > len(shown):
            words.insert(_NAMED // 2, f"{len(order) - len(shown):,} classes between")
        return ", ".join(words)

    def _factor(self) -> str:
        words = f"imbalance factor {self.imbalance_factor:.3g}"
        if not self.cut:
            return f"{words}, all images used"
        by = f" with factor {self.asked:g} asked for" if self.asked != 1 else ""
        by += ", the largest class first" if self.by_size and self.asked != 1 else ""
        return f"{words}; {_images(self.cut)} not used{by}"


def describe(name: str, **settings: Any) -> Described:
    """What `load` would do with these settings; it reads the images, which are kept decoded, so training begins sooner.

    Args:
        name: As of `load`.
        settings: As of `load`.

    Raises:
        LtlibError: As `load`.
    """
    own = builder(name)
    seed = settings.get("subset_seed", 0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "left out of")  # it stands in what is returned
        data = registry.load(name, **settings)
        source = registry.read(name, settings.get("root")).split(seed)
    groups, more = source.pool_groups if isinstance(source, Drawn) else source.groups, dict[str, Any]()
    if groups is not None:
        counts = np.unique(groups, return_counts=True)[1]
        more |= {"groups": int((counts > 1).sum()), "grouped": int(counts[counts > 1].sum())}
    if isinstance(own, OwnFiles):
        listing = own.scan()
        found = sizes(listing.top, [item.path for item in listing.items], listing.contents)
        more |= {"together": listing.together, "left_out": listing.not_read or "", "resized": _resized(found, own.size)}
    return Described(
        name=name,
        class_names=data.class_names,
        found=source.train.class_counts,
        trained=data.class_counts,
        validated=(0,) * data.num_classes if data.validation is None else data.validation.class_counts,
        tested=data.test.class_counts,
        asked=settings.get("imbalance_factor", 1.0),
        by_size=as_found(name),
        drawn=isinstance(source, Drawn),
        seed=seed,
        **more,
    )


def _resized(found: np.ndarray, to: int) -> Resized:
    area, short = found.prod(1, dtype=np.int64), found.min(1)
    first, last = (tuple(found[place].tolist()) for place in (area.argmin(), area.argmax()))
    return Resized(
        smallest=first,
        largest=last,
        to=to,
        cropped=int((found[:, 0] != found[:, 1]).sum()),
        enlarged=int((short < to).sum()),
        unchanged=int((found == to).all(1).sum()),
    )


def _images(count: int) -> str:
    return f"{count:,} image{'s' * (count != 1)}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _few(names: tuple[str, ...]) -> str:
    rest = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{', '.join(map(repr, names[:_NAMED]))}{rest}"
