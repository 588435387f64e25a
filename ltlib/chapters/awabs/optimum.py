"""Section 3.3 of `awabs`, checked: where the AWABS loss is smallest, and what a network there predicts at test time.

For an image of class y the loss is ``-sum_k s_k log p_k`` with ``p = softmax(z + log n)``. It is smallest where p = s,
so up to a common constant ``z_k = log(s_k / n_k)``: ``log((1 - eps) / n_y)`` for the image's class and
``log(eps / ((K - 1) n_k))`` for each other. At test time the document predicts with softmax(z), whose largest entry is
that of the largest s_k / n_k. That is the image's own class only while ``(1 - eps) / n_y > eps / ((K - 1) n_min)``.

All of it comes from formulas, so it is the same in every profile.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import losses, published
from ltlib.chapters.awabs import AWABS
from ltlib.grids import awabs as grid
from ltlib.labels import label
from ltlib.losses import smoothing
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


# --- one class -------------------------------------------------------------------------------------------------------


def smoothed(target: int, epsilon: float, classes: int) -> np.ndarray:
    """The label s of Eq. 3.2, float64 [K]."""
    label_ = np.full(classes, epsilon / (classes - 1))
    label_[target] = 1 - epsilon
    return label_


def closed_form(class_counts: Sequence[int], target: int, epsilon: float) -> np.ndarray:
    """The logits of the smallest loss, float64 [K], with mean 0; needs 0 < epsilon < 1."""
    z = np.log(smoothed(target, epsilon, len(class_counts)) / np.asarray(class_counts, dtype=np.float64))
    return z - z.mean()


def as_printed(class_counts: Sequence[int], target: int, epsilon: float) -> np.ndarray:
    """The logits of Eq. 3.4 as printed, float64 [K], with mean 0: K for K - 1, the other classes all alike."""
    z = np.zeros(len(class_counts))
    z[target] = math.log(len(class_counts) * (1 - epsilon) / (epsilon * class_counts[target]))
    return z - z.mean()


def loss(logits: np.ndarray, class_counts: Sequence[int], target: int, epsilon: float) -> float:
    """The AWABS loss of one image, in nats, by the loss that trains."""
    import torch

    module = _module(class_counts, epsilon)
    return float(module.per_sample(torch.from_numpy(logits)[None], torch.tensor([target])))


def descended(class_counts: Sequence[int], target: int, epsilon: float, steps: int = 200) -> np.ndarray:
    """The logits that gradient descent on the AWABS loss ends at, float64 [K], with mean 0.

    L-BFGS from all logits 0, on the loss that trains. It is convex in the logits, so any descent ends there.
    """
    import torch

    module = _module(class_counts, epsilon)
    z = torch.zeros(1, len(class_counts), dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([target])
    search: Any = torch.optim.LBFGS(
        [z], max_iter=steps, tolerance_grad=1e-13, tolerance_change=0.0, history_size=50, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        search.zero_grad()
        value = module.per_sample(z, targets).sum()
        value.backward()
        return value

    search.step(closure)
    found = z.detach().numpy()[0]
    return found - found.mean()


def _module(class_counts: Sequence[int], epsilon: float) -> Any:
    """AWABS with one epsilon for every class, which is that of the class in question."""
    return losses.create("awabs", class_counts, epsilon_head=epsilon, epsilon_tail=epsilon)


# --- tables and sentences --------------------------------------------------------------------------------------------


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
    """For an image of each class, at the smallest loss: probability in training and at test of its class, and of the
    smallest class at test (NaN for that class itself), [K] each."""
    own = counts(dataset, imbalance_factor)
    found: dict[str, list[float]] = {"own class, training": [], "own class, test": [], "smallest class, test": []}
    for target, epsilon in enumerate(epsilons(dataset, imbalance_factor)):
        p = smoothed(target, epsilon, len(own)) / np.asarray(own, dtype=np.float64)
        p /= p.sum()
        other = p[-1] if target < len(own) - 1 else math.nan
        for key, value in zip(found, (1 - epsilon, p[target], other), strict=True):
            found[key].append(float(value))
    return found


def predictions(imbalance_factor: float, sets: Sequence[str] = SETS) -> Chart:
    """`at_test_time` for each set."""
    lines: dict[str, Mapping[str, Sequence[float]]] = {
        f"{label(dataset)}-LT, imbalance factor {imbalance_factor:g}": at_test_time(dataset, imbalance_factor)
        for dataset in sets
    }
    return panels.class_lines(
        lines, ylabel="Probability at the optimum (%)", what="Probability at the smallest AWABS loss"
    )


def largest_epsilon(classes: int, imbalance_factor: float) -> float:
    """The epsilon above which the optimum for the largest class predicts the smallest: (K - 1) / (K - 1 + IF)."""
    return (classes - 1) / (classes - 1 + imbalance_factor)


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
