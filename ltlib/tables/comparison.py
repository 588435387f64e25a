"""The documents' tables with our numbers beside theirs: published, reproduced, difference, runs, interval, verdict.

`compare` gives one row per printed cell. Which training stands for a cell comes from `ltlib.grids`, what a profile
makes of it from `ltlib.profiles`; `compare_cells` is the pure part, which needs neither. All numbers of the frame are
fractions (losses nats, sizes images); `pivot` and the exports scale them to the unit that the document prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ltlib import metrics, published
from ltlib.statistics import t_interval
from ltlib.tables.verdicts import Verdict, as_fraction, verdict

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("document", "table", "dataset", "imbalance", "train_set", "model", "method", "stage", "split", "metric"),
    *("published", "unit", "reproduced", "last_epoch", "delta", "n", "ci_low", "ci_high", "verdict", "reason"),
    *("run_ids", "std", "printed", "note"),
)


class Wanted(NamedTuple):
    """What a profile trains for one published cell.

    Attributes:
        key: The cell, as `cell_key` gives it. Several entries with one key are averaged seed by seed: a printed mean
            over imbalance factors.
        experiment: The training, or None where the profile has none.
        reason: Why there is none.
        differences: Settings in which the training differs from the document's, as phrases.
    """

    key: tuple[str, ...]
    experiment: Any | None
    reason: str = ""
    differences: tuple[str, ...] = ()


class Measured(NamedTuple):
    """A run's number for a cell, or None; and what is to be said about it."""

    value: float | None
    note: str = ""


