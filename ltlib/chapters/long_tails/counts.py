"""Logic of the notebook ``01_long_tails``: class counts, the choice of images, groups, and pictures of them.

A `Story` holds the images that a profile trains on, so that the notebook reads the same in every profile. Whatever
needs images says so where they are not on disk; counts need none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import datasets, grids, metrics, plots, profiles, published
from ltlib.experiment import Experiment
from ltlib.plots.style import label

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.datasets.images import ImageSet, LongTailed, Source
    from ltlib.plots import Chart
    from ltlib.runs import Run

GRID = "convergent/features"
FACTORS = (2, 5, 10, 20, 50, 100, 200)
SETS = ("cifar10", "cifar100")
THRESHOLDS = "thresholds[many=100;few=20]"
CUTS = {10: "cuts[sizes=3+4+3]", 100: "cuts[sizes=36+35+29]"}
SEED = 123
"""Seed of the maps in the author's code of `convergent`."""


@dataclass(frozen=True)
class Story:
    """The images a profile trains on.

    Attributes:
        profile: ``quick``, ``laptop`` or ``paper``.
        experiment: Plain cross-entropy on the first set of `convergent`, as the profile trains it.
        sets: What stands for CIFAR-10 and CIFAR-100 in the profile.
        data: The long-tailed set, or None where its images are not on disk.
        source: The whole set it was cut from, or None.
    """

    profile: str
    experiment: Experiment
    sets: tuple[str, ...]
    data: LongTailed | None = None
    source: Source | None = None

    @property
    def dataset(self) -> str:
        return self.experiment.dataset

    def why_not(self) -> str:
        """Why there are no images."""
        return f"the images of {label(self.dataset)} are not on disk; {datasets.info(self.dataset).where}"

    def sentence(self) -> str:
        """Which images this page shows."""
        exp, info = self.experiment, datasets.info(self.dataset)
        what = f"{label(self.dataset)} ({info.image_size}x{info.image_size} pixels) at imbalance factor "
        text = f"In the profile {self.profile} the images are {what}{exp.imbalance_factor:g}"
        if self.data is None:
            return f"{text}, but they are not on disk: {info.where}. Counts need no images and are all here."
        stands = "" if self.dataset == SETS[0] else f"; they stand in for {label(SETS[0])} (its counts are exact below)"
        return f"{text}: {len(self.data.train):,} of {len(self.source.train):,} training images{stands}."  # type: ignore[union-attr]


def story(profile: str) -> Story:
    """Choose the images by the profile and load them where they are."""
    from ltlib import runs

    experiment = grids.experiments(GRID, profile)[0][0]
    sets = [profiles.resolve(Experiment(name, 10, "resnet18", "ce", "convergent"), profile) for name in SETS]
    names = tuple(dict.fromkeys(one.dataset for one in sets if isinstance(one, Experiment)))
    if not datasets.available(experiment.dataset):
        return Story(profile, experiment, names)
    return Story(profile, experiment, names, runs.load_data(experiment), datasets.read(experiment.dataset))


def figure(page: Any, story: Story, number: str, draw: Callable[[Story], Chart], caption: str) -> None:
    """Show a figure that needs images, or say why it is not here."""
    if story.data is not None:
        page.figure(number, draw(story), caption=caption, runs=[])
    elif number in page.declared.figures:
        page.missing(number, story.why_not())
    else:
        page.note(f"{number}: not here, {story.why_not()}.")


def table(page: Any, story: Story, number: str, make: Callable[[Story], pd.DataFrame], caption: str) -> None:
    """Show a table that needs images, or say why it is not here."""
    if story.data is not None:
        page.frame(number, make(story), caption)
    else:
        page.note(f"{number}: not here, {story.why_not()}.")


# --- class counts ----------------------------------------------------------------------------------------------------


def full_size(dataset: str) -> tuple[int, int]:
    """Images of a class and number of classes of a balanced named set; needs no data."""
    info = datasets.info(dataset)
    return info.train_images // info.num_classes, info.num_classes


def counts(dataset: str, factor: float, imbalance_type: str = "exponential") -> list[int]:
    """Long-tailed counts of a balanced named set; needs no data."""
    return datasets.long_tailed_counts(*full_size(dataset), factor, imbalance_type)


def counts_table() -> pd.DataFrame:
    """Size of the CIFAR sets by imbalance factor, and the factor that came out after rounding down."""
    import pandas as pd

    rows = []
    for name in SETS:
        for factor in FACTORS:
            n = counts(name, factor)
            rows.append([label(name), factor, f"{sum(n):,}", n[0], n[-1], f"{n[0] / n[-1]:.4g}"])
    return pd.DataFrame(rows, columns=["set", "IF asked for", "images", "largest", "smallest", "IF that came out"])


