"""Every finished run beside its rivals: rows are comparable where images, network and recipe are the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import grids
from ltlib.labels import label
from ltlib.registry import format_value, parse
from ltlib.tables import scores

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.runs import Run

COLUMNS = [
    *("board", "method", "images", "network", "n", "last %", "selected %", "ECE %", "head / middle / tail %"),
    *("weights", "MACs", "epochs", "seconds", "profile", "data"),
]


def scoreboard(runs: Sequence[Run]) -> pd.DataFrame:
    """Finished runs, one row for all seeds of one training; comparable ones share a letter and stand together.

    Rows are comparable where the images (fingerprints), the network and the recipe are the same. Groups of rows come
    largest first, trials of one's own after all that a profile trains; in a group the highest accuracy first.
    """
    import pandas as pd

    known = grids.profile_of_cells()
    cells: dict[str, list[Run]] = {}
    for run in runs:
        cells.setdefault(run.cell_id, []).append(run)
    boards: dict[tuple[Any, ...], list[list[Run]]] = {}
    for own in cells.values():
        exp = own[0].experiment
        prints = tuple(sorted({run.fingerprint for run in own}))
        boards.setdefault((prints, exp.model, exp.recipe, exp.precision), []).append(own)
    rows = []
    own_last = {key: all(some[0].cell_id not in known for some in board) for key, board in boards.items()}
    order = sorted(boards.items(), key=lambda item: (own_last[item[0]], -len(item[1]), item[0][1:3]))
    for number, ((prints, *_), board) in enumerate(order):
        for own in sorted(board, key=lambda some: -scores.mean(some, "accuracy", which="last")):
            rows.append(_row(_letter(number), own, known.get(own[0].cell_id, "own"), prints))
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(letter: str, runs: Sequence[Run], profile: str, prints: Sequence[str]) -> list[str]:
    first, exp = runs[0], runs[0].experiment
    accuracies = np.array([run.metrics["last"]["accuracy"] for run in runs])
    spread = f" ± {100 * accuracies.std(ddof=1):.1f}" if len(runs) > 1 else ""
    groups = (scores.mean(runs, "accuracy", name, "last") for name in ("head", "middle", "tail"))
    return [
        letter,
        _method(exp.method),
        f"{label(exp.dataset)}, IF {exp.imbalance_factor:g}",
        label(parse(exp.model)[0]),
        f"{len(runs)}",
        f"{100 * accuracies.mean():.1f}{spread}",
        f"{100 * scores.mean(runs, 'accuracy'):.1f}",
        f"{100 * scores.mean(runs, 'ece', which='last'):.1f}",
        " / ".join(f"{100 * value:.1f}" if value == value else "–" for value in groups),
        f"{first.parameters / 1e6:.2f} M",
        f"{first.macs / 1e6:,.1f} M",
        f"{len(first.history)}",
        f"{np.mean([run.seconds for run in runs]):,.0f}",
        first.profile or profile,
        " ".join(text[:8] for text in prints),
    ]


def _method(text: str) -> str:
    name, settings = parse(text)
    inner = ", ".join(f"{key} {format_value(value)}" for key, value in settings.items())
    return label(name) + (f" ({inner})" if inner else "")


def _letter(number: int) -> str:
    return (_letter(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)