def compare(
    runs: Iterable[Any], document: str, table: str, profile: str = "paper", where: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """A document's table beside ours.

    Args:
        runs: Finished runs; those that stand for no cell of the table are passed over.
        document: Id of the document.
        table: Number of the table, as printed.
        profile: quick, laptop or paper: decides which training stands for a cell.
        where: What the rows wanted have, as ``{"dataset": "caltech_part"}``; None takes all of the table.

    Returns:
        One row per printed cell, in the document's order, with the columns `COLUMNS`. ``reproduced`` is the mean over
        the cell's runs (those that differ in nothing but `seed` and `subset_seed`) at the document's own selection,
        ``last_epoch`` the mean at the last epoch, ``delta`` reproduced minus published, ``ci_low`` and ``ci_high`` the
        95% t-interval of ``reproduced``. NaN where there is no number.

    Raises:
        UnknownName: No such document, table or profile.
    """
    from ltlib import grids, profiles

    rows = published.table(document, table)
    for name, value in (where or {}).items():
        rows = rows[rows[name] == value]
    wanted = []
    for cell in grids.cells(document, str(table)):
        mapped = grids.trained(cell, profile)
        if isinstance(mapped, profiles.Impossible):
            wanted.append(Wanted(cell_key(cell.row), None, mapped.reason))
        else:
            differences = tuple(profiles.differences(cell.experiment, mapped))
            wanted.append(Wanted(cell_key(cell.row), mapped, "", differences))
    return compare_cells(
        rows,
        wanted,
        runs,
        document,
        command=grids.command(document, str(table), profile),
        fallback="" if profile == "paper" else grids.command(document, str(table), "paper"),
    )


def compare_cells(
    rows: pd.DataFrame,
    wanted: Sequence[Wanted],
    runs: Iterable[Any],
    document: str,
    command: str = "",
    fallback: str = "",
) -> pd.DataFrame:
    """`compare` for given cells.

    Args:
        rows: The published cells, as `published.table` gives them.
        wanted: What stands for each; a cell nobody names is not run.
        runs: Finished runs (id, experiment, metrics, predictions, class_counts, class_names).
        document: Id of the document; decides how a split is scored.
        command: What fills a cell that has a training but no run.
        fallback: What fills a cell that this profile does not train; empty: nothing does.
    """
    import pandas as pd

    by_cell: dict[tuple[str, ...], list[Wanted]] = {}
    for entry in wanted:
        by_cell.setdefault(entry.key, []).append(entry)
    finished: dict[str, dict[str, Any]] = {}
    for run in runs:
        finished.setdefault(run.cell_id, {})[run.id] = run
    classes = tuple(dict.fromkeys(rows["split"]))
    scores = _Scores(document, classes)
    records = []
    for record in rows.to_dict("records"):
        row = {str(name): value for name, value in record.items()}
        entries = by_cell.get(cell_key(row), [])
        records.append(_compare_row(row, entries, finished, scores, document, command, fallback))
    return pd.DataFrame(records, columns=list(COLUMNS))


def cell_key(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What identifies a published cell, as texts: 10, 10.0 and "10" are one imbalance, NaN and "" both blank."""
    key = []
    for name in published.KEY[1:]:  # the table is given
        value = row.get(name, "")
        if value is None or (isinstance(value, float) and np.isnan(value)):
            value = ""
        if name == "imbalance" and value != "":
            value = f"{float(value):g}"
        key.append(str(value))
    return tuple(key)


def measured(
    run: Any, row: Mapping[str, Any], which: str = "selected", document: str = "", classes: Sequence[str] = ()
) -> Measured:
    """A run's number for a published cell, as a fraction.

    Splits: ``all``; ``head``, ``middle``, ``tail`` (the run's class groups); ``minority1`` and ``minority2`` (the
    rarest and second rarest training class); a class name. In `architectures`, the test sets and groups are those of
    `metrics.evaluation_splits` and F1 is weighted by test images over the split's own images.

    Args:
        run: The run.
        row: The published cell; ``split`` and ``metric`` are read.
        which: ``selected`` (the document's own selection) or ``last``.
        document: Id of the document.
        classes: The table's class names in order; where a run has other classes the one in the same place stands in.
    """
    return _Scores(document, classes).measured(run, row, which)


class _Scores:
    """Looks numbers up in runs, keeping what has to be computed from predictions."""

    def __init__(self, document: str, classes: Sequence[str]):
        self.document = document
        self.classes = [name for name in classes if name not in _SPLITS]
        self._computed: dict[tuple[str, str], dict[str, metrics.Metrics]] = {}

    def measured(self, run: Any, row: Mapping[str, Any], which: str) -> Measured:
        split, metric = str(row["split"]), str(row["metric"])
        if metric == "count":
            return _count(run, split)
        scores = run.metrics[which]
        if self.document == "architectures" and split in _TEST_SETS:
            return self._test_set(run, which, split, metric, scores)
        if split in ("all", ""):
            return _found(scores, metric, "the run")
        if split in ("head", "middle", "tail"):
            return _found(scores["groups"].get(split, {}), metric, f"the group {split}")
        label, note = self._label(run, split)
        values = scores["per_class"].get(metric)
        if label is None or values is None:
            return Measured(None, note or f"the run keeps no {metric} per class")
        return Measured(float(values[label]), note)

    def _test_set(self, run: Any, which: str, split: str, metric: str, scores: Mapping[str, Any]) -> Measured:
        kept = scores.get("splits", {}).get(split, {})
        name = "weighted_f1" if metric == "f1" else metric
        if kept.get(name) is not None:
            return Measured(float(kept[name]))
        if metric == "loss":
            return _found(scores if split == "balanced" else {}, "loss", f"the test set {split}")
        key = (run.id, which)
        if key not in self._computed:
            said = run.predictions[which]
            index = metrics.evaluation_splits(said.targets, run.class_counts)
            classes = len(run.class_counts)
            self._computed[key] = {
                part: metrics.restricted(said.targets, said.predicted, classes, own) for part, own in index.items()
            }
        return _found(self._computed[key][split], name, f"the test set {split}")

    def _label(self, run: Any, split: str) -> tuple[int | None, str]:
        if split in ("minority1", "minority2"):
            by_size = np.argsort(np.asarray(run.class_counts), kind="stable")
            place = int(split[-1]) - 1
            return (int(by_size[place]), "") if place < len(by_size) else (None, "the run has one class only")
        names = [str(name).casefold() for name in run.class_names]
        if split.casefold() in names:
            return names.index(split.casefold()), ""
        place = self.classes.index(split) if split in self.classes else len(names)
        if place < len(names):
            return place, f"class {run.class_names[place]} in the place of {split}"
        return None, f"the data has no class {split}"


_TEST_SETS = ("balanced", "longtailed", "head", "middle", "tail")
_SPLITS = ("all", "minority1", "minority2", *_TEST_SETS)


def _found(scores: Mapping[str, Any], metric: str, where: str) -> Measured:
    value = scores.get(metric)
    return Measured(None, f"no {metric} for {where}") if value is None else Measured(float(value))


def _count(run: Any, split: str) -> Measured:
    """Sizes of `loss_balance` Table 1: training images of class C1..C9, test images per class, classes."""
    counts = [int(count) for count in run.class_counts]
    if split == "test_classes":
        return Measured(float(len(counts)))
    if split == "test_per_class":
        support = set(run.metrics["last"]["per_class"]["support"])
        return Measured(float(support.pop())) if len(support) == 1 else Measured(None, "test classes differ in size")
    place = re.fullmatch(r"C(\d+)", split)
    if place is None or not 1 <= int(place[1]) <= len(counts):
        return Measured(None, f"the data has no class {split}")
    return Measured(float(counts[int(place[1]) - 1]))


def _compare_row(
    row: dict[str, Any],
    entries: Sequence[Wanted],
    finished: Mapping[str, Mapping[str, Any]],
    scores: _Scores,
    document: str,
    command: str,
    fallback: str,
) -> dict[str, Any]:
    number = as_fraction(row["value"], row["unit"])
    record = {name: row.get(name, "") for name in COLUMNS}
    missing = dict.fromkeys(("reproduced", "last_epoch", "delta", "ci_low", "ci_high", "std"), float("nan"))
    record |= missing | {"document": document, "published": number, "n": 0, "run_ids": ()}
    ours: list[float] = []
    notes: tuple[str, ...] = ()
    experiments = [entry.experiment for entry in entries if entry.experiment is not None]
    impossible = [entry.reason for entry in entries if entry.experiment is None]
    if not entries:
        result = Verdict("not run", "no training of ours stands for this number")
    elif impossible:
        result = Verdict("not run", impossible[0] + (f"; fill it with: {fallback}" if fallback else ""))
    else:
        groups = _same_seeds([finished.get(experiment.cell_id, {}) for experiment in experiments])
        differences = list(dict.fromkeys(text for entry in entries for text in entry.differences))
        ours, notes = _means(groups, row, "selected", scores)
        if groups and not ours:
            result = Verdict("not comparable", f"no value: {'; '.join(notes)}")
        else:
            result = verdict(number, ours, row["metric"], [*differences, *notes], command)
        record["run_ids"] = tuple(run.id for group in groups for run in group)
    if ours:
        interval = t_interval(ours)
        last, _ = _means(groups, row, "last", scores)
        record |= {"reproduced": interval.mean, "delta": interval.mean - number, "n": interval.n, "std": interval.std}
        record |= {"ci_low": interval.low, "ci_high": interval.high}
        record["last_epoch"] = float(np.mean(last)) if last else float("nan")
    return record | {"verdict": result.name, "reason": result.text}


def _same_seeds(found: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """Runs of several trainings, grouped by seeds; only seeds that all trainings have."""
    by_seeds = [{(r.experiment.subset_seed, r.experiment.seed): r for r in runs.values()} for runs in found]
    common = set.intersection(*(set(runs) for runs in by_seeds)) if by_seeds else set()
    return [tuple(runs[seeds] for runs in by_seeds) for seeds in sorted(common)]


def _means(
    groups: Sequence[tuple[Any, ...]], row: Mapping[str, Any], which: str, scores: _Scores
) -> tuple[list[float], tuple[str, ...]]:
    """Per group of runs the mean of their numbers, groups with a missing one left out; and the remarks made."""
    values: list[float] = []
    notes: dict[str, None] = {}
    for group in groups:
        found = [scores.measured(run, row, which) for run in group]
        notes |= dict.fromkeys(one.note for one in found if one.note)
        if all(one.value is not None for one in found):
            values.append(float(np.mean([one.value for one in found])))
    return values, tuple(notes)
