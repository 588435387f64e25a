"""Sliders, and what stands in their place where nobody can move them: the same function at a few fixed settings."""

from __future__ import annotations

import base64
import contextlib
import io
import os
from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import Any

from ltlib import progress
from ltlib.pages import html


def headless() -> bool:
    """Whether nobody can move a slider: only JupyterLab, Colab and VS Code say that somebody is there."""
    live = os.environ.get("JPY_SESSION_NAME") or os.environ.get("COLAB_RELEASE_TAG") or os.environ.get("VSCODE_PID")
    return bool(os.environ.get("LTLIB_HEADLESS")) or not (live and progress.in_kernel())


def explore(function: Callable[..., Any], static: Iterable[Any], widgets: Mapping[str, Any]) -> html.Shown | None:
    """Show sliders in a live kernel; elsewhere, and without ipywidgets, give the panels to be shown instead.

    Args:
        function: Takes the widgets' values by name and returns a figure, a frame or text.
        static: The fixed settings: mappings of names to values, or bare values of a single widget.
        widgets: What `ipywidgets.interact` takes, by name: ranges, lists, or widgets.
    """
    if not headless():
        with contextlib.suppress(ImportError):
            _sliders(function, widgets)
            return None
    panels, lines = [], []
    for item in static:
        setting = dict(item) if isinstance(item, Mapping) else {next(iter(widgets)): item}
        label = ", ".join(f"{key.replace('_', ' ')} = {value}" for key, value in setting.items())
        panels.append(f"<div><p>{escape(label)}</p>{_panel(function(**setting), label)}</div>")
        lines.append(label)
    return html.Shown(f'<div class="lt-panels">{"".join(panels)}</div>', "\n".join(lines))


def _sliders(function: Callable[..., Any], widgets: Mapping[str, Any]) -> None:
    """Show the widgets with their names written out: ipywidgets cuts a label that is longer than a few letters."""
    from IPython.display import display
    from ipywidgets import interactive

    shown = interactive(function, **widgets)
    for control in shown.children[:-1]:
        control.description = control.description.replace("_", " ")
        control.style.description_width = "initial"
        control.layout.width = "32em"
    display(shown)


def _panel(result: Any, label: str) -> str:
    """One fixed setting of an explored function, as HTML."""
    if hasattr(result, "savefig"):
        buffer = io.BytesIO()
        result.savefig(buffer, format="png", dpi=110)
        close(result)
        data = base64.b64encode(buffer.getvalue()).decode()
        return f'<img src="data:image/png;base64,{data}" alt="{escape(f"The panel at {label}")}">'
    return html.frame(result) if hasattr(result, "itertuples") else f"<pre>{escape(str(result))}</pre>"


def close(figure: Any) -> None:
    """Close a figure, so that the inline backend does not show it a second time."""
    import matplotlib.pyplot as plt

    plt.close(figure)
