"""Feature spaces of trained networks on a page: maps, numbers beside them, which separates best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ltlib.labels import label
from ltlib.runs import features
from ltlib.runs.features import Space

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run
    from ltlib.sections.study import Study


def spaces(page: Page, runs: Iterable[Run]) -> dict[str, Space]:
    """The feature spaces of runs by method; the page names those that have none."""
    found, absent = features.spaces(runs)
    for method, reason in absent.items():
        page.note(f"No features of {method}: {reason}")
    return found


def show(page: Page, study: Study, spaces: Mapping[str, Space], grid: str) -> None:
    """Maps and numbers of feature spaces, and what they say.

    Args:
        page: The page.
        study: The document.
        spaces: Those of each method, from `spaces`.
        grid: The grid of their runs, for the command that trains them.
    """
    from ltlib.plots import embedding

    if not spaces:
        page.say(
            "No feature space can be made here: it needs the weights of these runs, which are not committed. "
            f"{study.command(grid, page.profile)} trains runs without a record, ltlib train --weights those that have "
            "one."
        )
        return
    used = [space.run for space in spaces.values()]
    run, shown = used[0], len(next(iter(spaces.values())).targets)
    chart = embedding.scatter(
        {method: space.points for method, space in spaces.items()},
        {method: space.targets for method, space in spaces.items()},
        run.class_names,
        class_counts=run.class_counts,
        groups=run.groups,
        emphasise=run.groups.get("tail", ()),
        separability={method: space.scores for method, space in spaces.items()},
    )
    data = label(run.experiment.dataset)
    caption = f"t-SNE of penultimate features, {shown:,} test images, {data}; large marks: tail."
    page.figure("Feature spaces", chart, caption=caption, runs=used)
    frame = numbers(study, spaces)
    page.frame("Separability", frame, "of the same images, in the full space; centroids are of these images", used)
    page.say(sentence(frame))


def numbers(study: Study, spaces: Mapping[str, Space]) -> pd.DataFrame:
    """Three numbers of each feature space; the silhouette also among the tail's classes alone."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "method": study.name(method),
                "test accuracy": space.run.metrics["selected"]["accuracy"],
                "silhouette": space.scores["silhouette"],
                "silhouette, tail": space.tail.get("silhouette", float("nan")),
                "between / within": space.scores["between_within"],
                "nearest centroid": space.scores["nearest_centroid"],
            }
            for method, space in spaces.items()
        ]
    )


def sentence(frame: pd.DataFrame) -> str:
    """Which space of `numbers` separates best, over all classes and in the tail."""
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
