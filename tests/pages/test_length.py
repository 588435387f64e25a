"""What is in sight on a page, counted by hand, and the limits of the longest pages."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ltlib import calibration, places
from ltlib.chapters.losses import catalogue
from ltlib.pages import declared, html, report
from ltlib.pages.length import Length, in_sight
from ltlib.pages.page import Page
from ltlib.plots import export
from ltlib.sections import chance

LIMITS = {
    "02_losses": Length(2700, 3),
    "awabs/calibration": Length(3000, 4),
    "awabs/comparison": Length(2200, 4),
    "awabs/methods": Length(3000, 4),
}
"""Of the laptop pages, made from the committed records. A page is read: what only proves its findings goes into a fold.
Raise a limit where a new finding needs the room, not for the proof of one."""


@pytest.mark.parametrize(
    ("text", "words", "tables"),
    [
        ("<p>One two <b>thr</b>ee</p><p>four</p>", 4, 0),
        ("<table><tr><td>a</td><td>b c</td></tr></table>", 3, 1),
        ("<details><summary>In sight</summary>not <table></table></details> after", 3, 0),
        ("<details open><summary>In sight</summary>too <table></table></details>", 3, 1),
        ("<details><summary>a</summary><details open><summary>b</summary>c</details>d</details>e", 2, 0),
        ("<details open>a<details><summary>b</summary>c<table></table></details>d</details>e", 4, 0),
        ("<head><title>no</title></head><nav>no</nav><main>yes</main><script>no no</script><footer>no</footer>", 1, 0),
        ("<style>no</style>x <math><mi>y</mi></math> z", 2, 0),
        ("1 &lt; 2", 3, 0),
        ("", 0, 0),
    ],
)
def test_words_and_tables_in_sight(text: str, words: int, tables: int) -> None:
    assert in_sight(text) == Length(words, tables)


@pytest.mark.parametrize("name", LIMITS)
def test_long_pages_stay_short(
    name: str, reports: Path, monkeypatch: pytest.MonkeyPatch, executed_without_runs: Callable[[str, str], Page]
) -> None:
    """Nothing is trained or drawn: the numbers come from records, and a picture has no words in sight."""
    top, folder = places.checkout(), places.notebooks_folder()
    assert top is not None
    assert folder is not None
    shutil.copytree(top / "reports" / "laptop" / "records", reports / "laptop" / "records")
    monkeypatch.setattr(export, "save", lambda figure, stem, data=None, forms=(), heavy=0: [])
    monkeypatch.setattr(html, "embedded", lambda stem: "data:,")
    monkeypatch.setattr(catalogue, "trials", lambda names: pd.DataFrame({"method": names}))
    monkeypatch.setattr(chance, "floor_table", partial(chance.floor_table, draws=20))
    intervals, by_chance = chance.intervals, calibration.errors_by_chance
    monkeypatch.setattr(chance, "intervals", lambda study, first, resamples: intervals(study, first, resamples=5))
    monkeypatch.setattr(
        calibration, "errors_by_chance", lambda *of, **how: by_chance(*of[:2], **{**how, "draws": 2})
    )  # their words, not their digits
    seen: list[Any] = []
    monkeypatch.setattr("IPython.display.display", seen.append)
    executed_without_runs(name, "laptop")
    cells = declared.read_notebook(folder / f"{name}.ipynb")["cells"]
    written = [report.markdown(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    found, limit = in_sight("\n".join([*written, *(item.html for item in seen)])), LIMITS[name]
    assert limit.words / 2 < found.words, "much shorter than its limit: were its records read?"
    assert found.words <= limit.words
    assert found.tables <= limit.tables
