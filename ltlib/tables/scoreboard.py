"""Every finished run beside its rivals: rows compare where images trained on, network and recipe are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import grids
from ltlib.labels import label, network_label
from ltlib.registry import format_value, parse
from ltlib.tables import scores

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.runs import Run

COLUMNS = [
    *(
        "board",
        "method",
        "images",
        "network",
        "n",
        "last %",
        "selected %",
        "ECE, by chance %",
        "head / middle / tail %",
    ),
    *("weights", "MACs", "epochs", "seconds", "profile", "data"),
]
SHARED = ("board", "images", "network", "profile", "data")
"""What the rows of a board have in common, but for trials of one's own beside those of a profile."""


@dataclass(frozen=True)
class Board:
    """Trainings that can be compared with each other.

    Attributes:
        letter: Its letter, A for the first.
        rows: Its rows of `scoreboard`, the most accurate first.
    """

    letter: str
    rows: pd.DataFrame

    @property
    def title(self) -> str:
        """What its rows share: ``CIFAR-10, IF 100, ResNet-8, laptop, images 2dda7e23``."""
        first = self.rows.iloc[0]
        return f"{first['images']}, {first['network']}, {first['profile']}, images {first['data']}"

    def best(self) -> pd.DataFrame:
        """The most accurate training of each method, and of how many it is the best."""
        names = self.rows["method"].str.partition(" (")[0]
        first = self.rows[~names.duplicated()]
        found = first[["method", "n", "last %", "ECE, by chance %", "head / middle / tail %"]].assign(
            method=names[first.index]
        )
        found.insert(1, "best of", [f"{(names == name).sum()}" for name in found["method"]])
        return found.reset_index(drop=True)

    def all(self) -> pd.DataFrame:
        """Every training, without what all share."""
        return self.rows.drop(columns=list(SHARED)).reset_index(drop=True)


def boards(runs: Sequence[Run]) -> list[Board]:
    """The boards of `scoreboard`, in its order."""
    frame = scoreboard(runs)
    return [Board(str(letter), rows) for letter, rows in frame.groupby("board", sort=False)]


def scoreboard(runs: Sequence[Run]) -> pd.DataFrame:
    """Finished runs, one row for all seeds of one training; comparable ones share a letter and stand together.

    Beside the ECE stands what a perfectly calibrated network of the same confidences shows by chance alone.

    Rows are comparable where the images trained on (fingerprints), the network and the recipe are the same. Groups of
    rows come largest first, stand-ins after the documents' own images, trials of one's own after all that a profile
    trains; in a group the highest accuracy first.
    """
    import pandas as pd

    known = grids.profile_of_cells()
    cells: dict[str, list[Run]] = {}
    for run in runs:
        cells.setdefault(run.cell_id, []).append(run)
    found: dict[tuple[Any, ...], list[list[Run]]] = {}
    for own in cells.values():
        exp = own[0].experiment
        prints = tuple(sorted({run.fingerprint for run in own}))
        # an older run names the subset, with or without the images it held out
        found.setdefault((prints, exp.validation, exp.model, exp.recipe, exp.precision), []).append(own)

    def place(item: tuple[tuple[Any, ...], list[list[Run]]]) -> tuple[Any, ...]:
        profiles = {some[0].profile or known.get(some[0].cell_id, "own") for some in item[1]}
        return profiles == {"own"}, profiles <= {"own", "quick"}, -len(item[1]), item[0][1:4]

    rows = []
    for number, ((prints, *_), board) in enumerate(sorted(found.items(), key=place)):
        for own in sorted(board, key=lambda some: -scores.mean(some, "accuracy", which="last")):
            rows.append(_row(_letter(number), own, known.get(own[0].cell_id, "own"), prints))
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(letter: str, runs: Sequence[Run], profile: str, prints: Sequence[str]) -> list[str]:
    first, exp = runs[0], runs[0].experiment
    accuracies = np.array([run.metrics["last"]["accuracy"] for run in runs])
    spread = f" ± {100 * accuracies.std(ddof=1):.1f}" if len(runs) > 1 else ""
    groups = (scores.mean(runs, "accuracy", name, "last") for name in ("head", "middle", "tail"))
    share = ", nine tenths" if exp.validation == "subset" else ""
    return [
        letter,
        method_words(exp.method),
        f"{label(exp.dataset)}, IF {exp.imbalance_factor:g}{share}",
        network_label(exp.model),
        f"{len(runs)}",
        f"{100 * accuracies.mean():.1f}{spread}",
        f"{100 * scores.mean(runs, 'accuracy'):.1f}",
        f"{100 * scores.mean(runs, 'ece', which='last'):.1f}, {100 * scores.without_chance(runs, 'last')[0]:.1f}",
        " / ".join(f"{100 * value:.1f}" if value == value else "–" for value in groups),
        f"{first.parameters / 1e6:.2f} M",
        f"{first.macs / 1e6:,.1f} M",
        f"{len(first.history)}",
        f"{np.mean([run.seconds for run in runs]):,.0f}",
        first.profile or profile,
        " ".join(text[:8] for text in prints),
    ]


def method_words(text: str) -> str:
    """A method with its settings: ``Focal (gamma 2)``."""
    name, settings = parse(text)
    inner = ", ".join(f"{key} {format_value(value)}" for key, value in settings.items())
    return label(name) + (f" ({inner})" if inner else "")


def _letter(number: int) -> str:
    return (_letter(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)
