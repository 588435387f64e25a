"""The page `awabs/methods`: three readings of stage 2, and of the prediction at test time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import calibration, grids, published
from ltlib.chapters.awabs import AWABS
from ltlib.grids import awabs as grid
from ltlib.grids.awabs import STAGE_1
from ltlib.methods import AWABS_VARIANTS
from ltlib.runs import Predictions
from ltlib.sections import scores
from ltlib.sections.scores import CLOSE, mean, percent, setting_of

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run

DEFAULT = "decoupled"
"""The variant that the tables use."""


def printed_cell(profile: str) -> dict[str, float]:
    """Table 4.4 at imbalance factor 100 on the set of this profile's comparisons: its stage 2, as fractions."""
    rows = published.table(AWABS.id, "4.4")
    rows = rows[(rows["dataset"] == grid.dataset(profile)) & (rows["imbalance"] == grid.STAND_IN_FACTOR)]
    found = {}
    for row in rows.to_dict("records"):
        if row["stage"] != "1":
            found[row["metric"] if row["split"] == "all" else row["split"]] = row["value"] / 100
    return found


def variants(page: Page, runs: Sequence[Run]) -> None:
    """The three readings of stage 2 beside the printed cell, and which comes closest."""
    by: dict[str, list[Run]] = {}
    for run in runs:
        by.setdefault(setting_of(run, "variant", DEFAULT), []).append(run)
    own = {variant: by[variant] for variant in AWABS_VARIANTS if variant in by}
    if not own:
        page.say(f"No variant was run; {grids.command(AWABS.id, 'variants', page.profile)} trains them.")
        return
    frame = variants_frame(own, printed_cell(page.profile), page.profile)
    page.frame("Variants", frame, f"of stage 2, proposed method 2; ours on {AWABS.where(page.profile)}", runs)
    page.say(variants_sentence(own, printed_cell(page.profile), page.profile))


def distance(accuracy: float, ece: float, printed: Mapping[str, float]) -> float:
    """How far a result is from the printed one, in tolerances: |accuracy| / 1 point + |ECE| / 1.5 points."""
    return abs(accuracy - printed["accuracy"]) / CLOSE["accuracy"] + abs(ece - printed["ece"]) / CLOSE["ece"]


def variants_frame(own: Mapping[str, Sequence[Run]], printed: Mapping[str, float], profile: str) -> pd.DataFrame:
    """One row a variant under the printed one, in percent; the distance only where the two can be compared."""
    import pandas as pd

    groups = [name for name in ("head", "middle", "tail") if name in printed]
    first: dict[str, Any] = {"variant": "printed, Table 4.4", "runs": math.nan}
    first |= {"accuracy (%)": percent(printed["accuracy"]), "ECE (%)": percent(printed["ece"])}
    rows = [first | {f"{group} (%)": percent(printed[group]) for group in groups} | {"distance": math.nan}]
    for variant, found in own.items():
        accuracy, ece = mean(found, "accuracy"), mean(found, "ece")
        row: dict[str, Any] = {"variant": variant.replace("_", ", "), "runs": len(found)}
        row |= {"accuracy (%)": percent(accuracy), "ECE (%)": percent(ece)}
        row |= {f"{group} (%)": percent(mean(found, "accuracy", group)) for group in groups}
        rows.append(row | {"distance": distance(accuracy, ece, printed) if profile == "paper" else math.nan})
    return pd.DataFrame(rows).dropna(axis=1, how="all")


def variants_sentence(own: Mapping[str, Sequence[Run]], printed: Mapping[str, float], profile: str) -> str:
    """What the variants differ in, and which is closest to print where that can be said."""
    text = f"The tables use “{DEFAULT}”. "
    if DEFAULT in own:
        base = {metric: mean(own[DEFAULT], metric) for metric in ("accuracy", "ece")}
        parts = []
        for variant, found in own.items():
            if variant != DEFAULT:
                parts.append(f"“{variant.replace('_', ', ')}” {scores.moves(found, base)}")
        text += f"Against it, {'; '.join(parts)}. " if parts else ""
    if profile != "paper":
        return f"{text}Which of the three made the printed numbers stays open in {profile}."
    if len(own) < len(AWABS_VARIANTS):
        return f"{text}Which of the three made the printed numbers stays open until all are run."
    far = sorted((distance(mean(r, "accuracy"), mean(r, "ece"), printed), variant) for variant, r in own.items())
    listed = ", ".join(f"{variant.replace('_', ', ')} {value:.1f}" for value, variant in far)
    return (
        f"{text}Closest to the printed cell, in tolerances of 1 point of accuracy and 1.5 points of ECE: {listed}."
        + (" The first two are too near each other to decide." if far[1][0] - far[0][0] < 0.5 else "")
    )


