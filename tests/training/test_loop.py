"""The epoch loop: a stopped and resumed training equals one that ran through, to the last bit of its whole state."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ltlib import methods, mixing, recipes
from ltlib.batches import augment
from ltlib.batches.draws import SAMPLERS, Draw, epoch_draws
from ltlib.batches.resident import Resident
from ltlib.errors import DivergedError
from ltlib.training import assembly, evaluation, learner, loop, objectives, optimizers, renewal, stages, steps
from ltlib.training.loop import Stopped
from ltlib.training.outcome import Evaluation, Trained

CLASSES, IMAGES = 4, 48
COUNTS = [24, 12, 8, 4]
"""What the losses are told, so that their weights and margins differ."""
State = tuple[dict[str, Any], dict[str, Tensor]]


class Memory:
    """A checkpoint that keeps copies of every state, as a file would."""

    def __init__(self) -> None:
        self.saved: list[State] = []

    def load(self) -> State | None:
        return copy.deepcopy(self.saved[-1]) if self.saved else None

    def save(self, values: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        self.saved.append(copy.deepcopy((values, tensors)))


class Training:
    """Everything `fit` needs, made anew as a new process would, on random images with a signal in them."""

    def __init__(self, recipe: str = "epochs=3", method: str = "ce", stage: int = 0) -> None:
        self.stage = methods.stages(method)[stage]
        every = "" if "evaluate_every" in recipe else "evaluate_every=1;"
        text = f"ldam[batch_size=8;augmentation=crop1+flip;warmup_epochs=0;milestones=0.4;{every}{recipe}]"
        self.recipe = recipes.create(text)
        draw = np.random.default_rng(0)
        targets = np.arange(IMAGES) % CLASSES
        images = (draw.integers(0, 200, (IMAGES, 8, 8, 3)) + targets[:, None, None, None] * 13).astype(np.uint8)
        self.data = Resident(images, targets, padding=1, mean=(0.5,) * 3, std=(0.2,) * 3)
        self.test = Resident(255 - images[::2], targets[::2], mean=(0.5,) * 3, std=(0.2,) * 3)
        what: Any = SimpleNamespace(stages=methods.stages(method), model="resnet8", seed=1)
        self.network = assembly.build(what, CLASSES)
        self.objective = objectives.create(self.stage, COUNTS)
        self.mixing = None if self.stage.mix is None else mixing.create(self.stage.mix)
        self.learner = learner.create(self.network, self.objective, self.recipe, self.stage.lr)
        self.step: Any = steps.EagerStep(
            self.learner,
            self.data,
            mixing=self.mixing,
            class_counts=torch.tensor(COUNTS),
            sharpness=self.recipe.sharpness,
            sharpness_below=self.recipe.sharpness_below,
        )
        self.evaluations = 0

    def draws(self, epoch: int) -> list[Draw]:
        return epoch_draws(
            SAMPLERS.create("instance_balanced"),
            augment.create("crop1+flip"),
            self.data.targets,
            seed=0,
            stage=0,
            epoch=epoch,
            epochs=self.recipe.epochs,
            batch_size=self.recipe.batch_size,
            views=self.objective.views,
            mixing=self.mixing,
            image_size=(8, 8),
            second=None if self.stage.second_sampler is None else SAMPLERS.create(self.stage.second_sampler),
            noise=self.objective.noise(CLASSES),
        )

    def evaluate(self) -> Evaluation:
        self.evaluations += 1
        return evaluation.evaluate(self.network, self.objective, {"test": self.test}, "float32")

    def fit(
        self,
        memory: Memory | None = None,
        *,
        stop: Callable[[], bool] = lambda: False,
        report: Callable[[Mapping[str, float]], None] = lambda row: None,
    ) -> Trained:
        return loop.fit(
            self.learner,
            self.step,
            self.draws,
            self.recipe,
            self.recipe.epochs,
            evaluate=self.evaluate,
            checkpoint=memory or Memory(),
            selection=self.recipe.selection if self.stage.loss is not None else "last",
            report=report,
            stop=stop,
            before_epoch=lambda: stages.train_mode(self.network, self.stage),
            renew=self.renew,
        )

    def renew(self, epoch: int) -> None:
        stages.train_mode(self.network, self.stage)
        batches = (batch.images for draw in self.draws(epoch) for batch in self.step.batches(draw))
        renewal.renew_statistics(self.network, batches, "float32")


def whole(made: Training, outcome: Trained, memory: Memory) -> dict[str, Any]:
    """All but the seconds: history, logits, selected weights, network, statistics, optimizer's state, saved state."""
    state: dict[str, Any] = {"history": [without_seconds(row) for row in outcome.history], "epochs": outcome.epochs}
    state |= {f"logits.{name}": value for name, value in outcome.logits.items()}
    state |= {f"selected.{name}": value for name, value in (outcome.weights or {}).items()}
    state |= {f"network.{name}": value.clone() for name, value in made.network.state_dict().items()}
    optimizer = optimizers.named_state(made.learner.optimizer)
    state |= {f"optimizer.{name}": value.clone() for name, value in optimizer.items()}
    values, tensors = memory.saved[-1]
    values = {key: value for key, value in values.items() if key not in ("seconds", "history")}
    return state | {"saved.values": values} | {f"saved.{name}": value for name, value in tensors.items()}


