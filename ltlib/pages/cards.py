"""One page per run: settings, curves, confusion matrix, metrics, fingerprint, provenance.

Cards are written by the hundred, so their charts are a few lines of SVG instead of a plotting library's.
"""

from __future__ import annotations

import base64
import io
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ltlib import files, progress
from ltlib.pages.report import assets, environment

FEW_CLASSES = 20
_PAGES = re.compile("<!--pages-->.*?<!--/pages-->", re.DOTALL)


def write_cards(runs: Iterable[Any], folder: Path) -> list[Path]:
    """Write ``runs/RUN_ID.html`` for each run: settings, curves, confusion matrix, metrics, fingerprint, provenance.

    A card that differs only in the pages it links to (`link_pages`) stays.
    """
    written = []
    for run in runs:
        path = folder / "runs" / f"{run.id}.html"
        text = card(run)
        if not path.is_file() or _PAGES.sub("", path.read_text(encoding="utf-8")) != _PAGES.sub("", text):
            files.write_text(path, text)
        written.append(path)
    return written


def link_pages(folder: Path, shown: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """Link each card to the pages that show its run: only when all pages are made is it known which.

    Args:
        folder: The profile's folder; a run without a card there is left out.
        shown: Run id to title and address, from the index, of its pages.
    """
    for run_id, pages in shown.items():
        path = folder / "runs" / f"{run_id}.html"
        if not path.is_file():
            continue
        before = path.read_text(encoding="utf-8")
        links = "".join(f'<a href="../{escape(address)}">{escape(title)}</a>' for title, address in pages)
        after = f"<!--pages-->{links}<!--/pages-->".join(_PAGES.split(before))
        if after != before:
            files.write_text(path, after)


def command(experiment: Any) -> str:
    """What to type in a shell to make a run of these settings; settings at their defaults are left out."""
    words = ["ltlib", "train"]
    usual = type(experiment)(experiment.dataset)  # another imbalance factor for a set of one's own
    for field in fields(experiment):
        value = getattr(experiment, field.name)
        usually = field.default if field.name == "dataset" else getattr(usual, field.name)
        if value == usually or (field.name == "imbalance_type" and experiment.class_counts is not None):
            continue
        values = value if isinstance(value, tuple) else [f"{value:g}" if isinstance(value, float) else str(value)]
        words += [f"--{field.name.replace('_', '-')}", *map(str, values)]
    return shlex.join(words)


def card(run: Any) -> str:
    """The card of one run as a page."""
    matrices = {}
    for name, prediction in run.predictions.items():
        matrices[name] = _matrix(np.asarray(prediction.targets), np.asarray(prediction.predicted), len(run.class_names))
    metrics = {name: values for name, values in run.metrics.items() if values}
    per_class = _per_class(run, metrics)
    return (
        environment()
        .get_template("card.html.j2")
        .render(
            run=run,
            settings=_settings(run.experiment) | _weights(run),
            command=command(run.experiment) if is_dataclass(run.experiment) else "",
            curves=[
                _curves(run.history, name, [f"{part}_{key}" for part in ("train", "validation", "test")], percent)
                for name, key, percent in (
                    ("Accuracy, %", "accuracy", True),
                    ("Loss", "loss", False),
                    ("ECE, %", "ece", True),
                )
            ],
            metrics=_metric_rows(metrics),
            groups=_group_rows(metrics),
            matrices=matrices,
            per_class=per_class,
            provenance=_flat(run.provenance),
            duration=progress.duration,
            style=assets("cells.css", "style.css"),
            script=assets("page.js"),
        )
    )


def _settings(experiment: Any) -> dict[str, str]:
    if is_dataclass(experiment):
        return {f.name: str(getattr(experiment, f.name)) for f in fields(experiment)}
    return {key: str(value) for key, value in vars(experiment).items()}


def _weights(run: Any) -> dict[str, str]:
    """A row on the weights the network began from, where they were not drawn."""
    said = dict(getattr(run, "weights", {}))
    names = [said[key] for key in ("name", "file") if key in said]
    return {"weights": f"{', '.join([*names, 'sha256'])} {said['sha256']}"} if said else {}


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    rows: dict[str, str] = {}
    for key, item in value.items():
        if isinstance(item, Mapping):
            rows |= _flat(item, f"{prefix}{key}.")
        else:
            rows[f"{prefix}{key}"] = str(item)
    return rows


def _metric_rows(metrics: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """One row per number that a selection has, in the order of the first."""
    names = [k for k, v in next(iter(metrics.values()), {}).items() if isinstance(v, (int, float))]
    return [(name, [_short(values.get(name)) for values in metrics.values()]) for name in names]


def _group_rows(metrics: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    groups = list(next(iter(metrics.values()), {}).get("groups") or {})
    return [
        (group, [_short((values.get("groups") or {}).get(group, {}).get("accuracy")) for values in metrics.values()])
        for group in groups
    ]


def _per_class(run: Any, metrics: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    last = metrics.get("last") or next(iter(metrics.values()), {})
    table = last.get("per_class") or {}
    columns = [table.get(name, ()) for name in ("precision", "recall", "f1")]
    rows = []
    for i, name in enumerate(run.class_names):
        rows.append([str(name), str(run.class_counts[i]), *(_short(c[i]) if i < len(c) else "–" for c in columns)])
    return rows


def _short(value: Any) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return "–"
    return str(value) if isinstance(value, (int, str)) else f"{value:.4f}"


def _curves(history: Any, title: str, columns: Sequence[str], percent: bool) -> dict[str, Any] | None:
    """One small line chart as SVG: no library, a millisecond, colours of the page."""
    there = [c for c in columns if c in history.columns and history[c].notna().any()]
    if not there or len(history) == 0:
        return None
    series = {c: np.asarray(history[c], dtype=float) * (100 if percent else 1) for c in there}
    finite = np.concatenate([v[np.isfinite(v)] for v in series.values()])
    low, high = float(finite.min()), float(finite.max())
    high = high if high > low else low + 1.0
    width, height, left, bottom, n = 460, 210, 44, 26, len(history)
    x = left + (width - left - 8) * (np.arange(n) / max(n - 1, 1))
    lines = []
    for name, values in series.items():
        y = 10 + (height - bottom - 10) * (1 - (values - low) / (high - low))
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b, ok in zip(x, y, np.isfinite(values), strict=True) if ok)
        last = float(values[np.isfinite(values)][-1])
        lines.append(
            {"name": name.split("_")[0], "points": points, "last": f"{last:.1f}" if percent else f"{last:.3g}"}
        )
    ticks = [(10 + (height - bottom - 10) * (1 - t), f"{low + t * (high - low):.3g}") for t in (0.0, 0.5, 1.0)]
    return {
        "title": title,
        "width": width,
        "height": height,
        "left": left,
        "bottom": bottom,
        "lines": lines,
        "ticks": ticks,
        "epochs": n,
    }


def _matrix(targets: np.ndarray, predicted: np.ndarray, num_classes: int) -> dict[str, Any]:
    """A confusion matrix for a card: a table of counts for few classes, a picture of the rates for many."""
    counts = np.bincount(targets * num_classes + predicted, minlength=num_classes**2).reshape(num_classes, num_classes)
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    if num_classes <= FEW_CLASSES:
        rows = [list(zip(c.tolist(), r.round(3).tolist(), strict=True)) for c, r in zip(counts, rates, strict=True)]
        return {"rows": rows, "picture": None}
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray((255 * (1 - np.sqrt(rates))).astype(np.uint8)).save(buffer, "PNG", optimize=True)
    return {
        "rows": None,
        "picture": base64.b64encode(buffer.getvalue()).decode(),
        "diagonal": float(np.diag(rates).mean()),
    }