def prior_kept(page: Page, runs: Iterable[Run]) -> None:
    """The proposed methods with the class prior left in the prediction, as the loss has it; needs the logits."""
    first = {m: run for m, run in AWABS.first_runs(runs).items() if m in grid.PROPOSED}
    first = {m: run for m, run in first.items() if run.predictions["selected"].logits is not None}
    if not first:
        page.say(
            "Whether the prior was kept at test time cannot be tried here: it needs logits, which a record has not."
        )
        return
    frame = prior_frame(first)
    caption = f"stage 2 with and without the class prior in the prediction, {AWABS.where(page.profile)}"
    page.frame("Prior at test time", frame, caption, first.values())
    moved = [(AWABS.short(m), *frame[frame["method"] == AWABS.name(m)]["accuracy (%)"]) for m in first]
    said = ", ".join(f"{m} {left_out:.1f}% and {kept:.1f}%" for m, left_out, kept in moved)
    page.say(f"Accuracy without and with the prior in the prediction: {said}.")


def prior_frame(first: Mapping[str, Run]) -> pd.DataFrame:
    """Accuracy, ECE and group accuracies of softmax(z) and of softmax(z + log n), in percent."""
    import pandas as pd

    rows = []
    for method, run in first.items():
        said = run.predictions["selected"]
        assert said.logits is not None
        prior = np.log(np.asarray(run.class_counts, dtype=np.float64))
        for name, shifted in (("left out", said.logits), ("kept", said.logits + prior)):
            made = Predictions.from_logits(shifted, said.targets)
            right = made.predicted == said.targets
            row: dict[str, Any] = {"method": AWABS.name(method), "prior": name, "accuracy (%)": percent(right.mean())}
            row["ECE (%)"] = percent(calibration.from_confidence(made.confidence, right))
            for group, members in run.groups.items():
                inside = np.isin(said.targets, list(members))
                row[f"{group} (%)"] = percent(float(right[inside].mean())) if inside.any() else math.nan
            rows.append(row)
    return pd.DataFrame(rows)


# --- what each part adds ---------------------------------------------------------------------------------------------


def parts_add(page: Page, runs: Iterable[Run]) -> None:
    """Plain training, each first stage and each whole method on one set: the answer to the page's question."""
    own = AWABS.by_method(runs)
    shown = {m: own[m] for m in ("ce", *(k for p in grid.PROPOSED for k in (STAGE_1[p], p))) if m in own}
    if len(shown) < 2:
        page.say(f"Too few methods were run; {grids.command(AWABS.id, 'methods', page.profile)} trains them.")
        return
    used = [run for found in shown.values() for run in found]
    page.frame("What each part adds", scores.side_by_side(shown, AWABS.name), f"on {AWABS.where(page.profile)}", used)
    page.say(parts_sentence(shown))


def parts_sentence(shown: Mapping[str, Sequence[Run]]) -> str:
    """What the first stage adds to plain training, and the second to the first."""
    text = []
    for word, pairs in (
        ("The augmentation and balanced softmax of stage 1 change plain training by",
         [(p, "ce", STAGE_1[p]) for p in grid.PROPOSED]),
        ("AWABS in stage 2 changes stage 1 by", [(p, STAGE_1[p], p) for p in grid.PROPOSED]),
    ):  # fmt: skip
        said = []
        for method, first, second in pairs:
            if first in shown and second in shown:
                base = {metric: mean(shown[first], metric) for metric in ("accuracy", "ece")}
                said.append(f"{AWABS.short(method)} {scores.moves(shown[second], base)}")
        if said:
            text.append(f"{word}: {'; '.join(said)}.")
    return " ".join(text) or "No first stage was run beside what it is compared with."
