"""``ltlib bench embedding``: seconds of principal components and of a t-SNE map, with one thread and with all cores."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ltlib.bench.clocks import Foreign
from ltlib.bench.common import machine, table
from ltlib.errors import SettingError

_CODE = """
import sys, time
import numpy as np
from ltlib import embedding
from ltlib.bench.maps import features
what, rows, width, seed, show = sys.argv[1], *map(int, sys.argv[2:])
x, targets = features(rows, width, seed)
import sklearn.decomposition, sklearn.manifold  # not part of what is timed
started = time.perf_counter()
if what == "pca":
    embedding.pca(x, 2, seed)
else:
    embedding.tsne(x, targets, seed=seed, max_points=rows, progress=bool(show))
print(time.perf_counter() - started)
"""


def embedding(
    *,
    rows: int = 10_000,
    width: int = 512,
    rounds: int = 1,
    threads: Sequence[int] = (),
    seed: int = 0,
    quiet: bool = False,
) -> dict[str, Any]:
    """Two principal components and a t-SNE map of clustered features, by `ltlib.embedding`, no cache.

    Each measurement has a process of its own, because OpenMP's threads are counted once when it is loaded. t-SNE has
    the settings of every map in the workbook, except that all rows are taken.

    Args:
        rows: Features; 10,000 is a whole CIFAR test set.
        width: Numbers of each, 512 for ResNet-18.
        rounds: Measured rounds, their median counts.
        threads: Numbers of threads; by default one, and all cores.
        seed: Of features and map.
        quiet: Print nothing.

    Returns:
        JSON-ready: ``bench``, ``rows``, ``width``, ``rounds``, ``seconds`` (by work and threads: median, low, high),
        ``foreign`` (cores' worth of CPU time of other processes, by round), ``machine``.

    Raises:
        SettingError: Fewer than 50 rows or columns, no round or a number of threads below one.
    """
    host = machine()
    counts = tuple(threads) or tuple(dict.fromkeys((1, host["cores"])))
    if rows < 50 or width < 50 or rounds < 1 or min(counts) < 1:
        raise SettingError(
            "bench embedding needs 50 rows and columns, a round and a thread at least, "
            f"not {rows}, {width}, {rounds} and {min(counts)}"
        )
    spent: dict[str, list[float]] = {}
    foreign = []
    for _ in range(rounds):
        others = Foreign()
        for what in ("pca", "tsne"):
            for count in counts:
                name = f"{what}, {count} thread{'s' if count > 1 else ''}"
                spent.setdefault(name, []).append(_measure(what, rows, width, seed, count, not quiet))
        foreign.append(others.share())
    result = {
        "bench": "embedding",
        "rows": rows,
        "width": width,
        "rounds": rounds,
        "seconds": {
            name: {"median": statistics.median(values), "low": min(values), "high": max(values)}
            for name, values in spent.items()
        },
        "foreign": foreign,
        "machine": host,
    }
    if not quiet:
        print(_text(result))  # noqa: T201 - a bench is run to be read
    return result


def features(rows: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten clusters such as a trained network's features form: float32 [rows, width] without negatives, int64 [rows]."""
    rng = np.random.default_rng(seed)
    targets = np.arange(rows) % 10
    centres = rng.normal(0, 2, (10, width))
    return np.maximum(centres[targets] + rng.normal(size=(rows, width)), 0).astype(np.float32), targets


def _measure(what: str, rows: int, width: int, seed: int, threads: int, show: bool) -> float:
    """Seconds of one work in a new process."""
    limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    command = [sys.executable, "-c", _CODE, what, *map(str, (rows, width, seed, int(show)))]
    done = subprocess.run(command, env=os.environ | limits, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.split()[-1])


def _text(result: Mapping[str, Any]) -> str:
    """The result as people read it."""
    rows = [[f"{result['rows']:,} x {result['width']} features", "s", "range"]]
    for name, values in result["seconds"].items():
        rows.append([name, f"{values['median']:.1f}", f"{values['low']:.1f} to {values['high']:.1f}"])
    host = result["machine"]
    rounds = f"{result['rounds']} round{'s' if result['rounds'] > 1 else ''}"
    busy = ", ".join("unknown" if share is None else f"{share:.2f}" for share in result["foreign"])
    return "\n".join(
        [
            table(rows),
            "",
            f"{rounds}; cores that other processes used, by round: {busy}",
            f"{host['cpu']}, {host['cores']} cores",
        ]
    )
