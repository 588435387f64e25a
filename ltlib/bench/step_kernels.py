"""``ltlib bench step --device cuda``: what the kernels of one training step take, by kind, and what a step takes then.

The table by kind is torch's profiler's over eager steps; times of whole steps are those of recorded ones, alone and
side by side on streams of their own, as runs are packed. On a CPU the same table is of torch's operators. Its CUDA part
is untried: written after a script that ran on a GPU, and tested here on a CPU with a stand-in recorder.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from ltlib.batches.draws import Draw
from ltlib.bench import loops
from ltlib.bench.common import machine, table
from ltlib.bench.workload import Workload, workload
from ltlib.errors import SettingError
from ltlib.models import kernels as own
from ltlib.training import accelerator, assembly, capture, evaluation, learner, objectives, stages, steps
from ltlib.training.recorded_evaluation import RecordedPredictions

STEPS = 4
"""Profiled."""
TOGETHER = (1, 2, 4, 8)
"""Recorded steps at once on a GPU."""
KINDS = (
    # our own and cuDNN's, by what their names say; an engine of several kernels has the word in each
    ("convolution, weight gradient", r"wgrad|weight_gradient|add_parts|conv\w*_(backward|bwd)_?filter"),
    ("convolution, input gradient", r"dgrad|input_gradient|conv\w*_(backward|bwd)_?data"),
    ("convolution, both gradients", r"convolution_backward"),  # one operator on a CPU
    ("normalisation", r"batch_?norm|\bbn_(fw|bw)|norm_gradient|^statistics$|layer_?norm"),
    ("convolution, forward", r"fprop|convol|\bconv\dd|winograd|_conv_"),
    ("matrix product", r"gemm|gemv|nvjet|::(mm|addmm|bmm|matmul|linear)$|splitk"),
    ("optimizer", r"multi_tensor_apply|fused_?(sgd|adam)|_foreach"),
    (
        "copy and layout",
        r"memcpy|memset|nchwtonhwc|nhwctonchw|::(copy_|_to_copy|clone|contiguous)$|direct_copy|catarray",
    ),
    ("reduction", r"reduce|softmax|nll_loss|::(sum|mean|max|amax)$|scatter|cub::|sort"),
    ("pooling", r"_pool"),
    ("gather", r"index|gather"),
    (
        "elementwise",
        r"elementwise|^activat|::(relu|relu_|add|add_|mul|mul_|sub|div|where|clamp_min|clamp_min_|threshold_backward|"
        r"addcmul|addcmul_|fill_|zero_|pad|constant_pad_nd|flip)$",
    ),
)
"""Kinds of kernels and operators by what is in their names, the first that fits; case does not count."""


class Taken(NamedTuple):
    """Kernels (on a CPU operators) of one name: how often they ran, and microseconds of all of them together."""

    name: str
    times: float
    microseconds: float


def kind(name: str) -> str:
    """What a kernel or operator does, by its name; ``other`` where that does not tell."""
    found = next((label for label, pattern in KINDS if re.search(pattern, name, re.IGNORECASE)), None)
    return found or "other"


def by_kind(taken: Iterable[Taken]) -> dict[str, Taken]:
    """Sums over the names of a kind, the most time first."""
    sums: dict[str, Taken] = {}
    for each in taken:
        label = kind(each.name)
        before = sums.get(label, Taken(label, 0, 0))
        sums[label] = Taken(label, before.times + each.times, before.microseconds + each.microseconds)
    return dict(sorted(sums.items(), key=lambda item: -item[1].microseconds))


def kernels(
    *, device: str = "cuda", model: str = "resnet32", precision: str | None = None, rounds: int = 5, quiet: bool = False
) -> dict[str, Any]:
    """The kernels of one training step: cross-entropy, batch 128, CIFAR-100-LT or random pixels of its size.

    Args:
        device: ``cuda``, or ``cpu`` for torch's operators there.
        model: As in `ltlib.bench.run`.
        precision: ``float32`` or ``bf16``; by default bf16 on CUDA.
        rounds: Of each time, of which the median counts.
        quiet: Print nothing.

    Returns:
        JSON-ready: ``bench``, ``model``, ``precision``, ``device``, ``own`` (the kernels of ours, or None), ``kinds``
        (by name: count and microseconds a step), ``top`` (the names that take most), ``count`` and ``microseconds`` a
        step, ``milliseconds`` (eager; on CUDA recorded by how many at once; of an evaluation), ``machine``.

    Raises:
        SettingError: Another device, or no CUDA here; no round.
    """
    if device not in ("cpu", "cuda"):
        raise SettingError(f"bench step takes --device cuda or cpu, not {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise SettingError(
            "bench step --device cuda needs a CUDA device, and none is here; --device cpu shows this CPU's"
        )
    if rounds < 1:
        raise SettingError(f"bench step needs a round at least, not {rounds}")
    target = torch.device(device)
    precision = precision or ("bf16" if device == "cuda" else "float32")
    work = workload(model, epochs=1, images=None if device == "cuda" else 512, precision=precision)
    accelerator.prepare(target)
    own.prepare(target)
    with accelerator.fixed_threads(target):
        training = Training(work, target)
        taken = profiled(training)
        times = {"eager": timed(training.eager, target, rounds, STEPS)}
        if device == "cuda":
            times |= side_by_side(work, target, rounds, TOGETHER, lambda: capture.CudaRecorder(target))
            times |= evaluations(training, rounds, capture.CudaRecorder(target))
    result = {
        "bench": "kernels",
        "model": model,
        "precision": precision,
        "device": str(target),
        "own": own.facts(training.network.backbone, precision, target).get("kernels"),
        "kinds": {label: {"count": t.times, "microseconds": t.microseconds} for label, t in by_kind(taken).items()},
        "top": [each._asdict() for each in sorted(taken, key=lambda each: -each.microseconds)[:20]],
        "count": sum(each.times for each in taken),
        "microseconds": sum(each.microseconds for each in taken),
        "milliseconds": times,
        "machine": machine(),
    }
    if not quiet:
        print(_text(result))  # noqa: T201 - a bench is run to be read
    return result


class Training:
    """A training's step and test images, in place on a device."""

    def __init__(self, work: Workload, target: torch.device):
        stage, recipe = work.resolved.stages[0], work.recipe()
        self.network = assembly.build(work.resolved, work.data.num_classes).to(target)
        self.target, self.precision = target, work.resolved.precision
        self.objective = objectives.create(stage, work.data.class_counts).to(target)
        train, self.test = loops.resident(work, target)
        self.step = steps.EagerStep(
            learner.create(self.network, self.objective, recipe, stage.lr), train, self.precision
        )
        self.draw: Draw = work.draws(1)[0]
        self.ready = lambda: stages.train_mode(self.network, stage)
        self.ready()

    def eager(self) -> None:
        """`STEPS` steps."""
        self.step(self.draw.part(0, STEPS), 0.01)

    def recorded(self, recorder: capture.Recorder) -> Callable[[], None]:
        """One step, recorded; the numbers of the first ones are there."""
        static = capture.StaticStep(self.step, self.draw)
        for _ in range(capture.TRIALS):
            static.load(self.draw.part(0, 1))
            recorder.attempt(static.body)
        replay = recorder.record(static.body)
        static.load(self.draw.part(0, min(self.draw.steps, static.steps)))

        def go() -> None:
            static.row.zero_()
            replay()

        return go


