"""The libraries that come with ``pip install "ltlib[images]"``; without them an audit says what it did not look for."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any

HOW = 'pip install "ltlib[images]"'


def library(name: str) -> Any | None:
    """A module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def versions(*names: str) -> str:
    """Versions of libraries, for a key: what another version computes may be other numbers."""
    return ", ".join(f"{name} {_version(name)}" for name in names)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"
