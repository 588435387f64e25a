"""The author's code of `convergent` (Bish-Soli/MQP), written down plainly, against what is trained here."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from ltlib import losses, methods, models, recipes, runs
from ltlib.batches.draws import generator
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.methods import METHODS
from ltlib.training import evaluation, objectives, residents, stages

DIGITS = Experiment(dataset="digits", imbalance_factor=20, model="resnet8", limit=90)


def warmed_up(epoch: int, batch: int, batches: int) -> float:
    """util.py, warmup_learning_rate: from 0.01 to 0.1 over the batches of ten epochs, set before each batch."""
    if epoch > 10:
        return 0.1
    share = (batch + (epoch - 1) * batches) / (10 * batches)
    return 0.01 + share * (0.1 - 0.01)


def test_convergent_text_warms_up_batch_by_batch() -> None:
    recipe = recipes.create("convergent_text")
    for epoch in (1, 2, 10, 11, 100):
        expected = [warmed_up(epoch, batch, 639) for batch in range(639)]
        assert recipe.rates(epoch, 100, 639) == pytest.approx(expected, rel=1e-12)
    assert set(recipes.create("convergent").rates(1, 100, 639)) == {0.1}


def test_every_step_of_a_training_has_its_own_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    real = stages.steps.set_rates
    monkeypatch.setattr(stages.steps, "set_rates", lambda optimizer, lr: (seen.append(lr), real(optimizer, lr))[1])
    experiment = DIGITS.replace(recipe="convergent_text[epochs=12;augmentation=shift1;normalise=unit]", limit=70)
    stages.run_stages(experiment.resolve(), runs.load_data(experiment), tmp_path)
    batches = math.ceil(70 / 32)
    expected = [warmed_up(epoch, batch, batches) for epoch in range(1, 11) for batch in range(batches)]
    assert seen[: len(expected)] == pytest.approx(expected, rel=1e-12)
    assert set(seen[len(expected) :]) == {0.1}


def supcon_of_equal_views(projections: list[list[float]], targets: list[int], temperature: float) -> float:
    """losses.py, SupConLoss, on two views that are the same: the mean over both views of every image."""
    z, y, total = projections * 2, targets * 2, 0.0
    for i, anchor in enumerate(z):
        similar = [sum(a * b for a, b in zip(anchor, other, strict=True)) / temperature for other in z]
        log_sum = math.log(sum(math.exp(s) for j, s in enumerate(similar) if j != i))
        positives = [j for j in range(len(z)) if j != i and y[j] == y[i]]
        total -= sum(similar[j] - log_sum for j in positives) / len(positives)
    return total / len(z)


def test_supcon_ce_is_selected_by_both_losses_of_two_equal_views() -> None:
    """train_models.py, validate_contrastive: 0.5 SupCon + 0.5 cross-entropy, batch by batch, weighed by its images."""
    experiment = DIGITS.replace(method="supcon_ce", recipe="convergent[augmentation=shift1]")
    resolved = experiment.resolve()
    assert resolved.selection() == "best_test_objective"
    data = runs.load_data(experiment)
    network = models.create("resnet8", 10, projector=128, classifier_input="projection")
    objective = objectives.create(resolved.stages[0], data.class_counts)
    sets = residents.load(data, resolved, torch.device("cpu")).evaluated
    columns, logits, finite = evaluation.evaluate(network, objective, sets, "float32", 32)
    images, targets = sets["test"], sets["test"].targets
    assert finite
    assert logits is not None
    with torch.no_grad():
        _, projections = network.eval().embed(images.batch(torch.arange(len(targets))))
    assert projections is not None
    order = torch.randperm(len(targets), generator=generator(0, "evaluation"))
    total = 0.0
    for start in range(0, len(order), 32):
        batch = order[start : start + 32]
        z, y, out = projections[batch].double().tolist(), targets[batch].tolist(), logits[batch].double().tolist()
        ce = [math.log(sum(map(math.exp, row))) - row[c] for row, c in zip(out, y, strict=True)]
        total += len(batch) * (0.5 * supcon_of_equal_views(z, y, 0.07) + 0.5 * sum(ce) / len(ce))
    assert columns["test_objective"] == pytest.approx(total / len(order), rel=1e-5)
    plain = F.cross_entropy(logits, targets).item()
    assert columns["test_loss"] == pytest.approx(plain, rel=1e-6)


def test_the_epoch_with_the_lowest_objective_is_selected(reports: Path) -> None:
    recipe = "convergent[augmentation=shift1;epochs=6;patience=0;lr=0.02]"
    run = runs.run(DIGITS.replace(method="supcon_ce", recipe=recipe))
    history = run.history.set_index("epoch")
    assert run.selection == "best_test_objective"
    assert run.metrics["selected"]["epoch"] == history["test_objective"].idxmin()
    assert run.metrics["selected"]["loss"] == history["test_loss"][run.metrics["selected"]["epoch"]]
    plain = runs.run(DIGITS.replace(method="supcon_ce[selects_by=loss]", recipe=recipe))
    assert "test_objective" not in plain.history
    assert plain.metrics["selected"]["epoch"] == history["test_loss"].idxmin(), "the same training"


def test_only_supcon_ce_of_that_recipe_is_selected_otherwise() -> None:
    for recipe in recipes.RECIPES.names():
        found = {
            name
            for name in METHODS.names()
            if Experiment(method=name, recipe=recipe).resolve().selection()[-9:] == "objective"
        }
        assert found == ({"supcon_ce"} if recipe == "convergent" else set())
    with pytest.raises(SettingError, match="selects_by must be loss"):
        methods.stages("supcon_ce[selects_by=accuracy]")
    with pytest.raises(SettingError, match="needs a contrastive loss beside a classification loss"):
        methods.Stage(loss=losses.spec("ce"), selects_by="objective")
