"""One network: what it is, its tables, the test sets, and what the printed numbers must satisfy."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from ltlib import datasets, metrics, models, profiles, published
from ltlib.chapters.architectures import ARCHITECTURES
from ltlib.grids.architectures import FACTOR, METHODS, TABLES, TEST_PER_CLASS, network, training
from ltlib.labels import label
from ltlib.models import pretrained
from ltlib.sections import tables as document_tables
from ltlib.sections.readings import leaders
from ltlib.sections.words import listed
from ltlib.tables.scores import digits

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run

SPLITS = ("balanced", "longtailed", "head", "middle", "tail")
SAME = ("ce", "weighted_ce", "class_balanced")
"""Rows that print the same numbers on a balanced set, as they must."""
PLAIN = 2e-4
"""Share by which a printed mean may miss the mean of printed numbers: that of four or five digits."""


# --- the network -----------------------------------------------------------------------------------------------------


def sizes(name: str, profile: str) -> pd.DataFrame:
    """The thesis's network and what a profile trains in its place: parameters, multiply-accumulates, weights."""
    import pandas as pd

    rows = []
    own = training(name, "ce", 1)
    there = profiles.resolve(own, profile)
    shown = [own] if isinstance(there, profiles.Impossible) or there.model == own.model else [own, there]
    for experiment in shown:
        resolved = experiment.resolve()
        info = datasets.info(experiment.dataset)
        chosen = pretrained.of(resolved.model)
        made = models.create(experiment.model, info.num_classes, load=False)
        rows.append(
            {
                "network": label(experiment.model),
                "parameters (million)": digits(models.parameter_count(made) / 1e6),
                "pixels": resolved.recipe.resize,
                "MACs (million)": digits(models.macs(made, image_size=resolved.recipe.resize) / 1e6),
                "begins from": "random weights" if chosen is None else _weights(chosen),
            }
        )
    return pd.DataFrame(rows)


def _weights(chosen: pretrained.Chosen) -> str:
    said = chosen.facts()
    return f"{said.get('name', 'a file')} ({said.get('file', '')}, sha256 {said['sha256'][:8]}...)"


# --- the test sets ---------------------------------------------------------------------------------------------------


def implied() -> dict[str, int]:
    """Images of each test set that the printed accuracies imply."""
    import numpy as np

    counts = datasets.long_tailed_counts(500, 100, FACTOR)
    found = metrics.evaluation_splits(np.repeat(np.arange(100), TEST_PER_CLASS), counts)
    return {name: len(found[name]) for name in SPLITS}


def test_sets(profile: str) -> pd.DataFrame:
    """Images of each test set, as the printed accuracies imply them and as a profile has them."""
    import pandas as pd

    rows = {name: {"test set": label(name), "images in the thesis": images} for name, images in implied().items()}
    there = profiles.resolve(training("mobilenet_v2", "ce", FACTOR), profile)
    if not isinstance(there, profiles.Impossible) and datasets.available(there.dataset):
        from ltlib import runs

        data = runs.load_data(there)
        found = metrics.evaluation_splits(data.test.targets, data.class_counts)
        for name in SPLITS:
            rows[name] |= {"images here": len(found[name])}
    return pd.DataFrame(list(rows.values()))


def multiples(numbers: Sequence[str] = TABLES["mobilenet_v2"]) -> str:
    """Whether every printed accuracy of a split is a whole number of its images, as a sentence."""
    said = []
    for name, n in implied().items():
        values = [
            float(row["value"])
            for number in numbers
            for _, row in published.table("architectures", number).iterrows()
            if row["metric"] == "accuracy" and row["split"] == name
        ]
        fits = sum(abs(round(value * n) / n - value) <= 0.00005 + 1e-9 for value in values)
        said.append(f"{label(name)} {fits} of {len(values)} ({n:,} images)")
    chance = [f"{10_000 / n:.0f} ({label(name)})" for name, n in implied().items()]
    return (
        f"Printed accuracies that are a whole number of right answers among these images: {listed(said)}. A number of "
        f"four digits would be one by chance one time in {listed(chance)}."
    )


# --- tables ----------------------------------------------------------------------------------------------------------


def show(page: Page, name: str, trained: str) -> list[Run]:
    """The tables of a network that was trained on one of the two sets: accuracies, then (folded) the appendix.

    Args:
        page: The page.
        name: Of the network.
        trained: ``balanced`` or ``longtailed``.

    Returns:
        The runs behind them.
    """
    numbers = [number for number in TABLES[name] if _trained(number) == trained]
    first, appendix = numbers[0], numbers[1:]
    runs = document_tables.table(page, first, leaders(ARCHITECTURES, by="split"))
    bars(page, page.frames[first], runs, f"Accuracy, {label(trained)} training")
    with page.fold(f"Tables {listed(appendix)}: the same accuracies, losses and F1"):
        for number in appendix:
            document_tables.table(page, number)
    return runs


def _trained(number: str) -> str:
    """The training set of a table of seven methods; empty for a comparison of studies."""
    rows = published.table("architectures", number)
    return str(rows["train_set"].iloc[0]) if set(rows["method"]) == set(METHODS) else ""


