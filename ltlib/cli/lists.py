"""``ltlib list``: what there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import tyro

from ltlib.cli import components
from ltlib.cli.runs import lines
from ltlib.cli.saying import note, say
from ltlib.errors import DataError


@dataclass(frozen=True)
class List:
    """List what there is, or say all about one component.

    Attributes:
        what: methods, models, datasets, recipes, optimizers, averages, samplers, losses, mixings, finishes,
            classifiers, grids, notebooks, profiles or runs; or the name of a component, such as focal or mislas: its
            settings with their defaults, its source and what it does.
    """

    what: Annotated[str, tyro.conf.Positional] = "methods"

    def run(self) -> int:
        lines = _LISTS[self.what]() if self.what in _LISTS else components.describe(self.what, tuple(_LISTS))
        for line in lines:
            say(line)
        return 0


def _registered(kind: str) -> list[str]:
    from ltlib import methods

    registry = components.registries()[kind]
    width = max(len(entry.name) for entry in registry)
    lines = []
    for entry in registry:
        line = f"{entry.name:{width}}  {entry.summary}  [{entry.source}]"
        if kind == "methods":
            stages = len(methods.stages(entry.name))
            line += f"  {stages} stage{'s' if stages > 1 else ''}"
        lines.append(line)
    return lines


def image_sets() -> list[str]:
    from ltlib import datasets

    width = max(map(len, datasets.names()))
    return [f"{name:{width}}  {_image_set(name)}" for name in datasets.names()]


def _image_set(name: str) -> str:
    from ltlib import datasets

    try:
        info = datasets.info(name)
    except DataError as error:  # known by its files alone, and they are not here
        return str(error)
    return f"{info.num_classes:3} classes, {info.train_images:6,} training images, " + (
        "here" if datasets.available(name) else f"not here: {info.where}"
    )


def _pages() -> list[str]:
    from ltlib.pages import order

    return [f"{page.id}: {page.problem or page.title}" for page in order.pages(say=say)]


def _runs() -> list[str]:
    from ltlib import runs

    return list(lines(runs.finished(note)))


def _profiles() -> list[str]:
    from ltlib import profiles

    return [f"{profile.name:7} {profile.summary}" for profile in profiles.PROFILES.values()]


def _grids() -> list[str]:
    from ltlib import grids

    return grids.names()


_LISTS: dict[str, Callable[[], list[str]]] = {
    **{
        kind: (lambda kind=kind: _registered(kind))  # type: ignore[misc]
        for kind in (
            *("methods", "models", "recipes", "optimizers", "averages", "samplers"),
            *("losses", "mixings", "finishes", "classifiers"),
        )
    },
    "datasets": image_sets,
    "grids": _grids,
    "notebooks": _pages,
    "profiles": _profiles,
    "runs": _runs,
}
