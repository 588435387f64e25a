"""Pages, cards and the index: offline, escaped, small, and saying what is missing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ltlib.pages import cards, declared, index, report
from ltlib.pages.report import PageState
from notebooks import write_notebook

EXPORTER = report.Exporter()
NASTY = "<img src=x onerror=alert(1)>"


class Loads(HTMLParser):
    """Everything a browser would fetch or run."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[str] = []
        self.handlers: list[str] = []
        self.scripts = 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        for name, value in attrs:
            if name in ("src", "srcset", "poster", "data") or (
                name == "href" and tag in ("link", "use", "image", "base")
            ):
                self.found.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)

    @property
    def outside(self) -> list[str]:
        return [address for address in self.found if re.match(r"(\w+:)?//", address)]


def cell(kind: str, source: str, outputs: list | None = None, name: str = "c") -> dict:
    value = {"cell_type": kind, "id": name, "metadata": {}, "source": source}
    return value if kind == "markdown" else value | {"execution_count": 1, "outputs": outputs or []}


def shown(text: str) -> dict:
    return {"output_type": "display_data", "metadata": {}, "data": {"text/html": text, "text/plain": ""}}


@pytest.fixture
def page(tmp_path: Path) -> declared.Declared:
    path = tmp_path / "notebooks" / "convergent" / "x.ipynb"
    raw = {
        "id": "convergent/x",
        "title": f"X {NASTY}",
        "question": "?",
        "document": "convergent",
        "figures": ["5", "6"],
    }
    write_notebook(path, raw, [("markdown", "text")])
    return declared.of_notebook(declared.read_notebook(path), path)[0]


def write(page, cells: list[dict], tmp_path: Path, name: str = "x.html", state: str = "fresh", order=()) -> str:
    notebook = {"cells": cells, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}
    path = tmp_path / "reports" / "quick" / "convergent" / name
    current = PageState(page=page, state=state, reason="the kernel died", command="ltlib reproduce --only convergent/x")
    EXPORTER.write_page(path, page, "quick", current, notebook, order or [page])
    return path.read_text()


def test_pasted_pictures_are_inside_the_page(page, tmp_path: Path):
    text = cell(
        "markdown", "![first](attachment:a.png)\n\n![second](attachment:my%20b.png) ![third](attachment:no.png)"
    )
    text["attachments"] = {"a.png": {"image/png": "QUFB"}, "my b.png": {"image/jpeg": ["Qk", "JC\n"]}}
    found = write(page, [text], tmp_path)
    assert 'src="data:image/png;base64,QUFB"' in found
    assert 'src="data:image/jpeg;base64,QkJC"' in found
    assert "attachment:" not in found
    assert "third" in found


def test_the_next_page_is_one_that_is_there(page, tmp_path: Path):
    damaged = declared.Declared(id="d #1", title="d", notebook="d #1", path=page.path, problem="is not a notebook")
    after = declared.Declared(id="e", title="e", notebook="e", path=page.path)
    text = write(page, [cell("markdown", "text")], tmp_path, order=[page, damaged, after])
    assert 'href="../e.html" rel="next"' in text
    assert "d #1" not in text


def test_a_page_loads_nothing_and_runs_nothing_but_its_own_script(page, tmp_path: Path):
    outputs = [
        shown(
            f'<script>alert(1)</script><table onclick="x()"><tr><td>{NASTY}</td></tr></table>'
            '<iframe src="//e.org"></iframe>'
        ),
        shown(
            '<img src="https://example.org/a.png" alt="a"><a href="javascript:x()">l</a>'
            '<b style="background:url(//e.org)">k</b>'
        ),
        {"output_type": "display_data", "metadata": {}, "data": {"application/javascript": "alert(2)"}},
        {"output_type": "display_data", "metadata": {}, "data": {"application/vnd.jupyter.widget-view+json": {}}},
        {"output_type": "stream", "name": "stdout", "text": ["<script>alert(3)</script>", "\n\x1b[31mred\x1b[0m"]},
    ]
    cells = [
        cell(
            "markdown",
            "<script>alert(4)</script>\n\n![b](https://example.org/b.svg) [l](javascript:alert(5))",
            name="m",
        ),
        cell("code", "x = '<script>'", outputs),
    ]
    text = write(page, cells, tmp_path)
    loads = Loads(text)
    assert loads.outside == []
    assert loads.handlers == []
    assert loads.scripts == 1
    assert not re.search(r'(href|src)="\s*javascript:', text)
    assert "@import" not in text
    assert "&lt;script&gt;alert(3)" in text
    assert "X &lt;img" in text


