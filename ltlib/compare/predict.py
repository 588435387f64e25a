"""What an exported model says of image files: ``ltlib predict MODEL IMAGES...``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ltlib import models, sealed
from ltlib.compare.export import FORMAT, probabilities
from ltlib.errors import DataError, LtlibError, RunError
from ltlib.files import read_json

BATCH = 32


@dataclass(frozen=True)
class Prediction:
    """What a model says of one file.

    Attributes:
        path: As given.
        label: The most probable class; empty where the file is no image that can be read.
        confidence: Its probability.
        others: The next most probable classes with theirs.
        problem: Why there is no prediction; empty where there is one.
    """

    path: str
    label: str = ""
    confidence: float = float("nan")
    others: tuple[tuple[str, float], ...] = ()
    problem: str = ""


class Model:
    """An exported model.

    Args:
        folder: As `export.write` wrote it.

    Raises:
        RunError: It is not whole, changed, or of a newer format.
    """

    def __init__(self, folder: Path):
        wrong = sealed.problems(folder)
        if wrong:
            raise RunError(f"{folder} is no whole model: {wrong[0]}; export it again with ltlib compare")
        self.facts: dict[str, Any] = read_json(folder / "model.json")
        if self.facts.get("format") != FORMAT:
            raise RunError(f"{folder} has format {self.facts.get('format')}, this version reads {FORMAT}")
        classes = len(self.facts["labels"])
        network = models.create(self.facts["model"], classes, classifier=self.facts["classifier"], load=False)
        network.load_state_dict(sealed.read_tensors(folder / "weights.safetensors"))
        self.network = network.eval().to(memory_format=torch.channels_last)

    @property
    def labels(self) -> list[str]:
        return self.facts["labels"]

    @torch.no_grad()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Probabilities of the classes, float64 [N, K].

        Args:
            images: uint8 [N, S, S, 3], as `pictures.decode` gives each.
        """
        from ltlib.batches.resident import Resident

        said, facts = [], self.facts
        for start in range(0, len(images), BATCH):
            part = images[start : start + BATCH]
            resident = Resident(
                part,
                np.zeros(len(part), np.int64),
                normalise=facts["normalise"],
                mean=facts["mean"],
                std=facts["std"],
                resize=facts["resize"],
            )
            z = self.network(resident.batch(torch.arange(len(part)))).float()
            said.append((facts["scale"] * z + torch.tensor(facts["offset"])).numpy())
        return probabilities(np.concatenate(said), facts)


def files_of(given: Sequence[str]) -> list[Path]:
    """The files that are meant: each file, and of a folder every file below it in sorted order.

    Raises:
        DataError: One is not there.
    """
    found = []
    for text in given:
        path = Path(text)
        if path.is_dir():
            found += sorted(file for file in path.rglob("*") if file.is_file() and not _hidden(file, path))
        elif path.exists():
            found.append(path)
        else:
            raise DataError(f"{path} is not there; give image files or folders of them")
    return found


def _hidden(file: Path, top: Path) -> bool:
    from ltlib.datasets import listing

    return any(listing.hidden(part) for part in file.relative_to(top).parts)


def predictions(model: Model, files: Sequence[Path], top: int = 3) -> Iterator[Prediction]:
    """What the model says of each file, in their order; a file that is no image says why.

    Args:
        model: The model.
        files: Image files of any kind that is read here.
        top: Classes to name.
    """
    from ltlib.datasets import pictures

    for start in range(0, len(files), BATCH):
        part, images, wrong = files[start : start + BATCH], [], {}
        for place, file in enumerate(part):
            try:
                images.append(pictures.decode(file, model.facts["size"], start + place))
            except LtlibError as error:
                wrong[place] = str(error)
        said = iter(model(np.stack(images)) if images else ())
        for place, file in enumerate(part):
            if place in wrong:
                yield Prediction(str(file), problem=wrong[place])
                continue
            row = next(said)
            order = np.argsort(-row, kind="stable")[: max(1, top)]
            named = [(model.labels[c], float(row[c])) for c in order]
            yield Prediction(str(file), *named[0], tuple(named[1:]))
