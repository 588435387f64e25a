"""The chapter `awabs`: what its pages share. Names of methods, what stands for what, a table with its notes, scores.

Functions that put something on a page take the page first; the rest return frames and sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import grids, profiles, published, tables
from ltlib.grids import awabs as grid
from ltlib.plots.style import label
from ltlib.registry import parse
from ltlib.tables import verdicts

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run

DOCUMENT = "awabs"
CLOSE = {metric: verdicts.TOLERANCES[metric] for metric in ("accuracy", "ece")}
"""Values nearer than this are not told apart with fewer than three runs: the tolerances of the verdicts."""
NAMES = {
    "ce": "CE",
    "mixup": "Mixup",
    "bbn": "BBN",
    "ldam_drw": "LDAM-DRW",
    "remix_drw": "Remix-DRW",
    "lade": "LADE",
    "crt": "cRT",
    "lws": "LWS",
    "crt_mixup": "cRT + Mixup",
    "lws_mixup": "LWS + Mixup",
    "lws_mixup_shifted_bn": "LWS + Mixup + shifted BN",
    "cbce": "CBCE",
    "las": "LAS",
    "mislas": "MiSLAS",
    "awabs_cutout": "Method 1 (CutOut)",
    "awabs_cutmix": "Method 2 (CutMix)",
    "awabs_cutthumbnail": "Method 3 (Cut-Thumbnail)",
    "cutout": "Method 1, stage 1",
    "cutmix": "Method 2, stage 1",
    "cutthumbnail": "Method 3, stage 1",
    "awabs_mixed_thumbnail": "Mixed Cut-Thumbnail",
}
"""What the rows of the document's tables are called here, and the first stages of its proposed methods alone."""
STAGE_1 = {"awabs_cutout": "cutout", "awabs_cutmix": "cutmix", "awabs_cutthumbnail": "cutthumbnail"}
"""A proposed method to the key under which its first stage alone is found."""


def name(method: str) -> str:
    """How a row of the tables is called."""
    return NAMES.get(method, label(method))


def short(method: str) -> str:
    """The same inside a sentence: ``Method 2`` without its augmentation."""
    return name(method).partition(" (")[0]


# --- what stands for what --------------------------------------------------------------------------------------------


def standing(page: Page) -> None:
    """Say what stands for the document's data, network and imbalance factors in this profile."""
    size = profiles.get(page.profile)
    if size.stand_ins:
        text = (
            f"In this profile {stand_in(page.profile)}, at imbalance factor {size.imbalance_factor:g}, stand in for "
            f"CIFAR-10 and CIFAR-100, and {label(str(size.network))} for ResNet-32: the page shows how everything "
            "works and is read, and nothing about the document's data."
        )
    elif size.network:
        text = (
            f"In this profile {label(size.network)} with at most {size.epochs} epochs stands for ResNet-32, on the "
            f"document's own images. Of its imbalance factors only {grid.STAND_IN_FACTOR} is trained, and the page's "
            f"own comparisons are made on {where(page.profile)}. There is one run a cell: {too_close()}."
        )
    else:
        text = f"The document's own data and network, {size.seeds} runs a cell."
    page.say(text)


def too_close() -> str:
    """What single runs cannot tell, as half a sentence."""
    return (
        f"accuracies less than {100 * CLOSE['accuracy']:g} point apart and calibration errors less than "
        f"{100 * CLOSE['ece']:g} points apart are not put in order"
    )


def stand_in(profile: str) -> str:
    """What the profile trains on in place of the document's sets, in words; empty where it is those sets."""
    names = [other for _, other in profiles.get(profile).stand_ins]
    return label(names[0]).lower() if names else ""


def where(profile: str) -> str:
    """The set, imbalance and network of the chapter's own comparisons in a profile."""
    experiments, _ = grids.experiments(f"{DOCUMENT}/methods", profile)
    return setting(experiments[0])


def setting(experiment: Any) -> str:
    """Set, imbalance and network of an experiment, in words."""
    data = label(experiment.dataset)
    if experiment.imbalance_factor > 1:
        data += f"{'-LT' if experiment.dataset.startswith('cifar') else ''}, imbalance factor "
        data += f"{experiment.imbalance_factor:g}"
    return f"{data}, {label(experiment.model)}"


# --- runs by the tables' rows ----------------------------------------------------------------------------------------


def key(run: Run) -> str:
    """Under which name of `NAMES` a run's method goes: settings that the grids fill in are left out."""
    base = parse(run.experiment.method)[0]
    return {"mixup_cbce": "cbce"}.get(base, base)


