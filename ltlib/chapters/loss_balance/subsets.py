"""One subset: shares of a mini-batch's loss, spread over runs (Figure 2), what the abstract claims, the batch size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import recipes
from ltlib.chapters.loss_balance import LOSS_BALANCE
from ltlib.grids.loss_balance import METHODS
from ltlib.sections.seeds import spread
from ltlib.sections.study import named
from ltlib.sections.words import listed
from ltlib.sections.world import gathered
from ltlib.statistics import FEWEST_RUNS
from ltlib.tables.scores import CLOSE, mean, percent

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.plots import Chart
    from ltlib.runs import Run


# --- shares of a mini-batch ------------------------------------------------------------------------------------------


def shares(class_counts: Sequence[int], batch_size: int, batches: int = 200) -> pd.DataFrame:
    """What share of the loss of random mini-batches each class gets, by method; and of their images.

    All images have the same loss here (a network that knows nothing yet), so a share is a total weight. With CE it is
    the share of the images; with OS the same in filled-up batches; with PE equal, but for which images were drawn; with
    LE equal among the classes that a batch holds.
    """
    import pandas as pd
    import torch

    from ltlib.plots import losses

    counts = np.asarray(class_counts)
    targets, logits = np.repeat(np.arange(len(counts)), counts), np.zeros((batch_size, len(counts)))
    generator = torch.Generator().manual_seed(0)
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("images", *METHODS)}
    for _ in range(batches):
        order = torch.randperm(len(targets), generator=generator)[:batch_size].numpy()
        batch = targets[order]
        filled = torch.randint(len(counts), (batch_size,), generator=generator).numpy()
        found["images"].append(np.bincount(batch, minlength=len(counts)) / batch_size)
        for method in METHODS:
            loss = "ce" if method == "oversampling" else method
            own = filled if method == "oversampling" else batch
            found[method].append(losses.class_sums(loss, logits[: len(own)], own, class_counts))
    return pd.DataFrame({name: np.sum(own, 0) / np.sum(own) for name, own in found.items()})


def share_sentence(frame: pd.DataFrame, class_counts: Sequence[int], batch_size: int) -> str:
    """How often a batch lacks the rarest class, and its share of the loss with each method."""
    rare, n = int(np.argmin(class_counts)), list(class_counts)
    chance = float(np.prod([(sum(n) - n[rare] - i) / (sum(n) - i) for i in range(min(batch_size, sum(n)))]))
    said = [f"{LOSS_BALANCE.name(method)} {100 * frame[method][rare]:.1f}%" for method in METHODS]
    return (
        f"A batch of {batch_size} lacks the rarest class ({n[rare]} of {sum(n):,} images) {chance:.0%} of the time, "
        f"and LE cannot weigh what is not there: that class's share of the loss of many batches is {listed(said)}, "
        f"where an equal share would be {100 / len(n):.1f}%."
    )


def share_chart(frame: pd.DataFrame, title: str) -> Chart:
    """The table of `shares` as bars."""
    from ltlib.plots import losses

    rows = {LOSS_BALANCE.name(m) if m in METHODS else "images": frame[m] / frame[m].sum() for m in frame}
    return losses.batch_shares({name: own.tolist() for name, own in rows.items()}, title=title)


# --- accuracy and its spread -----------------------------------------------------------------------------------------


def show_spread(page: Page, number: str, frame: pd.DataFrame, found: Sequence[Run]) -> None:
    """Figure 2: accuracy by network and method, printed and ours, with intervals over the runs; then the spread."""
    from ltlib.plots import bars

    rows = frame[frame["split"] == "all"]
    data, network = named(page.profile, str(rows["dataset"].iloc[0]), str(rows["model"].iloc[0]))
    caption = (
        f"Accuracies of Table 2. The document draws standard deviations and prints none. Ours: {network} on {data}."
    )
    page.figure(number, bars.accuracy_bars(rows, names=LOSS_BALANCE.document.names), caption=caption, runs=found)
    if found:
        page.frame(
            "Spread",
            spread(LOSS_BALANCE, found),
            "accuracy of the last epoch over runs that differ in the seed alone",
            found,
        )


# --- what the abstract claims ----------------------------------------------------------------------------------------


def cost_sentence(frame: pd.DataFrame) -> str:
    """LE against OS: images seen, time where the hardware is one, and the gap between training and test."""
    rows = {row["method"]: row for row in frame.to_dict("records")}
    if not {"LE", "OS"} <= set(rows):
        return "LE and OS are both needed to hold their cost against each other."
    own, other = rows["LE"], rows["OS"]
    text = (
        f"An epoch of OS has {other['images an epoch']:,} images, one of LE {own['images an epoch']:,}: "
        f"{other['images an epoch'] / own['images an epoch']:.2f} times as many, because every class is filled up to "
        "the largest."
    )
    if own["hardware"] == other["hardware"]:
        ratio = other["fastest run (s)"] / own["fastest run (s)"]
        text += f" The fastest run takes {ratio:.2f} times as long ({other['hardware']}, beside other work: read it "
        text += "roughly)."
    gaps = [f"{row['method']} {row['gap (points)']:+.1f}" for row in rows.values()]
    return f"{text} Training minus test accuracy at the end, in points: {', '.join(gaps)}."


def by_batch(found: Iterable[Run]) -> pd.DataFrame:
    """Accuracy and F1 of the rarest class by batch size and method."""
    import pandas as pd

    own: dict[tuple[int, str], list[Run]] = {}
    for run in found:
        own.setdefault((_batch_size(run), LOSS_BALANCE.row(run)), []).append(run)
    rows: list[dict[str, Any]] = []
    for (size, method), same in sorted(own.items(), key=lambda item: (item[0][0], METHODS.index(item[0][1]))):
        rare = int(np.argmin(same[0].class_counts))
        f1 = [float(run.metrics["last"]["per_class"]["f1"][rare]) for run in same]
        rows.append(
            {
                "batch size": str(size),
                "method": LOSS_BALANCE.name(method),
                "runs": len(same),
                "accuracy (%)": percent(mean(same, "accuracy", which="last"), 2),
                "F1 of the rarest class (%)": percent(float(np.mean(f1)), 2),
            }
        )
    return pd.DataFrame(rows)


def _batch_size(run: Run) -> int:
    return recipes.create(run.experiment.recipe).batch_size


def batch_sentence(found: Sequence[Run]) -> str:
    """LE minus PE by batch size: what it costs that LE sees the batch alone."""
    if not found:
        return "No run at another batch size is there."
    keys = [(str(_batch_size(run)), LOSS_BALANCE.row(run)) for run in found]
    accuracies = [float(run.metrics["last"]["accuracy"]) for run in found]
    numbers, said = gathered(zip(keys, accuracies, strict=True), CLOSE["accuracy"]), []
    for size in sorted({size for size, _ in keys}, key=int):
        le, pe = (size, "loss_equalised"), (size, "prior_equalised")
        if not {le, pe} <= set(keys):
            continue
        low, high = numbers.range({le: 1, pe: -1})
        sure = f"95%: {100 * low:.1f} to {100 * high:.1f}" if numbers.runs(le, pe) >= FEWEST_RUNS else "few runs"
        said.append(f"{size}: {100 * (numbers[le] - numbers[pe]):+.1f} ({sure})")
    if not said:
        return "LE and PE are both needed at one batch size."
    return f"LE minus PE in points of accuracy, by batch size, {', '.join(said)}."
