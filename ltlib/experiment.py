"""An experiment: what a user asks for, and its resolved form, which identifies a run.

The identity holds everything that can change a result and nothing else: no profile, device, path, time or library
version (those are a run's provenance). It needs no data on disk. Component versions are bumped by hand when a
component's numbers change; golden tests notice a change without a bump. Components from outside the package have no
golden tests: they are identified by their source (`ltlib.plugins.source`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Any

from ltlib import datasets, methods, models, plugins, recipes, registry
from ltlib.batches import augment
from ltlib.batches.resident import check_resize
from ltlib.datasets.subsets import real_number, whole_number
from ltlib.errors import SettingError
from ltlib.files import canonical_json, digest
from ltlib.methods import Stage, freezing
from ltlib.recipes import Recipe
from ltlib.registry import Entry, Registry, Spec, Value, parse

# Parts every run shares. Bump one when the same settings give other numbers than before.
VERSIONS = {"subset": 1, "batches": 1, "sampling": 1, "training": 1}

_CHOICES = {
    "imbalance_type": ("exponential", "step", "pareto", "explicit"),
    "order": ("descending", "ascending"),
    "subset": ("random", "ldam", "first"),
    "validation": ("none", "subset"),
}

_LEFT_OUT = {"order": "descending", "validation": "none", "limit": None, "test_per_class": None}
"""Settings of the data that an identity leaves out where they have this value."""


class _Unsaid(float):
    """The imbalance factor where nobody gives one; `Experiment` takes 1 instead of it for a set as it was found."""


_FACTOR = _Unsaid(100)


@dataclass(frozen=True)
class Experiment:
    """One training: data, network, method, recipe and seeds.

    Attributes:
        dataset: Name, ``folder:PATH`` for a folder of class folders, ``csv:FILE`` for a list of paths and labels.
        imbalance_factor: Largest class over smallest class, at least 1; a set of one's own, ``folder:PATH`` or
            ``csv:FILE``, is taken as it is, with 1, where none is given.
        imbalance_type: ``exponential``, ``step``, ``pareto``, or ``explicit`` with `class_counts`.
        order: ``descending`` (class 0 is the largest) or ``ascending``.
        class_counts: Images per class, for ``explicit``.
        model, method, recipe: Names with settings in brackets, as ``focal[gamma=1.0]``.
        subset: Rule that picks the images: ``random`` (seeded, nested), ``ldam`` or ``first``.
        subset_seed: Picks the images; the test images too, where a set has no test part of its own.
        validation: ``none``, or ``subset``: a stratified tenth of the long-tailed training images.
        limit: Cut the training set to this many images (for trying things out).
        test_per_class: Test images taken of each class, picked by `subset_seed`; None takes the whole test set.
        precision: ``float32`` or ``bf16``; None takes the recipe's.
        seed: Drives training: weights, order, augmentation.
    """

    dataset: str = "cifar10"
    imbalance_factor: float = _FACTOR
    model: str = "resnet32"
    method: str = "ce"
    recipe: str = "ldam"
    imbalance_type: str = "exponential"
    order: str = "descending"
    class_counts: tuple[int, ...] | None = None
    subset: str = "random"
    subset_seed: int = 0
    validation: str = "none"
    limit: int | None = None
    precision: str | None = None
    seed: int = 0
    test_per_class: int | None = None

    def __post_init__(self) -> None:
        unsaid = isinstance(self.imbalance_factor, _Unsaid) and datasets.as_found(self.dataset)
        factor = 1.0 if unsaid else real_number(self.imbalance_factor)
        if factor is None or factor < 1:
            raise SettingError(
                "imbalance_factor is largest class / smallest class and must be at least 1, "
                f"not {self.imbalance_factor!r}"
            )
        object.__setattr__(self, "imbalance_factor", factor)
        if self.class_counts is not None:
            object.__setattr__(self, "class_counts", _whole_counts(self.class_counts))
            object.__setattr__(self, "imbalance_type", "explicit")
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise SettingError(f"{name} must be one of {', '.join(known)}, not {getattr(self, name)!r}")
        if self.imbalance_type == "explicit" and self.class_counts is None:
            raise SettingError("imbalance_type explicit needs class_counts, the images of each class")
        for name in ("seed", "subset_seed"):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), 0, 2**32 - 1))
        for name in ("limit", "test_per_class"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, whole_number(name, getattr(self, name), 1))
        if self.precision is not None and self.precision not in recipes.PRECISIONS:
            raise SettingError(f"precision must be one of {', '.join(recipes.PRECISIONS)}, not {self.precision!r}")

    def replace(self, **changes: Any) -> Experiment:
        """A copy with some settings changed.

        A set of one's own in place of a named one is taken as it is, unless the factor is another than the usual or
        given here.
        """
        found = datasets.as_found(changes.get("dataset", self.dataset)) and not datasets.as_found(self.dataset)
        if found and self.imbalance_factor == _FACTOR:
            changes = {"imbalance_factor": _FACTOR} | changes
        return replace(self, **changes)

    def resolve(self) -> Resolved:
        """Every default filled in.

        Raises:
            UnknownName: Unknown dataset, model, method, recipe or setting, with the nearest names.
            SettingError: A value outside its range.
        """
        plugins.load()
        # a folder's images may change while this process lives, and anything may be registered anew
        key = self, datasets.info(self.dataset), registry.registrations()
        found = _resolve(*key)
        # so may the source of one's own, and a file of weights; what a published name stands for does not
        return _resolve.__wrapped__(*key) if found.own or models.pretrained.kept(found.model) else found

    @property
    def run_id(self) -> str:
        """Twelve hexadecimal digits that identify the run."""
        return self.resolve().run_id

    @property
    def cell_id(self) -> str:
        """The run's identity apart from its two seeds: runs of one table cell share it."""
        return self.replace(seed=0, subset_seed=0).run_id

    def settings(self) -> dict[str, Any]:
        """The settings that differ from nothing: all of them, as JSON-ready values."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        if values["class_counts"] is not None:
            values["class_counts"] = list(values["class_counts"])
        return values

    @classmethod
    def from_settings(cls, values: dict[str, Any]) -> Experiment:
        """The inverse of `settings`."""
        values = dict(values)
        if values.get("class_counts") is not None:
            values["class_counts"] = tuple(values["class_counts"])
        return cls(**values)


@dataclass(frozen=True)
class Own:
    """A component of a run that does not come from this package.

    Attributes:
        kind: ``loss``, ``method``, ``sampler``, ...
        name: Registered name.
        module: Where it was registered.
    """

    kind: str
    name: str
    module: str | None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Resolved:
    """An experiment with every default filled in. Pure: needs no data on disk.

    Attributes:
        own: The components that do not come from this package.
    """

    experiment: Experiment
    data: dict[str, Any]
    model: Spec
    method: Spec
    stages: tuple[Stage, ...]
    recipe_spec: Spec
    recipe: Recipe
    precision: str
    own: tuple[Own, ...] = ()

    @property
    def seed(self) -> int:
        return self.experiment.seed

    def identity(self, stages: int | None = None) -> dict[str, Any]:
        """What identifies the run, or its first `stages` stages."""
        return {
            "versions": VERSIONS,
            "data": self.data,
            "model": self.model.identity(),
            "stages": [self._of_stage(stage) for stage in self.stages[:stages]],
            "recipe": self.recipe.identity(),
            "precision": self.precision,
            "seed": self.seed,
        }

    def _of_stage(self, stage: Stage) -> dict[str, Any]:
        """A stage's identity; a taught one has its teachers' stages in it, and so, with all else here, their ids."""
        found = stage.identity()
        if stage.teaching is not None:
            found["teaching"] |= {"stages": self.teachers[0].resolve().identity()["stages"]}
        return found

    @property
    def teachers(self) -> tuple[Experiment, ...]:
        """The runs whose networks teach this one; mostly none."""
        teaching = next((stage.teaching for stage in self.stages if stage.teaching), None)
        seeds = () if teaching is None else teaching.seeds
        return tuple(self.experiment.replace(method=teaching.method, seed=seed) for seed in seeds if teaching)

    def every_stage(self) -> list[tuple[Resolved, int]]:
        """The stages that must be there before the run is, as (run, number): those of its teachers, then its own."""
        taught = [pair for teacher in self.teachers for pair in teacher.resolve().every_stage()]
        return taught + [(self, i) for i in range(len(self.stages))]

    @property
    def run_id(self) -> str:
        return self.stage_id(len(self.stages) - 1)

    @cached_property
    def _stage_ids(self) -> dict[tuple[int, ...], str]:
        """Asked for thousands of times in a large plan; by `VERSIONS`, the one part that is not in here."""
        return {}

    def settings(self) -> dict[str, Any]:
        """The experiment's settings as its run keeps them: a file of weights by what is in it, not by its path."""
        model = models.pretrained.kept(self.model)
        return self.experiment.settings() | ({} if model is None else {"model": model})

    def marks(self) -> list[str]:
        """What identifies the components in `own`; see `marks`."""
        return marks(self.identity())

    def stage_id(self, i: int) -> str:
        """Identity of everything up to and including stage `i`."""
        key = (i, *VERSIONS.values())
        if key not in self._stage_ids:
            self._stage_ids[key] = digest(canonical_json(self.identity(i + 1)))[:12]
        return self._stage_ids[key]

    def epochs(self, i: int) -> int:
        """Epochs of stage `i`: its share of the recipe's, at least one; none where the share is 0."""
        share = self.stages[i].epochs
        return max(1, round(self.recipe.epochs * share)) if share else 0

    def selection(self, i: int = -1) -> str:
        """The rule of the selected epoch in stage `i`: the recipe's, by ``objective`` where the stage says so."""
        rule = self.recipe.selection
        return rule.replace("_loss", "_objective") if self.stages[i].selects_by == "objective" else rule

    def stage_recipe(self, i: int) -> Recipe:
        """The recipe with what stage `i` says otherwise."""
        stage = self.stages[i]
        changes: dict[str, Any] = {}
        if stage.schedule is not None:
            changes |= {"schedule": stage.schedule, "warmup_epochs": 0}
        if stage.peak_lr is not None:
            changes["lr"] = stage.peak_lr
        if stage.weight_decay is not None:
            changes["weight_decay"] = stage.weight_decay
        return replace(self.recipe, **changes)


