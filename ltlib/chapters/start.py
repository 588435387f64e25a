"""Logic of the notebook ``00_start_here``: the map, the cost of the profiles, the verdicts' rule, the scoreboard."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import metrics, profiles, progress, published
from ltlib.pages import declared
from ltlib.pages.names import ranges, slug
from ltlib.plots.style import label
from ltlib.registry import format_value, parse
from ltlib.tables import verdicts

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.runs import Run

_DAY = 86_400


# --- the map ---------------------------------------------------------------------------------------------------------


def documents(pages: Sequence[declared.Declared]) -> pd.DataFrame:
    """The documents: what each is, what it prints, and how much of it a notebook regenerates."""
    import pandas as pd

    rows = []
    for document in published.documents():
        tables, figures = published.tables(document), list(published.figures(document)["figure"])
        own = [page for page in pages if page.document == document]
        done = len({number for page in own for number in page.tables} & set(tables))
        drawn = len({number for page in own for number in page.figures} & set(figures))
        cells = f"{len(published.results(document)):,}"
        rows.append(
            [document, published.title(document), cells, f"{done} of {len(tables)}", f"{drawn} of {len(figures)}"]
        )
    return pd.DataFrame(rows, columns=["document", "what it is", "printed numbers", "tables here", "figures here"])


def notebook_map(page: Any, pages: Sequence[declared.Declared]) -> str:
    """The pages in reading order as an HTML list with relative links, and the index."""
    items = []
    for other in pages:
        target = page.link(page.root / f"{other.id}.html")
        what = [("tables", other.tables), ("figures", other.figures)]
        parts = [f"{word} {ranges(numbers)}" for word, numbers in what if numbers]
        source = f" Of {other.document}: {', '.join(parts)}." if other.document and parts else ""
        name = f'<a href="{escape(target)}">{escape(other.title)}</a>'
        items.append(f"<li>{name} <code>{escape(other.id)}</code><br>{escape(other.question + source)}</li>")
    index = escape(page.link(page.root / "index.html"))
    tail = f'<p>The state of every page, all verdicts and a gallery: <a href="{index}">index</a>.</p>'
    return f"<ol>{''.join(items)}</ol>{tail}"


def map_text(pages: Sequence[declared.Declared]) -> str:
    """The same for terminals."""
    return "\n".join(f"{page.id}: {page.title}" for page in pages)


# --- what it costs ---------------------------------------------------------------------------------------------------


def span(seconds: float) -> str:
    """A span of time that may be months: ``2 min 05 s``, ``12 days``."""
    return f"{seconds / _DAY:,.0f} days" if seconds > 3 * _DAY else progress.duration(seconds)


def costs(pages: Sequence[declared.Declared]) -> pd.DataFrame:
    """What each profile trains for these pages, and how long that takes one process on this machine."""
    import pandas as pd

    from ltlib import datasets
    from ltlib.runs import cost, sweep

    rows = []
    for profile in profiles.PROFILES.values():
        wanted = declared.experiments(pages, profile.name)
        left = sweep.missing(wanted)
        sets = {experiment.dataset for experiment in wanted}
        absent = sorted(label(name) for name in sets if not datasets.available(name))
        times = [span(cost.estimate(some)) if some else "nothing" for some in (wanted, left)]
        here = f"missing: {', '.join(absent)}" if absent else "all here"
        rows.append([profile.name, profile.seeds, len(wanted), len(wanted) - len(left), *times, here])
    names = ["profile", "seeds a cell", "runs", "finished", "all of it takes", "what is left takes", "images"]
    return pd.DataFrame(rows, columns=names)


def text_table(page: Any, name: str, frame: pd.DataFrame, caption: str = "") -> None:
    """Show a table of sentences: cells wrap and read from the left."""
    from ltlib.pages.html import Shown

    cell = 'style="white-space:normal;text-align:left;max-width:58ch;vertical-align:top"'
    heads = "".join(f'<th scope="col" {cell}>{escape(str(column))}</th>' for column in frame.columns)
    rows = ""
    for first, *rest in frame.itertuples(index=False, name=None):
        cells = "".join(f"<td {cell}>{escape(str(value))}</td>" for value in rest)
        rows += f'<tr><th scope="row" style="vertical-align:top">{escape(str(first))}</th>{cells}</tr>'
    html = (
        f'<figure class="lt-table" id="{slug("table", name)}"><figcaption><b>{escape(name)}</b> '
        f'{escape(caption)}</figcaption><div class="lt-scroll" tabindex="0" role="region" aria-label="{escape(name)}">'
        f'<table class="ltlib plain"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></figure>'
    )
    page.show(Shown(html, f"{name} {caption}\n{frame.to_string(index=False)}"))


def summaries() -> pd.DataFrame:
    """What each profile is good for."""
    import pandas as pd

    rows = [[p.name, p.summary] for p in profiles.PROFILES.values()]
    return pd.DataFrame(rows, columns=["profile", "what it is good for"])


def cost_sentence() -> str:
    """What the estimate counts."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "one CPU thread"
    return (
        f"Estimated for {device} from a probe of a second, without early stopping; real runs are often shorter. "
        "Finished runs are loaded and never trained again."
    )


