"""The images that a page shows: those a profile trains on in place of a named set, or the reason why they are absent.

shown = images.of("cifar10", "convergent/features", profile)
page.note(shown.sentence())
if shown.there(page, "Samples"):
    page.figure("Samples", pictures.samples(shown.data), caption="...")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltlib import datasets, grids, profiles, progress
from ltlib.errors import LtlibError, RunError
from ltlib.labels import label

if TYPE_CHECKING:
    from ltlib.datasets.images import LongTailed, Source
    from ltlib.experiment import Experiment
    from ltlib.pages.page import Page
    from ltlib.runs import Run


@dataclass(frozen=True)
class Images:
    """The images a profile trains on.

    Attributes:
        profile: ``quick``, ``laptop`` or ``paper``.
        wanted: The set that they are or stand in for.
        grid: Where the experiment is from.
        experiment: The first of its experiments on these images.
        long_tailed: The long-tailed set, or None where its images are not on disk.
        whole: The whole set it was cut from, or None.
        instead_of: The images of another profile, which are not on disk and for which these stand.
    """

    profile: str
    wanted: str
    grid: str
    experiment: Experiment
    long_tailed: LongTailed | None = None
    whole: Source | None = None
    instead_of: Images | None = None

    @property
    def dataset(self) -> str:
        return self.experiment.dataset

    @property
    def data(self) -> LongTailed:
        """The long-tailed set, where it is there."""
        assert self.long_tailed is not None
        return self.long_tailed

    @property
    def source(self) -> Source:
        """The whole set, where it is there."""
        assert self.whole is not None
        return self.whole

    @property
    def augmentation(self) -> str:
        """What the experiment's recipe does to its images, as a text."""
        return "+".join(self.experiment.resolve().recipe.augmentation)

    def why_not(self) -> str:
        """Why there are no images."""
        return f"the images of {label(self.dataset)} are not on disk; {datasets.info(self.dataset).where}"

    def there(self, page: Page, number: str) -> bool:
        """Whether the images are there; where not, the page says so in place of that table or figure."""
        if self.long_tailed is None and number in page.declared.figures:
            page.missing(number, self.why_not())
        elif self.long_tailed is None:
            page.note(f"{number}: not here, {self.why_not()}.")
        return self.long_tailed is not None

    def sentence(self) -> str:
        """Which images this page shows, and why these."""
        exp, info = self.experiment, datasets.info(self.dataset)
        what = f"{label(self.dataset)} ({info.image_size}x{info.image_size} pixels) at imbalance factor "
        text = f"In the profile {self.profile} the images are {what}{exp.imbalance_factor:g}"
        if self.long_tailed is None:
            return f"{text}, but they are not on disk: {info.where}. Counts need no images and are all here."
        name = label(self.wanted)
        stands = "" if self.dataset == self.wanted else f"; they stand in for {name} (its counts are exact below)"
        text = f"{text}: {len(self.data.train):,} of {len(self.source.train):,} training images{stands}."
        return text if self.instead_of is None else f"{text} They stand in here: {self.instead_of.why_not()}."

    def run(self, patience: float = 60.0) -> Run:
        """The finished run of the experiment; trained here only where that takes no longer than `patience` seconds.

        Raises:
            RunError: It is not there and would take longer; names the command. Or only its record is, without weights.
        """
        from ltlib import runs
        from ltlib.runs import cost

        found = runs.load(self.experiment.run_id)
        if found is not None and found.folder is not None:
            return found
        command = f"ltlib reproduce --profile {self.profile} --grid {self.grid}"
        if found is not None:
            raise RunError(
                f"of run {found.id} only the small record is here, without weights; make them with: {command}"
            )
        if self.long_tailed is None:
            where = datasets.info(self.dataset).where
            raise RunError(f"the images of {label(self.dataset)} are not on disk: {where}")
        seconds = cost.estimate([self.experiment])
        if seconds > patience:
            about = progress.duration(seconds)
            raise RunError(f"run {self.experiment.run_id} is not trained yet (about {about}); train it with: {command}")
        return runs.run(self.experiment)

    def run_or_reason(self) -> tuple[Run | None, str]:
        """`run`, or why there is none."""
        try:
            return self.run(), ""
        except LtlibError as error:
            return None, str(error)


def of(dataset: str, grid: str, profile: str, otherwise: str = "") -> Images:
    """Choose the images that stand for a set in a profile and load them where they are.

    Args:
        dataset: The set the page is about.
        grid: The grid whose first experiment on it says how it is cut and trained.
        profile: ``quick``, ``laptop`` or ``paper``.
        otherwise: A profile whose images stand in where these are not on disk.
    """
    from ltlib import runs

    name = profiles.dataset(dataset, profile)
    experiment = next(one for one in grids.experiments(grid, profile)[0] if one.dataset == name)
    if datasets.available(name):
        return Images(profile, dataset, grid, experiment, runs.load_data(experiment), datasets.read(name))
    absent = Images(profile, dataset, grid, experiment)
    if not otherwise:
        return absent
    other = of(dataset, grid, otherwise)
    return Images(otherwise, dataset, grid, other.experiment, other.long_tailed, other.whole, absent)