def marks(identity: Any) -> list[str]:
    """The digests in an identity of what does not come from this package, in order of appearance."""
    if isinstance(identity, dict):
        own = [identity["own"]] if isinstance(identity.get("own"), str) else []
        return own + [mark for key, value in sorted(identity.items()) if key != "own" for mark in marks(value)]
    return [mark for value in identity for mark in marks(value)] if isinstance(identity, list) else []


def _implied(recipe: Recipe, method: str) -> dict[str, Value]:
    """The settings a recipe implies for a method."""
    name = methods.METHODS.get(parse(method)[0]).name
    return {setting: value for owner, setting, value in recipe.method_defaults if owner == name}


def _whole_counts(counts: Any) -> tuple[int, ...]:
    if isinstance(counts, str) or not hasattr(counts, "__iter__"):
        raise SettingError(f"class_counts must be whole numbers, one a class, not {counts!r}")
    return tuple(whole_number(f"class_counts[{i}]", count, 0) for i, count in enumerate(counts))


def _own(exp: Experiment, model: Spec, method: Spec, stages: tuple[Stage, ...], recipe: Recipe) -> tuple[Own, ...]:
    """The components of a run that do not come from this package, each once."""
    found: list[tuple[str, Entry[Any]]] = [("dataset", entry) for entry in datasets.own(exp.dataset)]
    named: list[tuple[Registry[Any], str | Spec]] = [
        (models.MODELS, model),
        (methods.METHODS, method),
        (recipes.RECIPES, exp.recipe),
        (recipes.OPTIMIZERS, recipe.optimizer_spec),
    ]
    found += [(kinds.kind, entry) for kinds, spec in named for entry in kinds.own(spec)]
    found += [pair for stage in stages for pair in stage.own()]
    return tuple(dict.fromkeys(Own(kind, entry.name, entry.module) for kind, entry in found))


