"""The images a page shows, or why they are absent; with a document made up here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ltlib import grids
from ltlib.errors import RunError
from ltlib.experiment import Experiment
from ltlib.grids.base import Document
from ltlib.sections import images

GRID = "convergent/features"


def a_page(*figures: str) -> Any:
    said: list[str] = []
    declared = SimpleNamespace(figures=figures)
    said_of_missing = lambda *text: said.append(" ".join(text))  # noqa: E731
    return SimpleNamespace(declared=declared, note=said.append, missing=said_of_missing, said=said)


def test_quick_stands_in_digits_and_says_so():
    shown = images.of("cifar10", GRID, "quick")
    assert shown.dataset == "digits"
    assert "they stand in for CIFAR-10" in shown.sentence()
    assert f"{len(shown.data.train):,} of 1,297" in shown.sentence()
    page = a_page()
    assert shown.there(page, "Samples")
    assert page.said == []


def test_any_document_has_images(monkeypatch: pytest.MonkeyPatch):
    """Two methods on two sets: the first experiment on the wanted one."""
    sets, methods = ("butterfly", "cifar100"), ("ce", "focal")
    made = [Experiment(name, 50, "resnet32", method, "convergent") for name in sets for method in methods]
    toy = Document("toy", experiment=lambda row: made[0], extra={"all": lambda profile: iter(made)})
    monkeypatch.setitem(grids.DOCUMENTS, "toy", toy)
    monkeypatch.setattr(grids.published, "tables", lambda document: [])
    shown = images.of("cifar100", "toy/all", "quick")
    assert (shown.dataset, shown.wanted, shown.experiment.method) == ("digits", "cifar100", "ce")
    assert "they stand in for CIFAR-100" in shown.sentence()
    assert shown.augmentation == "shift1"


def test_absent_images_are_missing_where_declared_and_noted_elsewhere(no_data):
    shown = images.of("cifar10", GRID, "laptop")
    page = a_page("2")
    assert not shown.there(page, "2")
    assert not shown.there(page, "Samples")
    assert page.said[0].startswith("2 the images of CIFAR-10 are not on disk")
    assert page.said[1].startswith("Samples: not here, the images of CIFAR-10 are not on disk")
    assert "but they are not on disk" in shown.sentence()


def test_another_profiles_images_stand_in_and_say_for_what(no_data):
    shown = images.of("cifar10", GRID, "laptop", otherwise="quick")
    assert (shown.dataset, shown.profile) == ("digits", "quick")
    assert "They stand in here: the images of CIFAR-10 are not on disk" in shown.sentence()


def test_a_dear_training_is_named_and_not_started(reports):
    shown = images.of("cifar10", GRID, "quick")
    with pytest.raises(RunError, match="ltlib reproduce --profile quick --grid convergent/features"):
        shown.run(patience=0.0)
    run, reason = images.Images("laptop", "cifar10", GRID, shown.experiment).run_or_reason()
    assert run is None
    assert "are not on disk" in reason