def test_equations_are_mathml_and_code_is_left_alone(page, tmp_path: Path):
    source = "Let $w_c = 1/n_c$:\n\n$$\\sum_i x_i$$\n\nNot `$HOME/$x`.\n\n"
    source += "\\begin{aligned}a&=b\\\\c&=d\\end{aligned}\n\n$\\undefined{$"
    text = write(page, [cell("markdown", source)], tmp_path)
    assert text.count("<math") >= 3
    assert 'display="block"' in text
    assert "<code>$HOME/$x</code>" in text
    assert "w_c" not in re.sub(r"<math.*?</math>", "", text, flags=re.DOTALL)


def test_headings_have_anchors_and_stand_in_the_contents(page, tmp_path: Path):
    cells = [cell("markdown", "# Top\n\n## The *first* one\n\n```\n## not this\n```\n\n### Below `it`")]
    text = write(page, cells, tmp_path)
    assert report.headings({"cells": cells}) == [(2, "the-first-one", "The first one"), (3, "below-it", "Below it")]
    for name in ("the-first-one", "below-it"):
        assert f'id="{name}"' in text
        assert f'href="#{name}"' in text


def test_links_to_other_notebooks_become_links_to_their_pages(page, tmp_path: Path):
    text = write(page, [cell("markdown", "[a](../cefl/y.ipynb#z) [b](https://example.org/n.ipynb)")], tmp_path)
    assert 'href="../cefl/y.html#z"' in text
    assert 'href="https://example.org/n.ipynb"' in text


def test_code_is_folded_and_pages_know_their_neighbours(page, tmp_path: Path):
    first, last = declared.Declared(id="00_a", title="A"), declared.Declared(id="beyond/z", title="Z")
    text = write(page, [cell("code", "x = 1")], tmp_path, order=[first, page, last])
    assert re.search(r'<details class="code">\s*<summary>', text)
    assert 'href="../00_a.html" rel="prev"' in text
    assert 'href="../beyond/z.html" rel="next"' in text
    assert 'href="../index.html"' in text


def test_a_failed_page_says_what_is_missing_why_and_how_to_make_it(page, tmp_path: Path):
    error = {"output_type": "error", "ename": "E", "evalue": "<b>", "traceback": ["\x1b[31m<b>\x1b[0m"]}
    cells = [cell("code", "f()", [shown('<figure id="figure-5"></figure>')]), cell("code", "g()", [error], "d")]
    text = write(page, cells, tmp_path, "x.failed.html", "failed")
    banner = re.search(r'<section class="banner".*?</section>', text, re.DOTALL)[0]
    assert "the kernel died" in banner
    assert "Missing: figure 6." in banner
    assert "ltlib reproduce --only convergent/x" in banner
    assert "<b></summary>" not in text
    assert 'class="banner"' not in write(page, cells[:1], tmp_path)


def test_a_page_that_would_be_too_large_links_its_largest_figures(page, tmp_path: Path):
    folder = tmp_path / "reports" / "quick" / "figures" / "convergent" / "x"
    folder.mkdir(parents=True)
    outputs = []
    for number, size in ((5, 1_500_000), (6, 900_000)):
        (folder / f"figure-{number}.png").write_bytes(b"x")
        data = "A" * size
        outputs.append(
            shown(
                f'<figure class="lt-figure" id="figure-{number}">'
                f'<img src="data:image/png;base64,{data}" alt="x"></figure>'
            )
        )
    text = write(page, [cell("code", "f()", outputs)], tmp_path)
    assert len(text) < report.PAGE_BYTES
    assert 'src="../figures/convergent/x/figure-5.png"' in text
    assert 'src="data:image/png;base64,AAAA' in text


def test_a_clean_output_is_left_byte_for_byte():
    text = '<svg viewBox="0 0 1 1"><linearGradient id="g"/></svg><p>Cost: on = 3</p>'
    assert report.clean_html(text) == text
    assert report.clean_html(f"<style data-lt>x</style>{text}") == text


