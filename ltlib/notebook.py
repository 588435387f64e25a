"""What a notebook calls first: ``page = notebook.setup("convergent/cifar10", profile=profile)``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ltlib.errors import SettingError
from ltlib.pages import declared
from ltlib.pages.html import Shown
from ltlib.pages.page import Page

__all__ = ["Shown", "setup"]

_OWN_FILE = ("LTLIB_NOTEBOOK_FILE", "JPY_SESSION_NAME")


def setup(name: str | None = None, profile: str = "quick", *, statement: str = "", **parameters: Any) -> Page:
    """Begin a page: find what its notebook declares, set the plot style, show the machine card.

    Args:
        name: The notebook's id, its path under ``notebooks`` without suffix; None asks Jupyter for the file's name.
        profile: ``quick``, ``laptop`` or ``paper``.
        statement: What the page is of, where that is not what the profile says.
        **parameters: The notebook's other parameters; they choose among variants and are shown.

    Raises:
        UnknownName: Unknown profile, notebook or variant.
    """
    from ltlib import plugins, profiles
    from ltlib.pages import machine
    from ltlib.plots import palette

    plugins.load()
    profiles.get(profile)
    page = Page(_own_declaration(name, parameters), profile)
    palette.use_style()
    page.show(machine.card(profile, page.declared.cost.get(profile, ""), parameters, statement))
    return page


def _own_declaration(name: str | None, parameters: Mapping[str, Any]) -> declared.Declared:
    """What the running notebook declares: of the file the chain or JupyterLab says, else of the checkout's notebook."""
    said = next((os.environ[key] for key in _OWN_FILE if os.environ.get(key, "").endswith(".ipynb")), None)
    if said is not None and Path(said).is_file() and not declared.left_out(Path(said)):
        pages = declared.of_notebook(declared.read_notebook(Path(said)), Path(said))
        if name in (None, pages[0].notebook):
            return declared.choose(pages, parameters)
    if name is None:
        raise SettingError("cannot tell which notebook this is; write notebook.setup('chapter/name', ...)")
    return declared.find(name, parameters)