def profiled(training: Training) -> list[Taken]:
    """What ran in a step, by name: kernels on CUDA, operators on a CPU."""
    from torch.profiler import ProfilerActivity, profile

    training.eager()
    _wait(training.target)
    cuda = training.target.type == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]) as seen:
        training.eager()
        _wait(training.target)
    return _of_kernels(seen) if cuda else _of_operators(seen)


def _of_kernels(seen: Any) -> list[Taken]:
    """From a profile on CUDA, a step; marks that the optimizer leaves on the device are no kernels."""
    return [
        Taken(event.key, event.count / STEPS, event.self_device_time_total / STEPS)
        for event in seen.key_averages()
        if event.device_type == torch.autograd.DeviceType.CUDA
        and not getattr(event, "is_user_annotation", False)
        and not event.key.startswith(("Optimizer.", "ProfilerStep"))
    ]


def _of_operators(seen: Any) -> list[Taken]:
    """From a profile on a CPU, a step. An operator that only calls another of its kind is not counted, its time is."""
    sums: dict[str, Taken] = {}
    for event in seen.events():
        if not event.name.startswith("aten::"):
            continue
        above = event.cpu_parent
        within = above is not None and above.name.startswith("aten::") and kind(above.name) == kind(event.name)
        before = sums.get(event.name, Taken(event.name, 0, 0))
        spent = before.microseconds + event.self_cpu_time_total / STEPS
        sums[event.name] = Taken(event.name, before.times + (not within) / STEPS, spent)
    return list(sums.values())


