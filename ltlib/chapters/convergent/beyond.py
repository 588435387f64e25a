"""What the pages of `convergent` add to the document: the text's recipe, what selection is worth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from ltlib import grids, published, recipes
from ltlib.chapters.convergent.tables import DOCUMENT, METHODS, TABLES, by_cell, named, points, trained
from ltlib.plots.style import label
from ltlib.registry import parse

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.notebook import Page
    from ltlib.runs import Run


def recipe_differences(dataset: str, profile: str) -> pd.DataFrame:
    """Settings in which the author's code and the report's text differ, as a profile trains them."""
    import pandas as pd

    code = trained(dataset, profile)
    text = grids.experiments(f"{DOCUMENT}/text_{dataset}", profile)[0][0]
    one, two = recipes.create(code.recipe), recipes.create(text.recipe)
    rows = [
        {"setting": f.name.replace("_", " "), "author's code": _plain(a), "report's text": _plain(b)}
        for f in fields(one)
        if f.name != "method_defaults" and (a := getattr(one, f.name)) != (b := getattr(two, f.name))
    ]
    first, second = ({key: value for _, key, value in recipe.method_defaults} for recipe in (one, two))
    rows += [
        {"setting": name.replace("_", " "), "author's code": _plain(first[name]), "report's text": _plain(second[name])}
        for name in first
        if first[name] != second.get(name)
    ]
    return pd.DataFrame(rows)


def _plain(value: object) -> str:
    return " + ".join(map(str, value)) if isinstance(value, tuple) else str(value).replace("_", " ")


def two_recipes(page: Page, number: str, code: Sequence[Run], text: Sequence[Run]) -> None:
    """The recipe of the author's code beside that of the report's text: settings, scores, and which comes closer."""
    import pandas as pd

    dataset, _ = TABLES[number]
    page.frame("Settings", recipe_differences(dataset, page.profile), "in which the code and the text differ")
    one, two = _by_method(code), _by_method(text)
    if not one and not two:
        page.say("No method was run with either recipe here, so there is nothing to compare.")
        return
    rows = published.table(DOCUMENT, number)
    printed = rows[rows["metric"] == "accuracy"].set_index("method")["value"]
    frame = pd.DataFrame(
        [
            {
                "method": label(method),
                "printed": f"{printed[method]:.3f}",
                "code": _mean(one.get(method, ()), "accuracy"),
                "text": _mean(two.get(method, ()), "accuracy"),
                "code, ECE": _mean(one.get(method, ()), "ece"),
                "text, ECE": _mean(two.get(method, ()), "ece"),
            }
            for method in METHODS
        ]
    )
    data, network = named(page.profile, *TABLES[number])
    page.frame("Two recipes", frame, f"test accuracy and calibration error, {network} on {data}", [*code, *text])
    page.say(recipe_sentence(frame, page.profile))


def recipe_sentence(frame: pd.DataFrame, profile: str) -> str:
    """What the comparison of the two recipes says."""
    both = frame[frame["code"].notna() & frame["text"].notna()]
    if both.empty:
        return "No method was run with both recipes, so nothing can be said about their difference."
    gains = [f"{m} {100 * (t - c):+.1f}" for m, c, t in zip(both["method"], both["code"], both["text"], strict=True)]
    said = f"The text's recipe instead of the code's moves the accuracy by, in points: {', '.join(gains)}."
    if profile != "paper":
        return f"{said} Which of the two made the printed numbers cannot be told in {profile}."
    target = both["printed"].astype(float)
    distance = {name: float((both[name] - target).abs().mean()) for name in ("code", "text")}
    nearer = min(distance, key=lambda name: distance[name])
    return (
        f"{said} On average the code's recipe lies {points(distance['code'])} from the printed accuracies and the "
        f"text's {points(distance['text'])}: the {nearer}'s comes closer."
    )


def _by_method(runs: Iterable[Run]) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(parse(run.experiment.method)[0], []).append(run)
    return found


def _mean(runs: Iterable[Run], name: str, which: str = "selected") -> float:
    values = [value for run in runs if (value := run.metrics[which].get(name)) is not None]
    return float(np.mean(values)) if values else float("nan")


# --- the closing comparison -------------------------------------------------------------------------------------------


def closing(page: Page, runs: Sequence[Run]) -> None:
    """One row a network and method: selected and last epoch, class groups, cost; and what it means."""
    frame = closing_frame(runs)
    if frame.empty:
        page.say("No run is there, so there is nothing to compare.")
        return
    page.frame("Comparison", frame, "selected epoch (the document's way) and last epoch; accuracy by class group", runs)
    page.say(closing_sentence(frame))


def closing_frame(runs: Iterable[Run]) -> pd.DataFrame:
    """Means over seeds; accuracies are fractions."""
    import pandas as pd

    rows = []
    for (model, method), own in by_cell(runs).items():
        groups = {
            name: np.mean([run.metrics["selected"]["groups"][name]["accuracy"] for run in own])
            for name in own[0].groups
        }
        rows.append(
            {
                "network": label(model),
                "method": label(method),
                "runs": len(own),
                "selected": _mean(own, "accuracy"),
                "last epoch": _mean(own, "accuracy", "last"),
                **{name: float(value) for name, value in groups.items()},
                "epochs": round(float(np.mean([len(run.history) for run in own]))),
                "minutes": float(np.mean([run.seconds for run in own])) / 60,
                "million parameters": own[0].parameters / 1e6,
                "million MACs": own[0].macs / 1e6,
            }
        )
    return pd.DataFrame(rows)


def closing_sentence(frame: pd.DataFrame) -> str:
    """What selection on the test set gains, and how far the tail lies behind the head."""
    rows = frame.to_dict("records")
    best = max(rows, key=lambda row: row["selected"])
    text = (
        f"The best here is {best['method']} with {best['network']}, {best['selected']:.3f}. Reporting the epoch of the "
        "lowest test loss, as the document does, means looking at the test set: against the last epoch it moves the "
        "accuracy by "
    )
    moved = sorted(100 * (row["selected"] - row["last epoch"]) for row in rows)
    text += f"{moved[0]:+.1f} to {moved[-1]:+.1f} points." if len(rows) > 1 else f"{moved[0]:+.1f} points."
    if {"head", "tail"} <= set(frame.columns):
        behind = sorted(rows, key=lambda row: row["head"] - row["tail"])
        said = [f"{100 * (r['head'] - r['tail']):.1f} points ({r['method']}, {r['network']})" for r in behind]
        text += f" The tail lies {' to '.join(dict.fromkeys((said[0], said[-1])))} behind the head."
    return text
