"""Logic of the notebook ``01_long_tails``: class counts, the choice of images, groups, and pictures of them.

A `Story` holds the images that a profile trains on, so that the notebook reads the same in every profile. Whatever
needs images says so where they are not on disk; counts need none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ltlib import augment, datasets, embedding, grids, metrics, places, plots, profiles, published
from ltlib.errors import LtlibError, RunError
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
        stands = "" if self.dataset == SETS[0] else f"; they stand in for {label(SETS[0])}, whose counts are exact below"
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
            example = f"{label(name)}, IF {factor}: class {place} has {got[place]}, not {exact[place]}"
            example += f"; {sum(got):,} images, not {sum(exact):,}"
        rows.append([text, f"{len(wrong)} of {len(cases)}", example or "none"])
    return pd.DataFrame(rows, columns=["written as", "sets that come out different", "an example"])


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
    """Names of CIFAR-10's classes, from a printed matrix; None where only numbers are known without the data."""
    return list(published.confusion("convergent", "19").index) if dataset == "cifar10" else None


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


def rarest(story: Story, steep: float = 100, columns: int = 8) -> Chart:
    """The smallest class's images under each rule: what the tail's score rests on."""
    assert story.source is not None
    train, last = story.source.train, len(story.source.class_names) - 1
    tiles, titles = [], []
    for pick in PICKS:
        chosen = _chosen(train, steep, pick)
        chosen = chosen[train.targets[chosen] == last]
        for i in range(columns):
            blank = np.full_like(train.images[:1], 255)
            tiles.append(train.images[chosen[i : i + 1]] if i < len(chosen) else blank)
            titles.append(pick if i == 0 else "")
    name = story.source.class_names[last]
    number = min(columns, len(chosen))
    text = f"The first {number} images of {name!r} at IF {steep:g} under {len(PICKS)} rules"
    return plots.images.show_images(
        np.concatenate(tiles), titles, columns=columns, alt=f"{text}: {', '.join(PICKS)}. The pictures differ."
    )


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
                rows.append([label(name), f"{factor:g}", pick, len(chosen), digest[:16]])
    return pd.DataFrame(rows, columns=["set", "IF", "images picked by", "images", "fingerprint"])


def validation_table(story: Story) -> pd.DataFrame:
    """Images per class: the subset, what trains and what is held out with ``validation="subset"``."""
    import pandas as pd

    from ltlib import runs

    data = runs.load_data(story.experiment.replace(validation="subset"))
    assert data.validation is not None
    held = data.validation.class_counts
    rows = [[str(n), *row] for n, *row in zip(data.class_names, data.subset_counts, data.class_counts, held)]  # noqa: B905
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


# --- pictures --------------------------------------------------------------------------------------------------------


def views(text: str, images: np.ndarray, number: int, seed: int = 0) -> np.ndarray:
    """Augmented views as training draws them.

    Args:
        text: An augmentation, as ``shift1`` or ``flip+rotate10``.
        images: uint8 [N, H, W, 3].
        number: Views of each image, V.
        seed: Of the draws.

    Returns:
        uint8 [N, V, H, W, 3].
    """
    kind = augment.create(text)
    draws = kind.draw(torch.Generator().manual_seed(seed), (len(images) * number,))
    made = torch.from_numpy(np.repeat(images, number, axis=0))
    if kind.padding:
        made = augment.crop(made, kind.padding, draws["dy"], draws["dx"])
    if kind.flip:
        made = augment.horizontal_flip(made, draws["flip"])
    if kind.vflip:
        made = augment.vertical_flip(made, draws["vflip"])
    if kind.degrees:
        made = augment.rotate(made, draws["angle"])
    return made.numpy().reshape(len(images), number, *images.shape[1:])


def recipe_augmentation(story: Story) -> str:
    """What the experiment's recipe does to its images, as a text."""
    return "+".join(story.experiment.resolve().recipe.augmentation)


def augmentation_parts(story: Story, number: int = 7) -> Chart:
    """One image, each part of the augmentations on a row of its own, the recipe's whole on the last."""
    assert story.data is not None
    crop = f"crop{max(1, story.data.image_size // 8)}"
    parts = list(dict.fromkeys([crop, "flip", "vflip", "rotate10", recipe_augmentation(story)]))
    image, _ = datasets.random_batch(story.data.train, 1, seed=1)
    made = np.concatenate([views(part, image, number) for part in parts])
    return plots.images.augmented_images(np.repeat(image, len(parts), axis=0), made, names=parts)


def two_views(story: Story, number: int = 6) -> Chart:
    """Pairs of views of a random batch, as supervised contrastive training sees them."""
    assert story.data is not None
    images, targets = datasets.random_batch(story.data.train, number, seed=2)
    names = [story.data.class_names[t] for t in targets]
    text = recipe_augmentation(story)
    return plots.images.augmented_images(images, views(text, images, 2), names=names, augmentation=text)


