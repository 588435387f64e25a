"""Calibration after training for any document: means over seeds, before and after, and who is cheaper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from handmade import a_run, changed, two_hundred

from ltlib import calibration
from ltlib.experiment import Experiment
from ltlib.grids.base import Document
from ltlib.pages import declared
from ltlib.pages.page import Page
from ltlib.sections import posthoc
from ltlib.sections.study import Study

TOY = Study(
    Document(
        "toy",
        lambda row: Experiment(dataset="digits", model="resnet8", method="ce"),
        names={"ce": "Plain", "mislas": "MiSLAS", "cutmix": "Our own (CutMix)", "crt": "cRT"},
    )
)


@pytest.fixture
def found() -> dict[str, Any]:
    said = two_hundred()
    return {
        "ce": [a_run(said, changed(0.2, 0.04))],
        "mislas": [a_run(said, changed(0.1, 0.03), "mislas")],
        "cutmix": [a_run(said, changed(0.02, 0.02), "cutmix")],
        "crt": [a_run(said, changed(0.045, 0.02), "crt")],
    }


def test_the_cheapest_competitor_is_compared(found: dict[str, Any]) -> None:
    values = posthoc.means(found)
    text = posthoc.cheapest(TOY, values, base="ce", others="the two-stage methods")
    assert "of Plain from 20.0% to 4.0% (T = 2.00" in text
    assert "T = 1.50 gives 12.0%" in text
    assert "right for 70.0% instead of 60.0%" in text
    assert "The two-stage methods as they are: MiSLAS 10.0% (3.0% with a temperature of its own)" in text
    assert "MiSLAS is worse calibrated than scaled Plain" in text
    assert "cRT is too close to it to tell" in text
    assert "Our own (CutMix) is better calibrated than scaled Plain" in text
    assert "missing here too" in posthoc.cheapest(TOY, {"mislas": values["mislas"]}, base="ce")
    assert posthoc.cheapest(TOY, {"ce": values["ce"]}, base="ce").endswith("None of the other methods with held-out "
                                                                           "images was run beside it.")  # fmt: skip


def test_any_method_can_be_the_plain_one(found: dict[str, Any]) -> None:
    text = posthoc.cheapest(TOY, posthoc.means(found), base="crt")
    assert "of cRT from 4.5% to 2.0%" in text
    assert "Plain and MiSLAS are worse calibrated than scaled cRT; Our own (CutMix) is too close to it to tell." in text


def test_the_price_of_the_other_methods(found: dict[str, Any]) -> None:
    text = posthoc.price(TOY, posthoc.means({"ce": found["ce"]}))
    assert "isotonic: Plain -2.0" in text
    assert "fitted: Plain +10.0." in text
    assert "the errors of head / tail are Plain 4.0 / 8.0%" in text


def test_table_and_panels(found: dict[str, Any]) -> None:
    frame = posthoc.table(TOY, posthoc.means(found))
    assert frame.loc[2, ["method", "T", "tau", "ECE", "tail"]].tolist() == ["Plain", "2.00", "–", "4.0", "8.0"]
    panels = posthoc.panels(TOY, found, base="ce", after=(posthoc.SCALED, posthoc.FITTED))
    names = ["Plain", "Plain, temperature", "Plain, adjusted and scaled", "MiSLAS", "Our own (CutMix)", "cRT"]
    assert list(panels) == names
    assert panels["Plain"]["upper"] == pytest.approx([1 / 3, 2 / 3, 1])
    assert np.isnan(panels["Plain"]["accuracy"][0])
    assert list(posthoc.panels(TOY, {"ce": found["ce"]}, base="ce", after=("isotonic", "no such"))) == [
        "Plain",
        "Plain, isotonic",
    ]


def test_an_older_record_has_the_floor_that_its_predictions_give() -> None:
    """`changed` is such a record: its own numbers know no floor, its answers do, as they were trained."""
    run = a_run(two_hundred(), changed(0.2, 0.04))
    said = run.predictions["selected"]
    expected = calibration.debiased_from_confidence(said.confidence, said.predicted == said.targets)
    values = posthoc.means({"ce": [run]})["ce"]
    assert values["none"]["ece_floor"] == expected.floor
    assert values["none"]["ece_debiased"] == expected.debiased
    assert np.isnan(values["temperature"]["ece_floor"])
    newer = changed(0.2, 0.04)
    newer["none"] |= {"ece_floor": 0.011, "ece_debiased": 0.195}
    values = posthoc.means({"ce": [a_run(two_hundred(), newer)]})["ce"]
    assert (values["none"]["ece_floor"], values["none"]["ece_debiased"]) == (0.011, 0.195)
    frame = posthoc.table(TOY, {"ce": values})
    assert frame.loc[0, ["ECE", "debiased", "chance alone"]].tolist() == ["20.0", "19.5", "1.1"]
    assert frame.loc[1, "debiased"] == "–"


def test_means_over_seeds() -> None:
    said = two_hundred()
    own: list[Any] = [a_run(said, changed(0.2, 0.1)), a_run(said, changed(0.4, 0.3)), a_run(said)]
    values = posthoc.means({"ce": own})
    assert values["ce"]["none"]["ece"] == pytest.approx(0.3)
    assert values["ce"]["temperature_balanced"]["groups"]["tail"] == pytest.approx(0.4)
    assert values["ce"]["temperature_balanced"]["parameters"] == {"temperature": 2.0}
    assert values["ce"]["none"]["held_out"] == 90


def test_runs_that_know_nothing_of_post_hoc_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    said = two_hundred()
    page = Page(declared.Declared(id="x", document="toy"), "quick")
    told: list[str] = []
    monkeypatch.setattr(Page, "say", lambda page, text: told.append(text))
    monkeypatch.setattr(Page, "note", lambda page, text: told.append(text))
    both = [a_run(said), a_run(said, changed(0.2, 0.1), "crt")]
    monkeypatch.setattr(Page, "runs", lambda page, grid: both if grid == "toy/held_out" else [])
    assert list(posthoc.runs(page, TOY, "toy/held_out")) == ["crt"]
    assert len(told) == 1
    assert "left out" in told[0]
    assert posthoc.runs(page, TOY, "toy/other") == {}
    assert "ltlib reproduce --profile quick --grid toy/other trains them" in told[1]
