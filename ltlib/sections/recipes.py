"""Two recipes side by side: the settings in which they differ, scores, and which comes closer to print."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import recipes
from ltlib.labels import label
from ltlib.tables import cells
from ltlib.tables.scores import mean, points, used, without_chance

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.experiment import Experiment
    from ltlib.pages.page import Page
    from ltlib.runs import Run
    from ltlib.sections.study import Study

Sides = Mapping[str, Mapping[str, Sequence["Run"]]]
"""Two recipes, by what to call each, to their runs by method."""


def differences(sides: Mapping[str, Experiment]) -> pd.DataFrame:
    """Settings in which the recipes of two experiments differ, with their defaults for methods.

    Args:
        sides: The two, by what to call each.
    """
    import pandas as pd

    one, two = (_settings(experiment.recipe) for experiment in sides.values())
    names = [name for name in one if one[name] != two.get(name)]
    rows = [(name.replace("_", " "), _plain(one[name]), _plain(two[name])) for name in names]
    return pd.DataFrame(rows, columns=["setting", *sides])


def _settings(recipe: str) -> dict[str, object]:
    made = recipes.create(recipe)
    own = {f.name: getattr(made, f.name) for f in fields(made) if f.name != "method_defaults"}
    return own | {key: value for _, key, value in made.method_defaults}


def _plain(value: object) -> str:
    return " + ".join(map(str, value)) if isinstance(value, tuple) else str(value).replace("_", " ")


def show(page: Page, study: Study, table: str, sides: Sides) -> None:
    """Scores with two recipes beside a printed table of one network on one set, and which comes closer.

    Args:
        page: The page.
        study: The document.
        table: The printed table.
        sides: The two recipes' runs.
    """
    runs = [run for own in sides.values() for run in used(own)]
    if not runs:
        page.say("No method was run with either recipe here, so there is nothing to compare.")
        return
    frame = scores(study, table, sides)
    where = study.trained(table, page.profile)
    what = f"{label(where.model)} on {label(where.dataset)}"
    page.frame("Two recipes", frame, f"test accuracy and calibration error, {what}", runs)
    page.say(sentence(frame, page.profile))


def scores(study: Study, table: str, sides: Sides) -> pd.DataFrame:
    """Printed accuracy, ours and our ECE with each recipe, beside what chance alone gives of one; fractions."""
    import pandas as pd

    rows = []
    for method, value in cells.column(study.id, table)["accuracy"].items():
        own = {side: runs.get(method, ()) for side, runs in sides.items()}
        row: dict[str, Any] = {"method": study.name(method), "printed": f"{value:.3f}"}
        row |= {side: mean(runs, "accuracy") for side, runs in own.items()}
        for side, runs in own.items():
            row |= {
                f"{side}, ECE": mean(runs, "ece"),
                f"{side}, by chance": without_chance(runs)[0] if runs else math.nan,
            }
        rows.append(row)
    return pd.DataFrame(rows)


def sentence(frame: pd.DataFrame, profile: str) -> str:
    """What the comparison of `scores` says."""
    one, two = (str(name) for name in frame.columns[2:4])
    both = frame[frame[one].notna() & frame[two].notna()]
    if both.empty:
        return "No method was run with both recipes, so nothing can be said about their difference."
    gains = [f"{m} {100 * (b - a):+.1f}" for m, a, b in zip(both["method"], both[one], both[two], strict=True)]
    said = f"The {two}'s recipe instead of the {one}'s moves the accuracy by, in points: {', '.join(gains)}."
    if profile != "paper":
        return f"{said} Which of the two made the printed numbers cannot be told in {profile}."
    target = both["printed"].astype(float)
    distance = {name: float(np.abs(both[name] - target).mean()) for name in (one, two)}
    nearer = min(distance, key=lambda name: distance[name])
    return (
        f"{said} On average the {one}'s recipe lies {points(distance[one])} from the printed accuracies and the "
        f"{two}'s {points(distance[two])}: the {nearer}'s comes closer."
    )
