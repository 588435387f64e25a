"""A whole training step as one CUDA graph: recorded once, then replayed without Python.

An eager ResNet-32 step is some 300 kernels that Python starts one by one, which takes longer than they run. A graph
starts all of them at once. For that nothing may differ from step to step but what lies in tensors:

- The steps' random numbers are sent in blocks to buffers that stay where they are; the recorded step itself selects its
  row by a counter on the device, which it raises, and writes its loss there.
- Learning rates are tensors on the device (`ltlib.training.optimizers`), and what changes with the epoch (deferred
  weights, BBN's alpha, TSC's assignment) is written into buffers in place. Where a tensor has moved, or a plain number
  of the objective has changed, the step is recorded anew (`step_state.frozen`).
- Every shape of batch has a recording of its own: the full one, and the short last one of an epoch.

Before it is recorded a step is tried a few times, so that libraries load and choose their kernels. Then weights, batch
statistics, the optimizer's state, sums and the objective's buffers are put back. State that did not exist yet is left
as zeros: a first step from there is the one that torch makes without.

What cannot be recorded is trained eagerly with the same numbers, and one warning says why. ``LTLIB_CAPTURE=off`` asks
for that.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from ltlib import places
from ltlib.batches.draws import Draw
from ltlib.errors import SettingError
from ltlib.training.optimizers import set_rates
from ltlib.training.step_state import Kept, frozen, leaves, unfit
from ltlib.training.steps import EagerStep, Step, send

TRIALS = 3
"""Steps before a recording, as in torch's own guide."""
MAX_SHAPES = 4
"""Recordings of one training; each keeps memory of its own."""
BLOCK_STEPS, BLOCK_BYTES = 512, 64 * 2**20
"""Most steps whose random numbers are sent at once, and most bytes."""
RECORDING = threading.Lock()
"""One recording at a time in a process: each begins with waiting for the whole device, which no other survives."""

Body = Callable[[], None]


class Recorder(Protocol):
    """Turns a body of tensor operations on fixed buffers into something that repeats it."""

    def attempt(self, body: Body) -> None:
        """Run the body once, under the conditions of a recording."""

    def record(self, body: Body) -> Body:
        """A function that does what the body does; the body's own work is not done now."""

    def renew(self) -> None:
        """All earlier recordings have been given up."""


class CudaRecorder:
    """Records CUDA graphs on a stream of its own; the graphs of one recorder share their memory.

    Sharing is safe because they are replayed one after the other and hand nothing over in it: what a step leaves behind
    lies in tensors from outside.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self.stream = torch.cuda.Stream(device)
        self.renew()

    def renew(self) -> None:
        self.pool = torch.cuda.graph_pool_handle()  # one whose graphs are all gone cannot be shared any more

    def attempt(self, body: Body) -> None:
        current = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            body()
        current.wait_stream(self.stream)

    def record(self, body: Body) -> Body:
        graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self.device)
        try:
            # thread_local: other runs of this process may go on allocating memory meanwhile
            with torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"):
                body()
        finally:
            torch.cuda.set_stream(current)  # a recording that fails can leave its own
        return graph.replay


def captured(step: EagerStep, device: torch.device) -> Step:
    """The step as the device runs it fastest: recorded on CUDA unless ``LTLIB_CAPTURE`` is ``off``, else as it is.

    Raises:
        SettingError: ``LTLIB_CAPTURE`` is neither ``auto`` nor ``off``.
    """
    return CapturedStep(step, CudaRecorder(device)) if wanted(device) else step


def wanted(device: torch.device) -> bool:
    """Whether what runs on this device is to be recorded: on CUDA unless ``LTLIB_CAPTURE`` is ``off``.

    Raises:
        SettingError: ``LTLIB_CAPTURE`` is neither ``auto`` nor ``off``.
    """
    said = places.variable("LTLIB_CAPTURE") or "auto"
    if said not in ("auto", "off"):
        raise SettingError(f"LTLIB_CAPTURE must be auto or off, not {said!r}")
    return device.type == "cuda" and said == "auto"


class StaticStep:
    """One step over buffers that stay where they are: what is recorded.

    Args:
        step: Does the work.
        draw: Of the shapes to be made room for.

    Attributes:
        steps: How many steps' numbers there is room for.
        losses: float32 [steps], on the device.
    """

    def __init__(self, step: EagerStep, draw: Draw):
        self.step = step
        row_bytes = sum(value[0].nbytes for _, value in leaves(draw))
        self.steps = max(1, min(BLOCK_STEPS, BLOCK_BYTES // max(1, row_bytes)))
        self.draw = draw.each(
            lambda value: torch.zeros((self.steps, *value.shape[1:]), dtype=value.dtype, device=step.device)
        )
        self.losses = torch.zeros(self.steps, device=step.device)
        self.row = torch.zeros(1, dtype=torch.int64, device=step.device)

    def load(self, draw: Draw) -> None:
        """Send the numbers of at most `steps` steps, and begin with the first."""
        for (_, own), (_, new) in zip(leaves(self.draw), leaves(draw), strict=True):
            own[: draw.steps].copy_(send(new, self.step.device), non_blocking=True)
        self.row.zero_()

    def body(self) -> None:
        """Train on the next step."""
        now = self.draw.each(lambda value: value.index_select(0, self.row))
        loss = self.step.one(now, 0)
        self.losses.index_copy_(0, self.row, loss.float().view(1))
        self.row.add_(1)

    def run(self, draw: Draw, replay: Body) -> Tensor:
        """The losses [S] of a draw's steps, each made by `replay`."""
        losses = torch.empty(draw.steps, device=self.step.device)
        for start in range(0, draw.steps, self.steps):
            part = draw.part(start, start + self.steps)
            self.load(part)
            for _ in range(part.steps):
                replay()
            losses[start : start + part.steps] = self.losses[: part.steps]
        return losses