def by_method(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Runs of one set by `key`, each once, all seeds together, in the order of `NAMES`.

    Meant for the grid ``awabs/methods``: runs that differ in a method's settings alone fall under one key.
    """
    found: dict[str, dict[str, Run]] = {}
    for run in sorted(runs, key=lambda run: (run.experiment.subset_seed, run.experiment.seed)):
        found.setdefault(key(run), {})[run.id] = run
    return {method: list(found[method].values()) for method in (*NAMES, *found) if method in found}


def first_runs(runs: Iterable[Run]) -> dict[str, Run]:
    """The first run of each method, in the order of `NAMES`."""
    return {method: own[0] for method, own in by_method(runs).items()}


def mean(runs: Iterable[Run], metric: str, group: str = "") -> float:
    """A metric's mean over runs at the selected epoch, of all test images or of a class group; NaN without any."""
    values = []
    for run in runs:
        own = run.metrics["selected"]
        value = (own["groups"].get(group, {}) if group else own).get(metric)
        if value is not None:
            values.append(float(value))
    return float(np.mean(values)) if values else float("nan")


def percent(value: float, digits: int = 2) -> float:
    """A fraction as percent, rounded for a table."""
    return round(100 * value, digits)


def signed(number: float) -> str:
    """A number with its sign and one decimal; what rounds to 0 is +0.0."""
    return f"{round(number, 1) + 0.0:+.1f}"


def told_apart(first: float, second: float, n: int, metric: str = "accuracy") -> bool:
    """Whether two means of `n` runs each differ by more than single runs can by chance; from three runs on, always."""
    return n >= 3 or abs(first - second) > CLOSE[metric]


def moves(found: Sequence[Run], base: Mapping[str, float]) -> str:
    """How far runs lie from a base in accuracy and ECE, in points, and where that is too close to tell."""
    parts = []
    for metric, word in (("accuracy", "accuracy"), ("ece", "ECE")):
        value = mean(found, metric)
        sure = told_apart(value, base[metric], len(found), metric)
        parts.append(f"{100 * (value - base[metric]):+.1f} points of {word}" + ("" if sure else " (too close to tell)"))
    return " and ".join(parts)


def setting_of(run: Run, key: str, default: Any) -> Any:
    """A setting in the text of a run's method."""
    return parse(run.experiment.method)[1].get(key, default)


# --- a table of the document -----------------------------------------------------------------------------------------


def table(page: Page, number: str, reading: Callable[[pd.DataFrame, str], str] | None = None) -> list[Run]:
    """A table of the document beside ours, what it says, and where the source contradicts it.

    Args:
        page: The page.
        number: As printed, ``4.6``.
        reading: Makes the sentences from a frame of `tables.compare` and the profile's name.
    """
    runs = page.runs(f"{DOCUMENT}/{number}", quiet=True)
    page.table(DOCUMENT, number, runs)
    if reading is not None:
        page.say(reading(page.frames[number], page.profile))
    page.notes(DOCUMENT, table=number)
    return runs


def remarks(page: Page, *numbers: int) -> None:
    """Known inconsistencies of the source that name no table or figure, by their number in `published`."""
    rows = published.inconsistencies(DOCUMENT)
    for text in rows.loc[rows["number"].isin(numbers), "text"]:
        page.note(f"The source, read closely: {text}")


def results(runs: Iterable[Run], profile: str, numbers: Sequence[str]) -> pd.DataFrame:
    """Several tables as one comparison; a frame of `tables.compare`."""
    import pandas as pd

    found = list(runs)
    return pd.concat([tables.compare(found, DOCUMENT, number, profile) for number in numbers], ignore_index=True)


def scores(groups: Mapping[str, Sequence[Run]], names: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Accuracy, ECE and accuracy by class group of several sets of runs, in percent, a row each.

    Args:
        groups: What a row stands for, to its runs; one without runs is left out.
        names: What to call the rows; by default `name`.
    """
    import pandas as pd

    rows = []
    for method, own in groups.items():
        if not own:
            continue
        row: dict[str, Any] = {"method": (names or {}).get(method, name(method)), "runs": len(own)}
        row |= {"accuracy (%)": percent(mean(own, "accuracy")), "ECE (%)": percent(mean(own, "ece"))}
        row |= {f"{group} (%)": percent(mean(own, "accuracy", group)) for group in own[0].groups}
        rows.append(row)
    return pd.DataFrame(rows)