def uneven() -> str:
    """Where the factor that came out is not the one asked for."""
    found = [(name, f, n[0] / n[-1]) for name in SETS for f in FACTORS if (n := counts(name, f))[0] / n[-1] != f]
    parts = [f"{label(name)} asked for IF {asked} has IF {got:g}" for name, asked, got in found]
    return f"Rounding moves the factor itself: {'; '.join(parts)}." if parts else "Here no factor moves by rounding."


def _ways() -> dict[str, Callable[[int, int, float], list[int]]]:
    """The count formula as programs write it."""

    def running(n: int, c: int, factor: float) -> list[int]:
        mu = (1 / factor) ** (1 / (c - 1))
        return [int(n * mu**i) for i in range(c)]

    return {
        "int(n * (1/IF)**(c/(C-1)))": lambda n, k, f: [int(n * (1 / f) ** (c / (k - 1))) for c in range(k)],
        "mu = (1/IF)**(1/(C-1)); int(n * mu**c)": running,
        "round(n * IF**(-c/(C-1)))": lambda n, k, f: [round(n * f ** (-c / (k - 1))) for c in range(k)],
    }


def truncation_table() -> pd.DataFrame:
    """How often each way of writing the formula gives other counts than exact arithmetic, with an example."""
    import pandas as pd

    rows = []
    cases = [(name, factor, counts(name, factor)) for name in SETS for factor in FACTORS]
    for text, way in _ways().items():
        wrong = [(n, f, exact, got) for n, f, exact in cases if (got := way(*full_size(n), f)) != exact]
        example = ""
        if wrong:
            name, factor, exact, got = wrong[-1]
            place = next(i for i in reversed(range(len(exact))) if exact[i] != got[i])
            example = f"{label(name)}, IF {factor}: class {place}"
        here = (got[place], exact[place], sum(got), sum(exact)) if wrong else ("", "", "", "")
        rows.append([text, f"{len(wrong)} of {len(cases)}", example, *here])
    names = ["written as", "differs", "for example", "gives", "exact", "images", "exactly"]
    return pd.DataFrame(rows, columns=names)


def shapes(factor: float = 100) -> dict[str, list[int]]:
    """Counts of CIFAR-10's size by imbalance type, and the explicit counts that `loss_balance` prints."""
    found = {kind: counts(SETS[0], factor, kind) for kind in ("exponential", "step", "pareto")}
    return found | {"explicit, caltech PART": printed_counts()}


def printed_counts(dataset: str = "caltech_part") -> list[int]:
    """Training images per class in the order in which `loss_balance` Table 1 prints them."""
    rows = published.datasets("loss_balance")
    rows = rows[(rows["dataset"] == dataset) & (rows["split"] == "train") & rows["item"].str.match(r"C\d+$")]
    return [int(value) for value in rows["value"]]


def explore(dataset: str = SETS[0], imbalance_factor: float = 10, imbalance_type: str = "exponential") -> Chart:
    """The bars for one setting of the sliders."""
    return plots.distribution.class_distribution(
        counts(dataset, imbalance_factor, imbalance_type), class_names(dataset), title=label(dataset)
    )


def class_names(dataset: str) -> list[str] | None:
    """Names of the classes; None where only numbers are known without the data."""
    names = datasets.info(dataset).class_names
    return list(names) if names else None


def distributions(story: Story, factor: float = 10) -> Iterator[tuple[str, Chart, str]]:
    """Number, chart and caption: the two CIFAR sets at the factor of the author's code, then what the profile trains.

    The lowest 30% of the classes are shaded, as the author's plotting code does.
    """
    for number, name in zip(("3", "Counts of CIFAR-100"), SETS, strict=True):
        size, classes = full_size(name)
        title = f"{label(name)}, IF {factor:g}"
        figure = plots.distribution.class_distribution(
            counts(name, factor), class_names(name), before=[size] * classes, title=title
        )
        caption = "Training images per class before and after; these counts are exact in every profile."
        yield number, figure, caption
    if story.data is not None and story.dataset not in SETS:
        title = f"{label(story.dataset)}, IF {story.experiment.imbalance_factor:g}"
        before = story.source.train.class_counts  # type: ignore[union-attr]
        figure = plots.distribution.class_distribution(
            story.data.subset_counts, story.data.class_names, before=before, title=title
        )
        yield "Counts of this profile", figure, f"What {story.profile} trains on in place of {label(SETS[0])}."


# --- which images ----------------------------------------------------------------------------------------------------

PICKS = {
    "random, subset seed 0": ("random", 0),
    "random, subset seed 1": ("random", 1),
    "ldam, seed 0": ("ldam", 0),
    "first of each class": ("first", 0),
}