# --- verdicts --------------------------------------------------------------------------------------------------------


def rule_table() -> pd.DataFrame:
    """When a cell gets which verdict."""
    import pandas as pd

    rules = {
        "reproduced": "our mean lies within the tolerance; from 3 runs on, its 95% interval also reaches no further "
        "than twice the tolerance to either side",
        "inconclusive": "from 3 runs on: the interval is wider than that",
        "above": "our mean lies above the tolerance (for losses and calibration errors: worse)",
        "below": "our mean lies below the tolerance",
        "not comparable": "a setting differs; the cell names it",
        "not run": "no run is here; the cell carries the command that makes one",
    }
    return pd.DataFrame([[verdicts.MARKS[name], rules[name]] for name in verdicts.NAMES], columns=["verdict", "when"])


def tolerance_table() -> pd.DataFrame:
    """How far our mean may lie from the printed number."""
    import pandas as pd

    def text(metric: str, value: float) -> str:
        if metric in ("accuracy", "ece"):
            return f"{100 * value:g} {'point' if value == 0.01 else 'points'}"
        return f"{value:.0%} of it" if metric == "loss" else f"{value:g}" if value else "none: exact"

    rows = [[label(name), text(name, value)] for name, value in verdicts.TOLERANCES.items()]
    return pd.DataFrame(rows, columns=["metric", "tolerance"])


def example(runs: Iterable[Run]) -> pd.DataFrame:
    """One printed cell read part by part: against its own confusion matrix, and against a run where one is here."""
    import pandas as pd

    matrix = published.confusion("convergent", "19").to_numpy()
    rows = published.table("convergent", "2")
    row = rows[(rows["method"] == "focal") & (rows["metric"] == "accuracy")].iloc[0]
    actual, predicted = (np.repeat(axis, matrix.ravel()) for axis in np.indices(matrix.shape).reshape(2, -1))
    ours = metrics.evaluate(actual, predicted, len(matrix))["accuracy"]
    found = verdicts.verdict(float(row["value"]), [ours], "accuracy")
    names = ["part", "Table 2, ResNet-34, focal", "what it says"]
    return pd.DataFrame(
        [
            ["published", row["printed"], "accuracy as convergent prints it"],
            ["ours", f"{ours:.4f}", "the same metric, here from the confusion matrix printed as Figure 19"],
            ["difference", f"{ours - float(row['value']):+.4f}", "ours minus published"],
            ["n", "1", "one network, so no interval is drawn and the verdict is marked n = 1"],
            ["verdict", found.mark, found.text],
            ["a run of ours", *_closest(list(runs))],
        ],
        columns=names,
    )


