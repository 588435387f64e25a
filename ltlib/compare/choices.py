"""What somebody chooses of a comparison: as arguments, as a notebook's text, and as the command that repeats it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ltlib import plugins
from ltlib.errors import SettingError

if TYPE_CHECKING:
    from ltlib.compare.comparison import Comparison

SPLITS = 10
STEPS = ("audit", "parts", "comparison", "report", "model")
"""What ``--skip`` leaves out: the whole audit, of it the search for images cut out of others, the comparison and what
follows from it, the page, the model."""


@dataclass(frozen=True)
class Choices:
    """The choices of a comparison.

    Attributes:
        path: A folder or a CSV file.
        target: As of `target.of`.
        methods: Methods instead of the usual ones.
        own: Methods of one's own besides.
        splits: How often test images are drawn.
        backbone: As of `experiments.front`.
        weights: A file of weights for it; empty where the backbone's text says.
        full: Whether the whole network is trained too.
        skip: Names of `STEPS`.

    Raises:
        SettingError: A step that is none.
    """

    path: str
    target: str = "balanced"
    methods: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    splits: int = SPLITS
    backbone: str = "auto"
    weights: str = ""
    full: bool = False
    skip: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.skip:
            if name not in STEPS:
                raise SettingError(f"{name!r} is no step that can be skipped; there are {', '.join(STEPS)}")

    def text(self) -> str:
        """All but path and target, as `read` takes them."""
        said = {
            "methods": ", ".join(self.methods),
            "own": ", ".join(self.own),
            "splits": str(self.splits),
            "backbone": self.backbone,
            "weights": self.weights,
            "full": str(self.full).lower(),
            "skip": ", ".join(self.skip),
        }
        return "; ".join(f"{name}={value}" for name, value in said.items())


def read(path: str, target: str, text: str) -> Choices:
    """Choices from a notebook's text; those that are not said are as usual.

    Args:
        path: As of `Choices`.
        target: The same.
        text: ``methods=``, ``own=``, ``skip=`` with commas between names, ``splits=``, ``backbone=``, ``weights=``,
            ``full=true``, with ``;`` between them.

    Raises:
        SettingError: Another word, splits that are no number, a step that is none.
    """
    usual = Choices(path, target)
    said = {part.partition("=")[0].strip() for part in usual.text().split(";")}
    found: dict[str, str] = {}
    for part in filter(str.strip, re.split(r";(?![^\[]*\])", text)):
        name, _, value = part.partition("=")
        if name.strip() not in said:
            raise SettingError(f"{name.strip()!r} is no choice of a comparison; there are {', '.join(sorted(said))}")
        found[name.strip()] = value.strip()
    splits = found.get("splits", str(SPLITS))
    if not splits.isdecimal():
        raise SettingError(f"splits must be a number, not {splits!r}")
    return replace(
        usual,
        methods=_names(found.get("methods", "")),
        own=_names(found.get("own", "")),
        splits=int(splits),
        backbone=found.get("backbone") or usual.backbone,
        weights=found.get("weights", ""),
        full=found.get("full") == "true",
        skip=_names(found.get("skip", "")),
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in re.split(r",(?![^\[]*\])", text) if name.strip())


def command(made: Comparison) -> str:
    """The command that repeats a comparison, nothing left to what is usual or there; for a POSIX shell.

    Methods, network and splits are said in full, paths are absolute, plugins named.
    """
    chosen = made.choices
    target = chosen.target if not chosen.target.lower().endswith(".csv") else _absolute(chosen.target)
    parts = ["ltlib", "compare", _absolute(chosen.path), "--target", target, "--backbone", made.front.model]
    parts += ["--splits", str(chosen.splits)]
    parts += _option("--methods", [one.name for one in made.tried if one.name not in chosen.own])
    parts += _option("--own", chosen.own)
    parts += _option("--plugin", [place for places in plugins.environment().values() for place in _split(places)])
    parts += _option("--skip", chosen.skip)
    parts += ["--full"] if chosen.full or made.front.whole else []
    return shlex.join(parts)


def _option(name: str, values: Sequence[str]) -> list[str]:
    return [name, *values] if values else []


def _split(places: str) -> list[str]:
    return places.split(os.pathsep)


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().resolve())
