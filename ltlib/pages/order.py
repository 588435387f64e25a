"""The one reading order of the pages: of the README's list, the start page, the index, previous and next.

It follows from what notebooks declare. A page stands after those it comes after; among those that may come next, pages
outside a chapter come first, then the chapters in the order of the documents, and in a chapter the page with the
document's first table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from ltlib import profiles, published
from ltlib.errors import LtlibError, SettingError, UnknownName
from ltlib.pages import declared
from ltlib.pages.declared import Declared


def pages(root: Path | None = None, say: Callable[[str], None] = lambda line: None) -> list[Declared]:
    """Every page the notebooks under `root` (default: the checkout's) declare, in reading order.

    Args:
        root: Where the notebooks lie.
        say: Takes one line for each notebook that is left out.
    """
    return in_order(declared.all_pages(root, say))


def in_order(found: Sequence[Declared]) -> list[Declared]:
    """Pages in reading order.

    Raises:
        UnknownName: A page comes after a notebook that does not exist.
        SettingError: A circle; names its members.
    """
    known = {page.notebook for page in found} | {page.id for page in found}
    for page in found:
        for name in page.after:
            if name not in known:
                raise UnknownName(f"notebook that {page.id} comes after:", name, known)
    ordered: list[Declared] = []
    left = sorted(found, key=_place)
    while left:
        waiting = {name for page in left for name in (page.id, page.notebook)}
        ready = next((page for page in left if not waiting & set(page.after)), None)
        if ready is None:
            raise SettingError(f"these notebooks come after each other in a circle: {', '.join(p.id for p in left)}")
        ordered.append(ready)
        left.remove(ready)
    return ordered


def natural(text: str) -> list[tuple[int, int | str]]:
    """Sort key by which 5.9 stands before 5.10 and A.1 after both."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.findall(r"\d+|[A-Za-z]+", text)]


def _place(page: Declared) -> tuple[object, ...]:
    chapter = page.id.rpartition("/")[0]
    known = published.documents()
    rank = known.index(chapter) if chapter in known else len(known) if chapter else -1
    own = [natural(number) for number in page.tables if "/" not in number]
    return (rank, chapter, not own, min(own, default=[]), page.id)


def twin(page: Declared, ordered: Sequence[Declared], profile: str) -> Declared | None:
    """The earlier page of the same document that rests on the same runs in a profile, where two sets have one stand-in.

    Args:
        page: The page.
        ordered: All pages, in reading order.
        profile: The profile.
    """
    mine = _runs(page, profile)
    if not mine or page not in ordered:
        return None
    sets = _trained_on(page, profile)
    for other in ordered[: list(ordered).index(page)]:
        if other.document == page.document and _trained_on(other, profile) == sets and _runs(other, profile) == mine:
            return other
    return None


def _trained_on(page: Declared, profile: str) -> set[str]:
    return {profiles.dataset(name, profile) for name in page.datasets}


def _runs(page: Declared, profile: str) -> set[str]:
    try:
        return {experiment.run_id for experiment in declared.experiments([page], profile)}
    except LtlibError:  # a wrong grid is that page's trouble, and its state says so
        return set()
