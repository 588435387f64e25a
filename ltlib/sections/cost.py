"""What methods cost: parameters, multiply-accumulates, seconds, the part of stage 2; how far they have fitted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ltlib.tables.scores import hardware, percent, seconds, stage_2_share, used

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run
    from ltlib.sections.study import Study

Own = Mapping[str, Sequence["Run"]]
"""Runs of each method, all seeds together."""


def show(page: Page, study: Study, own: Own, base: str, beside: Iterable[str] = ()) -> None:
    """The cost of methods on one set, and in time over that of a base.

    Args:
        page: The page.
        study: The document.
        own: The methods.
        base: The one to hold the others against.
        beside: Those to tell of besides the document's own.
    """
    if own:
        page.say(sentence(study, own, base, beside))
        caption = f"of training, {study.where(page.profile)}; MACs of an image's forward pass"
        with page.fold(f"Time, parameters and MACs of all {len(own)} methods"):
            page.frame("Cost", cost(study, own), caption, used(own))


def cost(study: Study, own: Own) -> pd.DataFrame:
    """Size and cost of each method, the slowest first."""
    import pandas as pd

    rows = [
        {
            "method": study.name(method),
            "time (s)": round(seconds(found)),
            "of it stage 2 (%)": percent(stage_2_share(found), 1),
            "parameters (thousand)": round(found[0].parameters / 1e3, 1),
            "MACs (million)": round(found[0].macs / 1e6, 1),
            "hardware": ", ".join(sorted(hardware(found))),
        }
        for method, found in own.items()
    ]
    return pd.DataFrame(rows).sort_values("time (s)", ascending=False, kind="stable")


def sentence(study: Study, own: Own, base: str, beside: Iterable[str] = ()) -> str:
    """What the document's methods, and others `beside` them, cost over a base: seconds of one hardware only."""
    if base not in own:
        return f"{study.name(base)} was not run, so there is nothing to hold the cost against."
    plain = seconds(own[base])
    told = [method for method in own if method in (*study.document.proposed, *beside)]
    alike = [method for method in told if hardware(own[method]) == hardware(own[base])]
    said = [f"{study.short(method)} {seconds(own[method]) / plain:.2f}" for method in alike]
    text = f"Training time over that of {study.name(base)} ({plain:.0f} s): {', '.join(said)}. " if said else ""
    if others := [study.short(method) for method in told if method not in alike]:
        text += f"On other hardware, so not held against it: {', '.join(others)}. "
    shares = [stage_2_share(own[method]) for method in study.document.proposed if method in own]
    if any(shares):
        ends = list(dict.fromkeys(f"{100 * share:.0f}" for share in (min(shares), max(shares))))
        text += f"Stage 2 takes {' to '.join(ends)}% of a proposed method's time. "
    return f"{text}Seconds are of the machine the runs were made on, some of them beside other runs: read them roughly."


# --- how far they have fitted ----------------------------------------------------------------------------------------


def fitting(study: Study, first: Mapping[str, Run]) -> pd.DataFrame:
    """Training accuracy (of augmented, mixed images) at the end of stage 1; test accuracy, confidence; percent."""
    import pandas as pd

    rows = []
    for method, run in first.items():
        history, said = run.history, run.predictions["selected"]
        end = history[history["stage"] == history["stage"].min()].iloc[-1]
        right, confidence = float((said.predicted == said.targets).mean()), float(said.confidence.mean())
        rows.append(
            {
                "method": study.name(method),
                "epochs": " + ".join(str(len(own)) for _, own in history.groupby("stage")),
                "training (%)": percent(float(end["train_accuracy"])),
                "test (%)": percent(right),
                "confidence (%)": percent(confidence),
                "over-confident by (points)": percent(confidence - right),
            }
        )
    return pd.DataFrame(rows)


def fitting_sentence(frame: pd.DataFrame, base: str) -> str:
    """What the training accuracy says about the confidence; of the `base` row in numbers."""
    rows = frame.to_dict("records")
    under = [row["method"] for row in rows if row["over-confident by (points)"] < 0]
    text = f"Less confident than right: {', '.join(under)}." if under else "All are more confident than right."
    for row in rows:
        if row["method"] == base:
            gap = row["over-confident by (points)"]
            text = (
                f"{base} ends its training with {row['training (%)']:.1f}% of the training images right, and on the "
                f"test images its confidence is {abs(gap):.1f} points {'above' if gap >= 0 else 'below'} its accuracy. "
                f"{text}"
            )
    return text
