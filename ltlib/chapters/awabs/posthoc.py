"""The cheapest competitor: calibration after training, fitted on held-out training images (grid ``awabs/held_out``).

The document calibrates in training, in two stages. A temperature is one number, fitted in a second on images that were
kept back. The question is what plain cross-entropy with a temperature gives beside the two-stage methods without one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib.calibration import effects
from ltlib.chapters.awabs import AWABS
from ltlib.plots import calibration as diagrams
from ltlib.plots import posthoc as drawn
from ltlib.sections import scores
from ltlib.sections.words import listed, printable

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run

GRID = f"{AWABS.id}/held_out"
SCALED = "temperature_balanced"
"""The temperature meant for a balanced test set: each class of the held-out images has the same weight."""
FITTED = "logit_adjustment_fitted"
WORDS = {name: drawn.LOOKS[name][2] for name in effects.METHODS}
_SHORT = {SCALED: "temperature, balanced", FITTED: "adjustment + T, fitted", "logit_adjustment": "adjustment, tau 1"}
Changes = Mapping[str, Mapping[str, Any]]


def runs(page: Page) -> dict[str, list[Run]]:
    """Runs of the grid that know what post-hoc methods made of them, by method; says what is not there."""
    every = AWABS.by_method(page.runs(GRID))
    found = {
        method: usable for method, own in every.items() if (usable := [r for r in own if changes_of(r) is not None])
    }
    if len(found) < len(every):
        page.note("Records made before post-hoc calibration was measured are left out.")
    return found


def changes_of(run: Run) -> Changes | None:
    """What each post-hoc method made of a run at its selected epoch, or None."""
    return run.metrics["selected"].get("posthoc")


def means(found: Mapping[str, Sequence[Run]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Means over runs by method and post-hoc method.

    Returns:
        ``accuracy``, ``ece``, ``classwise_ece`` (fractions), ``nll`` (nats), ``groups`` with each group's ECE,
        ``parameters`` (what was fitted or set) and ``held_out``, the number of held-out images of a run.
    """
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for method, own in found.items():
        every = [changes for run in own if (changes := changes_of(run)) is not None]
        result[method] = {}
        for post in every[0]:
            parts = [changes[post] for changes in every if post in changes]
            keys = ("accuracy", "ece", "classwise_ece", "nll")
            row: dict[str, Any] = {key: float(np.mean([part[key] for part in parts])) for key in keys}
            row["groups"] = {
                group: float(np.mean([part["groups"][group]["ece"] for part in parts]))
                for group, values in parts[0]["groups"].items()
                if values["ece"] is not None
            }
            names = parts[0]["parameters"]
            row["parameters"] = {name: float(np.mean([part["parameters"][name] for part in parts])) for name in names}
            row["held_out"] = int(parts[0]["held_out"])
            result[method][post] = row
    return result