def without_seconds(row: Mapping[str, float]) -> dict[str, Any]:
    return {key: repr(value) for key, value in row.items() if key != "seconds"}


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    def same(a: Any, b: Any) -> bool:
        if isinstance(a, Tensor) and isinstance(b, Tensor):
            return a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
        return type(a) is type(b) and bool(a == b)

    return sorted(
        name
        for name in one.keys() | other.keys()
        if name not in one or name not in other or not same(one[name], other[name])
    )


def run_through(recipe: str, method: str) -> dict[str, Any]:
    made, memory = Training(recipe, method), Memory()
    return whole(made, made.fit(memory), memory)


def stopped_at(recipe: str, method: str, places: set[int]) -> tuple[dict[str, Any], int]:
    """Stopped where the how-manieth question about stopping is in `places`, each time started anew."""
    memory, asked, starts = Memory(), 0, 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked in places

    while True:
        made = Training(recipe, method)
        starts += 1
        try:
            return whole(made, made.fit(memory, stop=stop), memory), starts
        except Stopped:
            continue


SETTINGS = [
    "epochs=3;selection=best_test_loss",
    "epochs=3;nesterov=true;evaluate_every=2;selection=best_test_accuracy",
    "epochs=3;average=ema[decay=0.9];selection=best_test_loss",
    "epochs=3;average=swa[start=0.3];sharpness=0.05",
    "epochs=3;average=lookahead[k=4]",
]


@pytest.mark.parametrize("method", ["ce", "supcon_ce"])
@pytest.mark.parametrize("recipe", SETTINGS)
def test_stopped_and_resumed_equals_run_through(monkeypatch: pytest.MonkeyPatch, method: str, recipe: str) -> None:
    monkeypatch.setattr(loop, "_chunks", one_step_chunks)  # a question about stopping after every step
    expected = run_through(recipe, method)
    assert any(value is not None for name, value in expected.items() if name.startswith("optimizer."))
    assert "saved.optimizer.0.momentum_buffer" in expected
    per_epoch = IMAGES // 8 + 1  # a question after each step and after the epoch
    for places in (
        {1},
        {3},
        {per_epoch - 1},
        {per_epoch},
        {per_epoch + 2, 2 * per_epoch, 2 * per_epoch + 5},
        set(range(99)),
    ):
        found, starts = stopped_at(recipe, method, places)
        assert starts > 1
        assert differing(expected, found) == []


WIRED = [
    "equalization[threshold=0.3]",
    "ldam_drw[start_share=0.5]",
    "mixup",
    "remix_drw[start_share=0.5]",
    "cutmix",
    "cmo[loss=balanced_softmax]",
    "lade",
    "kcl[k=2]",
    "tsc[k=2;projection=16;start=0]",
    "bcl",
    "bbn",
    "reslt",
    "ride",
    "balpoe",
]
"""Methods with noise, mixing, a second stream, weights that change, or a loss that learns."""


