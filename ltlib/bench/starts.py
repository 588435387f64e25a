"""``ltlib bench start``: what a notebook costs before it computes anything, beside ``import torch``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ltlib.bench.common import Arm, compare, counted, describe, machine, table, take_turns, warm_up
from ltlib.bench.loops import temporary_reports
from ltlib.errors import RunError, SettingError
from ltlib.pages import declared, execution
from ltlib.progress import Progress

TORCH = "import torch"
NOTEBOOK = "a lean notebook"
IMPORTS = {
    TORCH: "import torch",
    "import ltlib": "import ltlib",
    "import ltlib.runs": "import ltlib.runs",
    "import ltlib.plots": "import ltlib.plots.style",
    "import torch, torchvision": "import torch, torchvision",
}
FACTOR, EXTRA = 2.0, 2.0
"""A lean notebook may take this many times ``import torch`` and this many seconds more."""
_CELLS = (
    'profile = "quick"',
    "from ltlib import notebook, plots\nfrom ltlib.chapters.start import project, reading\n\n"
    'page = notebook.setup("lean", profile=profile)',
    "import torch\n\nprint(torch.ones(2).sum())",
    "page.finish()",
)


def start(*, rounds: int = 5, quiet: bool = False) -> dict[str, Any]:
    """Seconds from nothing to an import, and to a finished lean notebook, in new processes, interleaved.

    The lean notebook imports what every page imports, adds two numbers with torch and ends; it is executed as the
    workbook's own pages are (`ltlib.pages.execution`: papermill, a kernel, the sentinel), its HTML page is not made.

    Args:
        rounds: Measured rounds after a warm-up of each.
        quiet: Print nothing.

    Returns:
        JSON-ready: ``bench``, ``rounds``, ``seconds`` (by name: median, and each round), ``ratios`` to ``import
        torch``, ``lean_notebook`` (seconds, allowed, passes), ``machine``.

    Raises:
        SettingError: No round.
        RunError: The lean notebook did not come to its end.
    """
    if rounds < 1:
        raise SettingError(f"bench start needs at least one round, not {rounds}")
    with tempfile.TemporaryDirectory(prefix="ltlib-bench-") as folder:
        page = lean_page(Path(folder))
        ways: dict[str, Callable[[], None]] = {name: _python(code) for name, code in IMPORTS.items()}
        ways[NOTEBOOK] = lambda: execute(page)
        arms = {name: Arm(way, 1, 1) for name, way in ways.items()}
        line = Progress(len(arms) * (rounds + 1), "bench start", enabled=not quiet)
        warm_up(arms, line.step)
        take_turns(arms, rounds, line.step)
    result = summary(arms) | {"rounds": rounds, "machine": machine()}
    if not quiet:
        print(_text(result))  # noqa: T201 - a bench is run to be read
    return result


def summary(arms: Mapping[str, Arm]) -> dict[str, Any]:
    """Seconds, ratios to ``import torch``, and whether the lean notebook is within what it may take."""
    found = {name: describe(arm) for name, arm in arms.items()}
    seconds = {
        name: {"median": 1 / values["images_per_second"], "rounds": values["round_seconds"], "noisy": values["noisy"]}
        for name, values in found.items()
    }
    ratios = {name: compare(arm, arms[TORCH]) for name, arm in arms.items()}
    allowed = FACTOR * seconds[TORCH]["median"] + EXTRA
    spent = seconds[NOTEBOOK]["median"]
    lean = {"seconds": spent, "allowed": allowed, "passes": spent <= allowed}
    return {"bench": "start", "seconds": seconds, "ratios": ratios, "lean_notebook": lean}


def lean_page(folder: Path) -> declared.Declared:
    """A notebook of four short cells, written to a folder ``notebooks`` there."""
    path = folder / "notebooks" / "lean.ipynb"
    path.parent.mkdir()
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "execution_count": None, "id": f"cell-{i}", "metadata": {}, "outputs": [], "source": code}
        for i, code in enumerate(_CELLS)
    ]
    cells[0]["metadata"] = {"tags": ["parameters"]}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"id": "lean", "title": "A lean notebook", "question": "What does a notebook cost?"}
    notebook = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}, "ltlib": about},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return declared.Declared("lean", about["title"], about["question"], notebook="lean", path=path)


def execute(page: declared.Declared) -> None:
    """Execute a page as the workbook does.

    Raises:
        RunError: It did not come to its end.
    """
    with temporary_reports():
        outcome = execution.execute(page, "quick")
    if not outcome.complete:
        raise RunError(f"the lean notebook did not come to its end: {outcome.cause}")


def _python(code: str) -> Callable[[], None]:
    def go() -> None:
        subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})

    return go


def _text(result: Mapping[str, Any]) -> str:
    """The result as people read it."""
    rows = [["from nothing to", "s", "to import torch", "range", "rounds"]]
    for name, values in result["seconds"].items():
        kinds = result["ratios"][name]
        wall = kinds["wall"]
        rows.append(
            [
                name,
                f"{values['median']:.2f}",
                f"{wall['median']:.2f}x",
                f"{wall['low']:.2f} to {wall['high']:.2f}",
                counted(kinds),
            ]
        )
    lean, host = result["lean_notebook"], result["machine"]
    verdict = "within" if lean["passes"] else "above"
    return "\n".join(
        [
            table(rows),
            "",
            f"a lean notebook takes {lean['seconds']:.1f} s, {verdict} what it may: {FACTOR:g} times import torch and "
            f"{EXTRA:g} s, {lean['allowed']:.1f} s",
            f"{host['cpu']}, {host['cores']} cores, torch {host['torch']}",
        ]
    )
