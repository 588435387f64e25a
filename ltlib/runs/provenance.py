"""Where and with what a result was made: no part of its identity, kept with every run."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ltlib import places
from ltlib.version import __version__


def describe(target: torch.device) -> dict[str, Any]:
    """Where and with what a result was made: no part of its identity."""
    return {
        "ltlib": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": torch.cuda.get_device_name(target) if target.type == "cuda" else processor(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
    }


def processor() -> str:
    """The CPU's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _commit() -> str | None:
    """The checkout's commit, with ``+`` where files differ from it; None outside a checkout."""
    top = places.checkout()
    if top is None:
        return None
    try:
        head = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=top, capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--", "ltlib"], cwd=top, capture_output=True, text=True, check=True
        )
        return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return None
