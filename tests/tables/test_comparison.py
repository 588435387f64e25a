"""Published beside ours: cells, splits, seeds, layouts, and what the exports do with hostile text."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ltlib import metrics, published, tables
from ltlib.tables import comparison, verdicts
from ltlib.tables.comparison import Wanted
from ltlib.tables.exports import legend
from ltlib.tables.layout import layout


@dataclass(frozen=True)
class Experiment:
    method: str = "ce"
    imbalance_factor: float = 10.0
    seed: int = 0
    subset_seed: int = 0

    @property
    def cell_id(self):
        return f"{self.method}/{self.imbalance_factor:g}"


@dataclass
class Run:
    experiment: Experiment
    values: dict[str, Any] = field(default_factory=dict)
    last: dict[str, Any] | None = None
    predictions: dict[str, Any] = field(default_factory=dict)
    class_counts: tuple[int, ...] = (50, 20, 5)
    class_names: tuple[str, ...] = ("ant", "Bee", "cat")

    @property
    def cell_id(self):
        return self.experiment.cell_id

    @property
    def id(self):
        return f"{self.cell_id}/{self.experiment.subset_seed}/{self.experiment.seed}"

    @property
    def metrics(self):
        return {"selected": self.values, "last": self.last or self.values}


def row(**changes):
    base = {
        "table": "1", "dataset": "cifar10", "imbalance": float("nan"), "train_set": "", "model": "resnet18",
        "method": "ce", "stage": "", "split": "all", "metric": "accuracy", "value": 72.2, "unit": "percent",
        "note": "", "printed": "72.2",
    }  # fmt: skip
    return base | changes


def compared(rows, wanted=None, runs=(), document="convergent", **commands):
    if wanted is None:
        wanted = [Wanted(tables.cell_key(r), Experiment(r["method"])) for r in rows]
    return tables.compare_cells(pd.DataFrame(rows), wanted, runs, document, **commands)


def test_a_cell_is_the_mean_over_seeds_with_its_interval():
    values = [(0, 0, 0.720), (0, 1, 0.726), (1, 0, 0.730)]
    runs = [Run(Experiment(subset_seed=a, seed=b), {"accuracy": x}, last={"accuracy": x - 0.02}) for a, b, x in values]
    runs += [runs[0], Run(Experiment("focal"), {"accuracy": 0.1})]  # twice the same run; a run of another cell
    frame = compared([row()], runs=runs)
    assert frame.columns.tolist() == list(comparison.COLUMNS)
    cell = frame.iloc[0]
    assert (cell["published"], cell["unit"], cell["printed"]) == (pytest.approx(0.722), "percent", "72.2")
    assert cell["reproduced"] == pytest.approx(0.7253333)
    assert cell["last_epoch"] == pytest.approx(0.7053333)
    assert cell["delta"] == pytest.approx(0.01 / 3)
    assert cell["std"] == pytest.approx(np.std([0.72, 0.726, 0.73], ddof=1))
    assert cell["ci_high"] - cell["reproduced"] == pytest.approx(4.302653 * cell["std"] / math.sqrt(3), rel=1e-5)
    assert (cell["n"], cell["verdict"]) == (3, "reproduced")
    assert len(cell["run_ids"]) == len(set(cell["run_ids"])) == 3


def test_cells_without_numbers_say_why():
    rows = [row(method=name) for name in ("ce", "focal", "bbn", "crt")]
    wanted = [
        Wanted(tables.cell_key(rows[0]), Experiment("ce")),
        Wanted(tables.cell_key(rows[1]), None, "not in quick"),
        Wanted(tables.cell_key(rows[2]), Experiment("bbn"), "", ("digits instead of cifar10",)),
    ]
    runs = [Run(Experiment("bbn"), {"accuracy": 0.722})]
    frame = compared(rows, wanted, runs, command="ltlib A", fallback="ltlib B")
    assert frame["verdict"].tolist() == ["not run", "not run", "not comparable", "not run"]
    assert frame["reason"][0] == "not run; fill it with: ltlib A"
    assert frame["reason"][1] == "not in quick; fill it with: ltlib B"
    assert "digits instead of cifar10" in frame["reason"][2]
    assert frame["reason"][3] == "no training of ours stands for this number"
    assert frame["n"].tolist() == [0, 0, 1, 0]
    assert frame.loc[[0, 1, 3], ["reproduced", "delta", "ci_low", "std", "last_epoch"]].isna().all().all()


def test_a_printed_mean_averages_its_trainings_seed_by_seed():
    cell = row(note="mean over imbalance 10 and 100", value=60.0, printed="60.00")
    wanted = [Wanted(tables.cell_key(cell), Experiment(imbalance_factor=f)) for f in (10.0, 100.0)]
    runs = [
        Run(Experiment(imbalance_factor=f, seed=s), {"accuracy": x})
        for f, s, x in ((10.0, 0, 0.7), (100.0, 0, 0.5), (10.0, 1, 0.72), (100.0, 1, 0.52), (10.0, 2, 0.9))
    ]
    found = compared([cell], wanted, runs).iloc[0]
    assert found["n"] == 2  # seed 2 lacks one of the two
    assert found["reproduced"] == pytest.approx(0.61)
    assert found["std"] == pytest.approx(np.std([0.60, 0.62], ddof=1))
    assert len(found["run_ids"]) == 4
    assert compared([cell], wanted, runs[:1]).iloc[0]["verdict"] == "not run"


def test_keys_do_not_depend_on_how_blanks_and_numbers_are_written():
    assert tables.cell_key(row(imbalance=10)) == tables.cell_key(row(imbalance="10.0")) != tables.cell_key(row())
    assert tables.cell_key(row(imbalance="")) == tables.cell_key(row()) == tables.cell_key(row(table="9"))
    assert tables.cell_key({k: v for k, v in row().items() if k != "stage"}) == tables.cell_key(row())


SCORES = metrics.evaluate([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 0], 3, {"head": [0], "middle": [1], "tail": [2], "x": []})


@pytest.mark.parametrize(
    ("split", "metric", "value", "note"),
    [
        ("all", "accuracy", 4 / 6, ""),
        ("head", "accuracy", 2 / 3, ""),
        ("tail", "accuracy", 0.0, ""),
        ("all", "ece", None, "no ece for the run"),
        ("minority1", "recall", 0.0, ""),
        ("minority2", "recall", 1.0, ""),
        ("bee", "precision", 2 / 3, ""),
        ("Amanita", "recall", 2 / 3, "class ant in the place of Amanita"),
        ("Suillus", "recall", None, "the data has no class Suillus"),
    ],
)
def test_splits(split, metric, value, note):
    classes = ["Amanita", "ant", "bee", "all", "Suillus"]
    found = tables.measured(Run(Experiment(), SCORES), {"split": split, "metric": metric}, classes=classes)
    assert found.note == note
    assert found.value == (None if value is None else pytest.approx(value))


def test_an_undefined_number_is_no_verdict_on_the_value():
    groups = {"head": [0, 1, 2], "middle": [], "tail": []}
    scores = metrics.evaluate([0, 1, 2], [0, 1, 2], 3, groups)
    found = compared([row(split="tail")], runs=[Run(Experiment(), scores)]).iloc[0]
    assert (found["verdict"], found["n"]) == ("not comparable", 0)
    assert found["reason"] == "no value: no accuracy for the group tail"


def test_the_thesis_splits_come_from_predictions_and_f1_is_weighted_over_their_images():
    generator = np.random.default_rng(0)
    targets = np.repeat(np.arange(10), 20)
    predicted = np.where(generator.random(200) < 0.6, targets, generator.integers(0, 10, 200))
    said = SimpleNamespace(targets=targets, predicted=predicted)
    scores = metrics.evaluate(targets, predicted, 10) | {"loss": 1.5}
    run = Run(
        Experiment(), scores, predictions={"selected": said, "last": said}, class_counts=tuple(range(100, 0, -10))
    )
    index = metrics.evaluation_splits(targets, run.class_counts)["middle"]

    def value(split, metric):
        return tables.measured(run, {"split": split, "metric": metric}, document="architectures")

    assert value("middle", "accuracy").value == pytest.approx(np.mean(predicted[index] == targets[index]))
    assert value("balanced", "accuracy").value == pytest.approx(scores["accuracy"])
    assert value("balanced", "f1").value == pytest.approx(scores["weighted_f1"])
    from sklearn.metrics import f1_score

    weighted = f1_score(targets[index], predicted[index], average="weighted", zero_division=0)
    assert value("middle", "f1").value == pytest.approx(weighted)
    assert value("balanced", "loss").value == 1.5
    assert value("tail", "loss") == (None, "no loss for the test set tail")
    run.values = scores | {"splits": {"tail": {"loss": 2.5, "weighted_f1": 0.25}}}
    assert value("tail", "loss").value == 2.5
    assert value("tail", "f1").value == 0.25


def test_class_counts_are_counted():
    scores = metrics.evaluate([0, 0, 1, 1, 2, 2], [0] * 6, 3)
    run = Run(Experiment(), scores)
    for split, value in (("C1", 50), ("C3", 5), ("C4", None), ("test_classes", 3), ("test_per_class", 2)):
        assert tables.measured(run, {"split": split, "metric": "count"}).value == value


def cell_of(method, metric, ours, printed):
    return row(method=method, metric=metric, value=float(printed), printed=printed), ours


@pytest.fixture
def small():
    """Two methods by two metrics; ce wins in the document, focal wins here."""
    cells = [
        cell_of("ce", "accuracy", 0.70, "72.20"),
        cell_of("ce", "ece", 0.10, "4.00"),
        cell_of("focal", "accuracy", 0.71, "70.90"),
        cell_of("focal", "ece", 0.04, "5.00"),
    ]
    by_method: dict[str, dict[str, float]] = {}
    for printed, ours in cells:
        by_method.setdefault(printed["method"], {})[printed["metric"]] = ours
    runs = []
    for method, values in by_method.items():
        for seed in (0, 1):
            moved = {name: value + (0.001 if seed else -0.001) for name, value in values.items()}
            runs.append(Run(Experiment(method, seed=seed), moved))
    return compared([printed for printed, _ in cells], runs=runs)


def test_pivot_has_the_documents_layout(small):
    shown = tables.pivot(small)
    assert shown.index.get_level_values("method").tolist() == ["CE", "Focal"]
    assert shown.columns.get_level_values(0).tolist() == ["accuracy (%)", "ECE (%)"]
    assert shown.iloc[0, 0] == "72.20 | 70.00 ± 0.14 (2) | -2.20 | ▼ below"
    assert shown.iloc[1, 1] == "5.00 | 4.00 ± 0.14 (2) | -1.00 | = reproduced"


def test_fractions_stay_fractions_and_one_run_is_marked():
    printed = row(unit="fraction", value=0.722, printed="0.722")
    shown = tables.pivot(compared([printed], runs=[Run(Experiment(), {"accuracy": 0.7211})]))
    assert shown.iloc[0, 0] == "0.722 | 0.721 (1) | -0.001 | = reproduced, n = 1"
    assert tables.pivot(compared([printed])).iloc[0, 0] == "0.722 | – | – | – not run"


def three(accuracies=(0.705, 0.71, 0.75), printed=("72.20", "70.90", "70.00"), seeds=(0,), **experiment):
    """CE, Focal and BBN: a printed accuracy, and ours in each of some seeds."""
    names = ("ce", "focal", "bbn")
    rows = [row(method=m, value=float(text), printed=text) for m, text in zip(names, printed, strict=True)]
    runs = [
        Run(Experiment(m, seed=seed, **experiment), {"accuracy": value + 0.001 * seed})
        for m, value in zip(names, accuracies, strict=True)
        for seed in seeds
    ]
    return compared(rows, runs=runs)


def test_best_is_bold_and_the_second_of_three_underlined():
    frame = three()  # printed 72.20 > 70.90 > 70.00; ours BBN first, then Focal half a point before CE
    text = tables.to_markdown(frame)
    assert text.splitlines()[2:] == [
        r"| CE | **72.20** \| 70.50 (1) \| -1.70 \| ▼ below, n = 1 |",
        r"| Focal | <u>70.90</u> \| 71.00 (1) \| +0.10 \| = reproduced, n = 1 |",
        r"| BBN | 70.00 \| **75.00 (1)** \| +5.00 \| ▲ above, n = 1 |",
    ]
    tex = tables.to_latex(frame)
    assert r"\textbf{72.20} $\mid$ 70.50 (1) $\mid$ -1.70 $\mid$ $\downarrow$" in tex
    assert r"\underline{70.90} $\mid$ 71.00 (1)" in tex
    for rule in ("\\toprule", "\\midrule", "\\bottomrule", "\\begin{tabular}{ll}", "\\end{tabular}"):
        assert rule in tex
    page = tables.to_html(frame)
    assert '<span class="published best"><strong>72.20</strong></span>' in page
    assert '<span class="published second"><u>70.90</u></span>' in page
    assert '<span class="ours best"><strong>75.00 (1)</strong></span>' in page
    assert '<span class="ours">71.00 (1)</span>' in page


@pytest.mark.parametrize(
    ("accuracies", "seeds", "bold", "underlined"),
    [
        ((0.70, 0.72, 0.75), (0,), ["75.00 (1)"], ["72.00 (1)"]),
        ((0.70, 0.745, 0.75), (0,), [], []),  # half a point, one run: nobody leads
        (
            (0.70, 0.75, 0.75),
            (0,),
            ["75.00 (1)", "75.00 (1)"],
            [],
        ),  # equal ones share it; the worst is no second
        ((0.70, 0.745, 0.75), (0, 1, 2), ["75.10 ± 0.10 (3)"], ["74.60 ± 0.10 (3)"]),  # three runs can tell
    ],
)
def test_ours_is_ranked_only_as_far_as_the_runs_tell_apart(accuracies, seeds, bold, underlined):
    page = tables.to_html(three(accuracies, seeds=seeds))
    assert re.findall(r'class="ours best"><strong>([^<]+)<', page) == bold
    assert re.findall(r'class="ours second"><u>([^<]+)<', page) == underlined


def test_of_two_none_is_the_second(small):
    text = tables.to_html(small)
    assert "<u>" not in text
    assert "<strong>72.20</strong>" in text
    assert "<strong>4.00 ± 0.14 (2)</strong>" in text  # a smaller calibration error is better


def test_what_is_not_comparable_has_a_sign_and_no_difference():
    other = Experiment("ce", imbalance_factor=20.0)
    frame = compared(
        [row(), row(method="focal")],
        [Wanted(tables.cell_key(row()), other, "", ("IF 20 for IF 10",))],
        [Run(other, {"accuracy": 0.5})],
    )
    assert tables.pivot(frame).iloc[0, 0] == "72.2 | 50.0 (1) | – | ≠ not comparable, n = 1"
    assert math.isfinite(frame.loc[0, "delta"])  # the data keep it
    page = Page(tables.to_html(frame))
    signs = [a for _, a in page.tags if a.get("class") == "sign"]
    assert [a["aria-label"] for a in signs] == ["not comparable", "not run"]
    assert "IF 20 for IF 10" in signs[0]["title"]
    assert page.text.split("\n")[-5:-3] == ["CE72.2 50.0 (1) ≠", "Focal72.2 –"]


def test_the_legend_explains_what_occurs_and_nothing_else(small):
    everything = legend(three())
    assert everything == (
        "A cell: printed │ ours (runs), difference and verdict. <b>Bold</b>: the best of its column, "
        "<u>underlined</u>: the second; ours, where the runs tell them apart."
    )
    assert "underlined" not in legend(small)
    assert legend(compared([row()])) == "–: not run."


def test_names_are_those_people_write():
    rows = published.table("awabs", "4.3")
    shape = layout(tables.compare_cells(rows, [], [], "awabs"))
    assert ("CIFAR-100-LT", "IF 50") in shape.rows
    assert shape.columns[0][-1] == "accuracy (%)"
    assert "ECE (%)" in {column[-1] for column in shape.columns}
    words = tables.to_html(tables.compare_cells(published.table("awabs", "4.6"), [], [], "awabs"))
    assert re.findall(r'<th scope="row">([^<]+)</th>', words)[-3:] == [
        "Method 1 (CutOut)", "Method 2 (CutMix)", "Method 3 (Cut-Thumbnail)",
    ]  # fmt: skip
    assert "SupCon + CE" in tables.to_html(
        tables.compare_cells(published.table("convergent", "1"), [], [], "convergent")
    )
    assert "LDAM" in tables.to_markdown(
        tables.compare_cells(published.table("architectures", "5.1"), [], [], "architectures")
    )  # a document without trainings


def test_large_numbers_are_written_out():
    frame = pd.DataFrame({"network": ["ResNet-50"], "parameters (thousand)": [23_528.522]})
    assert "<td>23,529</td>" in tables.to_html(frame)


def test_csv_keeps_every_bit(small):
    back = list(csv.DictReader(io.StringIO(tables.to_csv(small))))
    assert [float(r["reproduced"]) for r in back] == small["reproduced"].tolist()
    assert back[0]["run_ids"] == " ".join(small["run_ids"][0])
    assert back[0]["delta"].startswith("-0.02")  # a negative number is no formula
    assert back[0]["imbalance"] == ""


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_html_is_semantic_and_balanced(small):
    page = Page(tables.to_html(small, caption="Table 1", link=lambda run: f"runs/{run}.html"))
    assert page.open == []
    kinds = {tag for tag, _ in page.tags}
    assert not kinds & {"script", "style"}
    assert {"table", "caption", "thead", "tbody", "th"} <= kinds
    assert all(a.get("scope") in ("col", "row", "colgroup") for tag, a in page.tags if tag == "th")
    verdict_of = [a["class"] for tag, a in page.tags if tag == "td" and a.get("class")]
    assert verdict_of == ["verdict-below", "verdict-above", "verdict-reproduced", "verdict-reproduced"]
    assert "▼ below" in page.text
    assert [a["href"] for tag, a in page.tags if tag == "a"][:2] == ["runs/ce/10/0/0.html", "runs/ce/10/0/1.html"]


HOSTILE = '<img src=x onerror=alert(1)>|=cmd_50% & #1 {a} $x$ "'


def test_hostile_text_is_escaped_everywhere():
    rows = [row(method=name, dataset=HOSTILE) for name in (HOSTILE, "=cmd|' /C calc'!A0")]
    for frame in (compared(rows), pd.DataFrame({HOSTILE: [HOSTILE, " @sum(1)"], "value": [1.0, -2.5]})):
        page = tables.to_html(frame, caption=HOSTILE)
        assert "<img" not in page
        assert "onerror" in Page(page).text
        tex = tables.to_latex(frame, caption=HOSTILE)
        assert r"=cmd\_50\% \& \#1 \{a\} \$x\$" in tex
        assert "<" not in tex
        markdown = tables.to_markdown(frame, caption=HOSTILE)
        assert r"\<img" in markdown
        assert r"\|=cmd\_50" in markdown
        for line in csv.reader(io.StringIO(tables.to_csv(frame))):
            for value in line:
                assert value.strip()[:1] not in ("=", "@", "+")
                assert value[:1] != "-" or float(value) < 0


def test_words_stand_left_and_long_ones_wrap_in_plain_tables():
    frame = pd.DataFrame(
        {"method": ["ce"], "accuracy": ["53.4"], "mean": [0.5], "gap": ["–"], "verdict": ["close"], "why": ["so " * 20]}
    )
    text = tables.to_html(frame)
    assert [own for own, _ in re.findall(r'<th scope="col"(?: class="([a-z ]+)")?>(\w+)</th>', text)] == [
        "text", "", "", "", "text", "text long",
    ]  # fmt: skip
    assert '<td>53.4</td><td>0.5</td><td>–</td><td class="text">close</td><td class="text long">' in text


def test_a_columns_numbers_have_the_same_decimals():
    frame = pd.DataFrame(
        {
            "accuracy": [62.32, 72.8, float("nan"), 74.0],
            "seconds": [431.27, 2.5, 1.0, 0.0],
            "rate": [0.0001, 0.5, 1.0, 2.0],
            "images": [12_345.0, 2.5, 1.0, 3.0],
            "whole": [5.0, 10.0, 7.0, 1.0],
        }
    )
    rows = [line.strip("|").replace(" ", "").split("|") for line in tables.to_markdown(frame).splitlines()[2:]]
    accuracy, seconds, rate, images, whole = zip(*rows, strict=True)
    assert accuracy == ("62.32", "72.80", "–", "74.00")
    assert seconds == ("431.3", "2.5", "1.0", "0.0")
    assert rate == ("0.0001", "0.5", "1", "2"), "small numbers keep their digits"
    assert images == ("12,345", "2.5", "1", "3")
    assert whole == ("5", "10", "7", "1")


def test_plain_frames_are_written_as_they_stand():
    frame = pd.DataFrame({"method": ["ce", "focal"], "gain": [0.123456, math.nan], "runs": [("a", "b"), ()]})
    assert tables.to_markdown(frame).splitlines() == [
        "| method | gain | runs |", "| --- | --- | --- |", "| ce | 0.1235 | a b |", "| focal | – |  |",
    ]  # fmt: skip
    assert "ce & 0.1235 & a b \\\\" in tables.to_latex(frame)
    assert '<th scope="row">focal</th><td>–</td><td></td>' in tables.to_html(frame)


def test_save_keeps_a_dot_in_the_stem(tmp_path, small):
    paths = tables.save(small, tmp_path / "deep" / "table_A.1", caption="Table A.1")
    assert [path.name for path in paths] == [f"table_A.1.{kind}" for kind in ("csv", "md", "tex", "html")]
    assert all(path.stat().st_size for path in paths)
    assert len(list(paths[0].parent.iterdir())) == 4


@pytest.mark.parametrize("document", published.documents())
def test_every_published_table_has_a_layout_with_each_cell_once(document):
    for table in published.tables(document):
        frame = tables.compare_cells(published.table(document, table), [], [], document)
        shape = layout(frame)
        counts = [len(records) for records in shape.cells.values()]
        assert sum(counts) == len(frame)
        assert max(counts) == (2 if (document, table) == ("architectures", "5.3") else 1)
        assert len(shape.columns) <= 25
        Page(tables.to_html(frame))
        tables.to_latex(frame)
        assert len(tables.to_markdown(frame).splitlines()) == 2 + len(shape.rows)


def test_layouts_follow_the_documents():
    def shape(document, table):
        return layout(tables.compare_cells(published.table(document, table), [], [], document))

    assert shape("convergent", "1").row_names == ("method",)
    assert [c[-1] for c in shape("convergent", "1").columns] == ["precision", "recall", "F1", "accuracy"]
    ratios = ["IF 1", "IF 10", "IF 20", "IF 50", "IF 100", "IF 200", "IF 500", "mean"]
    assert shape("cefl", "2").columns == [(ratio, "accuracy (%)") for ratio in ratios]
    assert shape("awabs", "4.3").row_names == ("dataset", "imbalance")
    assert shape("cefl", "5").row_names == ("split", "method")
    assert shape("loss_balance", "1").row_names == ("dataset",)


def test_html_headers_span_their_columns():
    text = tables.to_html(tables.compare_cells(published.table("architectures", "A.2"), [], [], "architectures"))
    assert text.count('scope="colgroup" colspan="3"') == 5


def test_compare_joins_grids_profiles_and_runs(monkeypatch):
    """With stand-ins for the grid and the profile: the row of the grid finds its published cell."""
    import sys

    @dataclass(frozen=True)
    class Impossible:
        reason: str

    def cells(document, table):
        for printed in published.table(document, table).to_dict("records"):
            keys = {name: printed[name] for name in published.KEY if name != "table"}
            yield SimpleNamespace(row=keys, experiment=Experiment(printed["method"]))

    def resolve(experiment, profile):
        return (
            Impossible("not in quick") if experiment.method == "focal" else replace(experiment, imbalance_factor=20.0)
        )

    grids = SimpleNamespace(
        cells=cells,
        trained=lambda cell, profile: resolve(cell.experiment, profile),
        command=lambda document, table, profile: f"fill {document} {table} {profile}",
    )
    profiles = SimpleNamespace(Impossible=Impossible, differences=lambda asked, got: [f"IF {got.imbalance_factor:g}"])
    for name, module in (("grids", grids), ("profiles", profiles)):
        monkeypatch.setitem(sys.modules, f"ltlib.{name}", module)
        monkeypatch.setattr(f"ltlib.{name}", module, raising=False)
    run = Run(Experiment("ce", 20.0), metrics.evaluate([0, 1], [0, 1], 2))
    frame = tables.compare([run], "convergent", "1", profile="quick").set_index(["method", "metric"])
    assert len(frame) == 12
    assert frame.loc[("ce", "f1"), "reproduced"] == 1.0
    assert frame.loc[("ce", "f1"), "verdict"] == "not comparable"
    assert "IF 20" in frame.loc[("ce", "f1"), "reason"]
    assert frame.loc[("focal", "f1"), "reason"] == "not in quick; fill it with: fill convergent 1 paper"
    assert frame.loc[("supcon_ce", "f1"), "reason"] == "not run; fill it with: fill convergent 1 quick"
    assert set(frame["verdict"]) <= set(verdicts.NAMES)