def _chosen(train: ImageSet, factor: float, pick: str) -> np.ndarray:
    rule, seed = PICKS[pick]
    return datasets.choose_subset(train.targets, datasets.subset_counts(train.class_counts, factor), rule, seed)


def nesting_table(story: Story, wide: float = 10, steep: float = 100) -> pd.DataFrame:
    """How much of the steep subset lies inside the wide one of the same rule, and inside the default's steep one."""
    import pandas as pd

    assert story.source is not None
    train, rows = story.source.train, []
    default = set(_chosen(train, steep, next(iter(PICKS))).tolist())
    for pick in PICKS:
        inner, outer = set(_chosen(train, steep, pick).tolist()), set(_chosen(train, wide, pick).tolist())
        inside, shared = len(inner & outer) / len(inner), len(inner & default) / len(inner)
        rows.append([pick, len(outer), len(inner), f"{inside:.0%}", f"{shared:.0%}"])
    names = ["images picked by", f"images at IF {wide:g}", f"images at IF {steep:g}"]
    names += [f"of IF {steep:g} inside IF {wide:g}", f"of IF {steep:g} shared with the default"]
    return pd.DataFrame(rows, columns=names)


def rarest(story: Story) -> Chart:
    """The smallest class's images under each rule at the page's own factor: what the tail's score rests on."""
    assert story.source is not None
    train, last = story.source.train, len(story.source.class_names) - 1
    picked = []
    for pick in PICKS:
        chosen = _chosen(train, story.experiment.imbalance_factor, pick)
        picked.append(chosen[train.targets[chosen] == last])
    rows = np.repeat(np.arange(len(PICKS)), [len(chosen) for chosen in picked])
    chart = plots.images.samples_per_class(train.images[np.concatenate(picked)], rows, list(PICKS), per_class=9)
    name, number = story.source.class_names[last], len(picked[0])
    shared = [len(set(picked[0].tolist()) & set(chosen.tolist())) for chosen in picked[1:]]
    parts = [f"{pick}: {n} of {number} shared" for pick, n in zip(list(PICKS)[1:], shared, strict=True)]
    chart.alt = f"Images of class {name}, the rarest, under {len(PICKS)} rules. Beside the default, {'; '.join(parts)}."
    return chart


def fingerprint_table(story: Story, factors: Sequence[float] = (10, 100)) -> pd.DataFrame:
    """Fingerprints of (set, factor, rule); a set whose images are not on disk has one row that says so."""
    import pandas as pd

    rows = []
    for name in story.sets:
        if not datasets.available(name):
            rows.append([label(name), "", "", "", f"images not on disk: {datasets.info(name).where}"])
            continue
        train = story.source.train if name == story.dataset and story.source else datasets.read(name).train
        for factor in factors:
            for pick in PICKS:
                chosen = _chosen(train, factor, pick)
                digest = datasets.fingerprint(chosen, train.targets[chosen])
                rows.append([label(name), f"{factor:g}", pick, f"{len(chosen):,}", digest[:16]])
    return pd.DataFrame(rows, columns=["set", "IF", "images picked by", "images", "fingerprint"])


def validation_table(story: Story) -> pd.DataFrame:
    """Images per class: the subset, what trains and what is held out with ``validation="subset"``."""
    import pandas as pd

    from ltlib import runs

    data = runs.load_data(story.experiment.replace(validation="subset"))
    assert data.validation is not None
    held = data.validation.class_counts
    rows = [
        [str(n), *row] for n, *row in zip(data.class_names, data.subset_counts, data.class_counts, held, strict=True)
    ]
    total = ["all", sum(data.subset_counts), sum(data.class_counts), sum(held)]
    return pd.DataFrame([*rows, total], columns=["class", "long-tailed subset", "trains", "validates"])


# --- groups ----------------------------------------------------------------------------------------------------------


def rules(num_classes: int) -> dict[str, str]:
    """The three rules in use in the field, by a short name."""
    found = {"cuts by rank": CUTS[num_classes]} if num_classes in CUTS else {}
    return found | {"thresholds 100 / 20": THRESHOLDS, "thirds by rank": "thirds"}


def group_sizes(dataset: str = "cifar100") -> pd.DataFrame:
    """Classes in head, middle and tail by imbalance factor and rule; an empty group is marked."""
    import pandas as pd

    rows = []
    for factor in FACTORS:
        n = counts(dataset, factor)
        parts = [datasets.groups(n, rule) for rule in rules(len(n)).values()]
        rows.append([factor, *(" / ".join(str(len(g)) if g else "empty" for g in part.values()) for part in parts)])
    return pd.DataFrame(rows, columns=["IF", *(f"{name}: head / middle / tail" for name in rules(len(n)))])