def mirror_sentence(story: Story) -> str:
    """Whether the recipe mirrors, and why not."""
    text = recipe_augmentation(story)
    if datasets.info(story.dataset).flips:
        return f"The recipe of these runs draws {text}, anew for every image in every epoch."
    return (
        f"The recipe of these runs draws {text}, anew for every image in every epoch, and no flips: a mirrored digit is "
        "no digit. The rows with flips show what the document does to photographs."
    )


def samples(story: Story) -> Chart:
    """A row of training images for each class, with its name and number of images."""
    assert story.data is not None
    train = story.data.train
    return plots.images.samples_per_class(train.images, train.targets, story.data.class_names, per_class=10)


def batch(story: Story, number: int = 16) -> Chart:
    """A random batch: what a step of training sees."""
    assert story.data is not None
    images, targets = datasets.random_batch(story.data.train, number)
    return plots.images.show_images(images, [story.data.class_names[t] for t in targets], columns=8)


def batch_sentence(story: Story, size: int = 32) -> str:
    """How often a batch holds no image of the smallest class."""
    if story.data is None:
        return f"Batches: not here, {story.why_not()}."
    n = story.data.class_counts
    chance = 1.0
    for i in range(size):
        chance *= max(0, sum(n) - min(n) - i) / (sum(n) - i)
    return (
        f"A batch of {size} drawn from these {sum(n):,} images has none of the smallest class {chance:.0%} of the time."
    )


# --- maps ------------------------------------------------------------------------------------------------------------


