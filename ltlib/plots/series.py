"""Columns of numbers for a figure, from whatever holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ltlib.errors import SettingError


@dataclass(frozen=True)
class Series:
    """Columns of numbers, read from a DataFrame or a mapping."""

    columns: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Any, needed: Sequence[str] = ()) -> Series:
        """Read the columns of a DataFrame, a mapping, or anything whose ``history`` is one of them.

        Raises:
            SettingError: A needed column is missing.
        """
        table = getattr(table, "history", table)
        found = cls({str(name): np.asarray(table[name]) for name in table})
        for name in needed:
            found._need(name)
        return found

    def _need(self, name: str) -> None:
        if name not in self.columns:
            raise SettingError(f"the table has no column {name!r}; it has {', '.join(self.columns) or 'none'}")

    def __getitem__(self, name: str) -> np.ndarray:
        """The column as float64, NaN where a value is missing.

        Raises:
            SettingError: There is no such column.
        """
        self._need(name)
        column = self.columns[name]
        if column.dtype == object:
            return np.array([np.nan if v is None else float(v) for v in column], dtype=np.float64)
        return column.astype(np.float64)

    def __len__(self) -> int:
        return max((len(column) for column in self.columns.values()), default=0)

    def has(self, name: str) -> bool:
        """Whether the column has a number at all."""
        return name in self.columns and bool(np.isfinite(self[name]).any())
