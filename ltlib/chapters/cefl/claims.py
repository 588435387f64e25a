"""What `cefl` says of its losses and results, each sentence with its judge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from ltlib import losses, published
from ltlib.chapters.cefl import CEFL
from ltlib.chapters.cefl.ratios import SETS
from ltlib.grids.cefl import FACTORS, FOCAL, MINOR, OWN
from ltlib.labels import label, set_label
from ltlib.pages.standing import Judgement
from ltlib.sections import claims, world
from ltlib.sections.answers import every, most, some, together
from ltlib.sections.claims import Group, Judge, judging, ruled
from ltlib.sections.judges import above, needs
from ltlib.sections.leads import by_factor
from ltlib.sections.study import named
from ltlib.sections.world import Column, Numbers, Words, World
from ltlib.tables.scores import CLOSE

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.runs import Run

COLUMNS = ("table", "dataset", "model", "imbalance", "split")
CIFAR = dict(zip(SETS, ("2", "3"), strict=True))
NETWORKS = ("resnet18", "resnet34", "resnet50", "resnet101")
FOCALS = tuple(f"focal[alpha={a};gamma={g}]" for a, g in (("0.25", "2"), ("0.75", "2"), ("1", "2"), ("1", "0.5")))
"""The focal rows of Table 4."""
SIX = tuple(f"{loss}[gamma={gamma}]" for loss in ("cefl", "cefl2") for gamma in (1, 2, 5))
"""The own rows of Tables 2 and 3."""
_claim = claims.of(CEFL.id)


# --- the two worlds --------------------------------------------------------------------------------------------------


def printed(frame: pd.DataFrame) -> World:
    """The document's numbers; `frame` holds Tables 2 to 5."""
    return world.printed(frame, COLUMNS, _words({}))


def ours(frame: pd.DataFrame, profile: str, runs: Iterable[Run] = ()) -> World:
    """Our numbers of a profile; `runs` are those over imbalance factors, for head and tail."""
    ran = frame.loc[frame["n"] > 0, ["dataset", "model"]].drop_duplicates().itertuples(index=False, name=None)
    parts: dict[world.Key, world.Value] = {}
    own = [run for run in runs if CEFL.row(run) == "ce"]
    for group in ("head", "tail"):
        parts |= {(key[0], group): value for key, value in by_factor(CEFL, own, group).values.items()}
    others = {"group": Numbers(parts, CLOSE["accuracy"])} if parts else {}
    return world.ours(frame, COLUMNS, _words({key: named(profile, *key) for key in ran}), others=others)


def _words(names: dict[tuple[str, str], tuple[str, str]]) -> Words:
    def head(column: Column, quantity: str) -> str:
        if quantity == "group":
            return f"imbalance factor {column[0]:g}"
        _, dataset, model, factor, split = column
        data, network = names.get((dataset, model), (set_label(dataset, factor or 1), label(model)))
        at = f" at {factor:g}" if factor is not None else ", mean over ratios" if dataset in CIFAR else ""
        return f"{network} on {data}{at}" if split == "all" else f"{label(quantity)} of {split}"

    return Words(
        row=lambda row: row if row in ("head", "tail") else CEFL.name(row),
        head=head,
        quantity=lambda quantity: "F1" if quantity == "f1" else quantity,
    )


# --- columns ---------------------------------------------------------------------------------------------------------


def cifar(*factors: float | None) -> list[Column]:
    """Columns of Tables 2 and 3 at these ratios; None is the mean."""
    return [(number, name, "resnet18", factor, "all") for name, number in CIFAR.items() for factor in factors]


def photographs(dataset: str) -> list[Column]:
    """Columns of Table 4 of a set."""
    return [("4", dataset, network, None, "all") for network in NETWORKS]


# --- judges of its own -----------------------------------------------------------------------------------------------


@judging("{where}one of the six own rows is {quantities} than every other row")
def led_by(
    found: World, team: Sequence[str], columns: Sequence[Column], quantities: Sequence[str] = ("accuracy",)
) -> Iterator[Group]:
    """In every column some row of the team is better than each row that is not of it."""
    for column, quantity in product(columns, quantities):
        rivals = [row for row in found.rows(quantity, column) if row not in team]
        compared = [
            together(every, [found.better(quantity, (*column, own), (*column, row)) for row in rivals]) for own in team
        ]
        best = [found.ranked(quantity, column, rows)[:1] for rows in (team, rivals)]
        yield [together(some, compared)], found.line(quantity, column, [row for own in best for row in own])