@pytest.mark.parametrize("method", WIRED)
def test_methods_with_more_than_a_loss_resume_bit_for_bit(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setattr(loop, "_chunks", one_step_chunks)
    torch.manual_seed(1)
    recipe = "epochs=8" if method.startswith("cmo") else "epochs=3"  # cmo pauses in the first and last three epochs
    expected = run_through(recipe, method)
    torch.manual_seed(2)  # nothing may come from the global generator
    assert differing(expected, run_through(recipe, method)) == []
    per_epoch = IMAGES // 8 + 1
    late = 2 * per_epoch if recipe == "epochs=8" else 0
    for places in ({3}, {per_epoch, 2 * per_epoch + 4}, {per_epoch + 2, 2 * per_epoch, 2 * per_epoch + 5}):
        places = {place + late for place in places}
        found, starts = stopped_at(recipe, method, places)
        assert starts == 1 + len(places)
        assert differing(expected, found) == []


def test_a_loss_that_learns_is_in_the_checkpoint() -> None:
    made, memory = Training("epochs=3", "tsc[k=2;projection=16;start=0]"), Memory()
    made.fit(memory)
    saved = {name for name in memory.saved[-1][1] if name.startswith("objective.")}
    assert saved == {f"objective.contrastive.{name}" for name in ("points", "centres", "assignment")}
    fresh = Training("epochs=3", "tsc[k=2;projection=16;start=0]").objective.state_dict()
    centres = memory.saved[-1][1]["objective.contrastive.centres"]
    assert not torch.equal(centres, fresh["contrastive.centres"])
    torch.testing.assert_close(centres.norm(dim=1), torch.ones(CLASSES))


def one_step_chunks(draws: list[Draw], skip: int, pace: Callable[[], float]) -> Any:
    for draw in draws:
        for s in range(draw.steps):
            if skip:
                skip -= 1
                continue
            yield draw.part(s, s + 1)


def test_chunks_cover_every_step_once_in_order() -> None:
    draws = Training().draws(1)
    whole_epoch = torch.cat([draw.index.flatten() for draw in draws])
    for skip in range(7):
        for pace in (0.0, 1e-9, 2.0, 100.0):
            found = list(loop._chunks(draws, skip, lambda pace=pace: pace))  # type: ignore[misc]
            index = torch.cat([chunk.index.flatten() for chunk in found]) if found else torch.empty(0)
            assert index.tolist() == whole_epoch[8 * skip :].tolist()
            assert all(chunk.views["dy"].shape[0] == chunk.steps for chunk in found)


@pytest.mark.parametrize("left_out", ["optimizer", "meter", "network", "logits", "best"])
def test_a_state_without_a_part_would_be_noticed(monkeypatch: pytest.MonkeyPatch, left_out: str) -> None:
    """The comparison above sees what it claims to see: leaving anything out of a checkpoint makes it fail."""
    monkeypatch.setattr(loop, "_chunks", one_step_chunks)
    real = Training.evaluate

    def rising(self: Training) -> Evaluation:
        """A test loss that rises from epoch to epoch, so the first epoch's logits and weights are selected."""
        columns, logits, _ = real(self)
        batches = next(v for k, v in self.network.state_dict().items() if "num_batches_tracked" in k)
        return Evaluation(columns | {"test_loss": float(batches)}, logits)

    monkeypatch.setattr(Training, "evaluate", rising)
    recipe = "epochs=3;selection=best_test_loss"
    expected = results(run_through(recipe, "ce"))
    assert expected["epochs"] == {"last": 3, "selected": 1}
    in_the_last_epoch = {2 * 7 + 3}
    assert differing(expected, results(stopped_at(recipe, "ce", in_the_last_epoch)[0])) == []
    complete = loop.State.tensors

    def incomplete(self: loop.State) -> dict[str, Tensor]:
        found = complete(self)
        kept = {key: value for key, value in found.items() if not key.startswith(f"{left_out}.")}
        if left_out in ("network", "meter"):  # the loader wants them: zeros instead
            kept |= {key: torch.zeros_like(value) for key, value in found.items() if key not in kept}
        return kept

    monkeypatch.setattr(loop.State, "tensors", incomplete)
    found, _ = stopped_at(recipe, "ce", in_the_last_epoch)
    assert differing(expected, results(found)) != []


@pytest.mark.parametrize("left_out", ["centres", "assignment"])
def test_a_state_without_what_a_loss_learnt_would_be_noticed(monkeypatch: pytest.MonkeyPatch, left_out: str) -> None:
    monkeypatch.setattr(loop, "_chunks", one_step_chunks)
    method = "tsc[k=2;projection=16;start=0]"
    expected = results(run_through("epochs=3", method))
    complete = loop.State.tensors

    def incomplete(self: loop.State) -> dict[str, Tensor]:
        return {k: torch.zeros_like(v) if k.endswith(left_out) else v for k, v in complete(self).items()}

    monkeypatch.setattr(loop.State, "tensors", incomplete)
    found, _ = stopped_at("epochs=3", method, {2 * 7 - 2})
    assert differing(expected, results(found)) != []


def results(state: dict[str, Any]) -> dict[str, Any]:
    """What a training gives, without the checkpoints themselves."""
    return {name: value for name, value in state.items() if not name.startswith("saved.")}


def test_a_finished_state_trains_nothing_more() -> None:
    memory = Memory()
    made = Training()
    expected = whole(made, made.fit(memory), memory)
    again = Training()
    again.step = None
    assert differing(expected, whole(again, again.fit(memory), memory)) == []


# what is evaluated and selected


class Scripted(Training):
    """Evaluations with given test losses; the logits tell the epoch."""

    def __init__(self, losses: list[float], recipe: str) -> None:
        super().__init__(f"epochs={len(losses)};{recipe}")
        self.losses, self.epoch = losses, 0
        self.seen: dict[int, dict[str, Tensor]] = {}
        draws = self.draws

        def counted(epoch: int) -> list[Draw]:
            self.epoch = epoch
            return draws(epoch)[:1]

        self.draws = counted  # type: ignore[method-assign]

    def evaluate(self) -> Evaluation:
        self.evaluations += 1
        self.seen[self.epoch] = {name: value.clone() for name, value in self.network.state_dict().items()}
        columns = {"test_loss": self.losses[self.epoch - 1], "test_accuracy": 0.5, "test_ece": 0.1}
        return Evaluation(columns, torch.full((2, CLASSES), float(self.epoch)))


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ([3.0, 2.0, 2.5], 2),
        ([3.0, 2.0, 1.0], 3),
        ([1.0, 2.0, 3.0], 1),
        ([2.0, 2.0, 2.0], 1),
        ([math.nan, 2.0, 3.0], 2),
        ([3.0, math.nan, 2.0, math.nan], 3),
    ],
)
def test_the_epoch_with_the_lowest_test_loss_is_selected(losses: list[float], best: int) -> None:
    made = Scripted(losses, "selection=best_test_loss")
    outcome = made.fit()
    last = len(losses)
    assert outcome.epochs == {"last": last, "selected": best}
    assert float(outcome.logits["last"][0, 0]) == last
    if best == last:
        assert outcome.weights is None
        assert "selected" not in outcome.logits
    else:
        assert float(outcome.logits["selected"][0, 0]) == best
        assert outcome.weights is not None
        assert all(torch.equal(outcome.weights[name], value) for name, value in made.seen[best].items())
    assert [repr(row["test_loss"]) for row in outcome.history] == [repr(loss) for loss in losses]


