"""A reproducible workbook on long-tailed image recognition.

Modules and the few names of everyday use are loaded when they are first asked for: every notebook's kernel pays for
what it imports.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ltlib.version import __version__ as __version__

if TYPE_CHECKING:
    from ltlib.experiment import Experiment as Experiment
    from ltlib.runs import Run as Run
    from ltlib.runs import run as run
    from ltlib.runs.sweep import run_all as run_all

_NAMES = {"Experiment": "experiment", "Run": "runs", "run": "runs", "run_all": "runs.sweep"}


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(f"ltlib.{_NAMES[name]}"), name)
        globals()[name] = value
        return value
    if name.startswith("_"):
        raise AttributeError(name)
    try:
        return importlib.import_module(f"ltlib.{name}")
    except ModuleNotFoundError as error:
        if error.name == f"ltlib.{name}":
            raise AttributeError(f"module 'ltlib' has no attribute {name!r}") from None
        raise
