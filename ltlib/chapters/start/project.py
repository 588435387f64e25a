"""What the workbook is made of: documents, notebooks in their order, and what its three sizes cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from ltlib import datasets, profiles, progress, published
from ltlib.labels import label
from ltlib.pages import declared, names
from ltlib.published import references

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page

_DAY = 86_400


def documents(pages: Sequence[declared.Declared]) -> pd.DataFrame:
    """The documents: what each is, what it prints, and how much of it a notebook regenerates.

    A page may draw another document's figure, declared as ``cefl/3``.
    """
    import pandas as pd

    rows = []
    for document in published.documents():
        tables, figures = published.tables(document), list(published.figures(document)["figure"])
        done = len(_own(document, ((page.document, page.tables) for page in pages)) & set(tables))
        drawn = len(_own(document, ((page.document, page.figures) for page in pages)) & set(figures))
        cells = f"{len(published.results(document)):,}"
        rows.append([document, _titled(document), cells, f"{done} of {len(tables)}", f"{drawn} of {len(figures)}"])
    return pd.DataFrame(rows, columns=["document", "what it is", "printed numbers", "tables here", "figures here"])


def _titled(document: str) -> str:
    """Title, authors, year, and what it is in our words."""
    entry = references.get(document)
    people = entry.people[0][0] + (" et al." if len(entry.people) > 2 else "") if entry.people else "author not named"
    return f"{entry.title} ({', '.join(filter(None, [people, entry.year]))}): {published.title(document)}"


def _own(document: str, declared_: Iterable[tuple[str | None, Sequence[str]]]) -> set[str]:
    """The document's numbers among what pages declare, each page with the document of its bare numbers."""
    found = set()
    for home, numbers in declared_:
        for number in numbers:
            other, _, own = number.rpartition("/")
            if (other or home) == document:
                found.add(own)
    return found


def notebook_map(page: Page, pages: Sequence[declared.Declared]) -> str:
    """The pages in reading order as an HTML list with relative links, and the index."""
    items = []
    for other in pages:
        target = page.link(page.root / f"{other.id}.html")
        what = [("tables", other.tables), ("figures", other.figures)]
        parts = [f"{word} {names.ranges(numbers)}" for word, numbers in what if numbers]
        source = f" Of {other.document}: {', '.join(parts)}." if other.document and parts else ""
        name = f'<a href="{escape(target)}">{escape(other.title)}</a>'
        items.append(f"<li>{name} <code>{escape(other.id)}</code><br>{escape(other.question + source)}</li>")
    index = escape(page.link(page.root / "index.html"))
    tail = f'<p>The state of every page, all verdicts and a gallery: <a href="{index}">index</a>.</p>'
    return f"<ol>{''.join(items)}</ol>{tail}"


def map_text(pages: Sequence[declared.Declared]) -> str:
    """The same for terminals."""
    return "\n".join(f"{page.id}: {page.title}" for page in pages)


def span(seconds: float) -> str:
    """A span of time that may be months: ``2 min 05 s``, ``12 days``."""
    return f"{seconds / _DAY:,.0f} days" if seconds > 3 * _DAY else progress.duration(seconds)


def costs(pages: Sequence[declared.Declared]) -> pd.DataFrame:
    """What each profile trains for these pages, and how long that takes one process on this machine."""
    import pandas as pd

    from ltlib.runs import cost, sweep

    rows = []
    for profile in profiles.PROFILES.values():
        wanted = declared.experiments(pages, profile.name)
        left = sweep.missing(wanted)
        sets = {experiment.dataset for experiment in wanted}
        absent = sorted(label(name) for name in sets if not datasets.available(name))
        times = [span(seconds) if seconds else "nothing" for seconds in cost.estimates(wanted, left)]
        here = f"missing: {', '.join(absent)}" if absent else "all here"
        rows.append([profile.name, profile.seeds, len(wanted), len(wanted) - len(left), *times, here])
    columns = ["profile", "seeds a cell", "runs", "finished", "all of it takes", "what is left takes", "images"]
    return pd.DataFrame(rows, columns=columns)


def summaries() -> pd.DataFrame:
    """What each profile is good for."""
    import pandas as pd

    rows = [[p.name, p.summary] for p in profiles.PROFILES.values()]
    return pd.DataFrame(rows, columns=["profile", "what it is good for"])


def cost_sentence() -> str:
    """What the estimate counts."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "one CPU thread"
    return (
        f"Estimated for {device} from a probe of a second, without early stopping; real runs are often shorter. "
        "Finished runs are loaded and never trained again."
    )
