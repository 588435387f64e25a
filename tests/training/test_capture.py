"""Recorded steps: the numbers of eager ones, whatever changes between them, and eager training where that fails.

A recording is CUDA's; here a recorder that keeps the body and repeats it stands in for it, so everything but the graph
itself is what runs on a GPU.
"""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from outcomes import numbers, same
from test_steps import TRAINED, Watch, made
from torch import Tensor

from ltlib import runs
from ltlib.batches.draws import Draw
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.training import capture, loop, objectives, optimizers, recorded_evaluation, step_state, steps
from ltlib.training.capture import CapturedStep, StaticStep
from ltlib.training.recorded_evaluation import RecordedPredictions
from ltlib.training.state import State


class Repeats:
    """Records by keeping the body; at a replay it runs."""

    def __init__(self) -> None:
        self.attempts = self.records = self.replays = self.renewed = 0

    def renew(self) -> None:
        self.renewed += 1

    def attempt(self, body: Callable[[], None]) -> None:
        self.attempts += 1
        body()

    def record(self, body: Callable[[], None]) -> Callable[[], None]:
        self.records += 1

        def replay() -> None:
            self.replays += 1
            body()

        return replay


class Refuses(Repeats):
    """Does half of the work, then raises as CUDA does where an operation is not permitted."""

    def record(self, body: Callable[[], None]) -> Callable[[], None]:
        body()
        raise RuntimeError("operation not permitted when stream is capturing\nmore lines")


def everything(step: steps.EagerStep) -> dict[str, Tensor]:
    """All that training changes."""
    found = State(step.learner).tensors()
    return found | {f"buffer.{name}": value.clone() for name, value in step.learner.objective.named_buffers()}


def fuse(step: steps.EagerStep) -> None:
    """The optimizer that a network on CUDA gets: fused, its rates in tensors."""
    groups = [{key: group[key] for key in ("params", "factor")} for group in step.learner.optimizer.param_groups]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9, weight_decay=2e-4, fused=True)
    for group in optimizer.param_groups:
        group["lr"] = torch.tensor(group["lr"])
    step.learner = replace(step.learner, optimizer=optimizer)


def train(step: steps.Step, objective: objectives.Objective, draws: list[Draw], epochs: int = 3) -> Tensor:
    """Epochs of changing learning rates and phases; the losses."""
    found = []
    for epoch in range(1, epochs + 1):
        objective.set_epoch(min(13 + epoch, 16), 16)
        found += [step(draw, 0.05 / epoch) for draw in draws]
    return torch.cat(found)


FUSED = [("ce", 0), ("tsc", 1), ("mislas", 1), ("bbn", 0)]


@pytest.mark.parametrize(
    ("text", "index", "fused"), [(*each, False) for each in TRAINED] + [(*each, True) for each in FUSED]
)
def test_recorded_steps_are_eager_ones_bit_for_bit(text: str, index: int, fused: bool) -> None:
    """Also with the fused optimizer and rates in tensors, as on CUDA, and then for more than 20 steps."""
    results = []
    for recorded in (False, True):
        _, _, eager, draws = made(text, index)
        if fused:
            fuse(eager)
        recorder = Repeats()
        step = CapturedStep(eager, recorder) if recorded else eager
        losses_ = train(step, eager.learner.objective, draws, epochs=7 if fused else 3)
        assert len(losses_) > 20 or not fused
        results.append((losses_, everything(eager)))
        if recorded:
            assert step.refusal is None  # type: ignore[union-attr]
            shapes = len(draws)  # the full batch, and often a short one, which is recorded from its second time on
            assert recorder.records >= shapes
            assert recorder.replays == len(losses_) - (shapes - 1)
            assert recorder.attempts == capture.TRIALS * recorder.records
    assert torch.equal(results[0][0], results[1][0])
    same(results[0][1], results[1][1])
    assert len(results[0][0]) >= 9


