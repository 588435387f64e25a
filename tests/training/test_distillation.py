"""Distillation: the loss in float64, teachers that are other runs' networks, shared, counted, and resumed."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from outcomes import numbers, same
from test_capture import Repeats, everything
from test_loop import Memory, Training, differing, one_step_chunks, whole
from test_steps import Watch, made
from torch import Tensor

from ltlib import losses, methods, models, runs, sealed
from ltlib.errors import LtlibError
from ltlib.experiment import Experiment
from ltlib.methods import Stage
from ltlib.methods.teaching import Teaching
from ltlib.runs import cost, pricing
from ltlib.runs.todo import Todo
from ltlib.training import capture, distillation, loop, outcome, stages, steps
from ltlib.training.capture import CapturedStep

TWO = "distilled[teachers=2;of=balanced_softmax]"
TINY = Experiment(
    dataset="digits",
    imbalance_factor=20,
    model="resnet8",
    method=TWO,
    recipe="ldam[batch_size=16;epochs=2;warmup_epochs=0;augmentation=shift1]",
    limit=90,
)


def softmax(row: list[float], t: float) -> list[float]:
    whole_ = math.fsum(math.exp(z / t) for z in row)
    return [math.exp(z / t) / whole_ for z in row]


def test_the_loss_is_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    z, t = (torch.randn(5, 4, dtype=torch.float64, generator=generator).requires_grad_() for _ in range(2))
    expected = 0.0
    for own, taught in zip(z.tolist(), t.tolist(), strict=True):
        p, q = softmax(taught, 3.0), softmax(own, 3.0)
        expected += 9 * math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True)) / 5
    value = distillation.distillation(z, t, 3.0)
    assert float(value.detach()) == pytest.approx(expected, rel=1e-9)
    (slope,) = torch.autograd.grad(value, z)
    told = torch.tensor([softmax(row, 3.0) for row in z.tolist()]).double()
    wanted = torch.tensor([softmax(row, 3.0) for row in t.tolist()]).double()
    torch.testing.assert_close(slope, 3 * (told - wanted) / 5, rtol=1e-6, atol=1e-7)  # T^2 / T: as large at any T
    assert float(distillation.distillation(z, z, 3.0).detach()) == pytest.approx(0, abs=1e-12)


def teacher(seed: int) -> models.Network:
    return models.create("resnet8", 4, seed=seed).eval().requires_grad_(False)


def distilled(inner: Any) -> distillation.Distilled:
    return distillation.Distilled(inner, [teacher(7), teacher(8)], 0.3, 2.0)


@pytest.mark.parametrize("text", ["balanced_softmax", "supcon_ce", "mixup", "sade"])
def test_a_step_asks_the_teachers_for_the_students_own_images(text: str) -> None:
    """Their mean logits of the first view, as it is augmented and mixed; beside what the method asks for."""
    _, network, step, draws = made(text)
    batch = step.batch(draws[0].part(0, 1), 0)
    plain, logits = step.learner.objective(network, batch)
    objective = distilled(step.learner.objective)
    assert objective.views == step.learner.objective.views
    first = batch.images[: len(batch.targets)]
    mean = (teacher(7)(first) + teacher(8)(first)) / 2
    assert logits is not None
    said = [0.0, 0.0]
    for own, taught in zip(logits.double().tolist(), mean.double().tolist(), strict=True):
        p, q = softmax(taught, 2.0), softmax(own, 2.0)
        said[0] += 4 * math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True)) / len(first)
    value, again = objective(network, batch)
    assert float(value.detach()) == pytest.approx(0.7 * float(plain.detach()) + 0.3 * said[0], rel=1e-4)
    assert again is not None


def test_teachers_are_no_part_of_a_checkpoint_and_never_change() -> None:
    _, _, step, draws = made("mixup")
    before = {name: value.clone() for name, value in teacher(7).state_dict().items()}
    objective = distilled(step.learner.objective)
    step.learner = replace(step.learner, objective=objective)
    step(draws[0], 0.1)
    assert not any("eacher" in name for name in everything(step))
    for name, value in objective._teachers[0].state_dict().items():
        assert torch.equal(value, before[name])


def test_recorded_steps_are_eager_ones_bit_for_bit_and_wait_for_nothing() -> None:
    results = []
    for recorded in (False, True):
        _, _, step, draws = made("balanced_softmax")
        step.learner = replace(step.learner, objective=distilled(step.learner.objective))
        trained: Any = CapturedStep(step, Repeats()) if recorded else step
        found = torch.cat([trained(draw, lr) for lr in (0.1, 0.05) for draw in draws])
        results.append(everything(step) | {"losses": found})
        if recorded:
            assert trained.refusal is None
    same(results[0], results[1])
    with Watch() as watch:
        step(draws[0], 0.1)
    assert watch.waits == []


def test_a_loop_that_was_stopped_is_one_that_ran_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_chunks", one_step_chunks)

    def training() -> Training:
        made_ = Training("epochs=2", "mixup")
        made_.learner = replace(made_.learner, objective=distilled(made_.objective))
        made_.step = steps.EagerStep(made_.learner, made_.data, mixing=made_.mixing)
        return made_

    through, memory = training(), Memory()
    expected = whole(through, through.fit(memory), memory)
    asked, memory = itertools.count(), Memory()
    with pytest.raises(loop.Stopped):
        training().fit(memory, stop=lambda: next(asked) == 4)
    resumed = training()
    assert differing(expected, whole(resumed, resumed.fit(memory), memory)) == []


# --- runs ------------------------------------------------------------------------------------------------------------


def weights(folder: Path, resolved: Any) -> dict[str, Tensor]:
    return sealed.read_tensors(folder / resolved.stage_id(len(resolved.stages) - 1) / "weights.safetensors")


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTLIB_DEVICE", "cpu")


def test_teachers_are_ordinary_runs_trained_once_and_students_share_them(
    cpu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path))
    rows: list[Any] = []
    student = runs.run(TINY.replace(seed=5), report=rows.append)
    teachers = [TINY.replace(method="balanced_softmax", seed=seed) for seed in (0, 1)]
    assert [(row["stage"], row["epoch"]) for row in rows] == [(s, e) for s in (1, 2, 3) for e in (1, 2)]
    assert list(student.teachers) == [each.run_id for each in teachers]
    assert all(0 < seconds < 60 for seconds in student.teachers.values())
    heard: list[Any] = []
    for each in teachers:
        found = runs.run(each, report=heard.append)
        assert found.seconds == pytest.approx(student.teachers[found.id], rel=1e-6)
    other = runs.run(TINY.replace(seed=6), report=heard.append)
    assert [row["stage"] for row in heard] == [3, 3], "only the second student's own epochs were trained"
    assert list(other.teachers) == list(student.teachers)
    assert runs.load(student.id).network("last") is not None  # type: ignore[union-attr]


def test_a_student_learns_from_these_networks_and_no_other(cpu: None, tmp_path: Path) -> None:
    """Its weights are those of a training with the two teachers' networks put in by hand."""
    resolved, data = TINY.resolve(), runs.load_data(TINY)
    stages.run_stages(resolved, data, tmp_path / "a")
    by_hand = [weights(tmp_path / "a", TINY.replace(method="balanced_softmax", seed=seed).resolve()) for seed in (0, 1)]
    seen: list[dict[str, Tensor]] = []
    real = distillation.Distilled

    class Looks(real):  # type: ignore[misc, valid-type]
        def __init__(self, inner: Any, teachers: Any, weight: float, temperature: float) -> None:
            super().__init__(inner, teachers, weight, temperature)
            seen.extend({name: value.clone() for name, value in one.state_dict().items()} for one in teachers)
            assert (weight, temperature) == (0.5, 4.0)
            assert not any(module.training for one in teachers for module in one.modules())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distillation, "Distilled", Looks)
        stages.run_stages(TINY.replace(seed=3).resolve(), data, tmp_path / "a")
    for found, expected in zip(seen, by_hand, strict=True):
        same(found, expected)


