"""Where things lie: the checkout, the data, the runs, the reports. One environment variable moves each."""

from __future__ import annotations

import os
from pathlib import Path

RECORDED = ("paper", "laptop", "imported")
"""Where records lie; ``imported`` are those of runs that no profile's record was made of."""


def checkout() -> Path | None:
    """The repository this package is used from, or None where it is installed without one."""
    folder = Path(__file__).resolve().parent.parent
    return folder if (folder / "notebooks").is_dir() and (folder / "pyproject.toml").is_file() else None


def variable(name: str) -> str:
    """An environment variable's text; one that is empty or blank counts as not set."""
    return os.environ.get(name, "").strip()


def data_folder() -> Path:
    """Image sets in torchvision's layout: ``LTLIB_DATA``, else ``data`` in the checkout, else in the home's cache."""
    if text := variable("LTLIB_DATA"):
        return Path(text).expanduser()
    top = checkout()
    return top / "data" if top else Path.home() / ".cache" / "ltlib" / "data"


def weights_folder() -> Path | None:
    """Files of pretrained weights: ``LTLIB_WEIGHTS``, or None."""
    text = variable("LTLIB_WEIGHTS")
    return Path(text).expanduser() if text else None


def reports_folder() -> Path:
    """Runs, pages and records: ``LTLIB_REPORTS``, else ``reports`` in the checkout, else ``reports`` here."""
    if text := variable("LTLIB_REPORTS"):
        return Path(text).expanduser()
    return (checkout() or Path.cwd()) / "reports"


def runs_folder() -> Path:
    """Full run folders, with logits and weights (never committed)."""
    return reports_folder() / "runs"


def records_folders() -> list[Path]:
    """Folders with small records of finished runs: the committed ones of real runs, and those from an archive."""
    return [reports_folder() / profile / "records" for profile in RECORDED]


def notebooks_folder() -> Path | None:
    """The notebooks of the checkout, or None."""
    top = checkout()
    return top / "notebooks" if top else None
