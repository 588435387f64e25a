"""What two trainings that should be one another's equals are compared by."""

from __future__ import annotations

import csv

import torch
from torch import Tensor

from ltlib import sealed
from ltlib.files import read_json
from ltlib.runs import Run


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


def numbers(run: Run) -> tuple[list[dict[str, str]], dict[str, Tensor]]:
    """A run's history without its seconds, and the tensors of its stages."""
    assert run.folder is not None
    rows = list(csv.DictReader((run.folder / "history.csv").read_text().splitlines()))
    tensors: dict[str, Tensor] = {}
    for name in read_json(run.folder / "run.json")["stages"]:
        for file in sorted((run.folder.parent / "stages" / name).glob("*.safetensors")):
            tensors |= {f"{name}/{file.name}/{key}": value for key, value in sealed.read_tensors(file).items()}
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows], tensors