def test_rates_in_tensors_record_once() -> None:
    """Plain numbers would be frozen: each new one is a new recording."""
    for fused, expected in ((True, 2), (False, 5)):
        _, _, eager, draws = made("ce")
        if fused:
            fuse(eager)
        step = CapturedStep(eager, Repeats())
        train(step, eager.learner.objective, draws)
        assert step.recordings == expected


def test_rates_in_tensors_are_not_read_by_the_host() -> None:
    _, _, eager, draws = made("ce")
    fuse(eager)
    eager(draws[0], 0.1)
    with Watch() as watch:
        eager(draws[0], 0.05)
    assert watch.waits == []
    assert [float(group["lr"]) for group in eager.learner.optimizer.param_groups] == pytest.approx([0.05, 0.05])


def test_a_body_alone_is_one_step_and_counts_itself() -> None:
    _, _, eager, draws = made("cutmix")
    other = copy.deepcopy(eager)
    static = StaticStep(eager, draws[0])
    optimizers.set_rates(eager.learner.optimizer, 0.1)
    found = static.run(draws[0], static.body)
    assert torch.equal(found, other(draws[0], 0.1))
    assert static.row.item() == draws[0].steps
    same(everything(eager), everything(other))


@pytest.mark.parametrize("room", [1, 2, 3])
def test_long_draws_are_sent_in_blocks(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "BLOCK_STEPS", room)
    _, _, eager, draws = made("mixup")
    other = copy.deepcopy(eager)
    long = draws[0].each(lambda value: torch.cat([value, value, value])[:5])
    found = CapturedStep(eager, Repeats())(long, 0.1)
    assert len(found) == 5
    assert torch.equal(found, other(long, 0.1))


def test_a_block_takes_no_more_than_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, eager, draws = made("ce")
    row = sum(value[0].nbytes for _, value in step_state.leaves(draws[0]))
    monkeypatch.setattr(capture, "BLOCK_BYTES", 3 * row + 1)
    static = StaticStep(eager, draws[0])
    assert static.steps == 3
    assert sum(value.nbytes for _, value in step_state.leaves(static.draw)) <= 3 * row + 1


@pytest.mark.parametrize("text", ["ce", "tsc[start=0]", "ldam_drw", "bbn"])
@pytest.mark.parametrize("after", [0, 3])
def test_a_failed_recording_leaves_no_trace_but_one_warning(text: str, after: int) -> None:
    _, _, eager, draws = made(text)
    other = copy.deepcopy(eager)
    for _ in range(after):
        for each in (eager, other):
            each(draws[0], 0.1)
    step = CapturedStep(eager, Refuses())
    with pytest.warns(
        UserWarning, match="runs eagerly: RuntimeError: operation not permitted when stream is capturing$"
    ):
        first = step(draws[0], 0.1)
    assert torch.equal(first, other(draws[0], 0.1))
    same(everything(eager), everything(other))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for draw in draws:
            assert torch.equal(step(draw, 0.05), other(draw, 0.05))
    same(everything(eager), everything(other))
    assert step.recordings == 0


def test_the_attempt_itself_changes_nothing() -> None:
    """Weights, statistics, momentum, sums and centres are those of before, in the same places."""
    for text in ("tsc[start=0]", "mislas", "bbn"):
        _, _, eager, draws = made(text)
        eager(draws[0], 0.1)
        before, places = everything(eager), step_state.frozen(eager)
        kept = step_state.Kept(eager)
        kept.objective(draws[0])
        static = StaticStep(eager, draws[0])
        static.load(draws[0])
        static.body()
        assert any(not torch.equal(before[name], value) for name, value in everything(eager).items())
        kept.put_back(keep_new=True)
        same(everything(eager), before)
        assert step_state.frozen(eager) == places
        assert all(module.training for module in eager.learner.objective.modules())