def sample(story: Story, number: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Random test images and their classes: the same for the pixels and for the features."""
    assert story.data is not None
    return datasets.random_batch(story.data.test, number, seed=SEED)


def _tsne(x: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """A t-SNE map; one that was made before is read."""
    cache = places.reports_folder() / "cache" / "tsne"
    return embedding.tsne(x, targets, seed=SEED, cache=cache, progress=False).points


def pixel_map(story: Story) -> Chart:
    """t-SNE of flattened pixels, a marker and a colour for each class."""
    assert story.data is not None
    images, targets = sample(story)
    x = embedding.pixels(images)
    return plots.embedding.scatter(
        _tsne(x, targets), targets, story.data.class_names, separability=embedding.separability(x, targets),
        title=f"t-SNE of the pixels of {len(x):,} test images, {label(story.dataset)}",
    )  # fmt: skip


def both_maps(story: Story, x: np.ndarray, targets: np.ndarray, title: str) -> Chart:
    """Principal components beside t-SNE of the same rows, tail classes with a dark edge."""
    assert story.data is not None
    points = {"PCA": embedding.pca(x, 2), "t-SNE": _tsne(x, targets)}
    return plots.embedding.scatter(
        points, targets, story.data.class_names, class_counts=story.data.subset_counts, groups=story.data.groups,
        emphasise=story.data.groups["tail"], title=title, kind="PCA and t-SNE",
    )  # fmt: skip


def pixel_maps(story: Story) -> Chart:
    """PCA beside t-SNE of the pixels."""
    images, targets = sample(story)
    return both_maps(story, embedding.pixels(images), targets, f"Pixels, {label(story.dataset)}")


def judge_clusters(page: Any, story: Story) -> None:
    """Whether the raw images form regions by class, as the caption of Figure 2 says: a silhouette above 0.1."""
    answer, evidence = None, "The images are not on disk."
    if story.data is not None:
        images, targets = sample(story)
        answer, evidence = clustered(story.dataset, embedding.separability(embedding.pixels(images), targets))
    claim = "t-SNE visualization of the CIFAR10 dataset, demonstrating the clustered regions of features corresponding to "
    page.claim(f"{claim}different classes.", "convergent, Figure 2", answer, evidence)


def clustered(dataset: str, measured: Mapping[str, float]) -> tuple[bool | None, str]:
    """The answer and its evidence. Only CIFAR-10 can answer for CIFAR-10."""
    value = measured["silhouette"]
    text = f"silhouette {value:.2f} of the pixels (1: tight, separate classes; 0: none)"
    text += f"; the nearest class mean is right for {measured['nearest_centroid']:.0%} of the images"
    if dataset != SETS[0]:
        return None, f"The claim is about CIFAR-10, and these are {label(dataset).lower()}: {text}."
    return value > 0.1, f"{text[:1].upper()}{text[1:]}."


def trained(story: Story, patience: float = 60.0) -> Run:
    """The finished run of the story's experiment; trained here only where that takes no longer than `patience` seconds.

    Raises:
        RunError: It is not there and would take longer; names the command. Or only its record is, without weights.
    """
    from ltlib import cost, progress, runs

    found = runs.load(story.experiment.run_id)
    if found is not None and found.folder is not None:
        return found
    command = f"ltlib reproduce --profile {story.profile} --grid {GRID}"
    if found is not None:
        raise RunError(f"of run {found.id} only the small record is here, without weights; make them with: {command}")
    if story.data is None:
        raise RunError(f"the images of {label(story.dataset)} are not on disk: {datasets.info(story.dataset).where}")
    seconds = cost.estimate([story.experiment])
    if seconds > patience:
        raise RunError(
            f"run {story.experiment.run_id} is not trained yet (about {progress.duration(seconds)}); train it with: {command}"
        )
    return runs.run(story.experiment)


def run_or_reason(story: Story) -> tuple[Run | None, str]:
    """`trained`, or why there is none."""
    try:
        return trained(story), ""
    except LtlibError as error:
        return None, str(error)


def features(run: Run, images: np.ndarray, story: Story) -> np.ndarray:
    """Penultimate features of a trained network, float32 [N, D]."""
    from ltlib.resident import Resident

    assert story.data is not None
    recipe = run.experiment.resolve().recipe
    resident = Resident(
        images, np.zeros(len(images), np.int64), mean=story.data.mean, std=story.data.std, normalise=recipe.normalise
    )
    return embedding.features(run.network("last"), resident)


def separability_table(spaces: Mapping[str, np.ndarray], targets: np.ndarray) -> pd.DataFrame:
    """The three numbers of `embedding.separability` for each space."""
    import pandas as pd

    rows = []
    for name, x in spaces.items():
        found = embedding.separability(x, targets)
        rows.append(
            [name, x.shape[1], *(round(found[k], 3) for k in ("silhouette", "between_within", "nearest_centroid"))]
        )
    names = ["space", "dimensions", "silhouette", "between / within scatter", "nearest class mean is right"]
    return pd.DataFrame(rows, columns=names)


def show_features(page: Any, story: Story) -> Run | None:
    """Maps of the trained network's features and the table that sets them beside the pixels, or why they are not here."""
    run, reason = run_or_reason(story)
    if run is None:
        page.note(f"Maps of features are not here: {reason}.")
        return None
    images, targets = sample(story)
    x = features(run, images, story)
    exp = run.experiment
    title = f"Penultimate features: {label(exp.method)}, {label(exp.model)}, {label(exp.dataset)}"
    caption = "The same test images, as the trained network sees them; tail classes have a dark edge."
    page.figure("Maps of features", both_maps(story, x, targets, title), caption=caption, runs=[run])
    spaces = {"pixels": embedding.pixels(images), "features": x}
    page.frame("Separability", separability_table(spaces, targets), "of the same test images", runs=[run])
    return run


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
    total = rows["train_images"].sum()
    table = [
        [r.item, f"{r.categories:,.0f}", f"{r.train_images:,.0f}", f"{r.train_images / total:.1%}", round(r.train_images / r.categories)]
        for r in rows.itertuples()
    ]  # fmt: skip
    return pd.DataFrame(table, columns=["super-category", "species", "training images", "share", "images a species"])


def field_sentence() -> str:
    """What the two sets of `awabs` figures 1.1 and 1.3 are here, and how they differ."""
    n = sorted(places_lt(), reverse=True)
    top = sum(n[: len(n) // 5]) / sum(n)
    rows = published.field_counts()
    super_categories = int((rows["dataset"] == "inaturalist2017").sum())
    species = int(rows.loc[rows["dataset"] == "inaturalist2017", "categories"].sum())
    return (
        f"Places-LT: {sum(n):,} images in {len(n)} classes, {n[0]:,} down to {n[-1]}, so its factor is {n[0] / n[-1]:g}; "
        f"a fifth of the classes holds {top:.0%} of the images. awabs plots the full Places set instead. Of iNaturalist "
        f"2017 it plots {species:,} species; public totals go by {super_categories} super-categories, shown below."
    )


# --- sentences -------------------------------------------------------------------------------------------------------


def same_subset(story: Story, subset: Callable[[Any, float], np.ndarray]) -> str:
    """Whether the two lines of the notebook choose what `datasets.load` loads."""
    if story.data is None:
        return f"Its fingerprint: not here, {story.why_not()}."
    train = story.source.train  # type: ignore[union-attr]
    chosen = subset(train, story.experiment.imbalance_factor)
    digest = datasets.fingerprint(chosen, train.targets[chosen])
    same = "the same as" if digest == story.data.fingerprint else "NOT the same as"
    return f"Two lines give {len(chosen):,} images, fingerprint {digest[:16]}: {same} datasets.load, which trains every run."


def score_sentence(run: Run | None, reason: str) -> str:
    """What the table of group scores says, and why our rows may be missing."""
    matrix = published.confusion("convergent", "19").to_numpy()
    recall = np.diag(matrix) / matrix.sum(axis=1)
    tail = recall[-3:].mean()
    text = (
        f"By rank, the tail of the printed matrix scores {100 * tail:.1f}%, against {100 * recall.mean():.1f}% overall; by "
        "thresholds it has no tail, because at IF 10 even the rarest class of CIFAR-10 has 500 images."
    )
    return text if run is not None else f"{text} Our own network is not here: {reason}."


def open_settings() -> str:
    """What `convergent` leaves unsaid about its data, with the number of the inconsistency."""
    rows = published.inconsistencies("convergent")
    found = rows[rows["text"].str.contains("imbalance ratio|train:test ratio")]
    return " ".join(found["text"])
