"""The machine card: the machine, the profile and its cost."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Mapping
from importlib import resources
from typing import Any

from ltlib import profiles
from ltlib.pages import html
from ltlib.version import __version__


def card(profile: str, cost: str, parameters: Mapping[str, Any], statement: str = "") -> html.Shown:
    """What a page begins with.

    Args:
        profile: The profile it runs in.
        cost: What that costs, in words.
        parameters: The notebook's other parameters.
        statement: What it is of, instead of profile and cost.
    """
    css = (resources.files("ltlib.pages") / "templates" / "cells.css").read_text(encoding="utf-8")
    return html.machine_card(_rows(profile, cost, parameters, statement), css)


def _rows(profile: str, cost: str, parameters: Mapping[str, Any], statement: str) -> dict[str, str]:
    import torch

    threads = torch.get_num_threads()
    rows = {
        "profile": "" if statement else f"{profile}. {profiles.get(profile).summary}",
        "cost": "" if statement else cost,
        "what": statement,
        "machine": f"{_device()}; this process uses {threads} {'thread' if threads == 1 else 'threads'}",
        "software": f"Python {platform.python_version()}, torch {torch.__version__}, ltlib {__version__}",
        "parameters": ", ".join(f"{key} = {value!r}" for key, value in parameters.items()),
    }
    return {key: value for key, value in rows.items() if value}


def _device() -> str:
    import torch

    device = f"{os.cpu_count()} CPU cores"
    if torch.cuda.is_available():
        device = f"{torch.cuda.get_device_name()}, {torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB"
    with contextlib.suppress(ImportError):
        import psutil

        device += f", {psutil.virtual_memory().total / 2**30:.0f} GiB memory"
    return device
