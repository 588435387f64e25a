"""Calibration after training, fitted on held-out training images, beside calibration in training.

held_out = posthoc.runs(page, AWABS, "awabs/held_out")
values = posthoc.means(held_out)
plots.posthoc.before_after({AWABS.name(method): changes for method, changes in values.items()})
posthoc.cheapest(AWABS, values, base="ce")

A temperature is one number, fitted in a second on images that were kept back. The question is what a plain method with
a temperature gives beside elaborate ones without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib.calibration import effects
from ltlib.plots.posthoc import LOOKS
from ltlib.sections.words import listed, printable
from ltlib.tables import scores

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run
    from ltlib.sections.study import Study

SCALED = "temperature_balanced"
"""The temperature meant for a balanced test set: each class of the held-out images has the same weight."""
FITTED = "logit_adjustment_fitted"
WORDS = {name: LOOKS[name][2] for name in effects.METHODS}
_SHORT = {
    SCALED: "temperature, balanced",
    FITTED: "adjustment + T, fitted",
    "vector_scaling": "vector scaling",
    "logit_adjustment": "adjustment, tau 1",
}
_TITLES = {"none": "", "temperature": ", temperature", SCALED: ", temperature", FITTED: ", adjusted and scaled"}
Changes = Mapping[str, Mapping[str, Any]]
Values = Mapping[str, Changes]


def runs(page: Page, study: Study, grid: str) -> dict[str, list[Run]]:
    """Runs of a grid that know what post-hoc methods made of them, by method; says what is not there."""
    every = study.by_method(page.runs(grid))
    found = {method: usable for method, own in every.items() if (usable := [run for run in own if changes_of(run)])}
    if len(found) < len(every):
        page.note("Records made before post-hoc calibration was measured are left out.")
    if not found:
        page.say(
            "No run with held-out images is there yet, so nothing was calibrated afterwards; "
            f"ltlib reproduce --profile {page.profile} --grid {grid} trains them."
        )
    return found


def changes_of(run: Run) -> Changes | None:
    """What each post-hoc method made of a run at its selected epoch, or None.

    A record made before chance was taken out of ECEs has what the predictions give: that of ``none``.
    """
    changes = run.metrics["selected"].get("posthoc")
    if not changes or "ece_floor" in changes["none"]:
        return changes
    floor, debiased = scores.without_chance([run])
    return {**changes, "none": {**changes["none"], "ece_floor": floor, "ece_debiased": debiased}}


def means(found: Mapping[str, Sequence[Run]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Means over runs by method and post-hoc method.

    Returns:
        What `effects.mean_of` gives: ``accuracy``, ``ece``, ``ece_debiased``, ``ece_floor``, ``nll``, ``groups`` with
        each group's ECE, ``parameters`` (what was fitted or set), ``held_out``, the number of held-out images of a run.
    """
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for method, own in found.items():
        every = [changes for run in own if (changes := changes_of(run)) is not None]
        result[method] = {
            post: effects.mean_of([changes[post] for changes in every if post in changes])
            for post in (every[0] if every else ())
        }
    return result


# --- for tables and figures ------------------------------------------------------------------------------------------


def table(study: Study, values: Values) -> pd.DataFrame:
    """One row a method and post-hoc method: what was fitted, accuracy, calibration errors (%), likelihood."""
    import pandas as pd

    rows = []
    for method, changes in values.items():
        for post, row in changes.items():
            fitted = row["parameters"]
            line: dict[str, Any] = {"method": study.name(method), "post-hoc": _SHORT.get(post, WORDS[post])}
            line |= {"T": fitted.get("temperature", np.nan), "tau": fitted.get("tau", np.nan)}
            line |= {"accuracy": 100 * row["accuracy"], "ECE": 100 * row["ece"]}
            line |= {"debiased": 100 * row["ece_debiased"], "chance alone": 100 * row["ece_floor"]}
            line |= {group: 100 * error for group, error in row["groups"].items()}
            rows.append(line | {"class-wise": 100 * row["classwise_ece"], "NLL": row["nll"]})
    return printable(pd.DataFrame(rows), {"T": 2, "tau": 2, "class-wise": 2, "NLL": 3})


