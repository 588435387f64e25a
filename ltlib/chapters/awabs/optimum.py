"""Section 3.3 of `awabs`, checked on its sets: where the AWABS loss is smallest, and what is predicted there.

The mathematics is `ltlib.losses.awabs_optimum`. All of it comes from formulas, so it is the same in every profile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ltlib import published
from ltlib.chapters.awabs import AWABS
from ltlib.grids import awabs as grid
from ltlib.labels import label
from ltlib.losses import awabs_optimum, smoothing
from ltlib.losses.awabs_optimum import as_printed, closed_form, descended, largest_epsilon, loss
from ltlib.plots import Chart, panels
from ltlib.sections.class_counts import counts

if TYPE_CHECKING:
    import pandas as pd

SETS = ("cifar10", "cifar100")


def epsilons(dataset: str, imbalance_factor: float, form: str = "concave") -> list[float]:
    """The epsilon of each class, with the settings taken for that set and factor, [K]."""
    used = grid.settings(dataset, imbalance_factor)
    ends = {key: used[key] for key in ("epsilon_head", "epsilon_tail")}
    return smoothing.smoothing_factors(counts(dataset, imbalance_factor), form, **ends).tolist()


def forms(imbalance_factor: float, sets: Sequence[str] = SETS) -> Chart:
    """The three forms of f(N), Eqs. 3.11 to 3.13, on the documents' class counts."""
    lines: dict[str, dict[str, Sequence[float]]] = {}
    for dataset in sets:
        used = grid.settings(dataset, imbalance_factor)
        heading = f"{label(dataset)}-LT, epsilon {used['epsilon_head']:g} to {used['epsilon_tail']:g}"
        lines[heading] = {form: epsilons(dataset, imbalance_factor, form) for form in grid.FORMS}
    return panels.class_lines(lines, ylabel="Smoothing factor (%)", what="Smoothing factor f(N)")


def check(imbalance_factor: float, sets: Sequence[str] = SETS) -> pd.DataFrame:
    """The three optima for the largest, a middle and the smallest class that is smoothed, of each set.

    Logits are differences from the image's class to the smallest class (to the largest for the smallest class itself).
    """
    import pandas as pd

    rows = []
    for dataset in sets:
        own, smoothed_by = counts(dataset, imbalance_factor), epsilons(dataset, imbalance_factor)
        last = max(c for c, epsilon in enumerate(smoothed_by) if epsilon > 0)
        for target in (0, len(own) // 2, last):
            epsilon, other = smoothed_by[target], 0 if target == len(own) - 1 else len(own) - 1
            ways = {"descent": descended, "closed form": closed_form, "Eq. 3.4": as_printed}
            found = {name: way(own, target, epsilon) for name, way in ways.items()}
            row = {"set": label(dataset), "class": f"{target} to {other}", "images": own[target]}
            row |= {"epsilon": round(epsilon, 4)} | {name: z[target] - z[other] for name, z in found.items()}
            row["smallest loss"] = loss(found["descent"], own, target, epsilon)
            row["loss at Eq. 3.4"] = loss(found["Eq. 3.4"], own, target, epsilon)
            rows.append(row)
    return pd.DataFrame(rows)


def check_sentence(frame: pd.DataFrame) -> str:
    """What the descent says of both formulas."""
    rows = frame.to_dict("records")
    off = max(abs(row["descent"] - row["closed form"]) for row in rows)
    wrong = [abs(row["descent"] - row["Eq. 3.4"]) for row in rows]
    extra = sorted(row["loss at Eq. 3.4"] - row["smallest loss"] for row in rows)
    return (
        f"Descent and our closed form differ by at most {off:.0e}. The differences of Eq. 3.4 as printed are off by "
        f"{min(wrong):.2f} to {max(wrong):.2f}, and its loss lies {extra[0]:.2f} to "
        f"{extra[-1]:.2f} nats above the smallest. Two slips make the difference: Eq. 3.2 spreads epsilon over K - 1 "
        "classes, Eq. 3.4 over K; and p_k contains n_k, so the optimum of every other class depends on its own count, "
        "which Eq. 3.4 drops. The loss that is trained has neither slip."
    )


def at_test_time(dataset: str, imbalance_factor: float) -> dict[str, list[float]]:
    """`awabs_optimum.at_test_time` with the counts and epsilons of a set."""
    return awabs_optimum.at_test_time(counts(dataset, imbalance_factor), epsilons(dataset, imbalance_factor))


def predictions(imbalance_factor: float, sets: Sequence[str] = SETS) -> Chart:
    """`at_test_time` for each set."""
    lines: dict[str, Mapping[str, Sequence[float]]] = {
        f"{label(dataset)}-LT, imbalance factor {imbalance_factor:g}": at_test_time(dataset, imbalance_factor)
        for dataset in sets
    }
    return panels.class_lines(
        lines, ylabel="Probability at the optimum (%)", what="Probability at the smallest AWABS loss"
    )


def limits() -> pd.DataFrame:
    """For each set of Tables 4.3 to 4.5: the epsilon used, the largest safe one, and what stage 2 does in print."""
    import pandas as pd

    printed = _printed_changes()
    rows = []
    for (dataset, factor), changes in printed.items():
        used, own = grid.settings(dataset, factor), counts(dataset, factor)
        safe = largest_epsilon(len(own), own[0] / own[-1])
        found = at_test_time(dataset, factor)
        wrong = sum(a < b for a, b in zip(found["own class, test"], found["smallest class, test"], strict=True))
        rows.append(
            {
                "set, factor": f"{label(dataset)}, {factor:g}",
                "epsilon": f"{used['epsilon_head']:g} to {used['epsilon_tail']:g}",
                "limit": round(safe, 3),
                "below it": "yes" if used["epsilon_head"] < safe else "no",
                "classes lost": wrong,
                "stage 2 in print (points)": ", ".join(f"{change:+.2f}" for change in changes),
                "rows that lose": sum(change < 0 for change in changes),
                "rows": len(changes),
            }
        )
    return pd.DataFrame(rows)


def _printed_changes() -> dict[tuple[str, float], list[float]]:
    """Printed accuracy of stage 2 minus stage 1, in points, by set and factor, methods 1 to 3."""
    found: dict[tuple[str, float], list[float]] = {}
    for number in ("4.3", "4.4", "4.5"):
        before: dict[tuple[str, float], float] = {}
        for row in published.table(AWABS.id, number).to_dict("records"):
            if row["split"] == "all" and row["metric"] == "accuracy":
                cell = (row["dataset"], row["imbalance"])
                if row["stage"] == "1":
                    before[cell] = row["value"]
                else:
                    found.setdefault(cell, []).append(round(row["value"] - before[cell], 3))
    return found


def limits_sentence(frame: pd.DataFrame) -> str:
    """Where the optimum goes wrong, and what the printed numbers do there."""
    parts = []
    for safe, words in (("no", "where epsilon is above the limit"), ("yes", "where it is below")):
        own = frame[frame["below it"] == safe]
        listed = "; ".join(own["set, factor"])
        parts.append(f"{words} ({listed}), in {own['rows that lose'].sum()} of {own['rows'].sum()} printed rows")
    return (
        f"Stage 2 loses accuracy {', and '.join(parts)}. This is no proof: the document does not state its epsilons, "
        "and a classifier on fixed features cannot reach the smallest loss of every image at once. It is a reason to "
        "expect less accuracy on the largest classes, and less confidence, where the tail is long and classes are few."
    )
