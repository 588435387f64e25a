"""A method as data: stages of objective, sampler and what is trained.

Adding a method is one registered function that returns its stages. Settings in brackets, ``focal[gamma=1.0]``, are the
function's keyword arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import lru_cache
from typing import Any, Literal

from ltlib import losses, mixing
from ltlib.batches import augment
from ltlib.batches.samplers import SAMPLERS
from ltlib.errors import SettingError
from ltlib.limits import NOT_NEGATIVE, POSITIVE, SHARE, Limit, check_limits
from ltlib.methods import finishes
from ltlib.methods.teaching import Teaching
from ltlib.models import CLASSIFIERS
from ltlib.registry import Entry, Registry, Spec, Value, format_spec, parse, plain, registrations

REGISTRIES: Mapping[str, Registry[Any]] = {
    "loss": losses.LOSSES,
    "contrastive": losses.LOSSES,
    "sampler": SAMPLERS,
    "second_sampler": SAMPLERS,
    "mix": mixing.MIXINGS,
    "finish": finishes.FINISHES,
}
"""The fields of a stage that name a component, and where it is registered."""
SOFT = ("logit_adjustment",)
"""Losses that have a form for labels of several classes, `losses.Loss.soft`."""
ALL_PARTS: Mapping[str, float] = {"backbone": 1.0, "projector": 1.0, "classifier": 1.0}

LIMITS: Mapping[str, Limit] = {
    "epochs": NOT_NEGATIVE,
    "projection": Limit(whole=True),
    "projector_hidden": Limit(whole=True),
    "peak_lr": POSITIVE,
    "weight_decay": NOT_NEGATIVE,
    "max_norm": SHARE,
    "beta": SHARE,
    "diversity": NOT_NEGATIVE,
}
"""Of the settings of a stage that are one number."""
CHOICES: Mapping[str, tuple[str | bool | None, ...]] = {
    "epoch_ends": ("sampler", "images"),
    "classifier": ("keep", "reset", "cosine", "normed", "lws", "lws_mislas"),
    "projector": ("mlp", "mlp_bn", "prototypes"),
    "apart": (False, True),
    "classifier_input": ("features", "projection"),
    "pooling": ("mean", "foreground"),
    "batch_norm": ("train", "eval", "shift"),
    "network": ("plain", "bbn", "reslt", "glmc", "experts"),
    "schedule": (None, "step", "cosine", "constant"),
    "selects_by": ("loss", "objective"),
}
"""Of those that are a word."""


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
        epoch_ends: After the ``sampler``'s whole order, or, where that is longer than the training set, one batch after
            as many batches as would hold its ``images``: `draws.steps_for_images`.
        lr: Factor of the learning rate per part; a part that is not named is frozen. Learnable scales have the
            classifier's, or their own under ``scales``.
        classifier: ``keep`` the classifier, ``reset`` it to fresh weights before this stage, or ``lws`` /
            ``lws_mislas``: put learnable scales on the one that is there. A first stage may name the classifier the
            network is built with, ``cosine`` or ``normed``.
        projection: Width of the projector; 0 for none.
        projector: Its kind, in the first stage: ``mlp``; ``mlp_bn``, with batch normalisation; or ``prototypes``, with
            that and a second one for the classifier's weights.
        projector_hidden: Width of the projector's hidden layer; 0 for the features'.
        classifier_input: What the classifier reads, ``features`` or ``projection``.
        batch_norm: Statistics of frozen parts are left as they are; ``eval`` leaves all, ``shift`` lets frozen parts
            learn theirs anew (shifted batch normalisation).
        mix: Mixing of images and labels, or None.
        network: ``plain``; a network of several branches, ``bbn``, ``reslt`` or ``experts``; or ``glmc``, whose weights
            are those of its views' consistency and of its classification.
        second_sampler: Order of a two-branch method's second stream.
        schedule: Instead of the recipe's; its warm-up is then left out.
        peak_lr: Learning rate instead of the recipe's, before the factors of `lr`.
        weight_decay: Instead of the recipe's.
        selects_by: What a recipe's selection by loss and its patience look at: the classification ``loss``, or the
            whole ``objective``, see `ltlib.training.evaluation.evaluate`.
        max_norm: Cap on the norms of the classifier's rows after each epoch, or None: the shortest row's norm as the
            stage begins, and this share of the way to the longest's.
        finish: What is done to the network after the stage: ``tau_normalization``, ``nearest_class_mean``, or None.
        experts: The loss of each expert; `loss` is then only what the evaluation reports of their mean logits.
        diversity: Reward for experts that lie apart.
        beta: ResLT's weight of the branches' own losses.
        apart: Whether the classified view is none of the compared ones, but one more; with prototypes it always is.
        view_augmentation: Augmentation of every view but the first, as `ltlib.batches.augment.create` takes it; empty
            for the recipe's, which the first view, the classified one, has in any case.
        teaching: By whom it is taught beside the labels, or None.
        pooling: In the first stage, how the backbone's feature maps become features: `ltlib.models.pooling`.
    """

    loss: Spec | None = None
    contrastive: Spec | None = None
    weights: tuple[float, float] = (1.0, 1.0)
    sampler: Spec = field(default_factory=lambda: SAMPLERS.spec("instance_balanced"))
    epochs: float = 1.0
    epoch_ends: Literal["sampler", "images"] = "sampler"
    lr: Mapping[str, float] = field(default_factory=lambda: dict(ALL_PARTS))
    classifier: Literal["keep", "reset", "cosine", "normed", "lws", "lws_mislas"] = "keep"
    projection: int = 0
    projector: Literal["mlp", "mlp_bn", "prototypes"] = "mlp"
    classifier_input: Literal["features", "projection"] = "features"
    batch_norm: Literal["train", "eval", "shift"] = "train"
    mix: Spec | None = None
    network: Literal["plain", "bbn", "reslt", "glmc", "experts"] = "plain"
    second_sampler: Spec | None = None
    schedule: str | None = None
    peak_lr: float | None = None
    weight_decay: float | None = None
    selects_by: Literal["loss", "objective"] = "loss"
    max_norm: float | None = None
    finish: Spec | None = None
    experts: tuple[Spec, ...] = ()
    diversity: float = 0.0
    beta: float | None = None
    projector_hidden: int = 0
    apart: bool = False
    view_augmentation: str = ""
    teaching: Teaching | None = None
    pooling: Literal["mean", "foreground"] = "mean"

    def __post_init__(self) -> None:
        """Read texts as components, and refuse what has no meaning, before an earlier stage is trained.

        Raises:
            UnknownName: A text that names no component, or a setting it does not have.
            SettingError: A number outside its limit, an unknown word, a stage that would train nothing; a setting of
                the loss, the sampler, the mixing or the finish outside its own limits; mixed labels for a loss without
                a meaning for them, or mixing where no single stream of images is classified; a selection by an
                objective that is no more than its loss, prototypes for another loss, views apart from none.
        """
        for f in fields(self):
            object.__setattr__(self, f.name, plain(getattr(self, f.name)))
        for name, registry in REGISTRIES.items():
            if isinstance(value := getattr(self, name), str):
                object.__setattr__(self, name, registry.spec(value))
        object.__setattr__(self, "experts", tuple(map(losses.spec, self.experts)))
        self._check_own()
        self._check_components()
        if self.selects_by == "objective" and (self.contrastive is None or self.loss is None):
            raise SettingError("selects_by=objective needs a contrastive loss beside a classification loss")
        self._check_views()
        if self.teaching is not None and (self.loss is None or self.second_sampler or self.selects_by == "objective"):
            raise SettingError("a stage that is taught classifies one stream of images, and selects by its loss")
        if (self.network == "experts") != (len(self.experts) > 1) or (self.experts and self.contrastive):
            raise SettingError("network=experts needs the losses of at least two experts, and no contrastive loss")
        self._check_mix()

    def _check_views(self) -> None:
        name = getattr(self.contrastive, "name", "")
        if self.projector == "prototypes" and (self.loss is None or name not in ("bcl", "concutmix")):
            raise SettingError(
                "projector=prototypes is for the contrastive loss bcl (or concutmix) beside a classification loss"
            )
        if name == "paco" and (self.loss is None or not self.projection or self.apart):
            raise SettingError("paco needs a classification loss beside it and a projection, and no views apart")
        if name == "concutmix" and (self.projector != "prototypes" or getattr(self.loss, "name", "") not in SOFT):
            raise SettingError(f"concutmix needs projector=prototypes and, for its labels, the loss {SOFT[0]}")
        if self.apart and (self.contrastive is None or self.loss is None):
            raise SettingError("apart=true needs a contrastive loss beside a classification loss")
        if self.view_augmentation:
            if self.contrastive is None:
                raise SettingError("view_augmentation is for views that a contrastive loss compares")
            object.__setattr__(self, "view_augmentation", augment.create(self.view_augmentation).text)

    def _check_mix(self) -> None:
        if (self.network == "glmc") != (self.mix is not None and self.mix.name == "glmc"):
            raise SettingError("the network glmc and the mixing glmc are for each other; give a stage both or neither")
        if self.network == "glmc" and (self.loss is None or self.contrastive is not None or not self.projection):
            raise SettingError("the network glmc needs a classification loss alone, and a projection")
        if self.pooling != "mean" and self.network != "plain":
            raise SettingError(f"pooling={self.pooling} is for a plain network, not for {self.network}")
        if self.mix is None:
            return
        if self.guided and self.network != "plain":
            raise SettingError(f"guided_cutmix looks at the feature maps of a plain network, not of {self.network}")
        takes = self.contrastive is None or _made(self.contrastive).takes_mixed
        if not takes or self.network not in ("plain", "glmc", "experts"):
            other = self.network if self.contrastive is None else self.contrastive.name
            raise SettingError(f"{self.mix.name} mixes one stream of images and cannot be combined with {other}")
        partners = mixing.create(self.mix).partners
        if self.contrastive is not None and partners != "dataset":
            raise SettingError(
                f"{self.contrastive.name} mixes with images of the whole set, as cmo, not {self.mix.name}"
            )
        trained = self.experts or ((self.loss,) if self.loss is not None else ())
        for loss in trained if partners != "none" else ():
            if not _made(loss).mixable:
                raise SettingError(
                    f"{self.mix.name} mixes labels, which has no meaning for the loss {loss.name}; "
                    "choose another loss or no mixing"
                )

    def _check_own(self) -> None:
        check_limits(LIMITS, "a stage", {name: getattr(self, name) for name in LIMITS})
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                words = ", ".join(map(str, known))
                raise SettingError(f"setting {name} of a stage must be one of {words}, not {getattr(self, name)!r}")
        for part, factor in self.lr.items():
            NOT_NEGATIVE.check(f"the factor of the learning rate of a stage's {part}", factor)
        for kind, weight in zip(("contrastive", "classification"), self.weights, strict=True):
            NOT_NEGATIVE.check(f"the weight of a stage's {kind} loss", weight)
        if self.contrastive is not None and not (self.weights[0] or (self.loss is not None and self.weights[1])):
            raise SettingError(f"the weights of a stage's losses must not all be 0, as {self.weights} are")
        if self.finish is None and not (self.epochs and any(self.lr.values())):
            what = "has no epochs" if not self.epochs else "trains no part: every factor of its learning rate is 0"
            raise SettingError(f"a stage {what}, and nothing is done to its network afterwards; leave the stage out")

    def _check_components(self) -> None:
        """Make each component once: its settings are refused here, not when the stages before it are trained."""
        for loss in (self.loss, self.contrastive, *self.experts):
            if loss is not None:
                _made(loss)
        for sampler in (self.sampler, self.second_sampler):
            if sampler is not None:
                SAMPLERS.create(sampler)
        if self.mix is not None:
            mixing.create(self.mix)
        if self.finish is not None:
            finishes.FINISHES.create(self.finish)

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

    @property
    def plain(self) -> bool:
        """Whether it trains nothing but a classification loss on one network, of one stream of images."""
        return bool(self.loss) and not (self.contrastive or self.teaching) and self.network == "plain"

    @property
    def guided(self) -> bool:
        """Whether its mixing looks at images with the network first."""
        return self.mix is not None and self.mix.name == "guided_cutmix"

    def current(self) -> Stage:
        """The stage with its components as they are now; see `Registry.current`."""
        found: dict[str, Any] = {
            name: registry.current(spec) for name, registry in REGISTRIES.items() if (spec := getattr(self, name))
        }
        found["experts"] = tuple(losses.LOSSES.current(spec) for spec in self.experts)
        changed: dict[str, Any] = {name: spec for name, spec in found.items() if spec != getattr(self, name)}
        return replace(self, **changed) if changed else self

    def own(self) -> list[tuple[str, Entry[Any]]]:
        """Its components from outside this package, each with its kind."""
        named = [(registry, spec) for name, registry in REGISTRIES.items() if (spec := getattr(self, name))]
        named += [(losses.LOSSES, spec) for spec in self.experts]
        if self.classifier in CLASSIFIERS:
            named.append((CLASSIFIERS, self.classifier))
        return [(registry.kind, entry) for registry, spec in named for entry in registry.own(spec)]


