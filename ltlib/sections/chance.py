"""How sure a calibration error is: intervals over test images, what chance alone gives, the digits worth printing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ltlib import calibration, published
from ltlib.labels import label
from ltlib.sections.calibration import answers
from ltlib.sections.words import listed, printable

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.runs import Run
    from ltlib.sections.study import Study


# --- of runs ---------------------------------------------------------------------------------------------------------


def intervals(study: Study, first: Mapping[str, Run], resamples: int = 500) -> list[dict[str, Any]]:
    """ECE, 95% interval over test images, ECE without chance and by chance alone of each method, best first; fractions.

    The ECE without chance is `calibration.debiased_from_confidence`'s.
    """
    rows = []
    for method, run in first.items():
        confidence, correct = answers(run)
        strata = run.predictions["selected"].targets
        found = calibration.ece_interval(confidence, correct, strata=strata, resamples=resamples)
        row = {"method": study.name(method), "ece": found.mean, "low": found.low, "high": found.high}
        _, floor, debiased = calibration.debiased_from_confidence(confidence, correct)
        rows.append(row | {"chance": floor, "debiased": debiased, "images": found.n})
    return sorted(rows, key=lambda row: row["ece"])


def interval_sentence(rows: Sequence[Mapping[str, Any]]) -> str:
    """How wide the intervals are, which neighbours they leave open, and how many digits are worth printing."""
    if not rows:
        return "No run is there yet, so there is no calibration error to be sure of."
    half = sorted((row["high"] - row["low"]) / 2 for row in rows)
    floors = sorted(row["chance"] for row in rows)
    first, images = rows[0], rows[0]["images"]
    open_ = [row["method"] for row in rows[1:] if row["low"] <= first["high"]]
    text = (
        f"With {images:,} test images the interval reaches {100 * half[0]:.1f} to {100 * half[-1]:.1f} points to "
        "either side, before any other seed is tried. "
    )
    if len(rows) > 1:
        stands = f"cannot be told from {listed(open_)}" if open_ else "stands apart from all others"
        comma = "," if open_ else ""
        text += f"The lowest ECE, {first['method']} with {100 * first['ece']:.1f}%{comma} {stands}. "
    return (
        f"{text}A perfectly calibrated network with the same confidences would still show "
        f"{100 * floors[0]:.1f} to {100 * floors[-1]:.1f}%: chance alone opens gaps, and absolute values never cancel."
    )


def beside(frame: pd.DataFrame, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Accuracy, confidence and ECE in percent with the ECE's interval, and without chance; best calibrated first.

    Args:
        frame: Of `ltlib.sections.calibration.errors`.
        rows: Of `intervals`.
    """
    import pandas as pd

    table = frame.sort_values("ECE", kind="stable").merge(pd.DataFrame(rows), on="method")
    shown = {
        **{name: table[name] for name in ("method", "runs")},
        **{name: 100 * table[name] for name in ("accuracy", "confidence")},
        "difference": [f"{100 * gap:+.1f}" for gap in table["confidence"] - table["accuracy"]],
        "ECE": 100 * table["ECE"],
        "95% interval": [
            f"{100 * low:.1f} to {100 * high:.1f}" for low, high in zip(table["low"], table["high"], strict=True)
        ],
        "debiased": 100 * table["debiased"],
        "chance alone": 100 * table["chance"],
    }
    return printable(pd.DataFrame(shown), {})


# --- of printed numbers ----------------------------------------------------------------------------------------------


def digits_sentence(study: Study, images: int) -> str:
    """With how many decimals a document prints its calibration errors (percent), and how many chance leaves.

    Args:
        study: The document.
        images: Test images behind its numbers.
    """
    rows = published.results(study.id)
    printed = rows.loc[rows["metric"] == "ece", "printed"]
    if printed.empty:
        return "The document prints no calibration error."
    places = printed.map(lambda text: len(text.partition(".")[2]))
    half = calibration.evenly_spread(0.5, images, lowest=0.01)
    spread = calibration.errors_by_chance(half, draws=1000).std()
    return (
        f"The document prints {len(printed)} calibration errors in percent, {int((places >= 2).sum())} of them with "
        f"two decimals or more and {int((places >= 3).sum())} with three. Another {images:,} test images would move "
        f"even a perfectly calibrated network's (half of it right) by {200 * spread:.1f} points to either side: "
        "one decimal is worth printing."
    )


def floor_table(study: Study, images: int, draws: int = 1000) -> pd.DataFrame:
    """Printed ECEs that lie below what chance alone gives a perfectly calibrated network of the printed accuracy.

    The confidences behind a printed number are not known. They are taken as spread evenly from `2 a - 1` to 1, whose
    mean is the accuracy a (from 1/K where that is lower: then the mean is what it is). Networks that say 0% or 100%
    more often have a lower floor.

    Args:
        study: The document; its accuracies and errors are printed in percent.
        images: Test images behind its numbers.
        draws: Simulated test sets.
    """
    import pandas as pd

    rows = published.results(study.id)
    rows = rows[(rows["split"] == "all") & rows["metric"].isin(["accuracy", "ece"])]
    keys = ["table", "dataset", "imbalance", "method", "stage"]
    wide = rows.pivot_table(index=keys, columns="metric", values="value", sort=False).dropna().reset_index()
    printed = rows[rows["metric"] == "ece"].set_index(keys)["printed"]
    columns = ["table", "method", "accuracy (%)", "printed ECE (%)", "chance alone (%)", "simulated sets below it"]
    found = []
    for row in wide[wide["ece"] < 2.0].to_dict("records"):  # larger ones are far above any chance
        classes = sum(study.document.group_sizes[row["dataset"]].values())
        confidence = calibration.evenly_spread(row["accuracy"] / 100, images, 1 / classes)
        simulated = calibration.errors_by_chance(confidence, draws=draws)
        if row["ece"] / 100 < simulated.mean():
            below = float((simulated < row["ece"] / 100).mean())
            where = f"{row['table']}, {label(row['dataset'])}, IF {row['imbalance']:g}"
            text, share = printed[tuple(row[key] for key in keys)], "none" if below == 0 else f"{below:.1%}"
            mean = round(100 * simulated.mean(), 2)
            found.append([where, study.name(row["method"]), row["accuracy"], text, mean, share])
    return pd.DataFrame(found, columns=columns).drop_duplicates(subset=columns[1:])


def floor_sentence(frame: pd.DataFrame) -> str:
    """What the table of printed errors below chance says."""
    if frame.empty:
        return "No printed calibration error lies below what chance alone would give."
    text = (
        f"Below the mean of what chance alone would give: {len(frame)} of the printed calibration errors, the others "
        "above it."
    )
    never = frame[frame["simulated sets below it"] == "none"]
    if len(never):
        columns = (never[key] for key in ("method", "printed ECE (%)", "table"))
        named = [f"{method} with {error}% (Table {table})" for method, error, table in zip(*columns, strict=True)]
        text += (
            f" No simulated test set came as low as {listed(named)}: such a number asks for a second look, at its "
            "bins, at a fraction among percentages, or at the comma."
        )
    return text
