"""Conformal sets of runs on a page: how often they hold the actual class, by class group, and how large they are.

frame = sets.table(STUDY, found, ("none", "logit_adjustment_fitted"))
rows = sets.dots(found["ce"], ("none", "logit_adjustment_fitted"))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import statistics
from ltlib.calibration.conformal import WAYS
from ltlib.sections.posthoc import changes_of
from ltlib.sections.words import listed, many, printable
from ltlib.statistics import FEWEST_RUNS, Interval

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.runs import Run
    from ltlib.sections.study import Study

KINDS = {"threshold": "by probability (LAC)", "adaptive": "adaptive (APS)"}
THRESHOLDS = {
    "all": "one for all",
    "balanced": "one, weighted to equal classes",
    "groups": "one a class group",
    "classes": "one a class",
}
PROBABILITIES = {"none": "as trained", "logit_adjustment_fitted": "tau and T fitted"}


def with_sets(own: Sequence[Run]) -> list[Run]:
    """The runs that know conformal sets; a record that is older does not."""
    return [run for run in own if "sets" in (changes_of(run) or {}).get("none", {})]


def measured(own: Sequence[Run], post: str, kind: str, way: str) -> dict[str, Interval]:
    """A row of `effects.in_sets` over runs, by column; empty where the way was not taken.

    ``coverage`` and ``size`` have 95% intervals: from three runs on over runs, with fewer over the test images of one.
    """
    rows = [
        dict(zip(found["columns"], found[kind][way], strict=True))
        for run in own
        if way in (found := (changes_of(run) or {})[post]["sets"]).get(kind, {})
    ]
    return {name: _interval(rows, name) for name in (rows[0] if rows else ())}


def _interval(rows: Sequence[Mapping[str, float]], name: str) -> Interval:
    values = [row[name] for row in rows]
    mean, (what, _, group) = float(np.mean(values)), name.partition(" ")
    images = int(rows[0].get(f"images {group}".strip(), 0))
    if len(values) >= FEWEST_RUNS:
        return statistics.t_interval(values)
    if what == "coverage":
        return statistics.share_interval(mean, images)
    if what == "size":
        std = rows[0][f"size_std {group}".strip()]
        half = statistics.t_half_width(std, images) if images > 1 else 0.0
        return Interval(mean, mean - half, mean + half, images, std)
    return Interval(mean, mean, mean, len(values), 0.0)


def _each(own: Sequence[Run], posts: Sequence[str], kinds: Sequence[str]) -> Iterator[tuple[str, str, str, Any]]:
    for kind in kinds:
        for post in posts:
            for way in WAYS:
                if row := measured(own, post, kind, way):
                    yield kind, post, way, row


# --- for tables and figures ------------------------------------------------------------------------------------------


def table(study: Study, found: Mapping[str, Sequence[Run]], posts: Sequence[str]) -> pd.DataFrame:
    """A row for each method, kind of set, probabilities and thresholds; coverage in percent, size in classes."""
    import pandas as pd

    rows = []
    for method, runs in found.items():
        own = with_sets(runs)
        for kind, post, way, row in _each(own, posts, tuple(KINDS)):
            groups = [name.partition(" ")[2] for name in row if name.startswith("coverage ")]
            line: dict[str, Any] = {"method": study.name(method), "runs": len(own), "sets": KINDS[kind]}
            line |= {"probabilities": PROBABILITIES[post], "thresholds": THRESHOLDS[way]}
            line |= {"held (%)": 100 * row["coverage"].mean, "95% interval": _ends(row["coverage"], 100, 1)}
            line |= {f"{group} (%)": 100 * row[f"coverage {group}"].mean for group in groups}
            line |= {"classes in a set": row["size"].mean, "95% interval of it": _ends(row["size"], 1, 2)}
            line |= {f"in the {group}'s": row[f"size {group}"].mean for group in groups}
            rows.append(line | {"empty sets (%)": 100 * row["empty"].mean, "never out": f"{row['never out'].mean:.3g}"})
    frame = pd.DataFrame(rows)
    twos = ["classes in a set", *(name for name in frame.columns if str(name).startswith("in the "))]
    return printable(frame, dict.fromkeys(twos, 2))


def _ends(interval: Interval, scale: float, places: int) -> str:
    return f"{scale * interval.low:.{places}f} to {scale * interval.high:.{places}f}"


def dots(own: Sequence[Run], posts: Sequence[str], kind: str = "threshold") -> list[dict[str, Any]]:
    """Coverage by class group as rows of `plots.points.group_dots`, with intervals."""
    rows = []
    for _, post, way, row in _each(with_sets(own), posts, (kind,)):
        line: dict[str, Any] = {"name": f"{PROBABILITIES[post]}: {THRESHOLDS[way]}", "all": row["coverage"].mean}
        for name, value in row.items():
            what, _, group = name.partition(" ")
            if what == "coverage" and group:
                line |= {group: value.mean, f"{group} interval": (value.low, value.high)}
        rows.append(line)
    return rows


# --- what they say ---------------------------------------------------------------------------------------------------


def sentence(name: str, own: Sequence[Run], post: str = "none", kind: str = "threshold") -> str:
    """What sets of one method hold, way by way, where the tail is left out and where nothing can be ruled out.

    Args:
        name: Of the method.
        own: Its runs.
        post: Whose probabilities.
        kind: Of the sets.
    """
    own = with_sets(own)
    if not own:
        return f"No run of {name} that is here knows conformal sets."
    alpha, classes = (changes_of(own[0]) or {})[post]["sets"]["alpha"], len(own[0].class_counts)
    parts = []
    for _, _, way, row in _each(own, (post,), (kind,)):
        tail = f" ({100 * row['coverage tail'].mean:.1f}% of the tail's)" if "coverage tail" in row else ""
        held = f"{100 * row['coverage'].mean:.1f}%{tail}"
        if way == "all":
            held += f" of the sets hold the actual class instead of the promised {100 * (1 - alpha):g}%"
        parts.append(f"{THRESHOLDS[way]} {held}, with {row['size'].mean:.2f} of {classes} classes in a set")
    text = f"{name}, {PROBABILITIES[post]}. With one threshold {'; with '.join(parts).removeprefix('one ')}."
    never = measured(own, post, kind, "classes")["never out"].mean
    if never > 0:
        fewest = int(np.ceil(1 / alpha - 1 - 1e-9))
        text += (
            f" {never:.3g} of {classes} classes have fewer than {fewest} held-out images, too few to rule a class out "
            "by its own: with one threshold a class these are in every set."
        )
    return text


def missed(own: Sequence[Run], post: str = "none", kind: str = "threshold") -> list[str]:
    """The class groups whose whole interval lies below the promise with one threshold for all."""
    row = measured(with_sets(own), post, kind, "all")
    if not row:
        return []
    alpha = (changes_of(with_sets(own)[0]) or {})[post]["sets"]["alpha"]
    groups = [name.partition(" ")[2] for name in row if name.startswith("coverage ")]
    return [group for group in groups if row[f"coverage {group}"].high < 1 - alpha]


def tail_sentence(found: Mapping[str, Sequence[Run]], study: Study, posts: Sequence[str]) -> str:
    """For which methods one threshold breaks its promise to a class group, by the whole interval."""
    parts = []
    for post in posts:
        broken = {study.name(method): missed(own, post) for method, own in found.items() if with_sets(own)}
        bad = [f"{name} ({listed(groups)})" for name, groups in broken.items() if groups]
        if broken:
            how = PROBABILITIES[post][:1].upper() + PROBABILITIES[post][1:]
            parts.append(f"{how}: {len(bad)} of {many(len(broken), 'method')}{f', {listed(bad)}' if bad else ''}.")
    return f"Where one threshold for all leaves a class group below the promise. {' '.join(parts)}" if parts else ""
