"""What an audit finds, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ltlib.audit.links import Link

if TYPE_CHECKING:
    import pandas as pd

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
NAMED = 3
"""Files that a sentence names."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        kind: ``broken``, ``left_out``, ``duplicates``, ``label_conflict``, ``leak``, ``near_duplicates``,
            ``near_label_conflict``, ``near_leak``, ``small_classes``, ``imbalance``, ``sizes``, one of
            `quality.ISSUES`, ``not_looked_for``.
        severity: ``error``: results are wrong until it is mended; ``warning``: look at it; ``note``: good to know.
        count: How many there are: files, groups of files, or classes.
        files: All files it is about, by their paths in the set.
        groups: The same, those that belong together in one group; empty where each stands alone.
        sentence: What, where, and what to do.
    """

    kind: str
    severity: Severity
    count: int
    files: tuple[str, ...]
    sentence: str
    groups: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Audit:
    """What is in a set, before anything is trained.

    Attributes:
        name: Of the set.
        class_names: Of its classes.
        files: Paths of the images that can be read, in the order of the set.
        targets: Class of each.
        tested: Whether each is a test image; of a drawn set those that seed 0 draws.
        drawn: Whether the set has no test part of its own.
        sizes: Width and height of each in pixels, upright.
        groups: One label for each: images of one label are copies or near duplicates of each other and have to stay on
            one side of a split. `Drawn.split` takes them.
        links: Why: which image belongs with which, and how far they are apart.
        findings: What was found, the most severe first.
    """

    name: str
    class_names: tuple[str, ...]
    files: tuple[str, ...]
    targets: tuple[int, ...]
    tested: tuple[bool, ...]
    drawn: bool
    sizes: tuple[tuple[int, int], ...]
    groups: tuple[int, ...]
    links: tuple[Link, ...]
    findings: tuple[Finding, ...]

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Images of each class that can be read, those of both parts."""
        return self._counts(range(len(self.targets)))

    @property
    def train_counts(self) -> tuple[int, ...]:
        """Training images of each class."""
        return self._counts(place for place, tested in enumerate(self.tested) if not tested)

    @property
    def test_counts(self) -> tuple[int, ...]:
        """Test images of each class."""
        return self._counts(place for place, tested in enumerate(self.tested) if tested)

    @property
    def imbalance_factor(self) -> float:
        """Largest over smallest class, of the images that training images come from; infinite with an empty class."""
        counts = self.class_counts if self.drawn else self.train_counts
        return max(counts) / min(counts) if min(counts, default=0) else float("inf")

    def found(self, kind: str) -> Finding | None:
        """The finding of a kind, if there is one."""
        return next((finding for finding in self.findings if finding.kind == kind), None)

    def frame(self) -> pd.DataFrame:
        """The findings as a table: severity, kind, count, sentence."""
        import pandas as pd

        columns = ("severity", "kind", "count", "sentence")
        return pd.DataFrame([[getattr(one, column) for column in columns] for one in self.findings], columns=columns)

    def images(self) -> pd.DataFrame:
        """One row an image: file, class, part, width, height, group, and a column for each finding that names files."""
        import pandas as pd

        table = pd.DataFrame(
            {
                "file": self.files,
                "class": [self.class_names[target] for target in self.targets],
                "part": ["test" if tested else "train" for tested in self.tested],
                "width": [size[0] for size in self.sizes],
                "height": [size[1] for size in self.sizes],
                "group": self.groups,
            }
        )
        for finding in self.findings:
            if set(finding.files) & set(self.files):
                table[finding.kind] = table["file"].isin(set(finding.files))
        return table

    def _counts(self, places: Iterable[int]) -> tuple[int, ...]:
        counts = [0] * len(self.class_names)
        for place in places:
            counts[self.targets[place]] += 1
        return tuple(counts)


def named(files: Sequence[str]) -> str:
    """The first few of many, for a sentence: ``a.png, b.png, c.png and 7 more``."""
    more = len(files) - NAMED
    return ", ".join(files[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def counted(count: int, one: str, many: str = "") -> str:
    """``1 image``, ``1,200 images``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
