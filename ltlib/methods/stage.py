"""A method as data: stages of objective, sampler and what is trained.

Adding a method is one registered function that returns its stages. Settings in brackets, ``focal[gamma=1.0]``, are the
function's keyword arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, Literal

from ltlib import losses, mixing
from ltlib.batches.samplers import SAMPLERS
from ltlib.errors import SettingError
from ltlib.methods.finishes import FINISHES
from ltlib.models import CLASSIFIERS
from ltlib.registry import Entry, Registry, Spec, plain

REGISTRIES: Mapping[str, Registry[Any]] = {
    "loss": losses.LOSSES,
    "contrastive": losses.LOSSES,
    "sampler": SAMPLERS,
    "second_sampler": SAMPLERS,
    "mix": mixing.MIXINGS,
    "finish": FINISHES,
}
"""The fields of a stage that name a component, and where it is registered."""
ALL_PARTS: Mapping[str, float] = {"backbone": 1.0, "projector": 1.0, "classifier": 1.0}


@dataclass(frozen=True)
class Stage:
    """One stage of a method. Two methods whose first stages are equal share the trained stage without naming it.

    Components may be given as text: ``Stage(loss="focal[gamma=1.0]", sampler="class_balanced")``.

    Attributes:
        loss: Classification loss on the logits, or None (contrastive learning alone).
        contrastive: Contrastive loss on two views' projections, or None.
        weights: Factors of the contrastive and of the classification loss.
        sampler: Order of the training images.
        epochs: Share of the recipe's epochs.
        lr: Factor of the learning rate per part; a part that is not named is frozen. Learnable scales have the
            classifier's, or their own under ``scales``.
        classifier: ``keep`` the classifier, ``reset`` it to fresh weights before this stage, or ``lws`` /
            ``lws_mislas``: put learnable scales on the one that is there. A first stage may name the classifier the
            network is built with, ``cosine``.
        projection: Width of the projector; 0 for none.
        classifier_input: What the classifier reads, ``features`` or ``projection``.
        batch_norm: Statistics of frozen parts are left as they are; ``eval`` leaves all, ``shift`` lets frozen parts
            learn theirs anew (shifted batch normalisation).
        mix: Mixing of images and labels, or None.
        network: ``plain``, or a network of several branches: ``bbn``, ``reslt``.
        second_sampler: Order of a two-branch method's second stream.
        schedule: Instead of the recipe's; its warm-up is then left out.
        weight_decay: Instead of the recipe's.
        max_norm: Cap on the norms of the classifier's rows after each step, or None.
        finish: What is done to the network after the stage: ``tau_normalization``, ``nearest_class_mean``, or None.
        beta: ResLT's weight of the branches' own losses.
    """

    loss: Spec | None = None
    contrastive: Spec | None = None
    weights: tuple[float, float] = (1.0, 1.0)
    sampler: Spec = field(default_factory=lambda: SAMPLERS.spec("instance_balanced"))
    epochs: float = 1.0
    lr: Mapping[str, float] = field(default_factory=lambda: dict(ALL_PARTS))
    classifier: Literal["keep", "reset", "cosine", "lws", "lws_mislas"] = "keep"
    projection: int = 0
    classifier_input: Literal["features", "projection"] = "features"
    batch_norm: Literal["train", "eval", "shift"] = "train"
    mix: Spec | None = None
    network: Literal["plain", "bbn", "reslt"] = "plain"
    second_sampler: Spec | None = None
    schedule: str | None = None
    weight_decay: float | None = None
    max_norm: float | None = None
    finish: Spec | None = None
    beta: float | None = None

    def __post_init__(self) -> None:
        """Read texts as components, and refuse what has no meaning, before any data is there.

        Raises:
            UnknownName: A text that names no component, or a setting it does not have.
            SettingError: Mixed labels for a loss without a meaning for them, or mixing where no single stream of images
                is classified.
        """
        for f in fields(self):
            object.__setattr__(self, f.name, plain(getattr(self, f.name)))
        for name, registry in REGISTRIES.items():
            if isinstance(value := getattr(self, name), str):
                object.__setattr__(self, name, registry.spec(value))
        if self.mix is None:
            return
        if self.contrastive is not None or self.network != "plain":
            other = self.network if self.contrastive is None else self.contrastive.name
            raise SettingError(f"{self.mix.name} mixes one stream of images and cannot be combined with {other}")
        if mixing.create(self.mix).partners != "none" and self.loss is not None and not _mixable(self.loss):
            raise SettingError(
                f"{self.mix.name} mixes labels, which has no meaning for the loss {self.loss.name}; "
                "choose another loss or no mixing"
            )

    def __hash__(self) -> int:
        return hash(
            (self.loss, self.contrastive, self.weights, self.sampler, self.epochs, tuple(sorted(self.lr.items())))
        )

    def identity(self) -> dict[str, Any]:
        """What of this stage identifies a run, as JSON-ready values.

        Fields that have their default are left out, so that a field added later changes no older identity.
        """
        values = {
            "loss": self.loss.identity() if self.loss else None,
            "contrastive": self.contrastive.identity() if self.contrastive else None,
            "sampler": self.sampler.identity(),
        }
        for f in fields(self):
            value = getattr(self, f.name)
            default = f.default if f.default_factory is MISSING else f.default_factory()
            if f.name not in values and value != default:
                values[f.name] = _plain(value)
        if self.classifier in CLASSIFIERS and CLASSIFIERS.get(self.classifier).own:
            values["classifier"] = CLASSIFIERS.spec(self.classifier).identity()
        return values

    def current(self) -> Stage:
        """The stage with its components as they are now; see `Registry.current`."""
        found = {name: registry.current(spec) for name, registry in REGISTRIES.items() if (spec := getattr(self, name))}
        changed: dict[str, Any] = {name: spec for name, spec in found.items() if spec != getattr(self, name)}
        return replace(self, **changed) if changed else self

    def own(self) -> list[tuple[str, Entry[Any]]]:
        """Its components from outside this package, each with its kind."""
        named = [(registry, spec) for name, registry in REGISTRIES.items() if (spec := getattr(self, name))]
        if self.classifier in CLASSIFIERS:
            named.append((CLASSIFIERS, self.classifier))
        return [(registry.kind, entry) for registry, spec in named for entry in registry.own(spec)]


def _mixable(loss: Spec) -> bool:
    """Whether labels can be mixed under a loss; settings per class say how many classes it wants."""
    classes = max((len(value) for value in loss.settings.values() if isinstance(value, tuple)), default=2)
    return losses.create(loss, [1] * classes).mixable


def _plain(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.identity()
    return dict(sorted(value.items())) if isinstance(value, Mapping) else value


METHODS = Registry[tuple[Stage, ...]]("method", by_value=True)


def spec(text: str | Spec, **defaults: Any) -> Spec:
    """Parse a method's text; see `Registry.spec`."""
    return METHODS.spec(text, **defaults)


def stages(text: str | Spec) -> tuple[Stage, ...]:
    """The stages of a method, e.g. of ``focal[gamma=1.0]``.

    Raises:
        UnknownName: Unknown method or setting.
        SettingError: A value outside its range.
    """
    return tuple(stage.current() for stage in METHODS.create(text))
