"""``ltlib list NAME``: one component, wherever its name is registered."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from ltlib.errors import LtlibError, UnknownName
from ltlib.registry import Entry, Registry, format_value, parse


def registries() -> dict[str, Registry[Any]]:
    """Every registry, by the word `ltlib list` has for its components."""
    from ltlib import datasets, losses, methods, mixing, models, recipes
    from ltlib.batches import samplers
    from ltlib.methods import finishes

    return {
        "methods": methods.METHODS,
        "models": models.MODELS,
        "datasets": datasets.DATASETS,
        "recipes": recipes.RECIPES,
        "optimizers": recipes.OPTIMIZERS,
        "averages": recipes.AVERAGES,
        "samplers": samplers.SAMPLERS,
        "losses": losses.LOSSES,
        "mixings": mixing.MIXINGS,
        "finishes": finishes.FINISHES,
        "classifiers": models.CLASSIFIERS,
    }


def describe(text: str, kinds: tuple[str, ...]) -> Iterator[str]:
    """What is known of a component: settings with their defaults, source, module, docstring; of each kind it is.

    Args:
        text: Its name; settings in brackets are left out.
        kinds: What else could have been meant, for the sentence of an unknown name.

    Raises:
        UnknownName: Nothing is called so; with the nearest names.
    """
    name = parse(text)[0]
    known = registries().values()
    found = [(registry, registry.get(name)) for registry in known if name in registry]
    if not found:
        raise UnknownName("name", name, {*kinds, *(one for registry in known for one in registry.names())})
    for number, (registry, entry) in enumerate(found):
        yield from ([""] if number else [])
        yield from _lines(registry, entry)


def _lines(registry: Registry[Any], entry: Entry[Any]) -> Iterator[str]:
    yield f"{registry.kind} {entry.name}, version {entry.version}" + (
        f", your own ({entry.module})" if entry.own else ""
    )
    if entry.summary:
        yield f"  {entry.summary}"
    if entry.source:
        yield f"  source: {entry.source}"
    for key, value in entry.defaults.items():
        yield f"  {key} = {format_value(value)}"
    if registry.kind == "method":
        yield from _stages(entry.name)
    if registry.kind == "model":
        yield from (f"  {line}" for line in _weights(entry))
    told = (inspect.getdoc(entry.factory) or "").splitlines()
    if told and told[0] == entry.summary:
        told = told[1:]
    yield from (f"  {line}".rstrip() for line in told)


def _weights(entry: Entry[Any]) -> list[str]:
    """The published weights of a network of this package."""
    from ltlib.models import pretrained

    return [] if entry.own else pretrained.lines(entry.name)


def _stages(name: str) -> Iterator[str]:
    """The stages of a method with its default settings: what each one trains, and how."""
    from ltlib import methods

    try:
        stages = methods.stages(name)
    except LtlibError as error:
        yield f"  {error}"
        return
    for number, stage in enumerate(stages, 1):
        parts = [str(spec) for spec in (stage.contrastive, stage.loss, stage.mix) if spec is not None]
        parts += [f"pooling {stage.pooling}"] if stage.pooling != "mean" else []
        parts.append(f"sampler {stage.sampler}")
        if stage.finish is not None:
            parts.append(f"then {stage.finish}")
        trained = ", ".join(stage.lr) or "nothing"
        yield f"  stage {number}: {', '.join(parts)}; {stage.epochs:g} of the epochs, trains {trained}"
