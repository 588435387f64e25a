"""The page `convergent/discussion`: bars of the nine tables, feature spaces, robustness over imbalance factors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ltlib.chapters.convergent.tables import DATASETS, DOCUMENT, TABLES, named
from ltlib.plots.style import label
from ltlib.registry import parse
from ltlib.sections import separation
from ltlib.sections.separation import Space

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run

BARS = {"cifar10": "68", "cifar100": "69", "butterfly": "70"}


def table_runs(page: Page) -> list[Run]:
    """The runs of Tables 1 to 9, each once."""
    found = {run.id: run for table in TABLES for run in page.runs(f"{DOCUMENT}/{table}", quiet=True)}
    return list(found.values())


def bars(page: Page, frame: pd.DataFrame, runs: Sequence[Run]) -> None:
    """Figures 68 to 70: accuracy by network and method, printed and ours."""
    from ltlib.plots import bars as draw

    for dataset in DATASETS:
        rows = frame[(frame["dataset"] == dataset) & (frame["metric"] == "accuracy")]
        data, network = named(page.profile, dataset, "resnet18")
        same = data == label(dataset)
        title = label(dataset) + ("" if same else f"; ours: {network} on {data}, not comparable")
        caption = f"Accuracies of Tables {', '.join(n for n, (name, _) in TABLES.items() if name == dataset)}."
        if network != "ResNet-18":
            caption += f" Ours in the place of ResNet-18 is {network}{'' if same else f' on {data}'}."
        own = {run_id for ids in rows["run_ids"] for run_id in ids}
        used = [run for run in runs if run.id in own]
        page.figure(BARS[dataset], draw.accuracy_bars(rows, title=title), caption=caption, runs=used)


def separation_frame(spaces: Mapping[str, Space]) -> pd.DataFrame:
    """Three numbers of each feature space; the silhouette also among the tail's classes alone."""
    import pandas as pd

    rows = []
    for method, space in spaces.items():
        row = {"method": label(method), "test accuracy": space.run.metrics["selected"]["accuracy"]}
        row |= {
            "silhouette": space.scores["silhouette"],
            "silhouette, tail": space.tail.get("silhouette", float("nan")),
        }
        row |= {
            "between / within": space.scores["between_within"],
            "nearest centroid": space.scores["nearest_centroid"],
        }
        rows.append(row)
    return pd.DataFrame(rows)


def separate(frame: pd.DataFrame) -> str:
    """Which space separates best, as a sentence."""
    rows = sorted(frame.to_dict("records"), key=lambda row: -row["silhouette"])
    listed = ", ".join(f"{row['method']} {row['silhouette']:.2f}" for row in rows)
    text = f"Silhouette over all classes, best first: {listed}."
    rare = [row for row in rows if row["silhouette, tail"] == row["silhouette, tail"]]
    if rare:
        tail = max(rare, key=lambda row: row["silhouette, tail"])
        text += f" Among the tail's classes alone {tail['method']} has the largest, {tail['silhouette, tail']:.2f}."
    best = max(rows, key=lambda row: row["test accuracy"])
    also = "also " if best is rows[0] else ""
    return f"{text} {best['method']} is {also}the most accurate, {best['test accuracy']:.3f}."


def feature_spaces(page: Page, runs: Sequence[Run]) -> dict[str, Space]:
    """Maps and numbers of the feature spaces of the runs."""
    from ltlib.plots import embedding

    spaces = separation.spaces(page, runs)
    if not spaces:
        command = f"ltlib reproduce --profile {page.profile} --grid {DOCUMENT}/separability"
        page.say(
            "No feature space can be made here: it needs the weights of these runs, which are not committed. "
            f"{command} trains runs without a record, ltlib train --weights those that have one."
        )
        return {}
    run = next(iter(spaces.values())).run
    chart = embedding.scatter(
        {method: space.points for method, space in spaces.items()},
        {method: space.targets for method, space in spaces.items()},
        run.class_names,
        class_counts=run.class_counts,
        groups=run.groups,
        emphasise=run.groups.get("tail", ()),
        separability={method: space.scores for method, space in spaces.items()},
    )
    used = [space.run for space in spaces.values()]
    shown = len(next(iter(spaces.values())).targets)
    caption = (
        f"t-SNE of penultimate features, {shown:,} test images, {label(run.experiment.dataset)}; large marks: tail."
    )
    page.figure("Feature spaces", chart, caption=caption, runs=used)
    frame = separation_frame(spaces)
    page.frame("Separability", frame, "of the same images, in the full space; centroids are of these images", used)
    page.say(separate(frame))
    return spaces


def robustness(page: Page, runs: Sequence[Run]) -> None:
    """Accuracy against the imbalance factor, a line a method."""
    from ltlib.plots import curves

    values = factor_values(runs)
    if not values:
        command = f"ltlib reproduce --profile {page.profile} --grid {DOCUMENT}/factors"
        page.say(f"No run at another imbalance factor is there; {command} trains them.")
        return
    first = runs[0].experiment
    caption = f"Test accuracy at the selected epoch, {label(first.model)} on {label(first.dataset)}."
    page.figure("Robustness", curves.factors(values), caption=caption, runs=runs)
    page.say(robust(values))


def factor_values(runs: Iterable[Run]) -> dict[str, dict[float, list[float]]]:
    """Accuracies by method and imbalance factor."""
    values: dict[str, dict[float, list[float]]] = {}
    for run in runs:
        own = values.setdefault(parse(run.experiment.method)[0], {})
        own.setdefault(run.experiment.imbalance_factor, []).append(run.metrics["selected"]["accuracy"])
    return values


def robust(values: Mapping[str, Mapping[float, Sequence[float]]]) -> str:
    """How much each method loses from the smallest to the largest factor, the least first."""
    lost: dict[str, float] = {}
    ends = sorted({factor for own in values.values() for factor in own})
    for method, own in values.items():
        if ends[0] in own and ends[-1] in own:
            lost[method] = sum(own[ends[0]]) / len(own[ends[0]]) - sum(own[ends[-1]]) / len(own[ends[-1]])
    if len(ends) < 2 or not lost:
        return "Runs at two imbalance factors are needed to say what a longer tail costs."
    said = ", ".join(f"{label(m)} {100 * loss:.1f}" for m, loss in sorted(lost.items(), key=lambda item: item[1]))
    return f"From imbalance factor {ends[0]:g} to {ends[-1]:g} the accuracy falls by, in points, least first: {said}."