def group_scores(run: Run | None) -> pd.DataFrame:
    """One classifier scored under each rule: the printed matrix of `convergent` Figure 19, and our run where it is."""
    import pandas as pd

    matrix = published.confusion("convergent", "19").to_numpy()
    actual, predicted = (np.repeat(axis, matrix.ravel()) for axis in np.indices(matrix.shape).reshape(2, -1))
    scored = [("printed: ResNet-34, focal (Figure 19)", counts("cifar10", 10), actual, predicted)]
    if run is not None:
        found, exp = run.predictions["last"], run.experiment
        name = f"ours: {label(exp.model)}, {label(exp.method)}, {label(exp.dataset)}"
        scored.append((name, run.class_counts, found.targets, found.predicted))
    rows = []
    for name, n, targets, guesses in scored:
        for short, rule in rules(len(n)).items():
            groups = datasets.groups(n, rule)
            values = metrics.evaluate(targets, guesses, len(n), groups)["groups"]
            texts = [f"{100 * values[g]['accuracy']:.1f} ({len(m)})" if m else "empty" for g, m in groups.items()]
            rows.append([name, short, *texts])
    return pd.DataFrame(
        rows, columns=["classifier", "rule", "head % (classes)", "middle % (classes)", "tail % (classes)"]
    )


# --- tails in the field ----------------------------------------------------------------------------------------------


def places_lt() -> list[int]:
    """Training images per class of Places-LT."""
    rows = published.field_counts()
    return [int(n) for n in rows.loc[rows["dataset"] == "places_lt", "train_images"]]


def inaturalist() -> pd.DataFrame:
    """iNaturalist 2017 by super-category, largest first."""
    import pandas as pd

    rows = published.field_counts()
    rows = rows[rows["dataset"] == "inaturalist2017"].sort_values("train_images", ascending=False)
    total = float(rows["train_images"].sum())
    table = []
    for name, species, images in zip(rows["item"], rows["categories"], rows["train_images"], strict=True):
        table.append([name, f"{species:,.0f}", f"{images:,.0f}", f"{images / total:.1%}", round(images / species)])
    return pd.DataFrame(table, columns=["super-category", "species", "training images", "share", "images a species"])


def field_sentence() -> str:
    """What the two sets of `awabs` figures 1.1 and 1.3 are here, and how they differ."""
    n = sorted(places_lt(), reverse=True)
    top = sum(n[: len(n) // 5]) / sum(n)
    rows = published.field_counts()
    super_categories = int((rows["dataset"] == "inaturalist2017").sum())
    species = int(rows.loc[rows["dataset"] == "inaturalist2017", "categories"].sum())
    return (
        f"Places-LT: {sum(n):,} images in {len(n)} classes, {n[0]:,} down to {n[-1]}, so its factor is "
        f"{n[0] / n[-1]:g}; a fifth of the classes holds {top:.0%} of the images. awabs plots the full Places set "
        f"instead. Of iNaturalist 2017 it plots {species:,} species; public totals go by {super_categories} "
        "super-categories, shown below."
    )


# --- sentences -------------------------------------------------------------------------------------------------------


def same_subset(story: Story, subset: Callable[[Any, float], np.ndarray]) -> str:
    """Whether the two lines of the notebook choose what `datasets.load` loads."""
    if story.data is None:
        return f"Its fingerprint: not here, {story.why_not()}."
    train = story.source.train  # type: ignore[union-attr]
    chosen = subset(train, story.experiment.imbalance_factor)
    digest = datasets.fingerprint(chosen, train.targets[chosen])
    same = "the same as from" if digest == story.data.fingerprint else "not those of"
    return (
        f"Two lines give {len(chosen):,} images, fingerprint {digest[:16]}: {same} datasets.load, which every run uses."
    )


def score_sentence(run: Run | None, reason: str) -> str:
    """What the table of group scores says, and why our rows may be missing."""
    matrix = published.confusion("convergent", "19").to_numpy()
    recall = np.diag(matrix) / matrix.sum(axis=1)
    head, tail = recall[:3].mean(), recall[-3:].mean()
    text = (
        f"By rank, the tail of the printed matrix (horse, ship, truck) scores {100 * tail:.1f}% and its head "
        f"{100 * head:.1f}%: a group's accuracy measures how hard its classes are, not their counts alone. By "
        f"thresholds the same matrix has no tail at all: even the rarest class has {min(counts('cifar10', 10))} images."
    )
    return text if run is not None else f"{text} Our own network is not here: {reason}."


def open_settings() -> str:
    """What `convergent` leaves unsaid about its data, with the number of the inconsistency."""
    rows = published.inconsistencies("convergent")
    found = rows[rows["text"].str.contains("imbalance ratio|train:test ratio")]
    return " ".join(text.replace(' (see "The author\'s code")', "") for text in found["text"])