class CapturedStep:
    """An `EagerStep` that is recorded at its first use and replayed from then on.

    Args:
        step: What is recorded, and what trains where that fails.
        recorder: Of CUDA graphs; tests have others.

    Attributes:
        refusal: Why nothing is recorded, or None.
        recordings: How often a step was recorded.
    """

    def __init__(self, step: EagerStep, recorder: Recorder):
        self.eager, self.recorder = step, recorder
        self.refusal: str | None = None
        self.recordings = 0
        self._made: dict[Any, tuple[StaticStep, Body]] = {}
        self._seen: set[Any] = set()
        self._state: Any = None

    def __call__(self, draw: Draw, lr: float) -> Tensor:
        if self.refusal is None and (known := unfit(self.eager)) is not None:
            self._refuse(known)
        if self.refusal is not None:
            return self.eager(draw, lr)
        set_rates(self.eager.learner.optimizer, lr)
        if self._made and frozen(self.eager) != self._state:
            self._made.clear()
            self.recorder.renew()
        before = self.recordings
        shape = tuple((name, value.dtype, value.shape[1:]) for name, value in leaves(draw))
        # a single step may be of a shape that never comes again
        if shape not in self._made and (draw.steps > 1 or shape in self._seen) and len(self._made) < MAX_SHAPES:
            self._record(shape, draw)
        self._seen.add(shape)
        found = self._made.get(shape)
        if found is None:
            losses = self.eager(draw, lr)
        else:
            static, replay = found
            losses = static.run(draw, replay)
        if self.refusal is None and (found is None or self.recordings > before):
            self._state = frozen(
                self.eager
            )  # an eager step may have made the optimizer's state, a replay makes nothing
        return losses

    def _record(self, shape: Any, draw: Draw) -> None:
        kept = Kept(self.eager)
        try:
            with RECORDING:
                static = StaticStep(self.eager, draw)
                kept.objective(draw)
                for _ in range(TRIALS):
                    static.load(draw.part(0, 1))
                    self.recorder.attempt(static.body)
                kept.put_back(keep_new=True)
                static.load(draw.part(0, 1))
                replay = self.recorder.record(static.body)
        except Exception as error:  # whatever a driver or a library says: eager training does not need it
            kept.put_back(keep_new=False)
            self._refuse(reason(error))
            return
        self._made[shape] = static, replay
        self.recordings += 1

    def _refuse(self, why: str) -> None:
        self.refusal = why
        self._made.clear()
        warnings.warn(f"the training step is not recorded as a CUDA graph and runs eagerly: {why}", stacklevel=4)


def reason(error: Exception) -> str:
    """Why a recording failed, in one line."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else 'no reason'}"
