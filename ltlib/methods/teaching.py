"""Who teaches a network beside the labels: other trainings of the same run, by their method and their seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ltlib.limits import POSITIVE, Limit, check_limits

LIMITS: Mapping[str, Limit] = {"weight": Limit(most=1, above=True), "temperature": POSITIVE}


@dataclass(frozen=True)
class Teaching:
    """What a stage learns from teachers: ordinary runs, equal to the student's but for method and seed.

    Attributes:
        method: The teachers'.
        seeds: One a teacher; none of them is the student's business, who may have one of them.
        weight: Of what they say, against the labels.
        temperature: By which all logits are divided before they are compared.
    """

    method: str
    seeds: tuple[int, ...]
    weight: float
    temperature: float

    def __post_init__(self) -> None:
        check_limits(LIMITS, "distilled", vars(self))

    def identity(self) -> dict[str, Any]:
        """What identifies it but for the teachers' own stages, which `Resolved.identity` adds."""
        return {"seeds": list(self.seeds), "weight": self.weight, "temperature": self.temperature}
