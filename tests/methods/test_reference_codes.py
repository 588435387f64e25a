"""What published codes do, written down plainly from reading them, against what is trained here.

Each loop below is our own, slow and obvious; its docstring names the file whose behaviour it has.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from ltlib import datasets, losses, methods, models, runs, sealed
from ltlib.batches import augment
from ltlib.batches.draws import SAMPLERS, epoch_draws, generator
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.methods import METHODS, finishes
from ltlib.runs import cost
from ltlib.training import evaluation, residents, stages
from ltlib.training.loop import Stopped

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


def test_weight_balancing_has_the_codes_settings() -> None:
    """LTR-weight-balancing, demo1 and demo2: rate 0.01 and a cosine in both stages, decays 5e-3 and 0.1, 10 epochs."""
    resolved = Experiment(method="weight_balancing", recipe="ldam").resolve()
    first, second = (resolved.stage_recipe(i) for i in (0, 1))
    assert (first.weight_decay, second.weight_decay) == (5e-3, 0.1)
    for recipe, epochs in ((first, 200), (second, 10)):
        assert recipe.learning_rate(1, epochs) == 0.01
        assert recipe.learning_rate(1 + epochs // 2, epochs) == pytest.approx(0.005)
    stage = resolved.stages[1]
    assert (stage.lr, stage.max_norm, stage.batch_norm) == ({"classifier": 1.0}, 0.1, "shift")
    assert (stage.sampler.name, resolved.epochs(1)) == ("instance_balanced", 10)
    for wrong in ("lr=0", "weight_decay=-1", "classifier_decay=-0.1", "max_norm=1.5", "max_norm=-0.1"):
        with pytest.raises(SettingError, match="must be"):
            methods.stages(f"weight_balancing[{wrong}]")


def class_balanced_of_the_port(rows: list[list[float]], targets: list[int], counts: list[int]) -> float:
    """class_balanced_loss.py with "softmax" and beta 0.9999: weights of sum K times binary cross-entropy on softmax,
    the mean over images and classes."""
    raw = [(1 - 0.9999) / (1 - 0.9999**n) for n in counts]
    weights = [w / sum(raw) * len(counts) for w in raw]
    terms = []
    for row, y in zip(rows, targets, strict=True):
        exponentials = [math.exp(z) for z in row]
        for k, e in enumerate(exponentials):
            p = e / sum(exponentials)
            terms.append(weights[y] * -(math.log(p) if k == y else math.log(1 - p)))
    return sum(terms) / len(terms)


def test_weight_balancing_trains_with_its_codes_loss() -> None:
    class_counts, targets = [500, 60, 7, 7], [0, 0, 1, 3, 2, 0, 3]
    loss = losses.create(methods.stages("weight_balancing")[1].loss, class_counts)
    logits = 3 * torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected = class_balanced_of_the_port(logits.tolist(), targets, class_counts)
    assert loss(logits, torch.tensor(targets)).item() == pytest.approx(expected, rel=1e-8)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: loss(z, torch.tensor(targets)), logits)


def test_that_loss_is_finite_where_a_probability_is_one() -> None:
    """-log(1 - p) of a wrong class at logit 200 is 200, which float32's 1 - p has no digit of."""
    loss = losses.create("class_balanced[base=softmax_bce;beta=0]", [1, 1, 1])
    logits = torch.tensor([[200.0, 0.0, -1000.0]], requires_grad=True)
    value = loss(logits, torch.tensor([1]))
    assert value.item() == pytest.approx((200 + 200) / 3, rel=1e-6)
    value.backward()
    assert logits.grad is not None
    assert logits.grad[0].tolist() == pytest.approx([2 / 3, -2 / 3, 0], abs=1e-6)


def projected(rows: list[list[float]], thresh: float, starts: list[list[float]]) -> list[list[float]]:
    """regularizers.py, MaxNorm_via_PGD: thresholds from the start, rows above them scaled down to them."""
    at_start = [math.hypot(*row) for row in starts]
    cap = min(at_start) + thresh * (max(at_start) - min(at_start))
    return [[x * cap / math.hypot(*row) for x in row] if math.hypot(*row) > cap else row for row in rows]


def test_the_cap_is_the_codes_and_holds_after_each_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[list[float]], list[list[float]]]] = []
    real = stages.norms.cap_norms

    def cap(classifier: Any, most: Any) -> None:
        before = classifier.weight.tolist()
        real(classifier, most)
        seen.append((before, classifier.weight.tolist()))

    monkeypatch.setattr(stages.norms, "cap_norms", cap)
    experiment = DIGITS.replace(method="weight_balancing[epochs=1;lr=0.1;classifier_decay=0]")
    first, last = stages.run_stages(experiment.resolve(), runs.load_data(experiment), tmp_path)
    start = sealed.read_tensors(first / "weights.safetensors")["classifier.weight"].tolist()
    assert len(seen) == 2, "once an epoch"
    for before, after in seen:
        expected = projected(before, 0.1, start)
        assert expected != before
        assert [x for row in after for x in row] == pytest.approx([x for row in expected for x in row], rel=1e-5)
    assert sealed.read_tensors(last / "weights.safetensors")["classifier.weight"].tolist() == seen[-1][1]


def test_a_resumed_stage_keeps_the_cap_it_began_with(tmp_path: Path) -> None:
    """Not that of the weights it goes on from."""
    experiment = DIGITS.replace(method="weight_balancing[epochs=1;lr=0.1;classifier_decay=0]")
    data, resolved = runs.load_data(experiment), experiment.resolve()
    whole = stages.run_stages(resolved, data, tmp_path / "whole")
    rows: list[Any] = []
    with pytest.raises(Stopped):
        stages.run_stages(resolved, data, tmp_path / "cut", report=rows.append, stop=lambda: len(rows) == 3)
    assert [(row["stage"], row["epoch"]) for row in rows] == [(1, 1), (1, 2), (2, 1)]
    cut = stages.run_stages(resolved, data, tmp_path / "cut")
    one, other = (sealed.read_tensors(places[1] / "weights.safetensors") for places in (whole, cut))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_mislas_smooths_as_its_code_does() -> None:
    """methods.py, LabelAwareSmoothing: (1 - eps) NLL + eps mean_k(-log p_k), eps 0.4 for the largest class of two."""
    loss = losses.create(methods.stages("mislas[epsilon_head=0.4]")[1].loss, [100, 10])
    log_p = [-math.log(1 + math.exp(-1)), -math.log(1 + math.exp(1))]
    expected = -0.6 * log_p[0] - 0.4 * sum(log_p) / 2
    found = loss(torch.tensor([[1.0, 0.0]], dtype=torch.float64), torch.tensor([0]))
    assert found.item() == pytest.approx(expected, rel=1e-8)
