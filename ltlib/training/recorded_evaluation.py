"""Evaluation as CUDA graphs: a batch of test images through the network is recorded once for each shape, then replayed.

A set's full batches are replays of one recording, which raises the numbers of its images by itself; the short last one
has another. Both write into one tensor of logits that stays where it is. The numbers are those of `evaluation.predict`:
the same images in the same batches. What is made of the logits (`evaluation.evaluate`) is a few kernels more and one
transfer.

A set's first evaluation is eager and says how wide the logits are; a recording pays from the second on. Where a tensor
of the network has moved, all is recorded anew. Tested on a CPU with a recorder that repeats what it is given; on a GPU
it is untried, and so is what it gains there.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from ltlib.batches.resident import Resident
from ltlib.models import Network
from ltlib.training import evaluation
from ltlib.training.capture import RECORDING, TRIALS, Body, CudaRecorder, Recorder, reason, wanted
from ltlib.training.step_state import places


def predictions(device: torch.device) -> evaluation.Predict:
    """`evaluation.predict` as the device runs it fastest: recorded on CUDA unless ``LTLIB_CAPTURE`` is ``off``.

    Raises:
        SettingError: ``LTLIB_CAPTURE`` is neither ``auto`` nor ``off``.
    """
    return RecordedPredictions(CudaRecorder(device)) if wanted(device) else evaluation.predict


class StaticBatch:
    """A batch of a set over buffers that stay where they are: what is recorded.

    Args:
        network: In evaluation mode.
        images: On the device.
        first: Numbers of the first such batch's images, int64 [B].
        precision: ``float32`` or ``bf16``.
        logits: float32 [N, K], of the whole set; written.
        projections: float32 [N, P], the same; None for none.
    """

    def __init__(
        self,
        network: Network,
        images: Resident,
        first: Tensor,
        precision: str,
        logits: Tensor,
        projections: Tensor | None,
    ):
        self.network, self.images, self.precision = network, images, precision
        self.logits, self.projections = logits, projections
        self.first, self.index = first, first.clone()

    def rewind(self) -> None:
        """Begin with the first batch."""
        self.index.copy_(self.first)

    def body(self) -> None:
        """Look at the next batch."""
        found, projected = evaluation.outputs(
            self.network, self.images, self.index, self.precision, self.projections is not None
        )
        self.logits.index_copy_(0, self.index, found)
        if self.projections is not None:
            assert projected is not None
            self.projections.index_copy_(0, self.index, projected)
        self.index.add_(len(self.first))


class Recording:
    """The recordings of one set: how often each batch is replayed, and what they all write."""

    def __init__(self, network: Network, images: Resident, precision: str, widths: tuple[int, int | None]):
        logits, projected = widths
        self.images = images  # held, so that its id stays its own
        device = images.targets.device
        self.logits = torch.empty(len(images), logits, device=device)
        self.projections = None if projected is None else torch.empty(len(images), projected, device=device)
        shapes: dict[int, list[Tensor]] = {}
        for index in evaluation.batches(images):
            shapes.setdefault(len(index), []).append(index)
        self.batches = [
            (StaticBatch(network, images, found[0].clone(), precision, self.logits, self.projections), len(found))
            for found in shapes.values()
        ]
        self.replays: list[Body] = []

    def record(self, recorder: Recorder) -> None:
        """Try each batch a few times, then record it."""
        for static, _ in self.batches:
            for _ in range(TRIALS):
                static.rewind()
                recorder.attempt(static.body)
            static.rewind()
            self.replays.append(recorder.record(static.body))

    def run(self) -> None:
        """Look at the whole set."""
        for (static, times), replay in zip(self.batches, self.replays, strict=True):
            static.rewind()
            for _ in range(times):
                replay()


class RecordedPredictions:
    """`evaluation.predict`, recorded at the second look at a set.

    Args:
        recorder: Of CUDA graphs; tests have others.

    Attributes:
        refusal: Why nothing is recorded, or None.
        recordings: How often a set was recorded.
    """

    def __init__(self, recorder: Recorder):
        self.recorder = recorder
        self.refusal: str | None = None
        self.recordings = 0
        self._made: dict[Any, Recording] = {}
        self._widths: dict[Any, tuple[int, int | None]] = {}
        self._held: Any = None

    @torch.no_grad()
    def __call__(
        self, network: Network, images: Resident, precision: str, projections: list[Tensor] | None = None
    ) -> Tensor:
        if self.refusal is not None or images.streaming:
            return evaluation.predict(network, images, precision, projections)
        network.eval()
        key, held = (id(images), projections is not None), (places(network), precision)
        if self._made and held != self._held:
            self._made.clear()
            self.recorder.renew()
        self._held = held
        if key not in self._made and key in self._widths:
            self._record(key, network, images, precision)
        made = self._made.get(key)
        if made is None:
            logits = evaluation.predict(network, images, precision, projections)
            self._widths[key] = logits.shape[1], projections[0].shape[1] if projections else None
            return logits
        made.run()
        if projections is not None:
            assert made.projections is not None
            projections.append(made.projections.clone())
        return made.logits.clone()

    def _record(self, key: Any, network: Network, images: Resident, precision: str) -> None:
        try:
            with RECORDING:
                made = Recording(network, images, precision, self._widths[key])
                made.record(self.recorder)
        except Exception as error:  # whatever a driver or a library says: eager evaluation does not need it
            self.refusal = reason(error)
            self._made.clear()
            warnings.warn(
                f"the evaluation is not recorded as a CUDA graph and runs eagerly: {self.refusal}", stacklevel=4
            )
            return
        self._made[key] = made
        self.recordings += 1
