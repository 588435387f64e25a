"""Pages about photographs: what stands in for them, at which size, their counts in parts, which pages are twins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ltlib import grids, profiles, tables
from ltlib.datasets.digits_mushroom import DigitsMushroom
from ltlib.labels import label
from ltlib.pages import order
from ltlib.pages.declared import Declared
from ltlib.pages.page import Page
from ltlib.sections import data
from ltlib.sections.standing import standing


def said(profile: str, datasets: list[str], monkeypatch: pytest.MonkeyPatch) -> str:
    page = Page(Declared("toy", document="cefl"), profile)
    texts: list[str] = []
    monkeypatch.setattr(page, "say", texts.append)
    standing(page, datasets, ["resnet18"])
    return " ".join(texts)


def test_photographs_are_not_cut_to_an_imbalance_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "digits (as mushroom) stand in for the mushrooms:" in said("quick", ["mushroom"], monkeypatch)
    assert "digits, at imbalance factor 20, stand in" in said("quick", ["cifar10"], monkeypatch)


def test_a_laptop_says_at_which_size_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    text = said("laptop", ["caltech_part"], monkeypatch)
    assert "The images are the document's own, read smaller: Caltech (part) at 32 pixels." in text
    assert "The images are the document's own. " in said("laptop", ["cifar10"], monkeypatch)


def test_what_a_profile_trains_in_place_of_a_set() -> None:
    found = [profiles.dataset("mushroom", name) for name in ("quick", "laptop", "paper")]
    assert found == ["digits_mushroom", "mushroom@64", "mushroom"]
    assert label("mushroom@64") == "Mushrooms at 64 pixels"
    assert label("folder:photos@64") == "folder:photos@64"


def test_pages_of_two_sets_with_two_stand_ins_are_no_twins() -> None:
    ordered = order.pages()
    by_id = {page.id: page for page in ordered}
    assert order.twin(by_id["cefl/mushroom"], ordered, "quick") is None
    assert order.twin(by_id["convergent/cifar100"], ordered, "quick") is by_id["convergent/cifar10"]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A page that keeps what it is shown."""
    own = Page(Declared("toy", document="cefl", figures=("1", "8")), "quick")
    own.kept: dict[str, Any] = {"figures": {}, "missing": [], "said": []}  # type: ignore[attr-defined]
    monkeypatch.setattr(own, "figure", lambda number, chart, **more: own.kept["figures"].update({number: chart}))  # type: ignore[attr-defined]
    monkeypatch.setattr(own, "missing", lambda *what: own.kept["missing"].append(what))  # type: ignore[attr-defined]
    monkeypatch.setattr(own, "say", own.kept["said"].append)  # type: ignore[attr-defined]
    monkeypatch.setattr(own, "note", own.kept["said"].append)  # type: ignore[attr-defined]
    return own


def test_both_parts_of_a_set_and_what_is_remarked_of_it(
    page: Any, no_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mushrooms' twin: of a small folder half is tested on, and the page says where that came in."""
    monkeypatch.setattr(DigitsMushroom, "tests", 40)
    trained = grids.experiments("cefl/5", "quick")[0][0]
    data.show_parts(page, trained, "8", whole="1", marked=["5"])
    whole, parts = page.kept["figures"]["1"], page.kept["figures"]["8"].frame()
    assert parts["Test"].max() == 40
    assert (whole.frame()["images"] == parts["Training"] + parts["Test"]).all()
    assert "hatched: minor classes" in page.kept["figures"]["8"].axes[-1].get_xlabel()
    remark = page.kept["said"][-1]
    assert remark.startswith("As it lies here: 3 has 34 images: half of them, 17, are its test set")


def test_a_set_that_is_not_here_is_missing_with_its_reason(page: Any, no_data: Path) -> None:
    (cell, *_) = grids.cells("cefl", "5")
    data.show_parts(page, cell.experiment, "8", whole="1")
    ((numbers, reason, command),) = page.kept["missing"]
    assert numbers == ["figure 1", "figure 8"]
    assert "are not here" in reason
    assert command.startswith("ltlib reproduce")


def test_a_part_of_a_table() -> None:
    frame = tables.compare([], "cefl", "4", "quick", {"dataset": "mushroom"})
    assert set(frame["dataset"]) == {"mushroom"}
    assert len(frame) == 55, "28 F1 and 27 accuracies: one cell is lost in print"
