"""What cells call: tables, figures, claims, sliders with a static twin, and the last cell."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from ltlib import notebook
from ltlib.errors import IncompleteError, SettingError, UnknownName
from ltlib.pages import declared, explore, html, standing
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


@pytest.mark.parametrize("name", ["my reports #1 100%", "a?b", "50%20off", "c:d", "naïve", "a&b;\"<c>'", "~x", "plain"])
def test_a_link_is_an_address_that_leads_to_its_file(page, tmp_path: Path, monkeypatch, name: str):
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / name))
    here = tmp_path / "else where #2"
    monkeypatch.setenv("LTLIB_PAGE_FOLDER", str(here))
    target = page.root / "figures" / "x y.csv"
    joined = urllib.parse.urljoin((here / "page.html").as_uri(), page.link(target))
    parts = urllib.parse.urlsplit(joined)
    assert (parts.scheme, parts.query, parts.fragment) == ("file", "", "")
    assert urllib.request.url2pathname(parts.path) == str(target)


def test_links_of_a_figure_lead_to_its_files(page, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / "reports #1"))
    page.figure(
        "5", figure(), alt=ALT, data=pd.DataFrame({"a": [1]}), runs=[SimpleNamespace(id="abc", fingerprint="1")]
    )
    found = re.findall(r'href="([^"]*)"', seen(page))
    assert len(found) >= 3  # the drawing, its data, the run's card
    assert all("reports%20%231/" in address and "#" not in address for address in found)


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
    assert {path.name for path in folder.iterdir()} == {f"figure-5.{ending}" for ending in ("svg", "csv")}
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
    assert text.count('aria-label="not run"') == 12
    assert "0.748" in text
    assert "Cells without a verdict, and why" in text
    assert 'id="table-1"' in text
    assert (tmp_path / "reports" / "quick" / "tables" / "convergent" / "x" / "table-1.csv").is_file()
    page.declared = declared.Declared(id="beyond/y", document=None, tables=("convergent/1",))
    page.table("convergent", "1", runs=[])
    assert set(page.frames) == {"1", "convergent/1"}
    assert page.open_items() == []


@pytest.fixture
def displayed(page, monkeypatch) -> list[html.Shown]:
    """What reaches the cell, through the page's own `show`."""
    found: list[html.Shown] = []
    monkeypatch.delattr(page, "show")
    monkeypatch.setattr("IPython.display.display", found.append)
    return found


def test_a_fold_is_one_output_of_its_cell_with_all_of_the_block_inside(page, displayed):
    page.say("A finding.")
    with page.fold("Two rows & their reasons"):
        page.frame("1", pd.DataFrame({"a": [1, 2]}))
        page.missing("6", "nobody printed it")
        with page.fold("A fold in a fold"):
            page.claim("It rises.", "section 1", True, "1 to 2")
    page.say("After it.")
    assert len(displayed) == 3
    text = displayed[1].html
    assert text.startswith('<details class="lt-fold"><summary>Two rows &amp; their reasons</summary>')
    assert text.endswith("</details>")
    assert text.index('id="table-1"') < text.index('id="figure-6"') < text.index("A fold in a fold")
    assert text.count("<details") == text.count("</details>") == 2
    assert "Two rows & their reasons\nTable 1" in displayed[1].text
    assert page.open_items() == ["figure 5"]  # what is folded is there


def test_what_a_fold_shows_before_an_error_is_shown_and_an_empty_one_is_not(page, displayed):
    def half():
        with page.fold("Half of it"):
            page.say("Until here.")
            raise SettingError("no further")

    with pytest.raises(SettingError, match="no further"):
        half()
    with page.fold("Nothing"):
        pass
    page.say("After.")
    assert [shown.text for shown in displayed] == ["Half of it\nUntil here.", "After."]


def test_the_finding_stands_above_its_table_and_a_table_without_runs_is_folded(page, displayed):
    asked = []

    def finding(frame, profile):
        asked.append((len(frame), profile))
        return "Printed, the best: SupCon + CE."

    page.table("convergent", "1", runs=[], finding=finding)
    assert asked == [(12, "quick")]
    assert [shown.text.split("\n")[0] for shown in displayed] == [
        "Printed, the best: SupCon + CE.",
        "Table 1 as printed: 12 cells, none of them run in quick",
    ]
    with page.fold("All of them"):
        page.table("convergent", "1", runs=[])
    assert displayed[-1].html.count("lt-fold") == 1  # one click, not two


def test_remarks_on_the_source_are_folded_and_counted(page, displayed):
    page.notes("convergent", "1")
    (shown,) = displayed
    count = shown.html.count("<li ")
    said = f"The source, read closely: {count} remark{'s' * (count != 1)}"
    assert count
    assert shown.html.startswith(f'<details class="lt-notes"><summary>{said}</summary>')


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


def test_answers_of_few_runs_are_no_more_than_seen(page):
    """Both ways alike; only what three runs carry, or none needs to, holds or does not."""
    page.profile = "paper"
    for answer in (True, False):
        for runs in (1, 2, 3, None):
            page.claim("A claim", "s", answer, "", runs=runs, rule="Rule: above <it>.")
    chips = re.findall(r'lt-chip lt-(\w+)">([^<]*)<', seen(page))
    assert chips == [
        ("open", "seen in one run"), ("open", "seen in 2 runs"), ("yes", "holds"), ("yes", "holds"),
        ("open", "not seen in one run"), ("open", "not seen in 2 runs"),
        ("no", "does not hold"), ("no", "does not hold"),
    ]  # fmt: skip
    assert '<p class="lt-rule">Rule: above &lt;it&gt;.</p>' in seen(page)
    kept = page.record()["claims"]
    assert [claim["runs"] for claim in kept] == [1, 2, 3, None] * 2
    assert standing.counted([*kept, {"answer": True}, {"answer": None}]) == {  # the last two of an older page
        "claims hold": 2,
        "claims were seen, in fewer than three runs": 3,
        "claims were not seen, in fewer than three runs": 2,
        "claims do not hold": 2,
        "claim cannot be told": 1,
    }


def test_what_print_says_stands_beside_ours(page):
    printed = standing.Judgement(True, "12 of 13.", None, "12 of 13")
    page.claim("A claim", "s", None, "Nothing.", printed=printed)
    assert ">Its own numbers: support it (12 of 13)<" in seen(page)
    assert ">Ours: cannot be told<" in seen(page)
    assert page.record()["claims"][0] | {"printed": True, "printed_evidence": "12 of 13."} == page.record()["claims"][0]


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


def test_labels_of_sliders_are_whole(page, monkeypatch):
    from IPython import display

    shown = []
    monkeypatch.setattr(explore, "headless", lambda: False)
    monkeypatch.setattr(display, "display", shown.append)
    page.explore(lambda imbalance_factor, kind: "", static=[], imbalance_factor=(1, 500), kind=["a", "b"])
    controls = shown[0].children[:-1]
    assert [control.description for control in controls] == ["imbalance factor", "kind"]
    assert {control.style.description_width for control in controls} == {"initial"}


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
    assert re.search('<th scope="row" style="white-space:normal;[^"]*">a &lt; b</th>', item.html)
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


def test_a_heavy_drawing_is_saved_and_embedded_as_pixels_too(page, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("ltlib.pages.html.EMBED_SVG", 100)
    page.figure("5", figure(), alt=ALT)
    folder = tmp_path / "reports" / "quick" / "figures" / "convergent" / "x"
    assert {path.name for path in folder.iterdir()} == {"figure-5.svg", "figure-5.png"}
    assert "data:image/png;base64," in seen(page)
