"""What published codes do, written down plainly from reading them, against what is trained here.

Each loop below is our own, slow and obvious; its docstring names the file whose behaviour it has.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from ltlib import datasets, losses, methods, models, recipes, runs
from ltlib.batches import augment
from ltlib.batches.draws import SAMPLERS, epoch_draws, generator
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.methods import METHODS, finishes
from ltlib.runs import cost
from ltlib.training import evaluation, objectives, residents, stages

REPORTS = Path(__file__).resolve().parents[2] / "reports"
DIGITS = Experiment(
    dataset="digits",
    imbalance_factor=20,
    model="resnet8",
    recipe="ldam[batch_size=16;epochs=2;warmup_epochs=0;augmentation=shift1]",
    limit=90,
)


def mislas_batches(order: list[int], images: int, batch_size: int) -> list[list[int]]:
    """MiSLAS, train_stage2.py: the loader's batches are numbered from 0; the loop ends when a number is too large."""
    end_steps = math.ceil(images / batch_size)
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    used = []
    for number, batch in enumerate(batches):
        if number > end_steps:
            break
        used.append(batch)
    return used


def counts(dataset: str) -> list[int]:
    return datasets.long_tailed_counts(50_000 // {"cifar10": 10, "cifar100": 100}[dataset], int(dataset[5:]), 100)


@pytest.mark.parametrize(("dataset", "steps"), [("cifar10", 98), ("cifar100", 86)])
def test_mislas_takes_the_batches_of_its_code(dataset: str, steps: int, no_data: Path) -> None:
    experiment = Experiment(dataset=dataset, method="mislas", recipe="ldam", imbalance_factor=100)
    stage = experiment.resolve().stages[1]
    targets = torch.arange(len(counts(dataset))).repeat_interleave(torch.tensor(counts(dataset)))
    order = SAMPLERS.create(stage.sampler)
    whole = order(targets, 1, 10, generator(0, "order", 1, 1)).tolist()
    assert len(whole) == 50_000
    expected = mislas_batches(whole, len(targets), 128)
    assert len(expected) == steps
    (draw,) = epoch_draws(
        order,
        augment.create("none"),
        targets,
        seed=0,
        stage=1,
        epoch=1,
        epochs=10,
        batch_size=128,
        views=1,
        most_steps=stages.most_steps(stage, len(targets), 128),
    )
    assert draw.index.tolist() == expected
    second = cost.stage_works(experiment)[1]
    assert second.steps == 10 * steps
    whole_orders = cost.stage_works(experiment.replace(method="mislas[epoch_ends=sampler]"))[1]
    assert whole_orders.steps == 3910


@pytest.mark.parametrize(("method", "steps"), [("mislas", 7), ("mislas[epoch_ends=sampler]", 15), ("crt", 6)])
def test_a_training_takes_as_many_steps(
    method: str, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """90 images in batches of 16: ceil(90 / 16) + 1 steps, of the 10 n_max the class-aware order has."""
    seen: list[int] = []
    real = stages.epoch_draws

    def draws(*given: Any, **settings: Any) -> Any:
        found = real(*given, **settings)
        if settings["stage"] == 1:
            seen.append(sum(draw.steps for draw in found))
        return found

    monkeypatch.setattr(stages, "epoch_draws", draws)
    experiment = DIGITS.replace(method=method)
    data = runs.load_data(experiment)
    assert math.ceil(10 * max(data.class_counts) / 16) == 15
    stages.run_stages(experiment.resolve(), data, tmp_path)
    assert seen == [steps]


def test_an_order_that_is_short_anyway_is_left_alone() -> None:
    """A batch of the whole balanced set: nothing is cut, nothing repeated."""
    targets = torch.arange(4).repeat_interleave(3)
    order = SAMPLERS.create("class_aware")
    given: dict[str, Any] = {"seed": 0, "stage": 1, "epoch": 1, "epochs": 1, "batch_size": 5, "views": 1}
    none = augment.create("none")
    whole, cut = (epoch_draws(order, none, targets, most_steps=most, **given) for most in (None, 4))
    assert [draw.index.tolist() for draw in cut] == [draw.index.tolist() for draw in whole]
    assert sum(draw.index.numel() for draw in cut) == 12


def test_only_this_method_ends_its_epochs_so() -> None:
    cut = {name for name in METHODS.names() for stage in methods.stages(name) if stage.epoch_ends != "sampler"}
    assert cut == {"mislas"}
    with pytest.raises(SettingError, match="epoch_ends of mislas must be images"):
        methods.stages("mislas[epoch_ends=never]")


def test_every_committed_record_is_of_todays_components(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of an older version says the setting that names it, or is trained again."""
    monkeypatch.setenv("LTLIB_REPORTS", str(REPORTS))
    kept = [runs.load(path.stem) for path in sorted(REPORTS.glob("*/records/*.json"))]
    assert [(run.id, run.experiment.method) for run in kept if run and run.experiment.run_id != run.id] == []


def test_remix_drw_is_a_mean_over_the_batch() -> None:
    """imbalanced-DL, _remix_drw.py: each image's two losses, weighed by their classes and mixed; then their mean."""
    class_counts = [500, 60, 7]
    stage = methods.stages("remix_drw")[0]
    loss = losses.create(stage.loss, class_counts)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 3, dtype=torch.float64, generator=generator)
    own, other = [0, 0, 1, 2, 0, 2], [2, 1, 1, 0, 0, 2]
    share = [0.0, 0.3, 0.7, 1.0, 0.25, 0.5]
    for epoch, beta in ((160, 0.0), (161, 0.9999)):
        effective = [(1 - beta**n) / (1 - beta) for n in class_counts]
        weights = [3 / e / sum(1 / e for e in effective) for e in effective]
        total = 0.0
        for row, a, b, lam in zip(logits.tolist(), own, other, share, strict=True):
            log_sum = math.log(sum(math.exp(z) for z in row))
            total += lam * weights[a] * (log_sum - row[a]) + (1 - lam) * weights[b] * (log_sum - row[b])
        loss.set_epoch(epoch, 200)
        found = loss.mixed(logits, torch.tensor(own), torch.tensor(other), torch.tensor(share, dtype=torch.float64))
        assert found.item() == pytest.approx(total / 6, rel=1e-8)


def nearest(features: list[list[float]], targets: list[int], image: list[float], form: str) -> list[float]:
    """Distances by classifier-balancing: KNNClassifier.py with feat_type un or cl2n, centroids of run_networks.py."""
    mean = [sum(column) / len(features) for column in zip(*features, strict=True)]

    def compared(point: list[float]) -> list[float]:
        if form == "euclidean":
            return point
        moved = [x - m for x, m in zip(point, mean, strict=True)]
        return [x / math.hypot(*moved) for x in moved]

    found = []
    for c in sorted(set(targets)):
        own = [compared(f) for f, y in zip(features, targets, strict=True) if y == c]
        centroid = [sum(column) / len(own) for column in zip(*own, strict=True)]
        found.append(sum((x - w) ** 2 for x, w in zip(compared(image), centroid, strict=True)))
    return found


@pytest.mark.parametrize("form", ["euclidean", "centred"])
def test_nearest_class_mean_of_the_code(form: str) -> None:
    (_, last) = methods.stages(f"ncm[form={form}]")
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(12, 5, dtype=torch.float64, generator=generator)
    targets = torch.tensor([0] * 6 + [1] * 4 + [2] * 2)
    network = models.create("resnet8", 3).double()
    finishes.FINISHES.create(last.finish)(network, features, targets, [6, 4, 2])
    image = torch.randn(5, dtype=torch.float64, generator=generator)
    expected = nearest(features.tolist(), targets.tolist(), image.tolist(), form)
    assert network.classify(image[None])[0].tolist() == pytest.approx([-d for d in expected], rel=1e-8)


@pytest.mark.parametrize("form", ["cosine", "euclidean", "centred"])
def test_every_form_of_nearest_class_mean_is_loaded_again(form: str, reports: Path) -> None:
    run = runs.run(DIGITS.replace(method=f"ncm[form={form}]"))
    data = runs.load_data(run.experiment)
    images = residents.load(data, run.experiment.resolve(), torch.device("cpu")).evaluated["test"]
    said = evaluation.predict(run.network("last"), images)
    logits = run.predictions["last"].logits
    assert logits is not None
    torch.testing.assert_close(said, torch.from_numpy(logits))
    assert (run.predictions["last"].predicted == run.predictions["last"].targets).mean() > 0.2


def test_the_forms_differ_and_the_first_keeps_its_id() -> None:
    ids = {form: DIGITS.replace(method=f"ncm[form={form}]").run_id for form in finishes.MEANS}
    assert len(set(ids.values())) == 3
    assert DIGITS.replace(method="ncm").run_id == ids["cosine"]
    assert methods.stages("ncm")[1].identity()["finish"]["settings"] == {}
    with pytest.raises(SettingError, match="form of nearest_class_mean must be one of cosine, euclidean, centred"):
        finishes.FINISHES.create("nearest_class_mean[form=manhattan]")


# --- the author's code of `convergent` (Bish-Soli/MQP) ----------------------------------------------------------------


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
    columns, logits = evaluation.evaluate(network, objective, sets, "float32", 32)
    images, targets = sets["test"], sets["test"].targets
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