@pytest.mark.parametrize("at", [1, 5])
def test_a_run_that_was_stopped_is_one_that_ran_through(
    cpu: None, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its first teacher's training and in its own; recorded steps besides."""
    found = []
    for name in ("through", "stopped"):
        monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / name))
        if name == "stopped":
            asked = itertools.count()
            with pytest.raises(loop.Stopped):
                runs.run(TINY, stop=lambda asked=asked: next(asked) == 2 * at)  # type: ignore[misc]
            monkeypatch.setattr(capture, "captured", lambda step, device: CapturedStep(step, Repeats()))
        found.append(numbers(runs.run(TINY)))
    assert found[0][0] == found[1][0]
    same(found[0][1], found[1][1])


def test_a_method_of_two_stages_is_taught_in_both(cpu: None, tmp_path: Path) -> None:
    exp = TINY.replace(method="distilled[teachers=1;of=refit[epochs=0.5;of=balanced_softmax]]")
    resolved = exp.resolve()
    assert [stage.teaching is not None for stage in resolved.stages] == [True, True]
    assert len(resolved.every_stage()) == 4
    places = stages.run_stages(resolved, runs.load_data(exp), tmp_path)
    assert all(outcome.whole(place) for place in places)
    assert len(list(tmp_path.glob("*/DONE"))) == 4


# --- identity --------------------------------------------------------------------------------------------------------


