"""How a run that somebody was asked to train ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KINDS = ("done", "error", "stopped", "busy", "unknown", "lost")


@dataclass(frozen=True)
class Outcome:
    """Attributes:
    kind: ``done``; ``error``, which another try would only meet again; ``stopped``, its state is saved; ``busy``,
        another process trains it; ``unknown``, these settings are not that run there; ``lost``, the process or machine
        it was trained on is gone.
    said: The run's id where it is done, else a sentence.
    took: The process that trained, and the times (seconds since the epoch) when it began and ended; empty where it did
        not say.
    """

    kind: str
    said: str = ""
    took: tuple[float, ...] = ()

    @property
    def failure(self) -> str | None:
        """Why the run is missing; None where it is done."""
        return None if self.kind == "done" else self.said

    @classmethod
    def of_message(cls, message: Mapping[str, Any]) -> Outcome | None:
        """What a worker's message says of the run's end; None where it goes on."""
        kind = next((kind for kind in KINDS if kind in message), None)
        return None if kind is None else cls(kind, str(message[kind]), tuple(message.get("took", ())))


def lost(code: int | None) -> Outcome:
    """The process ended in the middle."""
    return Outcome("lost", f"its process ended with code {code}; start again and it goes on from its last checkpoint")
