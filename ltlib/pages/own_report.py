"""The report of a comparison on a set of one's own: the notebook `your_images` executed on it, as one page."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ltlib import datasets
from ltlib.compare import export
from ltlib.errors import RunError
from ltlib.files import write_text
from ltlib.pages import declared, execution, report
from ltlib.version import __version__

if TYPE_CHECKING:
    from ltlib.compare.choices import Choices
    from ltlib.compare.recommend import Recommendation
    from ltlib.compare.results import Results

NOTEBOOK = "your_images"
STATEMENT = (
    "A comparison of methods on images of your own: which to use, by how much, and where no difference can be told."
)
PROFILE = "quick"
"""Its parameters say what is done; the profile only says where the page's files lie."""


def write_command(command: str, path: Path) -> None:
    """The command that repeats a comparison, as a script of a POSIX shell."""
    write_text(path, f"#!/bin/sh\n# ltlib {__version__}\n{command}\n")


def write_model(found: Results, said: Recommendation, folder: Path, command: str = "") -> Path:
    """The recommended candidate as a model to take away, with the command that made it."""
    one = found.candidate(said.method)
    name = found.runs[one.method][export.SPLIT].experiment.dataset
    info = datasets.info(name)
    return export.write(found, one, folder, mean=info.mean, std=info.std, size=info.image_size, command=command)


def parameters(chosen: Choices) -> dict[str, str]:
    """What the notebook is given; its cells make the same choices."""
    target = chosen.target if not chosen.target.lower().endswith(".csv") else str(Path(chosen.target).resolve())
    weights = str(Path(chosen.weights).expanduser().resolve()) if chosen.weights else ""
    text = replace(chosen, weights=weights).text()
    return {"path": str(Path(chosen.path).expanduser().resolve()), "target": target, "choices": text}


def write_page(chosen: Choices, path: Path) -> Path:
    """Execute the notebook with these choices and write it as one page that needs no other file.

    Raises:
        RunError: It did not come to its end; says in which cell and why.
    """
    page = declared.find(NOTEBOOK, {})
    before = os.environ.get("LTLIB_TRAIN")
    os.environ["LTLIB_TRAIN"] = "1"  # nobody trained ahead what another choice of its cells wants
    try:
        done = execution.execute(page, PROFILE, parameters(chosen))
    finally:
        if before is None:
            del os.environ["LTLIB_TRAIN"]
        else:
            os.environ["LTLIB_TRAIN"] = before
    if not done.complete:
        raise RunError(f"the report could not be made: {done.cause}; the runs and the model are kept")
    path.parent.mkdir(parents=True, exist_ok=True)
    state = report.PageState(page, "fresh", record=done.record, seconds=done.seconds)
    report.Exporter().write_page(path, page, PROFILE, state, done.notebook, [page], STATEMENT)
    return path