def _made(loss: Spec) -> losses.Loss:
    """A loss for any training set; settings per class say how many classes it wants."""
    classes = max((len(value) for value in loss.settings.values() if isinstance(value, tuple)), default=2)
    return losses.create(loss, [1] * classes)


def _plain(value: Any) -> Any:
    if isinstance(value, Spec | Teaching):
        return value.identity()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return dict(sorted(value.items())) if isinstance(value, Mapping) else value


METHODS = Registry[tuple[Stage, ...]]("method", by_value=True)


def spec(text: str | Spec, **defaults: Any) -> Spec:
    """Parse a method's text; see `Registry.spec`."""
    return METHODS.spec(text, **defaults)


def adjusted(text: str, change: Callable[[str], Mapping[str, Value]]) -> str:
    """A method's text with some settings set, and so those of the method it goes on from, its setting ``of``.

    Args:
        text: As it stands where there is nothing to set.
        change: What to set of a method, by its text.
    """
    name, settings = parse(text)
    changed = dict(change(text))
    if isinstance(inner := settings.get("of"), str):
        changed["of"] = adjusted(inner, change)
    return format_spec(name, settings | changed) if changed else text


def stages(text: str | Spec) -> tuple[Stage, ...]:
    """The stages of a method, e.g. of ``focal[gamma=1.0]``.

    Raises:
        UnknownName: Unknown method or setting.
        SettingError: A value outside its range.
    """
    made = METHODS.create(text) if METHODS.own(text) else _made_once(spec(text), registrations())
    return tuple(stage.current() for stage in made)


@lru_cache(maxsize=2**10)  # the plans of all profiles hold some three hundred, each on many sets and with many seeds
def _made_once(method: Spec, registered: int) -> tuple[Stage, ...]:
    return METHODS.create(method)
