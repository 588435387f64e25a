"""All networks: which loss leads where, what frozen features say, what the thesis leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import datasets, losses, published
from ltlib.chapters.architectures import ARCHITECTURES
from ltlib.chapters.architectures.results import SPLITS
from ltlib.grids.architectures import METHODS, NETWORKS, TABLES
from ltlib.labels import label
from ltlib.sections.words import listed
from ltlib.statistics import FEWEST_RUNS, t_interval
from ltlib.tables.scores import side_by_side

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run

TRAINED = {"balanced": 1.0, "longtailed": 100.0}
"""Training sets and their imbalance factors at the thesis's size; a profile may cut another tail."""


# --- the losses ------------------------------------------------------------------------------------------------------


def catalogue() -> pd.DataFrame:
    """The seven losses: what each does with the class counts, its settings here, and its source."""
    import pandas as pd

    rows = []
    for method in METHODS:
        entry = losses.LOSSES.get(method)
        balanced = "softmax itself" if method in ("weighted_ce", "class_balanced", "balanced_softmax") else ""
        settings = ", ".join(f"{k} {v}" for k, v in entry.defaults.items() if v is not None)
        rows.append(
            {
                "loss": ARCHITECTURES.name(method),
                "id": entry.name,
                "what it does": entry.summary.replace("``", ""),
                "settings": settings,
                "on equal counts": balanced,
                "source": entry.source,
            }
        )
    return pd.DataFrame(rows)


# --- the printed tables ----------------------------------------------------------------------------------------------


def printed() -> dict[tuple[str, str, str, str], float]:
    """Every printed accuracy as a fraction, by training set, network, method and test set."""
    found = {}
    for name, numbers in TABLES.items():
        for number in numbers:
            for _, row in published.table("architectures", number).iterrows():
                if row["metric"] == "accuracy" and row["method"] in METHODS and row["split"] in SPLITS:
                    found[row["train_set"], name, row["method"], row["split"]] = float(row["value"])
    return found


def gains() -> pd.DataFrame:
    """Printed accuracy on the balanced test set: of softmax in percent, of the other losses what they add in points."""
    import pandas as pd

    value, rows = printed(), []
    for trained in TRAINED:
        for method in METHODS:
            row: dict[str, Any] = {"trained on": label(trained), "loss": ARCHITECTURES.name(method)}
            for name in NETWORKS:
                own, base = (value[trained, name, m, "balanced"] for m in (method, "ce"))
                row[label(name)] = f"{100 * own:.2f}%" if method == "ce" else f"{100 * (own - base):+.2f}"
            rows.append(row)
    return pd.DataFrame(rows)


def gains_sentence() -> str:
    """Which loss gains over softmax in every network, which in none, and what the long tail costs."""
    value = printed()
    text = []
    for trained in TRAINED:
        always, never = [], []
        for method in METHODS[1:]:
            moved = [value[trained, n, method, "balanced"] - value[trained, n, "ce", "balanced"] for n in NETWORKS]
            said = f"{ARCHITECTURES.name(method)} ({100 * min(moved):+.1f} to {100 * max(moved):+.1f})"
            if min(moved) > 0:
                always.append(said)
            elif max(moved) < 0:
                never.append(said)
        said = f"Trained {label(trained)}, above softmax with all four networks: {listed(always or ['no loss'])}"
        text.append(f"{said}; below it with all four: {listed(never or ['no loss'])}.")
    cost = [value["balanced", n, "ce", "balanced"] - value["longtailed", n, "ce", "balanced"] for n in NETWORKS]
    text.append(
        f"The long tail costs softmax {100 * min(cost):.0f} to {100 * max(cost):.0f} points on the balanced test set."
    )
    return " ".join(text)


# --- frozen features -------------------------------------------------------------------------------------------------


def probes(found: Sequence[Run], longtailed: bool) -> dict[str, list[Run]]:
    """Runs of the probe by method, of one of the two training sets."""
    return ARCHITECTURES.by_method([run for run in found if (run.experiment.imbalance_factor > 1) is longtailed])


def probe_table(found: Sequence[Run]) -> pd.DataFrame:
    """Accuracy of each test set by loss, mean and standard deviation over runs, of both training sets; percent."""
    import pandas as pd

    rows = []
    for longtailed in (False, True):
        for method, own in probes(found, longtailed).items():
            trained = "longtailed" if longtailed else "balanced"
            row: dict[str, Any] = {"trained on": label(trained), "loss": ARCHITECTURES.name(method), "runs": len(own)}
            for split in SPLITS:
                values = _values(own, split)
                spread = f" ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
                row[label(split)] = f"{100 * np.mean(values):.1f}{spread}"
            rows.append(row)
    return pd.DataFrame(rows)


def _values(own: Sequence[Run], split: str, metric: str = "accuracy") -> list[float]:
    return [float(run.metrics["last"]["splits"][split][metric]) for run in own]


