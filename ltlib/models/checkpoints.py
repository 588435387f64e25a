"""From a file of weights to a backbone, without running anything that is in the file."""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ltlib.errors import DataError
from ltlib.models.network import Backbone

WRAPPERS = ("state_dict", "model")
"""Keys under which training scripts keep the weights, beside what else they keep."""
PARTS = ("classifier.", "projector.")
"""Of this package's own networks, beside ``backbone.``."""
COUNTER = ".num_batches_tracked"
"""Batch normalisation counts its batches; files older than that lack the count, which nothing here uses."""


def state_dict(path: Path, data: bytes) -> dict[str, Tensor]:
    """The tensors in a file, by name: safetensors, or what `torch.save` wrote of tensors alone.

    A dictionary under ``state_dict`` or ``model`` is taken out of what is around it, and ``module.`` is taken off the
    names, which `torch.nn.DataParallel` puts there.

    Args:
        path: The file, by whose ending it is read; not opened.
        data: Its bytes.

    Raises:
        DataError: Cut short or damaged; objects that are no tensors and would have to be run; no tensors.
    """
    found = _loaded(path, data)
    for wrapper in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
            break
    if not isinstance(found, Mapping) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise DataError(f"{path} holds no dictionary of tensors; save network.state_dict() alone")
    names = {str(name): value for name, value in found.items()}
    if all(name.startswith("module.") for name in names):
        names = {name.removeprefix("module."): value for name, value in names.items()}
    return names


def _loaded(path: Path, data: bytes) -> object:
    if path.name.lower().endswith(".safetensors"):
        import safetensors.torch

        try:
            return safetensors.torch.load(data)
        except Exception as error:
            raise _damaged(path, error) from error
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        what = re.search(r"GLOBAL ([\w.]+)", str(error))
        if what is None:
            raise _damaged(path, None) from error
        raise DataError(
            f"{path} holds more than tensors ({what.group(1)}), which only running it could load; nothing of it was "
            "run. Save network.state_dict() alone, best as safetensors"
        ) from error
    except Exception as error:  # foreign bytes raise anything
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception | None) -> DataError:
    said = str(error or "").partition("\n")[0].partition(". ")[0]
    return DataError(f"{path} is cut short, damaged or no file of weights{f' ({said})' if said else ''}; get it again")


def fit(backbone: Backbone, path: Path, found: Mapping[str, Tensor], network: str) -> None:
    """Put weights into a backbone, in place; those of the classifier in the file are left out.

    Args:
        backbone: Changed where all of its weights are there, and nothing else; not at all otherwise.
        path: The file, for the sentence.
        found: `state_dict`.
        network: What the sentence calls the backbone.

    Raises:
        DataError: Missing, unexpected or wrongly shaped weights; the first few are named.
    """
    if any(name.startswith("backbone.") for name in found):  # one of this package's own
        found = {name: value for name, value in found.items() if not name.startswith(PARTS)}
        found = {name.removeprefix("backbone."): value for name, value in found.items()}
    found = {name: value for name, value in found.items() if not name.startswith(backbone.published_classifier)}
    found = backbone.renamed(found)
    wanted = backbone.state_dict()
    shapes = [
        f"{name} {list(found[name].shape)} instead of {list(wanted[name].shape)}"
        for name in wanted
        if name in found and found[name].shape != wanted[name].shape
    ]
    problems = [
        _few("missing", [name for name in wanted if name not in found and not name.endswith(COUNTER)]),
        _few("unexpected", [name for name in found if name not in wanted]),
        _few("of another shape", shapes),
    ]
    if any(problems):
        advice = backbone.advice(found) or "name the network they were trained with"
        raise DataError(f"the weights in {path} do not fit {network}: {'; '.join(filter(None, problems))}; {advice}")
    backbone.load_state_dict(dict(found), strict=False)


def _few(what: str, names: Sequence[str], most: int = 3) -> str:
    if not names:
        return ""
    return f"{len(names)} {what} ({', '.join(names[:most])}{', ...' if len(names) > most else ''})"
