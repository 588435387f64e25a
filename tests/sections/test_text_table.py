"""A table of sentences on a page."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd

from ltlib.sections.text_table import text_table


def test_cells_are_escaped_and_the_first_is_the_rows_name() -> None:
    shown: list[Any] = []
    page: Any = SimpleNamespace(show=shown.append)
    text_table(page, "Rules", pd.DataFrame({"when": ["a < b"], "what": ["<b>no</b>"]}), "of the game")
    (item,) = shown
    assert '<th scope="row" style="vertical-align:top">a &lt; b</th>' in item.html
    assert "&lt;b&gt;no&lt;/b&gt;</td>" in item.html
    assert 'id="table-rules"' in item.html
    assert item.text.startswith("Rules of the game")