@judging("{where}the two rows of each pair are at most {within} apart")
def alike(
    found: World, couples: Sequence[tuple[str, str]], columns: Sequence[Column], within: float
) -> Iterator[Group]:
    """In every column the two rows of each pair are at most so far apart."""
    for column, pair in product(columns, couples):
        orders = [((*column, one), (*column, two)) for one, two in (pair, pair[::-1])]
        both = [found.better("accuracy", *order, within) for order in orders]
        yield [together(every, both)], found.line("accuracy", column, pair)


@judging("with cross-entropy the head is more accurate than the tail, at each imbalance factor")
def head_above_tail(found: World) -> Iterator[Group]:
    """Accuracy of the largest third of the classes above that of the smallest third."""
    for factor in sorted({key[0] for key in found.numbers("group").values}):
        column = (factor,)
        line = found.line("group", column, ["head", "tail"])
        yield [found.numbers("group").compare((factor, "head"), (factor, "tail"))], line


@judging("with cross-entropy the recall of the four genera marked as minor is below that of the others, mean of each")
def minor_below_others(found: World) -> Iterator[Group]:
    """Table 5; section I says of classes in general what it shows."""
    numbers = found.numbers("recall")
    genera = [name for name in dict.fromkeys(published.table(CEFL.id, "5")["split"]) if name != "all"]
    sides = [[name for name in genera if (name in MINOR) == minor] for minor in (True, False)]
    keys = [[("5", "mushroom", "resnet101", None, name, "ce") for name in side] for side in sides]
    weights = {key: sign / len(side) for sign, side in zip((-1, 1), keys, strict=True) for key in side}
    told = "not run"
    if all(key in numbers for key in weights):
        minor, others = (float(np.mean([numbers[key] for key in side])) for side in keys)
        told = f"minor {100 * minor:.1f}%, others {100 * others:.1f}%"
    yield [numbers.positive(weights)], f"mean recall of CE: {told}"


def _values(loss: str) -> np.ndarray:
    """A loss at probabilities of the true class from 0.01 to 0.99, two classes."""
    import torch

    p = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    logits = torch.stack([torch.log(p), torch.log1p(-p)], 1)
    return losses.create(loss, [1, 1]).per_sample(logits, torch.zeros(99, dtype=torch.int64)).numpy()


@ruled("CEFL at gamma 0 and cross-entropy are equal at 99 probabilities")
def no_focus(found: World) -> Judgement:
    """The equation, in every profile."""
    if not found.ours:
        return Judgement(None, "The document prints no value of a loss.")
    apart = {CEFL.name(f"{loss}[gamma=2]").partition(" ")[0]: loss for loss in ("cefl", "cefl2")}
    far = {name: float(np.abs(_values(f"{loss}[gamma=0.0]") - _values("ce")).max()) for name, loss in apart.items()}
    said = ", ".join(f"{name} {value:.1g}" for name, value in far.items())
    return Judgement(max(far.values()) < 1e-9, f"Largest difference to cross-entropy at gamma 0: {said} nats.")


@ruled("at each of 98 probabilities the nearer of cross-entropy and focal loss (gamma 2) is the one that is named")
def two_sides(found: World) -> Judgement:
    """Below a half nearer cross-entropy, above nearer focal loss; at a half both are as far."""
    if not found.ours:
        return Judgement(None, "The document prints no value of a loss.")
    p, plain, focal = np.linspace(0.01, 0.99, 99), _values("ce"), _values("focal[gamma=2.0]")
    sides = p < 0.495, p > 0.505
    agree, said = [], []
    for loss in OWN:
        own = _values(f"{loss.partition('[')[0]}[gamma=2.0]")
        nearer_plain = np.abs(own - plain) < np.abs(own - focal)
        share = [float(nearer_plain[sides[0]].mean()), float((~nearer_plain[sides[1]]).mean())]
        agree += share
        said.append(f"{CEFL.name(loss)} {share[0]:.0%} below and {share[1]:.0%} above")
    return Judgement(min(agree) == 1, f"As named, of the probabilities on each side of a half: {'; '.join(said)}.")


@ruled("the loss at p 0.1 less that at 0.9 is smaller with focal loss (gamma 2) than with cross-entropy")
def narrowed(found: World) -> Judgement:
    """How far apart a hard and an easy sample are."""
    if not found.ours:
        return Judgement(None, "The document prints no value of a loss.")
    apart = {loss: _apart(loss) for loss in ("ce", "focal[gamma=2.0]")}
    said = ", ".join(f"{label(loss)} {value:.2f}" for loss, value in apart.items())
    return Judgement(apart["focal[gamma=2.0]"] < apart["ce"], f"Loss at 0.1 less that at 0.9, nats: {said}.")