def show_probes(page: Page, found: Sequence[Run]) -> None:
    """What the losses do to a linear classifier on frozen features: sentences, a figure, the table."""
    from ltlib.plots import points

    if not found:
        page.say(f"None was run; {ARCHITECTURES.command('probe', page.profile)} trains them.")
        return
    page.say(probe_sentence(found))
    for longtailed, name in ((False, "balanced"), (True, "longtailed")):
        rows = [
            {"name": ARCHITECTURES.name(method), "all": float(np.mean(_values(own, "balanced")))}
            | {group: float(np.mean(_values(own, group))) for group in ("head", "middle", "tail")}
            for method, own in probes(found, longtailed).items()
        ]
        caption = (
            f"Trained {label(name)}, mean over runs; groups of the long-tailed test set, bar: the balanced test set."
        )
        if rows:
            page.figure(f"Probes, {label(name)} training", points.group_dots(rows), caption=caption, runs=found)
    caption = "accuracy by test set in percent, mean ± standard deviation over runs with images of their own"
    page.frame("Probes", probe_table(found), caption, found)


def probe_sentence(found: Sequence[Run]) -> str:
    """By how much each loss moves the balanced accuracy of a probe over softmax, paired by run, with the interval."""
    text = []
    for longtailed, name in ((False, "balanced"), (True, "longtailed")):
        own = probes(found, longtailed)
        if "ce" not in own:
            continue
        base = {_seeds(run): run for run in own["ce"]}
        said = []
        for method, runs in own.items():
            pairs = [(run, base[_seeds(run)]) for run in runs if _seeds(run) in base]
            if method == "ce" or not pairs:
                continue
            moved = [_values([one], "balanced")[0] - _values([two], "balanced")[0] for one, two in pairs]
            mean = t_interval(moved)
            sure = f" [{100 * mean.low:+.1f}, {100 * mean.high:+.1f}]" if mean.n >= FEWEST_RUNS else ""
            said.append(f"{ARCHITECTURES.name(method)} {100 * mean.mean:+.1f}{sure}")
        level = 100 * float(np.mean(_values(own["ce"], "balanced")))
        text.append(
            f"Trained {label(name)}, softmax has {level:.1f}% on the balanced test set "
            f"(n = {len(own['ce'])}); against it, in points: {listed(said)}."
        )
    return " ".join(text) or "Softmax was not run, so there is nothing to hold the others against."


def _seeds(run: Run) -> tuple[int, int]:
    return run.experiment.subset_seed, run.experiment.seed


# --- the other tail, and other images --------------------------------------------------------------------------------


def show_pareto(page: Page, found: Sequence[Run]) -> None:
    """The losses on a Pareto tail: its size beside the exponential one's, and the accuracies."""
    sizes = [sum(datasets.long_tailed_counts(500, 100, 100, form)) for form in ("exponential", "pareto")]
    page.say(f"CIFAR-100 at imbalance factor 100: {sizes[0]:,} training images exponentially, {sizes[1]:,} by Pareto.")
    if not found:
        page.say(f"None was trained; {ARCHITECTURES.command('pareto', 'paper')} does.")
        return
    page.say(probe_sentence(found))
    page.frame("Pareto", probe_table(found), "accuracy by test set in percent, trained on a Pareto tail", found)


def show_moths(page: Page, found: Sequence[Run]) -> None:
    """Accuracy, ECE and class groups of each network and loss on the user's species."""
    if not found:
        page.say("No folder of species is here.")
        return
    own = ARCHITECTURES.by_network(found)
    rows = {f"{label(model)}, {ARCHITECTURES.name(method)}": runs for (model, method), runs in own.items()}
    page.frame("Species", side_by_side(rows, str), f"on {label(found[0].experiment.dataset)}", found)


# --- what is left open -----------------------------------------------------------------------------------------------


BETWEEN_THE_LINES = (
    (
        "division of the class-balanced loss",
        "the losses of Tables A.4, A.8, A.12, A.16, which fit the sum of the weights",
        "by the batch's size, as Cui et al.",
    ),
    ("class weights of LDAM", "the losses of Tables A.4 and A.8, which have some in the evaluation", "none"),
    (
        "place of the random crop",
        "Tables 5.3, 5.8: after the enlargement, size not stated",
        "before it, at 32 pixels with 4 of padding",
    ),
)
"""What the thesis does not speak of, and its numbers or its order of words suggest otherwise than is done here."""


def left_open() -> pd.DataFrame:
    """Settings that the thesis does not state, and what is assumed here."""
    import pandas as pd

    assumed = {
        "batch_size": "128",
        "weight_decay": "0",
        "momentum": "none: Adam with its usual moments",
        "drw": "no",
        "focal_gamma": "2",
        "class_balanced_beta": "0.9999",
        "ldam_margin_and_scale": "0.5 and 30, on a plain linear classifier",
        "imbalance_factor": "100, which the sizes of the test sets imply",
        "seed": "0, 1, 2",
    }
    rows = published.protocols("architectures")
    rows = rows[(rows["value"] == "not stated") & (rows["experiment"] == "all")]
    stated = [(r["key"].replace("_", " "), r["source"], assumed[r["key"]]) for _, r in rows.iterrows()]
    columns = ["setting", "where it would stand", "here"]
    return pd.DataFrame([*stated, *BETWEEN_THE_LINES], columns=columns)
