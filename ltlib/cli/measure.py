"""``ltlib bench``: speed, beside a baseline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ltlib.errors import SettingError


@dataclass(frozen=True)
class Bench:
    """Measure ours beside the baseline, all arms interleaved in one run on this machine.

    Attributes:
        what: data: crop, flip and normalise of 32x32 images, and the augmentation of photographs at 64 and 224 pixels,
            against PIL and DataLoader. step: a whole ResNet-32 optimizer step with each classification loss, against
            cross-entropy; with --device, what the kernels of one step take there, by kind. run: a whole training,
            against the usual training loop and against a good engineer's. grid: several runs, one by one against side
            by side. batch: what an engine (local processes, Dask) takes besides
            the runs. start: imports and a lean notebook, against import torch.
            embedding: principal components and t-SNE. decode: a folder of JPEG files to an array on the disk, against
            PIL alone.
        rounds: Interleaved rounds; the median of their ratios is the result.
        device: For step: cuda, or cpu for torch's operators there.
        model: For run, grid and step with a device: tiny (ResNet-8 on 8x8 digits) or a network on 32x32 images.
        epochs: For run and grid: of each training.
        images: For run and grid: training images of 32x32 pixels.
        precision: For run, grid and step with a device: float32 or bf16.
        threads: For run and grid: torch's threads in this process.
        count: For grid and batch: runs a round.
        jobs: For grid and batch: processes side by side.
        out: Also write the result as JSON.
    """

    what: Annotated[
        Literal["data", "step", "run", "grid", "batch", "start", "embedding", "decode"], tyro.conf.Positional
    ] = "data"
    rounds: int = 5
    device: str | None = None
    model: str | None = None
    epochs: int | None = None
    images: int | None = None
    precision: str | None = None
    threads: int | None = None
    count: int | None = None
    jobs: int | None = None
    out: Path | None = None

    def run(self) -> int:
        from ltlib import bench
        from ltlib.files import write_json

        shared = ("model", "epochs", "images", "precision")
        several = ("count", "jobs")
        takes = {"run": (*shared, "threads"), "grid": (*shared, "threads", *several), "batch": several}
        on_device = self.what == "step" and self.device is not None
        taken = ("device", "model", "precision") if on_device else takes.get(self.what, ())
        names = ("device", *shared, "threads", *several)
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        if unknown := [name for name in given if name not in taken]:
            raise SettingError(f"bench {self.what} has no setting {', '.join(unknown)}")
        result = getattr(bench, "kernels" if on_device else self.what)(rounds=self.rounds, **given)
        if self.out is not None:
            write_json(self.out, result)
        return 0
