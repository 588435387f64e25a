"""Which numbers a setting may be, as tables that stand beside what has the settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from ltlib.errors import SettingError


@dataclass(frozen=True)
class Limit:
    """Which numbers a setting may be; a table of them beside a class says it for all of its settings.

    NaN and infinity never are one.

    Attributes:
        least: Smallest number.
        most: Largest one; infinity for none.
        above: Whether `least` itself is too small.
        below: Whether `most` itself is too large.
        whole: Whether only whole numbers are meant.
    """

    least: float = 0.0
    most: float = math.inf
    above: bool = False
    below: bool = False
    whole: bool = False

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        if self.most == math.inf:
            return f"{kind} {'above' if self.above else 'of at least'} {self.least:g}"
        low = f"above {self.least:g} and" if self.above else f"from {self.least:g} to"
        high = "below " if self.below else ("at most " if self.above else "")
        return f"{kind} {low} {high}{self.most:g}"

    def check(self, label: str, value: Any) -> None:
        """Refuse what lies outside.

        Raises:
            SettingError: It does; the sentence begins with `label`.
        """
        fits = isinstance(value, Integral if self.whole else Real) and not isinstance(value, bool)
        fits = fits and self.least <= value <= self.most and value != math.inf
        if not fits or (self.above and value == self.least) or (self.below and value == self.most):
            raise SettingError(f"{label} must be {self}, not {value!r}")


NOT_NEGATIVE, POSITIVE = Limit(), Limit(above=True)
SHARE, BELOW_ONE = Limit(most=1), Limit(most=1, below=True)


def check_limits(limits: Mapping[str, Limit], of: str, values: Mapping[str, Any]) -> None:
    """Refuse the first of these settings that lies outside its limit; a setting that is None is left alone.

    Args:
        limits: Setting to limit.
        of: What the settings are of, for the sentence: ``recipe``, ``optimizer adam``.
        values: Setting to value.

    Raises:
        SettingError: Names the setting, its limit and the value.
    """
    for name, limit in limits.items():
        if values[name] is not None:
            limit.check(f"setting {name} of {of}", values[name])