def bars(page: Page, frame: pd.DataFrame, runs: Sequence[Run], title: str) -> None:
    """Accuracy by test set and loss, printed beside ours; a panel would hide which loss is which."""
    from ltlib.plots import points

    rows = []
    for side, column in (("printed", "published"), ("ours", "reproduced")):
        for method in METHODS:
            own = frame[(frame["method"] == method) & (frame["metric"] == "accuracy")].set_index("split")[column]
            if own.notna().all() and len(own):
                value = {name: float(own[name]) for name in ("head", "middle", "tail")}
                rows.append({"name": f"{ARCHITECTURES.name(method)}, {side}", "all": float(own["balanced"])} | value)
    caption = "Groups are those of the long-tailed test set; the bar is the balanced test set."
    page.figure(title, points.group_dots(rows), caption=caption, runs=runs)


# --- what printed numbers must satisfy -------------------------------------------------------------------------------


def equal_rows(frame: pd.DataFrame, runs: Sequence[Run] = ()) -> str:
    """What a balanced training set makes one function, and how far the printed and our rows of it differ."""
    text = [
        "With equal class counts weighted softmax, the class-balanced loss and balanced softmax are softmax itself, to "
        "a constant that drops out."
    ]
    counts = [n for run in runs for n in run.class_counts]
    nearly = f" (classes of {min(counts)} to {max(counts)} images)" if len(set(counts)) > 1 else ""
    for side, column in (("Printed", "published"), (f"Ours{nearly}", "reproduced")):
        rows = frame[(frame["metric"] == "accuracy") & frame[column].notna()].to_dict("records")
        value = {(row["method"], row["split"]): float(row[column]) for row in rows}
        if not {(method, name) for method in (*SAME, "balanced_softmax") for name in SPLITS} <= set(value):
            continue
        apart = max(abs(value[method, name] - value["ce", name]) for method in SAME[1:] for name in SPLITS)
        other = value["balanced_softmax", "balanced"] - value["ce", "balanced"]
        text.append(
            f"{side}: the first two rows differ from softmax by at most {100 * apart:.2f} points, balanced softmax by "
            f"{100 * other:+.2f} on the balanced test set."
        )
    return (
        " ".join(text)
        + " So the printed difference of balanced softmax is another run of the same training, and tells "
        "how much chance is in this table, or its loss was not what its name says."
    )


def loss_average(name: str, trained: str) -> str:
    """Which losses' long-tailed value is the mean of the three groups', by images, in the appendix's numbers."""
    number = next(n for n in TABLES[name] if _trained(n) == trained and _has_loss(n))
    rows = published.table("architectures", number)
    values = {
        (row["method"], row["split"]): float(row["value"]) for row in rows.to_dict("records") if row["metric"] == "loss"
    }
    images = {group: n for group, n in implied().items() if group in ("head", "middle", "tail")}
    fits: list[str] = []
    other: list[str] = []
    means: dict[str, float] = {}
    for method in METHODS:
        mean = sum(images[group] * values[method, group] for group in images) / sum(images.values())
        fit = abs(mean - values[method, "longtailed"]) < PLAIN * mean
        (fits if fit else other).append(ARCHITECTURES.name(method))
        means[method] = mean
    text = f"In Table {number} the long-tailed loss is the mean of the groups' by images for {listed(fits)}"
    if not other:
        return f"{text}: every loss was averaged plainly."
    text += f", and is not for {listed(other)}, evaluated with class weights or draws."
    if ARCHITECTURES.name("weighted_ce") not in other:
        return text
    print_, mean = values["weighted_ce", "longtailed"], means["weighted_ce"]
    return (
        f"{text} Weighted softmax has {print_:.2f} where the mean by images is {mean:.2f}, as means of mini-batches of "
        "neighbouring classes give it. Here a loss is reduced over a test set as over a training batch, by one "
        "division by the sum of all weights, which gives about the mean of the groups: of these "
        f"{fmean(values['weighted_ce', group] for group in images):.2f}."
    )


def _has_loss(number: str) -> bool:
    return bool((published.table("architectures", number)["metric"] == "loss").any())


def settings(number: str) -> pd.DataFrame:
    """Tables 5.3 and 5.8 beside what is trained here: one row a setting."""
    import pandas as pd

    rows = published.protocols("architectures")
    own = training("vit_b_16" if number == "5.8" else "mobilenet_v2", "ce", 1)
    recipe = own.resolve().recipe
    here = {
        "dataset": "CIFAR-100, 500 training and 50 test images a class",
        "epochs": str(recipe.epochs),
        "optimizer": str(recipe.optimizer),
        "learning_rate": " -> ".join(f"{recipe.lr * recipe.decay**i:g}" for i in range(3)),
        "lr_decay_epochs": ", ".join(f"{recipe.epochs * share:g}" for share in recipe.milestones),
        "augmentation": " + ".join(recipe.augmentation) + f", enlarged to {recipe.resize}",
        "input_size": f"{recipe.resize}x{recipe.resize}",
        "batch_size": str(recipe.batch_size),
        "weight_decay": f"{recipe.weight_decay:g}",
        "pretraining": network(own.model.partition("[")[0]),
    }
    study = "compared study (PUGD)" if number == "5.8" else "compared study (procedure A3)"
    theirs = {row["key"]: row["value"] for _, row in rows[rows["experiment"] == study].iterrows()}
    own_rows = rows[rows["experiment"].isin(["all", "vit_b_16"])]
    said = {row["key"]: row["value"] for _, row in own_rows.iterrows()}
    if number != "5.8":
        said.pop("pretraining", None)
    keys = dict.fromkeys([*(key for key in said if key in here), *here, *theirs])
    return pd.DataFrame(
        [
            {
                "setting": key.replace("_", " "),
                "the thesis": said.get(key, "not stated"),
                "here": here.get(key, ""),
                "the cited study": theirs.get(key, ""),
            }
            for key in keys
        ]
    )
