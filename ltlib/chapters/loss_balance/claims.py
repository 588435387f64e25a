"""What the abstract of `loss_balance` says of LE, each sentence with its judge; asked about one subset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ltlib.chapters.loss_balance import LOSS_BALANCE
from ltlib.labels import label
from ltlib.pages.standing import Judgement
from ltlib.sections import claims, judges, world
from ltlib.sections.answers import most
from ltlib.sections.claims import Claim, ruled
from ltlib.sections.seeds import gap, images_seen
from ltlib.sections.study import named
from ltlib.sections.world import Column, Words, World
from ltlib.tables.scores import CLOSE

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.runs import Run

COLUMNS = ("dataset", "model", "split")
NETWORKS = ("resnet18", "resnet50", "resnet101")
_RIVALS = ("ce", "oversampling", "prior_equalised")
_TIME = 0.05
"""Single runs whose seconds differ by less than this share are not told apart."""


def printed(frame: pd.DataFrame) -> World:
    """The document's numbers: the rows of Table 2."""
    return world.printed(frame, COLUMNS, _words({}))


def ours(frame: pd.DataFrame, profile: str, runs: Sequence[Run]) -> World:
    """Our numbers of a profile: those of Table 2, the gap of training and test, images seen, seconds of one machine."""
    ran = frame.loc[frame["n"] > 0, ["dataset", "model"]].drop_duplicates().itertuples(index=False, name=None)
    machines = {run.provenance.get("device") for run in runs}
    others = {
        "gap": world.gathered([((LOSS_BALANCE.row(run),), gap(run)) for run in runs], CLOSE["accuracy"]),
        "images": world.gathered([((LOSS_BALANCE.row(run),), images_seen(run)) for run in runs]),
    }
    if len(machines) == 1:
        plain = float(np.mean([run.seconds for run in runs]))
        others["seconds"] = world.gathered([((LOSS_BALANCE.row(run),), run.seconds / plain) for run in runs], _TIME)
    names = {key: named(profile, *key) for key in ran}
    return world.ours(frame, COLUMNS, _words(names), others=others)


def _words(names: dict[tuple[str, str], tuple[str, str]]) -> Words:
    def head(column: Column, quantity: str) -> str:
        if not column:
            return {"gap": "training minus test accuracy", "images": "images seen", "seconds": "time over the mean"}[
                quantity
            ]
        dataset, model, split = column
        data, network = names.get((dataset, model), (label(dataset), label(model)))
        return f"{network} on {data}" + ("" if split == "all" else f", F1 of {LOSS_BALANCE.document.classes[split]}")

    def number(quantity: str, value: float) -> str:
        return (
            f"{value:,.0f}"
            if quantity == "images"
            else f"{value:.2f}"
            if quantity == "seconds"
            else f"{100 * value:.2f}"
        )

    called = {"f1": "F1", "gap": "training minus test accuracy", "images": "images seen", "seconds": "time"}
    return Words(LOSS_BALANCE.short, head, number, quantity=lambda quantity: called.get(quantity, quantity))


@ruled("each class that a batch holds has the same share of its loss, with both readings of LE")
def balanced(found: World) -> Judgement:
    """Measured from the loss, in every profile; the formula is not in what could be read.

    As weights by counts the shares are equal while all losses are, and move apart with them; with ``scope=loss``, which
    weighs by the losses, they are equal always. Which of the two the document means decides.
    """
    if not found.ours:
        return Judgement(None, "The formula is not in what could be read of the document.")
    from ltlib.plots import losses

    batch = [0] * 20 + [1] * 9 + [3] * 3
    learnt = np.eye(4)[batch] * np.array([3.0, 2.0, 1.0, 0.5])[batch][:, None]  # the more images, the surer
    equal, said = [], []
    for reading in ("batch", "loss"):
        share = losses.shares(f"loss_equalised[scope={reading}]", learnt, batch, [700, 100, 28, 7])
        equal.append(max(share) - min(share[c] for c in set(batch)) < 1e-9)
        said.append(f"weighed by {'counts' if reading == 'batch' else 'losses'} {', '.join(f'{s:.1%}' for s in share)}")
    evidence = (
        f"Shares of classes with 20, 9, 0 and 3 of {len(batch)} images, the larger the surer: {'; '.join(said)}. While "
        "all images have the same loss both give equal shares; the tables here are made with the first."
    )
    return Judgement(equal[0] if equal[0] == equal[1] else None, evidence)


def of(subset: str) -> list[Claim]:
    """The sentences, asked about a subset's three networks."""
    claim = claims.of(LOSS_BALANCE.id)
    whole: list[Column] = [(subset, network, "all") for network in NETWORKS]
    rare: list[Column] = [(subset, network, split) for network in NETWORKS for split in ("minority1", "minority2")]
    over = [("oversampling", "loss_equalised")]
    cost = judges.above(over, [()], ("images", "seconds"))
    fit = judges.above(over, [()], ("gap",))
    return [
        claim("LE improves the accuracy", judges.above(judges.against("loss_equalised", _RIVALS), whole)),
        claim("LE helps the rarest classes", judges.above([("loss_equalised", "ce")], rare, ("f1",), most)),
        claim("LE costs less than over-sampling", judges.needs("images", "number of images or seconds", cost)),
        claim("LE avoids the overfitting of over-sampling", judges.needs("gap", "accuracy on training images", fit)),
        claim("Each class has the same total loss", balanced, of_data=False),
    ]