def side_by_side(
    work: Workload,
    target: torch.device,
    rounds: int,
    together: Sequence[int],
    recorders: Callable[[], capture.Recorder],
) -> dict[str, float]:
    """Milliseconds of a recorded step and run, with so many runs at once on streams of their own."""
    lanes = []
    for _ in range(max(together)):
        lane = torch.cuda.Stream(target) if target.type == "cuda" else None
        with torch.cuda.stream(lane):
            lanes.append((lane, Training(work, target).recorded(recorders())))

    def all_of(count: int) -> None:
        for lane, replay in lanes[:count]:
            with torch.cuda.stream(lane):
                replay()

    return {
        f"recorded, {count} at once": timed(lambda count=count: all_of(count), target, rounds, count)  # type: ignore[misc]
        for count in together
    }


def evaluations(training: Training, rounds: int, recorder: capture.Recorder) -> dict[str, float]:
    """Milliseconds of a whole evaluation, metrics and transfer included: eager, and recorded."""
    recorded = RecordedPredictions(recorder)
    found = {}
    for name, predicted in (("eager", evaluation.predict), ("recorded", recorded)):

        def look(predicted: evaluation.Predict = predicted) -> None:
            evaluation.evaluate(
                training.network, training.objective, {"test": training.test}, training.precision, None, predicted
            )

        look()
        look()  # recorded
        found[f"evaluation, {name}"] = timed(look, training.target, rounds, 1)
    training.ready()
    return found


def timed(work: Callable[[], None], target: torch.device, rounds: int, count: int) -> float:
    """Milliseconds of one of the `count` things that a call does: the median of rounds, after one unmeasured."""
    work()
    spent = []
    for _ in range(rounds):
        _wait(target)
        calls, started = 0, time.perf_counter()
        while calls == 0 or time.perf_counter() - started < 0.1:
            work()
            calls += 1
        _wait(target)
        spent.append((time.perf_counter() - started) / (calls * count))
    return 1000 * statistics.median(spent)


def _wait(target: torch.device) -> None:
    if target.type == "cuda":
        torch.cuda.synchronize(target)


def _text(result: Mapping[str, Any]) -> str:
    """The result as people read it."""
    what = "kernels" if result["device"].startswith("cuda") else "operators"
    rows = [[f"one eager {result['model']} step", what, "microseconds", "share"]]
    for label, taken in result["kinds"].items():
        share = taken["microseconds"] / result["microseconds"]
        rows.append([label, f"{taken['count']:.0f}", f"{taken['microseconds']:,.0f}", f"{share:.0%}"])
    rows.append(["all", f"{result['count']:.0f}", f"{result['microseconds']:,.0f}", "100%"])
    times = [["what", "milliseconds"], *([name, f"{value:.2f}"] for name, value in result["milliseconds"].items())]
    host = result["machine"]
    return "\n".join(
        [
            table(rows),
            "",
            table(times),
            "",
            f"batch 128, {result['precision']}, {result['own'] or 'kernels of torch'}",
            f"{host['gpu'] or host['cpu']}, torch {host['torch']}",
        ]
    )