def test_the_last_epoch_is_selected_where_nothing_else_is_asked_or_known() -> None:
    assert Scripted([1.0, 2.0], "selection=last").fit().epochs == {"last": 2, "selected": 2}
    assert Scripted([math.nan] * 2, "selection=best_test_loss").fit().epochs == {"last": 2, "selected": 2}


def test_nan_losses_survive_a_checkpoint() -> None:
    memory = Memory()
    asked = iter([False, True])  # after the first epoch's step and epoch
    with pytest.raises(Stopped):
        Scripted([math.nan, 2.0], "selection=best_test_loss").fit(memory, stop=lambda: next(asked, False))
    outcome = Scripted([math.nan, 2.0], "selection=best_test_loss").fit(memory)
    assert math.isnan(outcome.history[0]["test_loss"])
    assert outcome.epochs["selected"] == 2


@pytest.mark.parametrize(
    ("losses", "patience", "epochs"),
    [
        ([3.0, 2.0, 2.1, 2.2, 2.3, 2.4], 2, 4),
        ([3.0, 2.0, 2.1, 1.9, 2.3, 2.4, 2.5], 2, 6),
        ([3.0, 2.0, 1.0], 2, 3),
        ([1.0, 2.0, 3.0, 4.0], 0, 4),
        ([math.nan] * 5, 2, 5),
    ],
)
def test_patience(losses: list[float], patience: int, epochs: int) -> None:
    outcome = Scripted(losses, f"selection=best_test_loss;patience={patience}").fit()
    assert len(outcome.history) == outcome.epochs["last"] == epochs


def test_patience_outlives_a_stop() -> None:
    losses, memory, rows = [1.0, 2.0, 3.0, 4.0, 5.0], Memory(), 0
    for _ in range(9):
        made = Scripted(losses, "selection=best_test_loss;patience=3")
        try:
            outcome = made.fit(memory, stop=lambda: True)
            break
        except Stopped:
            rows += 1
    assert len(outcome.history) == 4
    assert outcome.epochs == {"last": 4, "selected": 1}


def test_evaluate_every() -> None:
    made = Scripted([5.0, 4.0, 3.0, 2.0, 1.0], "evaluate_every=2")
    outcome = made.fit()
    assert made.evaluations == 3
    assert [row["epoch"] for row in outcome.history if "test_loss" in row] == [2, 4, 5]
    assert all("train_loss" in row for row in outcome.history)


