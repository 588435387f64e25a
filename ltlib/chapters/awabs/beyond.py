"""The page `awabs/methods`: the shift that section 4.5 describes, and what section 5.2 leaves to the future."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ltlib import grids
from ltlib.chapters.awabs import AWABS
from ltlib.sections import scores
from ltlib.sections.scores import mean, percent

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run


SHIFT = ("ce", "awabs_cutmix")


def shift(page: Page, runs: Iterable[Run]) -> pd.DataFrame | None:
    """The figure that section 4.5 describes: confidence by class group, cross-entropy against AWABS."""
    from ltlib.plots import calibration

    number = "Section 4.5"
    first = {method: run for method, run in AWABS.first_runs(runs).items() if method in SHIFT}
    if len(first) < len(SHIFT):
        gone = " and ".join(AWABS.name(method) for method in SHIFT if method not in first)
        page.missing(f"figure {number}", f"{gone} not run.", grids.command(AWABS.id, "methods", page.profile))
        return None
    said = {base.partition("_")[0]: first[base].predictions["selected"] for base in SHIFT}  # the look of both
    chart = calibration.group_confidence(said, first[SHIFT[0]].groups)
    caption = f"Confidence of the predicted class by class group, {AWABS.where(page.profile)}, test images."
    page.figure(number, chart, caption=caption, runs=first.values())
    frame = shift_frame(first)
    page.frame("Confidence and accuracy", frame, "by class group, in percent", first.values())
    page.say(shift_sentence(frame))
    return frame


def shift_frame(first: Mapping[str, Run]) -> pd.DataFrame:
    """Mean confidence, accuracy and their difference by method and class group, in percent."""
    import pandas as pd

    rows = []
    for method, run in first.items():
        said = run.predictions["selected"]
        for group, members in run.groups.items():
            inside = np.isin(said.targets, list(members))
            if inside.any():
                confidence = float(said.confidence[inside].mean())
                right = float((said.predicted == said.targets)[inside].mean())
                gap = percent(confidence - right) + 0.0
                row = {"method": AWABS.name(method), "group": group, "confidence (%)": percent(confidence)}
                rows.append(row | {"accuracy (%)": percent(right), "over-confident by (points)": gap})
    return pd.DataFrame(rows)


def shift_sentence(frame: pd.DataFrame) -> str:
    """How confidence moves in each group between the two methods."""
    parts = []
    for group in dict.fromkeys(frame["group"]):
        own = frame[frame["group"] == group].to_dict("records")
        before, after = own[0], own[-1]
        parts.append(
            f"{group}: confidence {after['confidence (%)'] - before['confidence (%)']:+.1f}, accuracy "
            f"{after['accuracy (%)'] - before['accuracy (%)']:+.1f}, over-confidence "
            f"{scores.signed(before['over-confident by (points)'])} to "
            f"{scores.signed(after['over-confident by (points)'])}"
        )
    first, last = frame["method"].iloc[0], frame["method"].iloc[-1]
    return f"From {first} to {last}, in points (over-confidence below 0 is under-confidence): {'; '.join(parts)}."


# --- section 5.2 -----------------------------------------------------------------------------------------------------


def future(page: Page, base: Iterable[Run], runs: Iterable[Run]) -> None:
    """Section 5.2: each idea beside the proposed method it changes."""
    pairs = future_pairs(base, runs)
    if not any(changed for _, _, changed in pairs):
        page.say(f"None was run; {grids.command(AWABS.id, 'future', page.profile)} trains them.")
        return
    used = [run for _, one, two in pairs for run in (*one, *two)]
    sides = {f"{i}{side}": own for i, (_, *both) in enumerate(pairs) for side, own in zip("ab", both, strict=True)}
    names = {f"{i}{side}": name for i, (both, _, _) in enumerate(pairs) for side, name in zip("ab", both, strict=True)}
    frame = scores.side_by_side(sides, names.__getitem__)
    page.frame("Future work", frame, f"of section 5.2, {AWABS.where(page.profile)}", used)
    page.say(future_sentence(pairs))


Pair = tuple[tuple[str, str], list["Run"], list["Run"]]


def future_pairs(base: Iterable[Run], runs: Iterable[Run]) -> list[Pair]:
    """Names, runs of the proposed method and runs of what section 5.2 makes of it."""
    known, ideas = AWABS.by_method(base), AWABS.by_method(runs)
    augmented = [run.experiment.resolve().recipe.augmentation for run in known.get("awabs_cutout", ())]
    moves = "shift" if any("shift" in part for parts in augmented for part in parts) else "crop"
    names = {
        "awabs_cutthumbnail": (("Cut-Thumbnail", "Mixed Cut-Thumbnail"), "awabs_mixed_thumbnail"),
        "awabs_cutout": ((f"CutOut with the {moves}", f"CutOut without the {moves}"), "awabs_cutout"),
        "awabs_cutmix": (("CutMix, instance-balanced stage 2", "CutMix, reversed sampler in stage 2"), "awabs_cutmix"),
    }
    return [(said, known.get(method, []), ideas.get(idea, [])) for method, (said, idea) in names.items()]


def future_sentence(pairs: Sequence[Pair]) -> str:
    """What each idea changes."""
    parts = []
    for (old, new), before, after in pairs:
        if before and after:
            base = {metric: mean(before, metric) for metric in ("accuracy", "ece")}
            tail = mean(after, "accuracy", "tail") - mean(before, "accuracy", "tail")
            parts.append(f"{new} instead of {old}: {scores.moves(after, base)}, {100 * tail:+.1f} in the tail")
        else:
            parts.append(f"{new}: not run")
    return (
        f"{'; '.join(parts)}. The loss has the class prior in it, so a sampler that prefers rare classes balances a "
        "second time. The document's other idea, a dynamic balanced softmax (section 5.2.2), has no definition."
    )
