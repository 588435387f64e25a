"""The chapter `convergent`: claims against the printed numbers, sentences against hand-made frames, declarations."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pandas as pd
import pytest

from ltlib import grids, places, published
from ltlib.chapters.convergent import CONVERGENT
from ltlib.chapters.convergent import judges as convergent_judges
from ltlib.chapters.convergent.claims import FINDINGS, HYPOTHESES
from ltlib.chapters.convergent.tables import TABLES
from ltlib.pages import canonical, declared
from ltlib.sections import claims, comparison, factors, figures, readings, recipes, study
from ltlib.sections import tables as document_tables
from ltlib.sections.world import World

READING = readings.ranking(CONVERGENT)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return document_tables.results([], "convergent", list(TABLES), "paper")


@pytest.fixture(scope="module")
def printed(frame: pd.DataFrame) -> World:
    return convergent_judges.printed(frame)


ANSWERS = {  # read by hand from Tables 1 to 9
    "Deeper networks are more accurate": False,  # CIFAR-10, CE: 0.749 then 0.665
    "ResNet-18 is adequate on CIFAR-10": True,  # 2.7, 2.2 and 2.2 points behind ResNet-34
    "ResNet-34 is near the best": True,  # but on butterflies, 3.0 and 4.2 points, 3.7, 8.6
    "ResNet-50 excels on complex sets": False,
    "SupCon + CE is better across scenarios": False,  # last on butterflies
    "ResNet-50 is not above ResNet-34 on CIFAR-10": True,
    "SupCon separates classes better": None,
    "ResNet-34 + SupCon + CE is best on CIFAR-10": True,
    "SupCon + CE is best on CIFAR-10": True,
    "Focal does not beat the others on CIFAR-10": True,  # SupCon + CE is above it in Tables 1 to 3
    "CE is weakest on CIFAR-10": False,  # Table 1: 0.722 against 0.709
    "ResNet-34 + focal is best on CIFAR-100": True,  # Table 6 repeats it
    "SupCon + CE against CE on CIFAR-100": False,  # Tables 5 and 6 are equal
    "Focal is best on butterflies with 18 and 34": True,
    "CE is best on butterflies with ResNet-50": True,
    "SupCon + CE is last on butterflies": True,
    "ResNet-34 + focal for butterflies": True,  # second of nine: ResNet-18 with focal has 0.702 against 0.665
    "SupCon + CE wins or comes close": False,
    "SupCon + CE leads in all scores, ResNet-34": True,
    "No method is best everywhere": True,
    "The loss matters": True,
}


SHARES = {  # of sentences that name neither all nor a best
    "Deeper networks are more accurate": "12 of 18",  # deeper and better in six
    "ResNet-34 is near the best": "14 of 18",
    "ResNet-50 excels on complex sets": "8 of 12",
    "SupCon + CE is better across scenarios": "10 of 18",
    "ResNet-34 + focal for butterflies": "7 of 8",
    "SupCon + CE wins or comes close": "22 of 36",
}


def test_every_published_sentence_is_judged_once() -> None:
    names = [claim.name for claim in (*HYPOTHESES, *FINDINGS)]
    assert names == published.claims("convergent")["name"].tolist()


@pytest.mark.parametrize("name", ANSWERS)
def test_judges_on_the_printed_numbers(name: str, printed: World) -> None:
    claim = next(claim for claim in (*HYPOTHESES, *FINDINGS) if claim.name == name)
    assert claim.judge(printed).answer is ANSWERS[name]
    assert claim.judge(printed).share == SHARES.get(name, "")


def test_ours_equal_to_the_printed_numbers_never_contradict_them(frame: pd.DataFrame, printed) -> None:
    """Where our runs give exactly what is printed, only the margin may turn an answer into an open one."""
    same = frame.assign(reproduced=frame["published"], n=1)
    ours = convergent_judges.ours(same, "paper")
    for claim in (*HYPOTHESES, *FINDINGS):
        expected, got = claim.judge(printed).answer, claim.judge(ours).answer
        assert expected is None or got in (expected, None), claim.name


def test_one_network_leaves_claims_about_depth_open_but_refutes_those_about_all(frame: pd.DataFrame) -> None:
    alone = frame["model"].eq("resnet18") & frame["dataset"].eq("cifar10")
    ours = convergent_judges.ours(frame.assign(reproduced=frame["published"], n=alone.astype(int)), "laptop")
    answers = {claim.name: claim.judge(ours).answer for claim in (*HYPOTHESES, *FINDINGS)}
    assert answers["Deeper networks are more accurate"] is None
    assert answers["SupCon + CE is best on CIFAR-10"] is None
    assert answers["CE is weakest on CIFAR-10"] is False
    assert "ResNet-8 on CIFAR-10" in HYPOTHESES[-1].judge(ours).evidence


def test_a_stand_in_cannot_tell(frame: pd.DataFrame, printed) -> None:
    ours = convergent_judges.ours(frame.assign(reproduced=frame["published"], n=1), "quick")
    judged = claims.judge((*HYPOTHESES, *FINDINGS), printed, ours, study.instead("quick"))
    assert {item.claim.name for item in judged if item.ours.answer is not None} == {"Deeper networks cost more"}
    assert len(claims.summary(judged)) == len(HYPOTHESES) + len(FINDINGS)
    assert claims.tally(judged).startswith(f"Of {len(judged)} claims")


def test_reading_of_a_single_method(frame: pd.DataFrame) -> None:
    alone = frame["method"].eq("ce") & frame["table"].eq("1")
    ours = frame.assign(reproduced=frame["published"].where(alone), n=alone.astype(int))
    text = READING(ours[ours["table"] == "1"], "laptop")
    assert text.endswith("Ours (CIFAR-10, ResNet-8, 1 run each): CE 0.722; the other methods were not run.")


def test_reading_of_table_three(frame: pd.DataFrame) -> None:
    third = frame[frame["table"] == "3"]
    text = READING(third, "paper")
    assert "SupCon + CE has the best accuracy, 0.771, before Focal 0.711 (6.0 points behind) and CE 0.665" in text
    assert "4 of 4 scores" in text
    assert "nothing was run" in text
    ran = third.assign(reproduced=third["published"][::-1].to_numpy(), n=3)
    assert "not the printed one" in READING(ran, "paper")
    close = third.assign(reproduced=0.7, n=1)
    assert "too little for 1 run each" in READING(close, "laptop")
    assert "says nothing about the document's" in READING(close, "quick")


@pytest.mark.parametrize(("figure", "table"), [("19", "2"), ("28", "3")])
def test_printed_matrices_give_their_tables(figure: str, table: str) -> None:
    text = figures.matrix_check("convergent", figure)
    assert f"reproduce the focal row of Table {table}" in text
    assert "do not" not in text
    assert "truck, the rarest" in text


def test_recipe_differences_follow_the_profile() -> None:
    def differences(table: str, text: str, profile: str) -> pd.DataFrame:
        grids_of = {"code": table, "text": text}
        return recipes.differences({side: CONVERGENT.trained(grid, profile) for side, grid in grids_of.items()})

    paper = differences("7", "text_butterfly", "paper").set_index("setting")
    assert paper.loc["batch size"].tolist() == ["32", "64"]
    assert paper.loc["classifier input"].tolist() == ["projection", "features"]
    assert "augmentation" in paper.index
    assert "augmentation" not in set(differences("1", "text_cifar10", "quick")["setting"])


def test_recipe_sentence_names_the_nearer_one() -> None:
    rows = pd.DataFrame({"method": ["CE"], "printed": ["0.722"], "code": [0.72], "text": [0.80]})
    assert "the code's comes closer" in recipes.sentence(rows, "paper")
    assert "cannot be told in laptop" in recipes.sentence(rows, "laptop")
    assert "nothing can be said" in recipes.sentence(rows.assign(text=math.nan), "paper")


def test_robustness_sentence() -> None:
    text = factors.sentence(CONVERGENT, {"ce": {2.0: [0.9, 0.8], 50.0: [0.7]}, "focal": {2.0: [0.9], 50.0: [0.85]}})
    assert text.endswith("least first: Focal 5.0, CE 15.0.")
    assert "From imbalance factor 2 to 50" in text


def test_bars_of_three_runs_have_their_interval(frame: pd.DataFrame) -> None:
    from matplotlib.container import ErrorbarContainer

    ours = frame.assign(reproduced=frame["published"], n=3, ci_low=frame["published"] - 0.01)
    ours["ci_high"] = frame["published"] + 0.01
    drawn: dict[str, object] = {}
    page = SimpleNamespace(profile="paper", figure=lambda number, chart, **_: drawn.update({number: chart}))
    for number, dataset in (("68", "cifar10"), ("69", "cifar100"), ("70", "butterfly")):
        figures.bars(page, number, ours[ours["dataset"] == dataset], [])
    assert sorted(drawn) == ["68", "69", "70"]
    for chart in drawn.values():
        bars = sum(isinstance(c, ErrorbarContainer) for c in chart.axes[0].containers)
        assert bars == len(chart.frame()) > 0


def test_closing_sentence() -> None:
    rows = [{"network": "N", "method": m, "selected": s, "last epoch": e, "head": 0.9, "tail": t}
            for m, s, e, t in (("A", 0.8, 0.75, 0.5), ("B", 0.7, 0.72, 0.8))]  # fmt: skip
    text = comparison.closing_sentence(pd.DataFrame(rows), "lowest test loss")
    assert "best here is A with N, 0.800" in text
    assert "the epoch of the lowest test loss, as the document does" in text
    assert "-2.0 to +5.0 points" in text
    assert "by +5.0 points" in comparison.closing_sentence(pd.DataFrame(rows[:1]), "lowest test loss")
    assert "10.0 points (B, N) to 40.0 points (A, N)" in text


def test_every_table_and_figure_of_the_chapter_is_declared_once() -> None:
    folder = places.notebooks_folder()
    assert folder is not None
    pages = [
        declared.of_notebook(declared.read_notebook(p), p)[0] for p in sorted((folder / "convergent").glob("*.ipynb"))
    ]
    assert sorted((t for page in pages for t in page.tables), key=int) == published.tables("convergent")
    figures = [figure for page in pages for figure in page.figures]
    elsewhere = {"1", "2", "3", "Algorithm 1"}
    assert sorted(figures) == sorted(set(published.figures("convergent")["figure"]) - elsewhere)
    assert {grid for page in pages for grid in page.grids} <= set(grids.names())
    for page in pages:
        assert page.path is not None
        assert canonical.check(page.path) == []
