"""Pickles that hold NumPy arrays, numbers, texts and containers, and may call nothing else."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return np.ndarray(0).__reduce__()[0]
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")


def load_arrays(data: bytes) -> Any:
    """What the pickle holds; texts of Python 2 come as bytes.

    Raises:
        pickle.UnpicklingError: It names something to call other than NumPy's array constructors.
    """
    return _ArraysOnly(io.BytesIO(data), encoding="bytes").load()
