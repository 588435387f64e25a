"""Pages, cards and the index: offline, escaped, small, and saying what is missing."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tyro

from ltlib.cli.train import Train
from ltlib.experiment import Experiment
from ltlib.pages import cards, declared, html, index, report
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
                f'<div class="lt-picture" tabindex="0"><img src="data:image/png;base64,{data}" alt="x"></div></figure>'
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


@pytest.fixture
def shown_index(tmp_path: Path, monkeypatch) -> tuple[str, Path]:
    """The index of three pages, one of each state, and its folder."""
    from ltlib import grids

    monkeypatch.setattr(grids, "experiments", lambda name, profile: ([], {}))
    folder = tmp_path / "reports" / "quick"
    saved = folder / "figures" / "convergent" / "x" / "figure-5.svg"
    saved.parent.mkdir(parents=True)
    saved.write_text("<svg/>")
    board = ["digits", 20.0]
    own = {"board": board, "where": "Digits", "ece": 0.1, "tail": 0.5, "images": 10, "train_images": 9}
    verdicts = {"reproduced": 3, "below": 1, "not run": 2}
    cell = {"method": "ce", "split": "all", "metric": "accuracy", "published": 0.6, "reproduced": 0.5, "n": 1}
    cells = [cell | {"verdict": "below"}, *[cell | {"metric": "f1", "verdict": "reproduced"}] * 3]
    record = {
        "tables": {
            "1": {"anchor": "table-1", "caption": "", "verdicts": verdicts, "rows": 6, "filled": 4, "cells": cells},
            "3": {"anchor": "table-3", "caption": "", "verdicts": {"not run": 6}, "rows": 6, "filled": 0, "cells": []},
        },
        "figures": {
            "5": {"anchor": "figure-5", "alt": f"Rises {NASTY}", "caption": f"Accuracy by epoch {NASTY}. More."}
        },
        "missing": [{"kind": "table", "number": "2", "reason": "no data", "command": None}],
        "claims": [{"answer": True}, {"answer": None}],
        "runs": ["a", "b", "c"],
        "facts": [
            own | {"id": "a", "method": "ce", "accuracy": 0.5},
            own | {"id": "b", "method": f"cutmix[loss={NASTY}]", "accuracy": 0.9},
            own | {"id": "c", "method": "crt", "accuracy": 0.8},
        ],
    }
    made = declared.Declared(
        id="convergent/x", title=f"X {NASTY}", document="convergent", tables=("1", "2", "3"), figures=("5", "cefl/3")
    )
    other = declared.Declared(id="cefl/y", title="Y", document="cefl", tables=("2",))
    stale = declared.Declared(id="awabs/z", title="Z", document="awabs", tables=("4.10", "4.9"))
    states = [
        PageState(made, "fresh", record=record, html="convergent/x.html", seconds=61),
        PageState(other, "failed", "the kernel died", "ltlib reproduce", failed_html="cefl/y.failed.html"),
        PageState(stale, "stale", "its runs changed", html="awabs/z.html"),
    ]
    index.write_index(folder, "quick", states)
    return (folder / "index.html").read_text(), folder


def test_the_index_shows_states_verdicts_and_figures(shown_index):
    text, _ = shown_index
    loads = Loads(text)
    assert loads.found == ["figures/convergent/x/figure-5.svg"]
    assert loads.handlers == []
    assert loads.scripts == 1
    assert "<img src=x" not in text
    assert "3 of 4 reproduced, 2 not compared" in text
    assert 'href="convergent/x.html#figure-5"' in text
    assert 'href="convergent/x.html#table-1"' in text
    assert 'title="no data">missing<' in text
    assert 'title="">none yet<' in text  # Table 3 has no cell
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


def test_a_table_of_several_pages_has_a_box_for_each_part(tmp_path: Path):
    parts = [
        declared.Declared(id=f"toy/s-{name}", title=name, notebook="toy/s", document="toy", tables=("1",))
        for name in ("one_two", "three")
    ]
    index.write_index(tmp_path, "quick", [PageState(page, "stale", "new", html=f"{page.id}.html") for page in parts])
    text = (tmp_path / "index.html").read_text()
    assert [f'html#table-1">Table 1 · {part}</a>' in text for part in ("one two", "three")] == [True, True]


def test_the_index_opens_with_what_was_found_then_documents_progress_pages_and_pictures(shown_index):
    text, folder = shown_index
    places = [text.index(f'<h2 id="{name}"') for name in ("found", "documents", "progress", "pages", "figures")]
    assert places == sorted(places)
    found = text[places[0] : places[1]]
    heads = re.findall(r"<dt>(.*?)</dt>", found)
    assert heads == ["Reproduced", "Not reproduced", "Cheapest", "Best calibrated", "What to use"]
    assert '<a href="convergent/x.html#table-1">CE (50.0% against 60.0% in Table 1 of convergent)</a>' in found
    assert '<a href="runs/c.html">' in found
    assert '<a href="convergent/x.html">3 methods</a>' in found
    assert "not what is true of the documents" in found
    for target in re.findall(r'href="#([^"]+)"', text):
        assert f'id="{target}"' in text
    assert (folder / "references.html").is_file()


def test_the_index_names_documents_as_their_title_pages_do(shown_index):
    text, _ = shown_index
    assert (
        '<a href="https://doi.org/10.1109/ACCESS.2020.2991237">Class Balanced Loss for Image Classification</a>' in text
    )
    assert "Christine Annelise Midtgaard, 2025. Aarhus University" in text
    assert "Author not named in the copy read" in text
    assert "No notebook re-runs its 26 tables yet." in text  # architectures
    assert 'Figures 3 are drawn in <a href="convergent/x.html">' not in text
    assert 'Figure 3 is drawn in <a href="convergent/x.html">' in text
    assert "3 of its 9 tables are here." in text


def test_captions_of_the_gallery_are_sentences(shown_index):
    text, _ = shown_index
    gallery = text[text.index('<h2 id="figures"') :]
    assert re.search(r'<span class="alt">Figure 5: accuracy by epoch &lt;img.*?\.</span>', gallery)
    assert "convergent 5" not in gallery
    assert "More" not in gallery


def test_a_search_without_a_hit_says_so():
    script = report.assets("page.js")
    page = (report.TEMPLATES / "index.html.j2").read_text(encoding="utf-8")
    assert re.search(r"<span data-none hidden>[A-Z].*?</span>", page)
    assert 'querySelectorAll("[data-none]")' in script


def test_the_page_of_sources_leads_from_methods_to_references_and_modules(shown_index):
    from ltlib.methods import METHODS

    _, folder = shown_index
    text = (folder / "references.html").read_text()
    targets = set(re.findall(r'\bid="([^"]+)"', text))
    assert {f"method-{name}" for name in METHODS.names()} <= targets
    for link in re.findall(r'href="#([^"]+)"', text):
        assert link in targets
    row = re.search(r'<tr id="method-ldam_drw".*?</tr>', text, re.DOTALL)[0]
    assert '<a href="#cao2019">Cao et al. 2019</a>' in row
    assert '<a href="#module-losses.deferred">' in row
    module = re.search(r'<details id="module-losses.deferred">.*?</details>', text, re.DOTALL)[0]
    assert "class " in module
    assert "ltlib/losses/deferred.py" in module
    assert Loads(text).outside == []
    assert (folder / "references.bib").read_text().startswith("@misc{convergent,")
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_the_first_name_of_a_method_in_a_table_and_in_code_is_a_link():
    from ltlib.pages import sources

    def linked(text: str) -> list[str]:
        return re.findall(
            r'<a class="lt-ref" href="../references.html#([\w-]+)">([^<]*)</a>', sources.linked(text, "../")
        )

    table = '<table><tr><th scope="row">Focal (gamma 2)</th><td>Focal</td><td>cRT + Mixup</td></tr></table>'
    assert linked(table) == [("method-focal", "Focal (gamma 2)"), ("method-crt_mixup", "cRT + Mixup")]
    assert len(linked(table * 2)) == 4  # each table by itself
    assert linked("<p><code>ldam_drw</code> and <code>cefl</code></p>") == [
        ("method-ldam_drw", "ldam_drw"),
        ("cefl", "cefl"),
    ]
    for left in (
        '<a href="x"><code>ce</code></a>',
        "<pre><code>ce</code></pre>",
        "<h2><code>ce</code></h2>",
        "<td>forest</td>",
    ):
        assert sources.linked(left, "") == left


def test_a_page_names_its_document_and_its_data(page, tmp_path: Path):
    from dataclasses import replace

    text = write(replace(page, datasets=("cifar10",)), [cell("markdown", "# T")], tmp_path)
    assert '<a href="https://github.com/Bish-Soli/MQP">Convergent Learning for Class Imbalance' in text
    assert "Bishoy Soliman Hanna, 2024" in text
    assert 'href="../references.html#data-sets-cifar10"' in text


def test_a_twin_says_so_and_folds_what_it_repeats(page, tmp_path: Path, monkeypatch):
    from ltlib.pages import order

    first = declared.Declared(id="convergent/a", title="A", document="convergent", grids=("convergent/1",))
    cells = [cell("markdown", "# T", name="question"), cell("code", "f()", [shown('<p id="table-4">t</p>')], "c")]
    monkeypatch.setattr(order, "twin", lambda own, pages, profile: first)
    text = write(page, cells, tmp_path, order=[first, page])
    said = text.index('the same runs as <a href="../convergent/a.html">A</a>')
    assert text.index("<h1") < said < text.index('<details class="twin">') < text.index('id="table-4"')
    assert text.count("<details") == text.count("</details>")
    monkeypatch.setattr(order, "twin", lambda own, pages, profile: None)
    assert "twin" not in re.sub(r"<style>.*?</style>", "", write(page, cells, tmp_path), flags=re.DOTALL)


def test_a_heading_has_another_anchor_than_the_table_it_names(page, tmp_path: Path):
    figure = '<figure class="lt-table" id="table-4-1"></figure>'
    text = write(page, [cell("markdown", "## Table 4.1"), cell("code", "f()", [shown(figure)], "d")], tmp_path)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert 'href="#about-table-4-1"' in text


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


def test_a_fold_in_markdown_is_one_on_the_page_and_other_html_is_not():
    text = report.markdown(
        "<details><summary>What it costs & why</summary>\n\n| a |\n|---|\n| 1 |\n\nAt $x$.\n\n</details>\n\nAfter."
    )
    assert '<details class="lt-fold"><summary>What it costs &amp; why</summary>' in text
    assert text.index("<table>") < text.index("<math") < text.index("</details>") < text.index("<p>After.")
    for hostile in (
        "<details onclick=x><summary>y</summary>\n\nz",
        "<details><summary><script>x</script></summary>\n\nz",
        "</details><script>1</script>",
    ):
        made = report.markdown(hostile)
        assert "<details" not in made
        assert "</details>" not in made
        assert "<script" not in made


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium to open a page in")
@pytest.mark.parametrize(("anchor", "opened"), [("#table-1", ["Outer", "Inner"]), ("#after", []), ("", [])])
def test_a_link_into_a_closed_fold_opens_it(page, tmp_path: Path, anchor: str, opened: list[str]):
    inside = html.fold("Inner", [html.Shown('<p id="table-1">a</p>', "a")])
    output = html.fold("Outer", [inside, html.fold("Other", [html.say("b")])]).html + '<p id="after">c</p>'
    write(page, [cell("code", "f()", [shown(output)])], tmp_path)
    path = tmp_path / "reports" / "quick" / "convergent" / "x.html"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'chromium'}", "--dump-dom"]
    dom = subprocess.run(["chromium", *flags, f"{path.as_uri()}{anchor}"], capture_output=True, text=True, timeout=120)
    found = re.findall(r'<details class="lt-fold" open="">\s*<summary>(\w+)</summary>', dom.stdout)
    assert "<summary>Outer</summary>" in dom.stdout
    assert found == opened


EXPERIMENTS = [
    Experiment(),
    Experiment("digits", 20, "resnet8", "focal[alpha=inverse;gamma=0.5]", "convergent[augmentation=shift1;epochs=10]"),
    Experiment("folder:/tmp/it's my set", class_counts=(9, 4, 2), validation="subset", limit=10, seed=3),
]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_command_on_a_card_makes_the_same_experiment(experiment: Experiment):
    typed = shlex.split(cards.command(experiment))
    assert typed[:2] == ["ltlib", "train"]
    assert tyro.cli(Train, args=typed[2:]).experiment == experiment


def test_a_card_links_back_to_the_pages_that_show_its_run(page, tmp_path: Path):
    folder = tmp_path / "reports" / "quick"
    (path,) = cards.write_cards([run(3)], folder)
    states = [
        PageState(declared.Declared(id=name, title=title), "fresh", record={"runs": runs}, html=html)
        for name, title, runs, html in (
            ("convergent/x", f"X {NASTY}", ["abcdefabcdef"], "convergent/x.html"),
            ("awabs/z", "Z", ["abcdefabcdef", "gone"], "awabs/z.html"),
            ("cefl/y", "Y", ["abcdefabcdef"], None),
            ("awabs/other", "Other", [], "awabs/other.html"),
        )
    ]
    index.write_index(folder, "quick", states)
    text = path.read_text()
    nav = text[text.index("<nav") : text.index("</nav>")]
    assert re.findall('href="([^"]*)"', nav) == ["../index.html", "../convergent/x.html", "../awabs/z.html"]
    assert ">Z</a>" in nav
    assert NASTY not in nav
    before = path.stat().st_mtime_ns
    cards.write_cards([run(3)], folder)
    index.write_index(folder, "quick", states)
    assert path.stat().st_mtime_ns == before


def test_code_that_teaches_is_open_on_the_page(page, tmp_path: Path):
    cells = [("code", "hidden = 1"), ("code", "taught = 2")]
    write_notebook(tmp_path / "x.ipynb", {"id": "x", "title": "X", "question": "?"}, cells)
    notebook = declared.read_notebook(tmp_path / "x.ipynb")
    own = next(cell for cell in notebook["cells"] if cell["source"] == "taught = 2")
    own["metadata"]["tags"] = ["shown"]
    (shown,) = declared.of_notebook(notebook, tmp_path / "x.ipynb")
    report.Exporter().write_page(tmp_path / "x.html", shown, "quick", PageState(shown, "fresh"), notebook, [shown])
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    blocks = re.findall(r'<details class="code"( open)?[^>]*>(.*?)</details>', text, flags=re.DOTALL)
    plain = [(mark, re.sub("<[^>]*>", "", block)) for mark, block in blocks]
    assert [mark for mark, block in plain if "taught" in block] == [" open"]
    assert [mark for mark, block in plain if "hidden" in block] == [""]