def test_the_index_shows_states_verdicts_and_figures(page, tmp_path: Path):
    folder = tmp_path / "reports" / "quick"
    saved = folder / "figures" / "convergent" / "x" / "figure-5.svg"
    saved.parent.mkdir(parents=True)
    saved.write_text("<svg/>")
    record = {
        "tables": {"1": {"anchor": "table-1", "caption": "", "verdicts": {"reproduced": 3, "below": 1, "not run": 2}}},
        "figures": {"5": {"anchor": "figure-5", "alt": f"Rises {NASTY}", "caption": ""}},
        "missing": [{"kind": "table", "number": "2", "reason": "no data", "command": None}],
        "claims": [{"answer": True}, {"answer": None}],
        "runs": ["a", "b"],
    }
    made = declared.Declared(id="convergent/x", title=f"X {NASTY}", document="convergent", tables=("1", "2"))
    other = declared.Declared(id="cefl/y", title="Y", document="cefl", tables=("2",))
    stale = declared.Declared(id="awabs/z", title="Z", document="awabs", tables=("4.10", "4.9"))
    states = [
        PageState(made, "fresh", record=record, html="convergent/x.html", seconds=61),
        PageState(other, "failed", "the kernel died", "ltlib reproduce", failed_html="cefl/y.failed.html"),
        PageState(stale, "stale", "its runs changed", html="awabs/z.html"),
    ]
    index.write_index(folder, "quick", states)
    text = (folder / "index.html").read_text()
    loads = Loads(text)
    assert loads.found == ["figures/convergent/x/figure-5.svg"]
    assert loads.handlers == []
    assert loads.scripts == 1
    assert "3 of 4 reproduced, 2 not compared" in text
    assert 'href="convergent/x.html#figure-5"' in text
    assert 'href="convergent/x.html#table-1"' in text
    assert 'title="no data">missing<' in text
    assert 'href="cefl/y.failed.html"' in text
    assert text.index("Table 4.9") < text.index("Table 4.10")
    for word in (
        "<b>1</b> page fresh",
        "<b>1</b> page failed",
        "<b>1</b> page stale",
        "<b>3</b> cells reproduced",
        "1 min 01 s",
    ):
        assert word in text


def run(num_classes: int) -> SimpleNamespace:
    targets = np.repeat(np.arange(num_classes), 4)
    found = SimpleNamespace(targets=targets, predicted=np.roll(targets, 1))
    scores = {
        "accuracy": 0.75,
        "f1": float("nan"),
        "groups": {"tail": {"accuracy": 0.5}},
        "per_class": {"recall": [0.75] * num_classes},
    }
    return SimpleNamespace(
        id="abcdefabcdef",
        experiment=SimpleNamespace(dataset="digits", method=f"ce{NASTY}", model="resnet8", imbalance_factor=10.0),
        history=pd.DataFrame({"train_loss": [2.0, 1.0], "test_loss": [2.5, np.nan], "test_accuracy": [0.1, 0.75]}),
        metrics={"last": scores, "selected": scores},
        predictions={"last": found, "selected": found},
        selection="best_test_loss",
        class_counts=[5] * num_classes,
        class_names=[f"{NASTY}{i}" for i in range(num_classes)],
        fingerprint="0" * 64,
        parameters=1234,
        macs=5678,
        seconds=61.0,
        provenance={"ltlib": "0.1", "machine": {"threads": 1}},
    )


@pytest.mark.parametrize("num_classes", [3, 30])
def test_a_card_holds_everything_about_a_run_and_nothing_it_could_execute(num_classes: int, tmp_path: Path):
    (path,) = cards.write_cards([run(num_classes)], tmp_path)
    assert path == tmp_path / "runs" / "abcdefabcdef.html"
    text = path.read_text()
    loads = Loads(text)
    assert loads.outside == loads.handlers == []
    assert loads.scripts == 1
    assert "<img src=x" not in text
    for word in ("best test loss", "0.7500", "1 min 01 s", "machine.threads", "accuracy, tail classes", "<polyline"):
        assert word in text
    if num_classes == 3:
        assert '<td style="--v:0.75">3</td>' in text
        assert '<td style="--v:0.25">1</td>' in text
    else:
        assert "on average 75.0% of a class lie on the diagonal" in text
    before = path.stat().st_mtime_ns
    cards.write_cards([run(num_classes)], tmp_path)
    assert path.stat().st_mtime_ns == before
