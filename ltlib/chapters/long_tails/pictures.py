"""Pictures of the notebook ``01_long_tails``: samples, augmented images, maps of pixels and of learnt features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ltlib import datasets, embedding, places, plots
from ltlib.batches import augment
from ltlib.chapters.long_tails.counts import GRID, SEED, SETS, Story
from ltlib.errors import LtlibError, RunError
from ltlib.plots.style import label

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.plots import Chart
    from ltlib.runs import Run


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


def two_views(story: Story, number: int = 8) -> Chart:
    """Pairs of views of a random batch, one above the other, as contrastive training sees them."""
    assert story.data is not None
    images, targets = datasets.random_batch(story.data.train, number, seed=2)
    text = recipe_augmentation(story)
    made = views(text, images, 2, seed=3)
    names = [story.data.class_names[t] for t in targets]
    titles = [*names, *[""] * number]
    alt = f"Two views ({text}) of each of {number} training images, one above the other: {', '.join(names)}."
    return plots.images.show_images(made.swapaxes(0, 1).reshape(-1, *images.shape[1:]), titles, columns=number, alt=alt)


def mirror_sentence(story: Story) -> str:
    """Whether the recipe mirrors, and why not."""
    text = recipe_augmentation(story)
    if datasets.info(story.dataset).flips:
        return f"The recipe of these runs draws {text}, anew for every image in every epoch."
    return (
        f"The recipe of these runs draws {text}, anew for every image in every epoch, and no flips: a mirrored digit "
        "is no digit. The rows with flips show what the document does to photographs."
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
    claim = "t-SNE visualization of the CIFAR10 dataset, demonstrating the clustered regions of features"
    page.claim(f"{claim} corresponding to different classes", "convergent, Figure 2", answer, evidence)


def clustered(dataset: str, measured: Mapping[str, float]) -> tuple[bool | None, str]:
    """The answer and its evidence. Only CIFAR-10 can answer for CIFAR-10."""
    value = measured["silhouette"]
    text = f"silhouette {value:.2f} of the pixels, which the author's code maps (1: tight, separate classes; 0: none)"
    text += f"; the nearest class mean is right for {measured['nearest_centroid']:.0%} of the images"
    if dataset != SETS[0]:
        return None, f"The claim is about CIFAR-10, and these are {label(dataset).lower()}: {text}."
    return value > 0.1, f"{text[:1].upper()}{text[1:]}."


def trained(story: Story, patience: float = 60.0) -> Run:
    """The finished run of the story's experiment; trained here only where that takes no longer than `patience` seconds.

    Raises:
        RunError: It is not there and would take longer; names the command. Or only its record is, without weights.
    """
    from ltlib import progress, runs
    from ltlib.runs import cost

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
        about = progress.duration(seconds)
        raise RunError(f"run {story.experiment.run_id} is not trained yet (about {about}); train it with: {command}")
    return runs.run(story.experiment)


def run_or_reason(story: Story) -> tuple[Run | None, str]:
    """`trained`, or why there is none."""
    try:
        return trained(story), ""
    except LtlibError as error:
        return None, str(error)


def features(run: Run, images: np.ndarray, story: Story) -> np.ndarray:
    """Penultimate features of a trained network, float32 [N, D]."""
    from ltlib.batches.resident import Resident

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
    """Maps of the trained network's features and the table that sets them beside the pixels, or why they are absent."""
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