@ruled(
    "with gamma 2 CEFL2 lies nearer the loss that is named than CEFL at each of 98 probabilities, and parts 0.1 and 0.9"
)
def enhanced(found: World) -> Judgement:
    """Nearer cross-entropy below a half and nearer focal loss above it than CEFL, and further from 0.1 to 0.9."""
    if not found.ours:
        return Judgement(None, "The document prints no value of a loss.")
    p, first, second = np.linspace(0.01, 0.99, 99), _values("cefl[gamma=2.0]"), _values("cefl2[gamma=2.0]")
    nearer = [
        float((np.abs(second - named) <= np.abs(first - named) + 1e-12)[side].mean())
        for named, side in ((_values("ce"), p < 0.495), (_values("focal[gamma=2.0]"), p > 0.505))
    ]
    apart = _apart("cefl[gamma=2.0]"), _apart("cefl2[gamma=2.0]")
    return Judgement(
        min(nearer) == 1 and apart[1] > apart[0],
        f"CEFL2 is the nearer one at {nearer[0]:.0%} of the probabilities below a half and {nearer[1]:.0%} above; loss "
        f"at 0.1 less that at 0.9: CEFL {apart[0]:.2f}, CEFL2 {apart[1]:.2f} nats.",
    )


def _apart(loss: str) -> float:
    """The loss of a hard sample, p 0.1, less that of an easy one, p 0.9."""
    values = _values(loss)
    return float(values[9] - values[89])


@ruled("the settings of CEFL and CEFL2 are among those of focal loss")
def no_new_settings(found: World) -> Judgement:
    """Settings counted from the losses; in print Tables 2 and 3 tune gamma."""
    if not found.ours:
        return Judgement(None, "Tables 2 and 3 tune gamma, which focal loss has too; section III.C calls it tuneable.")
    own = {loss: sorted(losses.LOSSES.get(loss).defaults) for loss in ("focal", "cefl", "cefl2")}
    said = "; ".join(f"{label(loss)}: {', '.join(names)}" for loss, names in own.items())
    return Judgement({*own["cefl"], *own["cefl2"]} <= {*own["focal"]}, f"Settings: {said}.")


# --- the sentences ---------------------------------------------------------------------------------------------------

_PLAIN = [(own, rival) for own in OWN for rival in ("ce", FOCAL)]
_ALL = [(own, rival) for own in OWN for rival in ("ce", *FOCALS)]
_BOTH = ("accuracy", "f1")
_MINOR: list[Column] = [("5", "mushroom", "resnet101", None, name) for name in MINOR]
_GROUPS: Judge = needs("group", "accuracy of class groups", head_above_tail())

RATIOS = (
    _claim(
        "CEFL and CEFL2 improve the accuracy on imbalanced CIFAR",
        above([(own, "ce") for own in SIX], cifar(*FACTORS[1:]), rule=most),
    ),
    _claim("Every best accuracy is a CEFL or CEFL2 row", led_by(SIX, cifar(*FACTORS, None))),
    _claim("The averages improve significantly", above(_PLAIN, cifar(None), rule=most)),
    _claim("The gain shows on imbalanced sets", above(_PLAIN, cifar(*FACTORS[1:]), rule=most)),
    _claim(
        "CEFL and CEFL2 perform alike on imbalanced CIFAR",
        alike(list(zip(SIX[:3], SIX[3:], strict=True)), cifar(*FACTORS[1:]), CLOSE["accuracy"], rule=most),
    ),
    _claim("Minor classes are poorly classified", _GROUPS),
    _claim("At gamma 0 CEFL is cross-entropy", no_focus, of_data=False),
    _claim("Nearer cross-entropy below a half, nearer focal loss above", two_sides, of_data=False),
    _claim("Focal loss need not part easy from hard", narrowed, of_data=False),
    _claim("CEFL2 enhances the two properties of CEFL", enhanced, of_data=False),
    _claim("No new hyperparameters", no_new_settings, of_data=False),
)
CROPS = (
    _claim("CEFL2 is slightly better on crop disease", above([OWN[::-1]], photographs("crop_disease"), _BOTH)),
    _claim("Both beat cross-entropy and focal loss on crop disease", above(_ALL, photographs("crop_disease"), _BOTH)),
)
MUSHROOMS = (
    _claim("CEFL is slightly better on mushrooms", above([OWN], photographs("mushroom"), _BOTH)),
    _claim("Both improve mushrooms at every depth", above(_ALL, photographs("mushroom"))),
    _claim("Minor genera are found less often", minor_below_others()),
    _claim("The minor classes gain", above(_PLAIN, _MINOR, ("f1",), most)),
    _claim("Focal loss improves on cross-entropy", above([(FOCAL, "ce")], photographs("mushroom"), _BOTH, most)),
)
