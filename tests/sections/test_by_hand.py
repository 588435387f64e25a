"""The run that a page takes apart: its parts, and its loop beside the stored run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

import ltlib
from ltlib import models, recipes
from ltlib.sections import by_hand

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "convergent" / "cifar10.ipynb"


def test_the_layers_are_the_whole_network():
    network = models.create("resnet8", 10)
    frame = by_hand.layers(network)
    assert frame["parameters"].sum() == sum(p.numel() for p in network.parameters())
    assert list(dict.fromkeys(frame["part"])) == list(network.parts)
    assert frame["made of"].str.contains("Conv2d").any()
    assert frame.iloc[-1]["made of"] == "1 x Linear"


def test_the_settings_are_the_recipes():
    rows = by_hand.settings(recipes.create("convergent[epochs=7]")).set_index("setting")["value"]
    assert rows["epochs"] == "7"
    assert rows["selection"] == "best_test_loss"
    assert len(rows) == len(recipes.create("convergent").__dataclass_fields__) - 1


@pytest.mark.parametrize(("losses", "same"), [([2.0, 1.00005], True), ([2.0, 1.001], False)])
def test_whether_a_loop_is_the_run(losses, same):
    run = SimpleNamespace(history=pd.DataFrame({"train_loss": [2.0, 1.0, 0.5]}))
    frame = by_hand.beside(losses, run)
    assert frame["stored run"].tolist() == [2.0, 1.0]
    text = by_hand.agreement(frame)
    assert ("the same training" in text) == same
    assert ("0.1% apart" in text) != same


def test_the_loop_of_the_page_is_the_training_of_the_package(reports):
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    shown = ["".join(cell["source"]) for cell in cells if "shown" in cell["metadata"].get("tags", ())]
    setup = next("".join(cell["source"]) for cell in cells if cell["id"] == "setup")
    imports = setup[: setup.index("page = ")]
    page = SimpleNamespace(frame=lambda *arguments: None)
    scope: dict = {"page": page}
    exec(imports, scope)
    first = shown[0].replace('CONVERGENT.trained("1", "quick")', "exp")
    exp = ltlib.Experiment("digits", 20, "resnet8", "ce", "convergent[augmentation=shift1;epochs=3]", limit=200)
    scope["exp"] = exp
    for source in (first, *shown[1:]):
        exec(source, scope)
    assert len(scope["losses"]) == 3
    assert "the same training" in by_hand.agreement(by_hand.beside(scope["losses"], ltlib.run(exp)))
