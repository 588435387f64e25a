"""What cells call: tables, figures, claims, sliders with a static twin, and the last cell."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from ltlib import notebook
from ltlib.errors import IncompleteError, SettingError, UnknownName
from ltlib.pages import declared, explore, html
from ltlib.pages.page import SENTINEL, Page
from notebooks import write_notebook

ALT = "Two points rise from 1 to 2 over the two epochs"


@pytest.fixture
def page(tmp_path: Path, monkeypatch) -> Page:
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / "reports"))
    monkeypatch.setenv("LTLIB_PAGE_FOLDER", str(tmp_path / "reports" / "quick" / "convergent"))
    monkeypatch.setenv("LTLIB_SENTINEL", str(tmp_path / "sentinel.json"))
    monkeypatch.setenv("LTLIB_HEADLESS", "1")
    what = declared.Declared(
        id="convergent/x", notebook="convergent/x", document="convergent", tables=("1",), figures=("5", "6")
    )
    made = Page(what, "quick")
    made.seen = []  # type: ignore[attr-defined]
    monkeypatch.setattr(made, "show", made.seen.append)  # type: ignore[attr-defined]
    return made


def seen(page) -> str:
    return "\n".join(shown.html for shown in page.seen)


def figure():
    fig, axes = plt.subplots(figsize=(2, 1.5))
    axes.plot([1, 2], [1, 2])
    return fig


def test_the_last_cell_fails_and_names_what_is_not_there(page, tmp_path: Path):
    page.frame("1", pd.DataFrame({"a": [1]}))
    with pytest.raises(IncompleteError, match="figure 5, figure 6"):
        page.finish()
    assert not (tmp_path / "sentinel.json").exists()


def test_a_complete_page_leaves_its_sentinel(page, tmp_path: Path):
    page.table("convergent", "1", runs=[])
    page.figure("5", figure(), alt=ALT, data=pd.DataFrame({"epoch": [1, 2], "value": [1, 2]}))
    page.missing("6", "nobody printed it", "ltlib reproduce")
    page.claim("It rises.", "section 1", True, "1 to 2")
    page.finish()
    record = json.loads((tmp_path / "sentinel.json").read_text())
    assert record["id"] == "convergent/x"
    assert record["tables"]["1"]["verdicts"] == {"not run": 12}
    assert record["figures"]["5"]["alt"] == ALT
    assert record["missing"][0] | {"kind": "figure", "number": "6"} == record["missing"][0]
    assert record["claims"][0]["answer"] is True
    assert page.seen[-1]._repr_mimebundle_()[SENTINEL] == record


def test_a_figure_is_saved_embedded_described_and_closed(page, tmp_path: Path):
    fig = figure()
    page.figure("5", fig, alt=f"{ALT} & <more>", caption="A < B", data=pd.DataFrame({"name": ["<img onerror=x>"]}))
    folder = tmp_path / "reports" / "quick" / "figures" / "convergent" / "x"
    assert {path.name for path in folder.iterdir()} == {f"figure-5.{ending}" for ending in ("svg", "png", "pdf", "csv")}
    text = seen(page)
    assert f'alt="{ALT} &amp; &lt;more&gt;"' in text
    assert "<img onerror" not in text
    data = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', text)[1]
    assert b"<svg" in base64.b64decode(data)
    for address in re.findall(r'href="([^"]+)"', text):
        assert (tmp_path / "reports" / "quick" / "convergent" / address).resolve().is_file()
    assert not plt.fignum_exists(fig.number)


def test_a_figure_without_words_is_refused(page):
    for alt in ("", "  ", "Figure 5"):
        with pytest.raises(SettingError, match="needs an alt text"):
            page.figure("5", figure(), alt=alt)
    plt.close("all")


def test_a_chart_brings_its_own_alt_text_and_data(page, tmp_path: Path):
    from ltlib.plots import distribution

    chart = distribution.class_distribution([50, 20, 5])
    page.figure("5", chart)
    assert chart.alt in page.record()["figures"]["5"]["alt"]
    saved = pd.read_csv(tmp_path / "reports" / "quick" / "figures" / "convergent" / "x" / "figure-5.csv")
    assert len(saved) == 3


def test_a_large_drawing_is_embedded_as_pixels(tmp_path: Path):
    (tmp_path / "f.svg").write_bytes(b"<svg>" + b" " * 200_000)
    (tmp_path / "f.png").write_bytes(b"pixels")
    assert html.embedded(tmp_path / "f") == f"data:image/png;base64,{base64.b64encode(b'pixels').decode()}"
    (tmp_path / "f.svg").write_bytes(b"<svg/>")
    assert html.embedded(tmp_path / "f").startswith("data:image/svg+xml;")


def test_a_table_shows_every_published_cell_and_why_it_has_no_verdict(page, tmp_path: Path):
    page.table("convergent", "1", runs=[])
    text = seen(page)
    assert text.count("– not run") == 12
    assert "0.748" in text
    assert "Cells without a verdict, and why" in text
    assert 'id="table-1"' in text
    assert (tmp_path / "reports" / "quick" / "tables" / "convergent" / "x" / "table-1.csv").is_file()
    page.declared = declared.Declared(id="beyond/y", document=None, tables=("convergent/1",))
    page.table("convergent", "1", runs=[])
    assert set(page.frames) == {"1", "convergent/1"}
    assert page.open_items() == []


def test_answers_say_in_which_profile_they_hold(page):
    page.claim("A <b> claim", "s", True, "1 < 2")
    page.claim("Another", "s", False, "")
    page.claim("A third", "s", None, "")
    text = seen(page)
    assert ">holds in quick<" in text
    assert ">does not hold in quick<" in text
    assert ">cannot be told<" in text
    assert "A &lt;b&gt; claim" in text
    page.profile = "paper"
    page.seen.clear()
    page.claim("A claim", "s", True, "")
    assert ">holds<" in seen(page)


def test_known_inconsistencies_stand_beside_the_table(page):
    page.notes("convergent", "1")
    assert "0.748" in page.seen[-1].text


def test_sliders_have_a_static_twin(page):
    asked = []

    def draw(factor):
        asked.append(factor)
        return figure()

    page.explore(draw, static=[10, {"factor": 50}], factor=(1, 100))
    assert asked == [10, 50]
    assert seen(page).count("<img") == 2
    assert 'alt="The panel at factor = 50"' in seen(page)
    assert not plt.get_fignums()
    page.explore(lambda n: f"<{n}>", static=[1], n=(1, 2))
    assert "<pre>&lt;1&gt;</pre>" in seen(page)


def test_where_nobody_moves_sliders(monkeypatch):
    for name in ("LTLIB_HEADLESS", "JPY_SESSION_NAME", "COLAB_RELEASE_TAG", "VSCODE_PID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(explore.progress, "in_kernel", lambda: True)
    assert explore.headless()  # papermill alone: a kernel, and no front end
    monkeypatch.setenv("JPY_SESSION_NAME", "/x/a.ipynb")
    assert not explore.headless()
    monkeypatch.setenv("LTLIB_HEADLESS", "1")
    assert explore.headless()


def test_runs_are_used_stamped_and_their_failures_and_gaps_said(page, monkeypatch):
    from ltlib import grids
    from ltlib.runs import sweep

    run = SimpleNamespace(id="abcdefabcdef", fingerprint="0123456789")
    reason = SimpleNamespace(reason="one network stands for all")
    monkeypatch.setattr(grids, "experiments", lambda name, profile: (["e"], {"a": reason, "b": reason}))
    monkeypatch.setattr(
        sweep, "run_all", lambda e, label, train, strict: sweep.RunList([run], {"feed": "loss is <NaN>"})
    )
    assert page.runs("convergent/1") == [run]
    assert "2 of convergent/1 not in quick: one network stands for all." in seen(page)
    assert "loss is &lt;NaN&gt;" in seen(page)
    page.figure("5", figure(), alt=ALT)
    assert '<a href="../runs/abcdefabcdef.html">abcdefabcdef</a>' in seen(page)
    assert "data 01234567" in seen(page)
    assert page.record()["runs"] == ["abcdefabcdef"]
    assert page.record()["failures"] == {"feed": "loss is <NaN>"}


def test_cells_of_sentences_are_escaped_and_the_first_is_the_rows_name(page):
    page.sentences("Rules", pd.DataFrame({"when": ["a < b"], "what": ["<b>no</b>"]}), "of the game")
    (item,) = page.seen
    assert '<th scope="row" style="vertical-align:top">a &lt; b</th>' in item.html
    assert "&lt;b&gt;no&lt;/b&gt;</td>" in item.html
    assert 'id="table-rules"' in item.html
    assert item.text.startswith("Rules of the game")


def test_setup_refuses_what_it_does_not_know_and_shows_the_machine(monkeypatch, tmp_path: Path, capsys):
    path = tmp_path / "notebooks" / "a.ipynb"
    write_notebook(path, {"id": "a", "title": "A", "question": "?", "cost": {"quick": "9 s"}}, [("code", "1")])
    monkeypatch.setenv("LTLIB_NOTEBOOK_FILE", str(path))
    with pytest.raises(UnknownName, match="did you mean quick"):
        notebook.setup("a", profile="quik")
    made = notebook.setup("a", profile="quick", seed=3)
    assert made.declared.title == "A"
    card = capsys.readouterr().out
    assert "cost: 9 s" in card
    assert "parameters: seed = 3" in card
    assert "torch" in card
    monkeypatch.delenv("LTLIB_NOTEBOOK_FILE")
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    with pytest.raises(SettingError, match="which notebook"):
        notebook.setup()
