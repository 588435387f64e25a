"""Class counts: how the formula is written, shapes of the tail, before and after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ltlib import datasets, plots, published
from ltlib.labels import label
from ltlib.sections.class_counts import counts, full_size
from ltlib.sections.images import Images

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.plots import Chart


def _ways() -> dict[str, Callable[[int, int, float], list[int]]]:
    """The count formula as programs write it."""

    def running(n: int, c: int, factor: float) -> list[int]:
        mu = (1 / factor) ** (1 / (c - 1))
        return [int(n * mu**i) for i in range(c)]

    return {
        "int(n * (1/IF)**(c/(C-1)))": lambda n, k, f: [int(n * (1 / f) ** (c / (k - 1))) for c in range(k)],
        "mu = (1/IF)**(1/(C-1)); int(n * mu**c)": running,
        "round(n * IF**(-c/(C-1)))": lambda n, k, f: [round(n * f ** (-c / (k - 1))) for c in range(k)],
    }


def truncation_table(sets: Sequence[str], factors: Sequence[float]) -> pd.DataFrame:
    """How often each way of writing the formula gives other counts than exact arithmetic, with an example."""
    import pandas as pd

    rows = []
    cases = [(name, factor, counts(name, factor)) for name in sets for factor in factors]
    for text, way in _ways().items():
        wrong = [(n, f, exact, got) for n, f, exact in cases if (got := way(*full_size(n), f)) != exact]
        example = ""
        if wrong:
            name, factor, exact, got = wrong[-1]
            place = next(i for i in reversed(range(len(exact))) if exact[i] != got[i])
            example = f"{label(name)}, IF {factor}: class {place}"
        here = (got[place], exact[place], sum(got), sum(exact)) if wrong else ("", "", "", "")
        rows.append([text, f"{len(wrong)} of {len(cases)}", example, *here])
    names = ["written as", "differs", "for example", "gives", "exact", "images", "exactly"]
    return pd.DataFrame(rows, columns=names)


def printed_counts(dataset: str = "caltech_part") -> list[int]:
    """Training images per class in the order in which `loss_balance` Table 1 prints them."""
    rows = published.datasets("loss_balance")
    rows = rows[(rows["dataset"] == dataset) & (rows["split"] == "train") & rows["item"].str.match(r"C\d+$")]
    return [int(value) for value in rows["value"]]


def explore(dataset: str = "cifar10", imbalance_factor: float = 10, imbalance_type: str = "exponential") -> Chart:
    """The bars for one setting of the sliders."""
    n = counts(dataset, imbalance_factor, imbalance_type)
    return plots.distribution.class_distribution(n, class_names(dataset), title=label(dataset))


def class_names(dataset: str) -> list[str] | None:
    """Names of the classes; None where only numbers are known without the data."""
    names = datasets.info(dataset).class_names
    return list(names) if names else None


def before_and_after(dataset: str, factor: float) -> Chart:
    """Counts of a balanced named set and of its tail; the lowest 30% are shaded, as the author's plotting code does."""
    size, classes = full_size(dataset)
    return plots.distribution.class_distribution(
        counts(dataset, factor), class_names(dataset), before=[size] * classes,
        title=f"{label(dataset)}, IF {factor:g}",
    )  # fmt: skip


def of_this_page(shown: Images) -> Chart:
    """The same of the set that the profile trains on."""
    return plots.distribution.class_distribution(
        shown.data.subset_counts, shown.data.class_names, before=shown.source.train.class_counts,
        title=f"{label(shown.dataset)}, IF {shown.experiment.imbalance_factor:g}",
    )  # fmt: skip


def open_settings() -> str:
    """What `convergent` leaves unsaid about its data, with the number of the inconsistency."""
    rows = published.inconsistencies("convergent")
    found = rows[rows["text"].str.contains("imbalance ratio|train:test ratio")]
    return " ".join(text.replace(' (see "The author\'s code")', "") for text in found["text"])