def _closest(runs: Sequence[Run]) -> tuple[str, str]:
    """What a finished run says of the example's table, the best record first."""
    from ltlib import tables

    for profile in ("paper", "laptop", "quick"):
        for table in ("2", "1"):
            frame = tables.compare(runs, "convergent", table, profile)
            cells = frame[(frame["n"] > 0) & (frame["metric"] == "accuracy")]
            if len(cells):
                cell = cells.iloc[0]
                text = f"{label(cell['method'])} of Table {table} in {profile}: {verdicts.MARKS[cell['verdict']]}"
                return f"{cell['reproduced']:.4f}", f"{text}. {cell['reason']}"
    return "not here", "none is finished on this machine, and none is committed"


# --- the scoreboard --------------------------------------------------------------------------------------------------


def profiles_of_runs() -> dict[str, str]:
    """Which profile trains which run, by the identity without seeds."""
    from ltlib import grids

    found: dict[str, str] = {}
    for profile in profiles.PROFILES:
        for name in grids.names():
            for experiment in grids.experiments(name, profile)[0]:
                found.setdefault(experiment.cell_id, profile)
    return found


def scoreboard(runs: Sequence[Run]) -> pd.DataFrame:
    """Finished runs, one row for all seeds of one training; comparable ones share a letter and stand together.

    Rows are comparable where the images (fingerprints), the network and the recipe are the same. Groups of rows come
    largest first, trials of one's own after all that a profile trains; in a group the highest accuracy first.
    """
    import pandas as pd

    known = profiles_of_runs()
    cells: dict[str, list[Run]] = {}
    for run in runs:
        cells.setdefault(run.experiment.cell_id, []).append(run)
    boards: dict[tuple[Any, ...], list[list[Run]]] = {}
    for own in cells.values():
        exp = own[0].experiment
        prints = tuple(sorted({run.fingerprint for run in own}))
        boards.setdefault((prints, exp.model, exp.recipe, exp.precision), []).append(own)
    rows = []
    own_last = {key: all(some[0].experiment.cell_id not in known for some in board) for key, board in boards.items()}
    order = sorted(boards.items(), key=lambda item: (own_last[item[0]], -len(item[1]), item[0][1:3]))
    for number, ((prints, *_), board) in enumerate(order):
        for own in sorted(board, key=lambda some: -_mean(some, "last", "accuracy")):
            rows.append(_row(_letter(number), own, known.get(own[0].experiment.cell_id, "own"), prints))
    return pd.DataFrame(rows, columns=COLUMNS)


COLUMNS = [
    *("board", "method", "images", "network", "n", "last %", "selected %", "ECE %", "head / middle / tail %"),
    *("weights", "MACs", "epochs", "seconds", "profile", "data"),
]