def _check_padding(stages: tuple[Stage, ...], recipe: Recipe) -> None:
    """The images are stored once, with one padding; views that are not cropped do without."""
    stored = augment.create("+".join(recipe.augmentation) or "none").padding
    for stage in stages:
        wanted = augment.create(stage.view_augmentation or "none").padding
        if wanted not in (0, stored):
            raise SettingError(
                f"the compared views are cropped with a padding of {wanted} pixels and the recipe's with {stored}; "
                "give both the same crop, or the views a resizedcrop"
            )


@lru_cache(maxsize=2**15)  # the plans of all profiles hold some five thousand
def _resolve(exp: Experiment, info: datasets.DatasetInfo, registrations: int) -> Resolved:
    recipe_spec = recipes.spec(exp.recipe)
    recipe = recipes.create(recipe_spec)
    if recipe.selection == "best_validation_loss" and exp.validation == "none":
        raise SettingError("selection best_validation_loss needs a validation set; set validation='subset'")
    check_resize(recipe.resize, info.image_size)
    method = methods.spec(exp.method, **_implied(recipe, exp.method))
    data = {
        "dataset": info.family,
        "digest": info.digest,
        "imbalance_factor": exp.imbalance_factor,
        "imbalance_type": exp.imbalance_type,
        "subset": exp.subset,
        "subset_seed": exp.subset_seed,
    }
    classes = info.num_classes
    if exp.class_counts is not None and len(exp.class_counts) != classes:
        raise SettingError(f"class_counts has {len(exp.class_counts)} numbers, {exp.dataset} has {classes} classes")
    if exp.class_counts is not None:  # the counts say how large the imbalance is
        data["imbalance_factor"] = None
        data["class_counts"] = list(exp.class_counts)
    elif exp.imbalance_factor > 1 and datasets.as_found(exp.dataset):
        data["by"] = "size"
    if info.drawn_test and exp.subset_seed:
        data["test"] = "drawn"  # seed 0 draws what all seeds once did
    for name, default in _LEFT_OUT.items():
        if getattr(exp, name) != default:
            data[name] = getattr(exp, name)
    if own := datasets.own_mark(exp.dataset):
        data["own"] = own
    model, stages = models.spec(exp.model), freezing.freeze(methods.stages(method), recipe.frozen, method.name)
    _check_padding(stages, recipe)
    if recipe.sharpness_below and not all(stage.plain for stage in stages):
        raise SettingError(
            f"recipe setting sharpness_below is for a classification loss on one network, which {method.name} is not"
        )
    return Resolved(
        experiment=exp,
        data=data,
        model=model,
        method=method,
        stages=stages,
        recipe_spec=recipe_spec,
        recipe=recipe,
        precision=exp.precision or recipe.precision,
        own=_own(exp, model, method, stages, recipe),
    )