def test_a_students_identity_has_its_teachers_stages_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = TINY.resolve().identity()["stages"][0]["teaching"]
    teacher_ = TINY.replace(method="balanced_softmax").resolve()
    assert found == {
        "seeds": [0, 1],
        "weight": 0.5,
        "temperature": 4.0,
        "stages": teacher_.identity()["stages"],
    }
    others = [
        "distilled[teachers=3;of=balanced_softmax]",
        "distilled[teachers=2;first_seed=1;of=balanced_softmax]",
        "distilled[teachers=2;of=ce]",
        "distilled[teachers=2;of=balanced_softmax;weight=0.9]",
        "distilled[teachers=2;of=balanced_softmax;temperature=2.0]",
        "balanced_softmax",
    ]
    assert len({TINY.run_id, *(TINY.replace(method=text).run_id for text in others)}) == 7
    spelled = "distilled[teachers=2;of=logit_adjustment[tau=1]]"
    assert TINY.replace(method=spelled).run_id == TINY.replace(method=spelled.replace("[tau=1]", "")).run_id
    run_id, cell = TINY.run_id, TINY.replace(seed=4, subset_seed=2).cell_id
    assert cell == TINY.cell_id
    entries = losses.LOSSES._entries | {"balanced_softmax": replace(losses.LOSSES.get("balanced_softmax"), version=2)}
    monkeypatch.setattr(losses.LOSSES, "_entries", entries)
    from ltlib import experiment
    from ltlib.methods import stage

    def forget() -> None:  # a version is bumped by hand, in a file, and not while a process lives
        experiment._resolve.cache_clear()
        stage._made_once.cache_clear()

    forget()
    assert TINY.run_id != run_id
    forget()


def test_a_record_is_of_the_cell_that_its_experiment_has(
    cpu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path))
    exp = TINY.replace(seed=2, subset_seed=1, method="distilled[teachers=1]")
    run = runs.run(exp)
    assert run.cell_id == exp.cell_id
    assert list(run.teachers) == [exp.replace(method="ce", seed=0).run_id], "trained on the student's own subset"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("distilled[teachers=0]", "teachers of method distilled must be a whole number of at least 1"),
        ("distilled[weight=0.0]", "weight of distilled must be a number above 0"),
        ("distilled[temperature=0.0]", "temperature of distilled must be a number above 0"),
        ("distilled[of=bbn]", "distilled needs a method that classifies one stream of images, which bbn does not"),
    ],
)
def test_what_cannot_be_taught_is_refused(text: str, match: str) -> None:
    with pytest.raises(LtlibError, match=match):
        methods.stages(text)


def test_a_stage_that_classifies_nothing_is_not_taught() -> None:
    teaching = Teaching("ce", (0,), 0.5, 1.0)
    with pytest.raises(LtlibError, match="a stage that is taught classifies one stream of images"):
        Stage(contrastive=losses.spec("supcon"), projection=8, teaching=teaching)
    found = methods.stages("distilled[of=kcl]")
    assert [stage.teaching is not None for stage in found] == [False, True], "its linear probe is"


# --- cost ------------------------------------------------------------------------------------------------------------


def test_the_price_of_a_student_has_its_teachers_in_it_once() -> None:
    exp, plain = TINY.replace(limit=None), TINY.replace(limit=None, method="balanced_softmax")
    students = [exp.replace(seed=seed) for seed in (0, 1, 2)]
    names = list(cost.pieces(exp))
    assert names == [run.stage_id(i) for run, i in exp.resolve().every_stage()]
    assert len(pricing.stages(students)) == 5, "two teachers, three students"
    each = cost.work(plain)
    own = cost.work(exp)
    seen = sum(cost._class_counts(exp)) * 2 * models.macs("resnet8", 10, 8)
    assert own.macs - each.macs == 2 * seen, "two looks of teachers, forward alone, at each image of each epoch"
    pace = cost.Pace(1e-6, 1e12)
    first, *later = pricing.prices(students, pricing.at(pace))
    assert first == pytest.approx(2 * pace.seconds(each) + pace.seconds(own))
    assert later == pytest.approx([pace.seconds(own)] * 2)


def test_images_seen_are_those_of_teachers_too() -> None:
    """Two epochs of 90: the student's, twice for its two teachers' looks, and twice for their trainings."""
    counts = list(runs.load_data(TINY).class_counts)
    assert sum(counts) == 90
    assert cost.images_seen(TINY, counts, {1: 2}) == 180 * (1 + 2) + 2 * 180


def test_a_run_waits_while_its_teacher_is_trained_for_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path))
    one, two, apart = TINY.replace(seed=7), TINY.replace(seed=8), TINY.replace(method="focal")
    todo = Todo([one, two, apart])
    assert todo.take() is one
    assert todo.take() is apart
    todo.finish(one)
    assert todo.take() is two
