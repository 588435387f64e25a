"""Values of notebook parameters, written into a notebook as Python.

papermill's command line reads parameters as YAML 1.1, where 1e-05 and nan are texts and an emoji written as JSON does
not exist, and writes keys of dictionaries as texts. So the cell that it would put in is put in here, and says the
values themselves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ltlib.errors import SettingError

TAG = "injected-parameters"
_DIGITS_IN_BITS = 4_000  # Python refuses to read or write whole numbers of more than 4,300 digits, but for hexadecimal


def with_parameters(notebook: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A notebook with a cell after the one tagged ``parameters`` that sets these values.

    An older cell of this kind, in an executed copy, is replaced.

    Raises:
        SettingError: A value that is no plain one.
    """
    cells = [cell for cell in notebook["cells"] if TAG not in cell.get("metadata", {}).get("tags", ())]
    place = next(i for i, cell in enumerate(cells) if "parameters" in cell.get("metadata", {}).get("tags", ()))
    lines = [f"{name} = {literal(name, value)}" for name, value in given.items()]
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "id": TAG,
        "metadata": {"tags": [TAG]},
        "outputs": [],
        "source": "\n".join(["# Parameters", *lines]),
    }
    if "id" not in cells[place]:  # a notebook of before cells had ids
        del cell["id"]
    return {**notebook, "cells": [*cells[: place + 1], cell, *cells[place + 1 :]]}


def literal(name: str, value: Any) -> str:
    """Python that is equal to a value and of its type: numbers, texts, truth values, None, and collections of them.

    Raises:
        SettingError: Another value, or a list that holds itself.
    """
    try:
        return _literal(value)
    except (TypeError, RecursionError) as error:
        why = "holds itself" if isinstance(error, RecursionError) else f"is or holds a {error}"
        raise SettingError(
            f"notebook parameter {name} {why}; a notebook takes numbers, texts, true, false, none, and lists and "
            "dictionaries of them"
        ) from None


def _literal(value: Any) -> str:
    kind = type(value)
    if kind is float and not math.isfinite(value):
        return f'float("{value}")'
    if kind is int and value.bit_length() > _DIGITS_IN_BITS:
        return hex(value)
    if value is None or kind in (bool, int, float, str):
        return repr(value)
    if kind is list:
        return f"[{', '.join(map(_literal, value))}]"
    if kind is tuple:
        return f"({''.join(f'{_literal(item)}, ' for item in value).rstrip()})"
    if kind is dict:
        return f"{{{', '.join(f'{_literal(key)}: {_literal(item)}' for key, item in value.items())}}}"
    raise TypeError(kind.__name__)