def panels(study: Study, found: Mapping[str, Sequence[Run]], base: str, after: Sequence[str]) -> dict[str, Any]:
    """Panels of a reliability diagram, of first runs: one method before and after, the others as trained.

    Args:
        study: The document.
        found: Runs by method.
        base: The method that is calibrated.
        after: Post-hoc methods.
    """
    wanted = [(base, post) for post in ("none", *after)] + [(method, "none") for method in found if method != base]
    tables = {}
    for method, post in wanted:
        changes = changes_of(found[method][0]) or {}
        if post in changes:
            title = _TITLES.get(post, f", {WORDS[post]}")
            tables[f"{study.name(method)}{title}"] = effects.reliability_table(changes[post])
    return tables


# --- what they say ---------------------------------------------------------------------------------------------------


def cheapest(study: Study, values: Values, base: str, others: str = "the other methods") -> str:
    """A plain method with a temperature against others without and with one.

    Args:
        study: The document.
        values: Of `means`.
        base: The plain method.
        others: What the others are called together.
    """
    name = study.name(base)
    if base not in values:
        return f"{name} with held-out images was not run, so the cheapest competitor is missing here too."
    own = values[base]
    before, after, plain = own["none"], own[SCALED], own["temperature"]
    text = (
        f"One temperature takes the calibration error of {name} from {_error(before)} to {_error(after)} (T = "
        f"{after['parameters']['temperature']:.2f}, every class with the same weight; fitted to the held-out images as "
        f"they come, T = {plain['parameters']['temperature']:.2f} gives {_error(plain)}) and changes none of its "
        "answers. "
    )
    if FITTED in own:
        text += (
            f"Logit adjustment with a temperature, two fitted numbers, gives {_error(own[FITTED])} and is right for "
            f"{100 * own[FITTED]['accuracy']:.1f}% instead of {100 * before['accuracy']:.1f}%. "
        )
    rest = {study.name(method): changes for method, changes in values.items() if method != base}
    if not rest:
        return f"{text}None of {others} with held-out images was run beside it."
    said = [
        f"{other} {_error(changes['none'])} ({_error(changes[SCALED])} with a temperature of its own), right for "
        f"{100 * changes['none']['accuracy']:.1f}%"
        for other, changes in rest.items()
    ]
    text += f"{others[:1].upper()}{others[1:]} as they are: {listed(said)}. "
    gaps = {other: changes["none"]["ece"] - after["ece"] for other, changes in rest.items()}
    margin = scores.CLOSE["ece"]
    sides = (
        ([m for m, gap in gaps.items() if gap > margin], f"worse calibrated than scaled {name}"),
        ([m for m, gap in gaps.items() if abs(gap) <= margin], "too close to it to tell"),
        ([m for m, gap in gaps.items() if gap < -margin], f"better calibrated than scaled {name}"),
    )
    parts = [f"{listed(them)} {'is' if len(them) == 1 else 'are'} {what}" for them, what in sides if them]
    return f"{text}So {'; '.join(parts)}."


def price(study: Study, values: Values) -> str:
    """What the other post-hoc methods cost and give: accuracy moved, and groups' errors after a temperature."""
    moved = []
    for post in ("isotonic", "logit_adjustment", FITTED):
        own = [
            f"{study.name(method)} {100 * (changes[post]['accuracy'] - changes['none']['accuracy']):+.1f}"
            for method, changes in values.items()
            if post in changes
        ]
        moved += [f"{WORDS[post]}: {', '.join(own)}"] if own else []
    text = f"Accuracy moves by, in points: {'; '.join(moved)}." if moved else ""
    groups = {study.name(method): changes[SCALED]["groups"] for method, changes in values.items()}
    ends = [
        f"{name} {' / '.join(f'{100 * error:.1f}' for error in own.values())}%" for name, own in groups.items() if own
    ]
    if ends:
        names = " / ".join(next(own for own in groups.values() if own))
        text += f" After the temperature the errors of {names} are {'; '.join(ends)}: one number for all "
        text += "classes need not serve each."
    return text.strip()


def _error(row: Mapping[str, Any]) -> str:
    return f"{100 * row['ece']:.1f}%"
