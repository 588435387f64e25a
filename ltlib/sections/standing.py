"""What stands for a document's data, networks and imbalance factors in a profile: the first sentences of its pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ltlib import profiles
from ltlib.labels import label
from ltlib.sections.study import of, prose
from ltlib.sections.words import listed
from ltlib.tables.scores import CLOSE

if TYPE_CHECKING:
    from ltlib.pages.page import Page
    from ltlib.profiles import Profile


def standing(
    page: Page, datasets: Sequence[str], networks: Sequence[str], factor: float | None = None, judges: bool = False
) -> None:
    """Say what stands for what.

    Args:
        page: The page.
        datasets: The document's sets that the page is about.
        networks: Its networks, the one that others stand for first.
        factor: The one imbalance factor that is trained where a profile does not train all.
        judges: Whether the page judges claims, which a stand-in cannot answer: neither a set nor a network.
    """
    size = profiles.get(page.profile)
    if not size.stand_ins and not size.network:
        own = f"The document's own data and network{'s' * (len(networks) > 1)}"
        page.say(f"{own}; {size.seeds} runs a cell where all are made. Each cell says how many it rests on.")
        return
    text = [_data(size, datasets, networks), _network(size, networks)]
    if not size.stand_ins and factor is not None:
        assert page.declared.document is not None
        text.append(
            f"Of the imbalance factors only {factor:g} is trained, and the page's own comparisons are made on "
            f"{of(page.declared.document).where(page.profile)}. There is one run a cell: {too_close()}."
        )
    if judges:
        what = "data" if size.stand_ins else "networks"
        text.append(
            f"So nothing here can confirm or refute a claim about the document's {what}: “ours” is “cannot be told”, "
            "with what the stand-in gave beside it."
        )
    page.say(" ".join(part for part in text if part))


def _data(size: Profile, datasets: Sequence[str], networks: Sequence[str]) -> str:
    """What stands in for the sets, and which other sets it stands for too."""
    if not size.stand_ins:
        small = [f"{prose(name)} at {pixels} pixels" for name, pixels in size.pixels if name in datasets]
        return f"The images are the document's own{f', read smaller: {listed(small)}' if small else ''}."
    there = dict(size.stand_ins)
    own = listed(list(dict.fromkeys(prose(name) for name in datasets)))
    other = listed(list(dict.fromkeys(prose(there[name]) for name in datasets)))
    # photographs are trained on as they are, and so is what stands in for them
    cut = "" if set(datasets) <= set(profiles.PHOTOGRAPHS) else f", at imbalance factor {size.imbalance_factor:g},"
    text = (
        f"In this profile {other}{cut} stand in for {own}: the page shows how everything works and is read, and "
        f"nothing about {own}."
    )
    used = {there[name] for name in datasets}
    twins = [label(name) for name, stand_in in size.stand_ins if stand_in in used and name not in datasets]
    same = twins and len(datasets) == 1 and networks[0] not in dict(size.networks)
    return f"{text} The page of {listed(twins)} rests on the same runs." if same else text


def _network(size: Profile, networks: Sequence[str]) -> str:
    """What stands in for the networks."""
    first, *others = (label(name) for name in networks)
    if networks[0] in dict(size.networks) and size.small is None:
        return f"The network is {first} itself."
    if size.small is not None and networks[0] in dict(size.networks):
        small = size.small
        return (
            f"A small network of its kind stands in for {first}: at most {small.epochs} epochs, {small.images} images "
            f"enlarged to {small.pixels} pixels."
        )
    if networks[0] in profiles.PRETRAINED:
        return f"{first} is not trained in this profile: fine-tuning at 224 pixels is work for a GPU."
    text = f"{label(str(size.network))} with at most {size.epochs} epochs stands in for {first}"
    return f"{text}; the columns of {listed(others)} show the published numbers alone." if others else f"{text}."


def too_close() -> str:
    """What single runs cannot tell, as half a sentence."""
    return (
        f"accuracies less than {100 * CLOSE['accuracy']:g} point apart and calibration errors less than "
        f"{100 * CLOSE['ece']:g} points apart are not put in order"
    )