def table(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> pd.DataFrame:
    """One row a method and post-hoc method: what was fitted, accuracy, calibration errors (%), likelihood."""
    import pandas as pd

    rows = []
    for method, changes in found.items():
        for post, row in changes.items():
            fitted = {"T": row["parameters"].get("temperature"), "tau": row["parameters"].get("tau")}
            line: dict[str, Any] = {"method": AWABS.name(method), "post-hoc": _SHORT.get(post, WORDS[post])}
            line |= {name: np.nan if value is None else value for name, value in fitted.items()}
            line |= {"accuracy": 100 * row["accuracy"], "ECE": 100 * row["ece"]}
            line |= {group: 100 * error for group, error in row["groups"].items()}
            rows.append(line | {"class-wise": 100 * row["classwise_ece"], "NLL": row["nll"]})
    return printable(pd.DataFrame(rows), {"T": 2, "tau": 2, "class-wise": 2, "NLL": 3})


def show(page: Page, found: Mapping[str, Sequence[Run]]) -> None:
    """Before and after: figure, table, and what they say about the document's comparison."""
    if not found:
        command = f"ltlib reproduce --profile {page.profile} --grid {GRID}"
        page.say(
            f"No run with held-out images is there yet, so nothing was calibrated afterwards; {command} trains them."
        )
        return
    values, used = means(found), [run for own in found.values() for run in own]
    chart = drawn.before_after({AWABS.name(method): changes for method, changes in values.items()})
    some = next(iter(next(iter(values.values())).values()))
    caption = f"Before and after, fitted on {some['held_out']:,} held-out training images of these runs' own long tail."
    page.figure("Before and after", chart, caption=caption, runs=used)
    if "ce" in found:
        chart = diagrams.reliability_diagram(panels(found))
        text = (
            "Plain training, first run: as trained, with a temperature (class-balanced), with logit adjustment and "
            "temperature; beside it the two-stage methods as trained."
        )
        page.figure("CE before and after", chart, caption=text, runs=used)
    caption = "accuracy, ECE (all, by actual class group) and class-wise ECE in percent, on the test images"
    page.frame("Post-hoc", table(values), caption, used)
    page.say(cheapest(values))
    page.say(price(values))


def panels(found: Mapping[str, Sequence[Run]]) -> dict[str, pd.DataFrame]:
    """Reliability tables of the first runs: CE as trained, scaled and adjusted; the other methods as trained."""
    wanted = [("ce", "none", "CE"), ("ce", SCALED, "CE, temperature"), ("ce", FITTED, "CE, adjusted and scaled")]
    wanted += [(method, "none", AWABS.name(method)) for method in found if method != "ce"]
    tables = {}
    for method, post, name in wanted:
        changes = changes_of(found[method][0])
        if changes is not None and post in changes:
            tables[name] = reliability_table(changes[post]["bins"])
    return tables


def reliability_table(bins: Mapping[str, Sequence[float | None]]) -> pd.DataFrame:
    """The bins that a run's metrics keep, as `calibration.reliability` gives them; NaN in an empty bin."""
    import pandas as pd

    edges = np.linspace(0, 1, len(bins["count"]) + 1)
    columns = {name: np.array(bins[name], dtype=np.float64) for name in ("count", "confidence", "accuracy")}
    return pd.DataFrame({"lower": edges[:-1], "upper": edges[1:], **columns})


def cheapest(values: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Plain cross-entropy with a temperature against the two-stage methods without and with one."""
    if "ce" not in values:
        return "Plain cross-entropy with held-out images was not run, so the cheapest competitor is missing here too."
    ce = values["ce"]
    before, after, plain = (ce[post]["ece"] for post in ("none", SCALED, "temperature"))
    text = (
        f"One temperature takes the calibration error of CE from {100 * before:.1f}% to {100 * after:.1f}% (T = "
        f"{ce[SCALED]['parameters']['temperature']:.2f}, every class with the same weight; fitted to the held-out "
        f"images as they come, T = {ce['temperature']['parameters']['temperature']:.2f} gives {100 * plain:.1f}%) and "
        "changes none of its answers. "
    )
    if FITTED in ce:
        text += (
            f"Logit adjustment with a temperature, two fitted numbers, gives {100 * ce[FITTED]['ece']:.1f}% and is "
            f"right for {100 * ce[FITTED]['accuracy']:.1f}% instead of {100 * ce['none']['accuracy']:.1f}%. "
        )
    others = {method: changes for method, changes in values.items() if method != "ce"}
    if not others:
        return f"{text}No two-stage method with held-out images was run beside it."
    said = [
        f"{AWABS.name(m)} {100 * c['none']['ece']:.1f}% ({100 * c[SCALED]['ece']:.1f}% with a temperature of its own), "
        f"right for {100 * c['none']['accuracy']:.1f}%"
        for m, c in others.items()
    ]
    text += f"The two-stage methods as they are: {listed(said)}. "
    margin = scores.CLOSE["ece"]
    below = [m for m, c in others.items() if c["none"]["ece"] < after - margin]
    above = [m for m, c in others.items() if c["none"]["ece"] > after + margin]
    near = [m for m in others if m not in below and m not in above]
    parts = [f"{_names(above)} {_is(above)} worse calibrated than scaled CE"] if above else []
    parts += [f"{_names(near)} {_is(near)} too close to it to tell"] if near else []
    parts += [f"{_names(below)} {_is(below)} better calibrated than scaled CE"] if below else []
    return (
        f"{text}So {'; '.join(parts)}. The document compares calibration errors without any post-hoc method, so what "
        "its two stages add to the cheapest one cannot be read from its tables."
    )


def price(values: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """What the other post-hoc methods cost and give: accuracy moved, and groups' errors after a temperature."""
    moved = []
    for post in ("isotonic", "logit_adjustment", "logit_adjustment_fitted"):
        own = [
            f"{AWABS.name(m)} {100 * (c[post]['accuracy'] - c['none']['accuracy']):+.1f}"
            for m, c in values.items()
            if post in c
        ]
        moved += [f"{WORDS[post]}: {', '.join(own)}"] if own else []
    text = f"Accuracy moves by, in points: {'; '.join(moved)}." if moved else ""
    ends = [
        f"{AWABS.name(m)} {' / '.join(f'{100 * e:.1f}' for e in c[SCALED]['groups'].values())}%"
        for m, c in values.items()
        if c[SCALED]["groups"]
    ]
    if ends:
        names = " / ".join(next(iter(values.values()))[SCALED]["groups"])
        text += f" After the temperature the errors of {names} are {'; '.join(ends)}: one number for all "
        text += "classes need not serve each."
    return text.strip()


def _names(methods: Sequence[str]) -> str:
    return listed([AWABS.name(method) for method in methods])


def _is(methods: Sequence[str]) -> str:
    return "is" if len(methods) == 1 else "are"