def test_a_restored_training_is_recorded_anew() -> None:
    _, _, eager, draws = made("ce")
    other = copy.deepcopy(eager)
    step = CapturedStep(eager, Repeats())
    for each in (step, other):
        each(draws[0], 0.1)
    saved = State(eager.learner).snapshot()
    step(draws[0], 0.1)
    before = step.recordings
    State(eager.learner).restore(*copy.deepcopy(saved))
    assert torch.equal(step(draws[0], 0.1), other(draws[0], 0.1))
    assert step.recordings == before + 1, "the momentum lies elsewhere"
    assert step.recorder.renewed == 1  # type: ignore[attr-defined]
    same(everything(eager), everything(other))


def test_what_python_reads_is_not_frozen() -> None:
    """A plain number of a loss, a part switched to evaluation, a parameter that is frozen: all recorded anew."""
    _, network, eager, draws = made("focal")
    step = CapturedStep(eager, Repeats())
    step(draws[0], 0.1)
    step(draws[0], 0.1)
    assert step.recordings == 1
    loss: Any = eager.learner.objective.loss
    loss.gamma = 3.0
    step(draws[0], 0.1)
    assert step.recordings == 2
    network.backbone.eval()
    step(draws[0], 0.1)
    assert step.recordings == 3
    loss.alpha = torch.tensor(2.0)
    step(draws[0], 0.1)
    assert step.recordings == 4


