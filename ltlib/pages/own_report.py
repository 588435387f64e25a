"""The report of a comparison on a set of one's own: the notebook `your_images` executed on it, as one page."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltlib import datasets
from ltlib.compare import export
from ltlib.errors import RunError
from ltlib.pages import declared, execution, report

if TYPE_CHECKING:
    from ltlib.compare.recommend import Recommendation
    from ltlib.compare.results import Results

NOTEBOOK = "your_images"
PROFILE = "quick"
"""Its parameters say what is done; the profile only says where the page's files lie."""


def write_model(found: Results, said: Recommendation, folder: Path) -> Path:
    """The recommended candidate as a model to take away."""
    one = found.candidate(said.method)
    name = found.runs[one.method][export.SPLIT].experiment.dataset
    info = datasets.info(name)
    return export.write(found, one, folder, mean=info.mean, std=info.std, size=info.image_size)


def write_page(parameters: Mapping[str, Any], path: Path) -> Path:
    """Execute the notebook with these parameters and write it as one page that needs no other file.

    Raises:
        RunError: It did not come to its end; says in which cell and why.
    """
    page = declared.find(NOTEBOOK, {})
    before = os.environ.get("LTLIB_TRAIN")
    os.environ["LTLIB_TRAIN"] = "1"  # nobody trained ahead what another choice of its cells wants
    try:
        done = execution.execute(page, PROFILE, parameters)
    finally:
        if before is None:
            del os.environ["LTLIB_TRAIN"]
        else:
            os.environ["LTLIB_TRAIN"] = before
    if not done.complete:
        raise RunError(f"the report could not be made: {done.cause}; the runs and the model are kept")
    path.parent.mkdir(parents=True, exist_ok=True)
    state = report.PageState(page, "fresh", record=done.record, seconds=done.seconds)
    report.Exporter().write_page(path, page, PROFILE, state, done.notebook, [page])
    return path