def test_the_epoch_that_patience_ends_with_is_evaluated() -> None:
    """The last epoch's numbers are the primary ones, whenever that comes."""
    outcome = Scripted(
        [9.0, 9.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0], "evaluate_every=3;selection=best_test_loss;patience=2"
    ).fit()
    assert outcome.epochs == {"last": 5, "selected": 3}
    assert "test_loss" in outcome.history[-1]
    assert float(outcome.logits["last"][0, 0]) == 5


def test_learning_rates_are_the_recipes() -> None:
    outcome = Training("epochs=5").fit()
    assert [row["lr"] for row in outcome.history] == pytest.approx([0.1, 0.1, 0.001, 0.001, 0.001])


# divergence


class Diverging(Training):
    """A loss, or a weight, that becomes NaN in step 4 of epoch 2."""

    def __init__(self, what: str, epoch: int = 2) -> None:
        super().__init__("epochs=3")
        real, steps_done, self.what = self.step, 0, what

        def step(draw: Draw, lr: float) -> Tensor:
            nonlocal steps_done
            losses = real(draw, lr)
            at = (epoch - 1) * 6 + 3 - steps_done
            steps_done += draw.steps
            if 0 <= at < draw.steps:
                if what == "weights":
                    with torch.no_grad():
                        self.network.classifier.weight.fill_(torch.nan)  # type: ignore[operator]
                else:
                    losses[at] = float(what)
            return losses

        self.step = step


@pytest.mark.parametrize("what", ["nan", "inf"])
def test_a_loss_that_is_no_number_names_the_step_and_keeps_the_last_good_epoch(what: str) -> None:
    memory = Memory()
    with pytest.raises(DivergedError, match=rf"the loss became {what} at step 4 of epoch 2 \(learning rate 0\.001\)"):
        Diverging(what).fit(memory)
    values, tensors = memory.saved[-1]
    assert (values["epoch"], values["steps_done"]) == (1, 0)
    first, only = Training("epochs=3"), Memory()
    asked = iter([False, True])
    with pytest.raises(Stopped):
        first.fit(only, stop=lambda: next(asked, False))
    assert differing(dict(only.saved[-1][1]), tensors) == [], "the state kept is that after epoch 1"
    resumed = Diverging(what, epoch=1)  # its steps count from the resumed epoch's first
    with pytest.raises(DivergedError, match="step 4 of epoch 2"):
        resumed.fit(memory)


def test_weights_that_are_no_numbers_are_found_before_they_are_evaluated_or_saved() -> None:
    memory, made = Memory(), Diverging("weights")
    real = made.step

    def last_chunk_only(draw: Draw, lr: float) -> Tensor:
        return torch.nan_to_num(real(draw, lr), nan=1.0)  # the losses before the broken step say nothing

    made.step = last_chunk_only
    with pytest.raises(DivergedError, match="the weights became NaN or infinite"):
        made.fit(memory)
    assert made.evaluations == 1
    assert all(bool(value.isfinite().all()) for _, tensors in memory.saved for value in tensors.values())


def test_test_logits_that_are_no_numbers_are_no_result() -> None:
    made = Training("epochs=2")
    made.test._normaliser = lambda images: torch.full((len(images), 3, 8, 8), math.nan)  # type: ignore[assignment]
    with pytest.raises(DivergedError, match="the test logits became NaN"):
        made.fit()


def test_a_network_that_really_diverges() -> None:
    """A learning rate of 1e20, the real loss and the real meter."""
    memory, made = Memory(), Training("epochs=2;lr=1e20")
    with pytest.raises(DivergedError, match="of epoch 1"):
        made.fit(memory)
    assert memory.saved == []


def test_frozen_parts_stay_bit_for_bit_in_a_probe() -> None:
    made = Training("epochs=2", "supcon", stage=1)
    before = {name: value.clone() for name, value in made.network.state_dict().items()}
    made.fit()
    after = made.network.state_dict()
    assert {name for name in after if not torch.equal(after[name], before[name])} == {
        "classifier.weight",
        "classifier.bias",
    }


def test_batch_normalisation_learns_again_after_an_evaluation() -> None:
    """Evaluation switches the network to evaluation mode; the next epoch switches it back."""
    made = Training("epochs=2")
    seen: list[float] = []

    def note(row: Mapping[str, float]) -> None:
        assert not made.network.training
        seen.append(float(next(v for k, v in made.network.state_dict().items() if "num_batches_tracked" in k)))

    made.fit(report=note)
    assert seen == [6.0, 12.0]