def test_a_replay_is_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a recording holds is looked at before each chunk, and after it only where something can have come anew."""
    _, _, eager, draws = made("ce")
    step, real, looks = CapturedStep(eager, Repeats()), capture.frozen, itertools.count()
    monkeypatch.setattr(capture, "frozen", lambda step: (next(looks), real(step))[1])
    step(draws[0], 0.1)
    step(draws[0], 0.1)
    before = next(looks)
    step(draws[0], 0.1)
    assert next(looks) == before + 2
    assert step.recordings == 1


def test_places_see_every_tensor_that_is_another() -> None:
    """A parameter, a statistic or a whole part replaced, frozen or put in another mode; not a value."""
    network = made("ce")[1]
    conv, norm = network.backbone.conv1, network.backbone.bn1
    before = step_state.places(network)
    with torch.no_grad():
        conv.weight.add_(1)
    assert step_state.places(network) == before
    tensors = [*network.parameters(), *network.buffers()]
    assert sorted(before[0]) == sorted(tensor.data_ptr() for tensor in tensors)
    held: list[Any] = [conv.weight, norm.running_mean, network.classifier]  # so that no address is taken again
    changes: list[Callable[[], Any]] = [
        lambda: setattr(conv, "weight", torch.nn.Parameter(conv.weight.detach().clone())),
        lambda: setattr(norm, "running_mean", norm.running_mean.clone()),
        lambda: setattr(network, "classifier", copy.deepcopy(network.classifier)),
        lambda: conv.weight.requires_grad_(False),
        lambda: norm.eval(),
    ]
    for change in changes:
        before = step_state.places(network)
        change()
        assert step_state.places(network) != before
    assert len(held) == 3


def test_what_is_known_to_need_the_host_is_not_tried() -> None:
    def refused(change: Callable[[Any], None]) -> str:
        _, _, eager, draws = made("ce")
        change(eager)
        recorder = Repeats()
        step = CapturedStep(eager, recorder)
        with pytest.warns(UserWarning, match="runs eagerly"):
            step(draws[0], 0.1)
        assert recorder.attempts == 0
        assert step.refusal is not None
        return step.refusal

    assert "streamed" in refused(_host)
    assert "CrossEntropy needs the host" in refused(
        lambda eager: setattr(eager.learner.objective.loss, "capturable", False)
    )
    assert "Dropout draws random numbers" in refused(
        lambda eager: eager.learner.network.backbone.register_module("drop", torch.nn.Dropout(0.1))
    )
    _, network, eager, _ = made("ce")
    network.backbone.register_module("drop", torch.nn.Dropout(0.0))
    assert step_state.unfit(eager) is None


def _host(eager: steps.EagerStep) -> None:
    """The images back on the host, as `Resident` keeps a streamed set."""
    eager.data.streaming = True
    eager.data._host, eager.data._windows = torch.zeros(40, 8, 8, 3, dtype=torch.uint8), None


def test_shapes_have_recordings_of_their_own_up_to_a_number() -> None:
    _, _, eager, draws = made("ce")
    other = copy.deepcopy(eager)
    recorder = Repeats()
    step = CapturedStep(eager, recorder)
    for size in (16, 14, 12, 10, 8, 6, 16, 6):
        cut = Draw(draws[0].index[:, :size], {key: value[..., :size] for key, value in draws[0].views.items()})
        assert torch.equal(step(cut, 0.0), other(cut, 0.0))
    assert recorder.records >= capture.MAX_SHAPES
    assert len(step._made) <= capture.MAX_SHAPES


def test_the_environment_and_the_device_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, eager, _ = made("ce")
    monkeypatch.setattr(capture, "CudaRecorder", lambda device: Repeats())
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    assert capture.captured(eager, cpu) is eager
    assert isinstance(capture.captured(eager, cuda), CapturedStep)
    monkeypatch.setenv("LTLIB_CAPTURE", "off")
    assert capture.captured(eager, cuda) is eager
    monkeypatch.setenv("LTLIB_CAPTURE", "on")
    with pytest.raises(SettingError, match="auto or off"):
        capture.captured(eager, cpu)


# --- whole runs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "augmentation"),
    [
        ("ldam_drw", "shift1"),
        ("tsc[start=0]", "shift1"),
        ("ce", "resizedcrop30+flip+jitter0.4+rotate15"),
        ("bcl[views=simclr]", "shift1"),
        ("proco", "shift1"),
        ("concutmix[start=0.4;factor=1]", "shift1"),
        ("ofbd", "shift1"),
        ("paco[queue=64]", "shift1"),
        ("glmc", "shift1"),
        ("ce", "shift1;average=ema[decay=0.9];sharpness=0.05"),
        ("ce", "shift1;average=lookahead[k=4];sharpness=0.05;sharpness_below=8"),
    ],
)
def test_a_recorded_run_is_the_eager_run_also_where_it_was_stopped(
    method: str, augmentation: str, tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the middle of its second epoch and resumed: momentum and weights come from the checkpoint."""
    experiment = tiny.replace(
        method=method,
        limit=100,
        recipe=f"convergent[augmentation={augmentation};epochs=3;batch_size=8;patience=0]",
    )
    found: list[Any] = []
    made_: list[CapturedStep] = []

    def captured(step: steps.EagerStep, device: torch.device) -> CapturedStep:
        made_.append(CapturedStep(step, Repeats()))
        return made_[-1]

    looks: list[RecordedPredictions] = []

    def predictions(device: torch.device) -> RecordedPredictions:
        looks.append(RecordedPredictions(Repeats()))
        return looks[-1]

    for name in ("eager", "recorded", "resumed"):
        monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / name))
        if name == "recorded":
            monkeypatch.setattr(capture, "captured", captured)
            monkeypatch.setattr(recorded_evaluation, "predictions", predictions)
        if name == "resumed":
            asked = itertools.count()
            with pytest.raises(loop.Stopped):
                runs.run(experiment, stop=lambda asked=asked: next(asked) == 3)  # type: ignore[misc]
        found.append(numbers(runs.run(experiment)))
    assert all(step.refusal is None and step.recordings for step in made_)
    assert all(look.refusal is None for look in looks)
    assert method == "tsc[start=0]" or looks[0].recordings  # its first stage classifies nothing, so it is not evaluated
    for history, tensors in found[1:]:
        assert history == found[0][0]
        same(tensors, found[0][1])