def _row(letter: str, runs: Sequence[Run], profile: str, prints: Sequence[str]) -> list[str]:
    first = runs[0]
    exp = first.experiment
    accuracies = np.array([run.metrics["last"]["accuracy"] for run in runs])
    spread = f" ± {100 * accuracies.std(ddof=1):.1f}" if len(runs) > 1 else ""
    return [
        letter,
        _method(exp.method),
        f"{label(exp.dataset)}, IF {exp.imbalance_factor:g}",
        label(parse(exp.model)[0]),
        f"{len(runs)}",
        f"{100 * accuracies.mean():.1f}{spread}",
        f"{100 * _mean(runs, 'selected', 'accuracy'):.1f}",
        f"{100 * _mean(runs, 'last', 'ece'):.1f}",
        " / ".join(_group(runs, name) for name in ("head", "middle", "tail")),
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


def _group(runs: Sequence[Run], name: str) -> str:
    values = [run.metrics["last"]["groups"].get(name, {}).get("accuracy") for run in runs]
    known = [value for value in values if value is not None and not math.isnan(value)]
    return f"{100 * np.mean(known):.1f}" if known else "–"


def _mean(runs: Sequence[Run], which: str, metric: str) -> float:
    values = [run.metrics[which][metric] for run in runs]
    return float(np.mean([math.nan if value is None else value for value in values]))


def _letter(number: int) -> str:
    return (_letter(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)


def scoreboard_sentence(frame: pd.DataFrame) -> str:
    """How many runs there are and which can be compared."""
    if not len(frame):
        return "No run is finished here yet and none is committed. Train the quick ones with: ltlib reproduce"
    runs = sum(int(n) for n in frame["n"])
    boards = [str(letter) for letter in frame["board"]]
    rivals = sorted(letter for letter in set(boards) if boards.count(letter) > 1)
    word = "run" if runs == 1 else "runs"
    text = f"{runs} finished {word} of {len(frame)} trainings (n: runs that differ in their seeds only)"
    if rivals:
        word = "board" if len(rivals) == 1 else "boards"
        return f"{text}. Compare rows of one letter only; rivals stand on {word} {', '.join(rivals)}."
    return f"{text}. No two rows share images, network and recipe, so no row here can be compared with another."


def show_scoreboard(page: Any) -> None:
    """The scoreboard with its reading, or the sentence that there is none."""
    from ltlib import runs

    found = runs.finished()
    frame = scoreboard(found)
    if len(frame):
        page.frame("Scoreboard", frame, "every finished run of this machine and every committed record")
    page.note(scoreboard_sentence(frame))


# --- first things to try ---------------------------------------------------------------------------------------------


def epochs(run: Run, last: int = 3) -> pd.DataFrame:
    """The last epochs of a run."""
    rows = run.history.tail(last)
    columns = ["epoch", "lr", "train_loss", "test_loss", "test_accuracy", "test_ece"]
    return rows[columns].round(3).reset_index(drop=True)


def summary(runs: Mapping[str, Run]) -> pd.DataFrame:
    """A few runs side by side."""
    import pandas as pd

    rows = [
        [name, run.id, f"{100 * run.metrics['last']['accuracy']:.1f}", _group([run], "tail"), f"{run.seconds:.1f}"]
        for name, run in runs.items()
    ]
    return pd.DataFrame(rows, columns=["run", "id", "accuracy %", "tail %", "seconds"])


def focal_curve(gammas: Sequence[float] = (0.0, 0.5, 1.0, 2.0)) -> pd.DataFrame:
    """What a setting of a loss changes: the focal loss of a class given probability p, by gamma."""
    import pandas as pd
    import torch

    from ltlib import losses

    chances = (0.1, 0.5, 0.9)
    logits = torch.tensor([[math.log(p), math.log(1 - p)] for p in chances])
    rows = []
    for gamma in gammas:
        loss = losses.create("focal", [10, 10], gamma=gamma, alpha=None)
        values = loss.per_sample(logits, torch.zeros(len(chances), dtype=torch.int64))
        rows.append([f"gamma {gamma:g}", *(f"{float(v):.3f}" for v in values)])
    return pd.DataFrame(rows, columns=["focal loss", *(f"at p = {p}" for p in chances)])


def folders() -> pd.DataFrame:
    """Where things lie on this machine's disk, relative to the checkout."""
    import pandas as pd

    rows = [
        ["notebooks/", "the chapters, without outputs; edit these", ""],
        ["ltlib/", "the package; one file for each loss, plot, document chapter", ""],
        ["data/", "image sets in torchvision's layout", "LTLIB_DATA"],
        ["reports/runs/", "full run folders: history, logits, weights", "LTLIB_REPORTS"],
        ["reports/PROFILE/", "pages, figures, tables, run cards, index.html", "LTLIB_REPORTS"],
        ["reports/PROFILE/records/", "small committed records of finished runs", "LTLIB_REPORTS"],
    ]
    return pd.DataFrame(rows, columns=["folder", "what lies there", "moved by"])
