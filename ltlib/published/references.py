"""The bibliography: documents, methods, networks, data sets and facts, each once, in ``data/references.bib``.

A component says where it comes from in words, ``register("focal", source="Lin et al. 2017, Eq. 5; convergent Eq. 4")``.
`cited` reads those words: an author and a year, a document's id or a repository's name each lead to an entry, so a
source is written once and nowhere mapped by hand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from ltlib.errors import DataError, UnknownName

_ENTRY = re.compile(r"^@(\w+)\{([\w-]+),\n((?:  \w+ = \{.*\},\n)*)\}$", re.MULTILINE)
_FIELD = re.compile(r"^  (\w+) = \{(.*)\},$", re.MULTILINE)
_VENUE = ("journal", "booktitle", "school", "institution", "publisher", "howpublished")


@dataclass(frozen=True)
class Reference:
    """One entry.

    Attributes:
        key: A document's id, else first author and year.
        kind: BibTeX's word, ``article``, ``inproceedings``, ...
        fields: The entry's fields as they are written.
    """

    key: str
    kind: str
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return self.fields["title"]

    @property
    def year(self) -> str:
        """Empty where the source does not say."""
        return self.fields.get("year", "")

    @property
    def people(self) -> list[tuple[str, str]]:
        """Family and given names; a name of one word has no given ones. Empty where no author is named."""
        names = self.fields.get("author", "").split(" and ") if "author" in self.fields else []
        return [(family, given) for family, _, given in (name.partition(", ") for name in names)]

    @property
    def authors(self) -> str:
        """As people write them: ``Tsung-Yi Lin, Priya Goyal and Ross Girshick``; empty where none is named."""
        whole = [f"{given} {family}".strip() for family, given in self.people]
        return " and ".join(filter(None, [", ".join(whole[:-1]), *whole[-1:]]))

    @property
    def short(self) -> str:
        """As a text cites it: ``Lin et al. 2017``, ``DeVries and Taylor 2017``, ``Bishop 2006``; a document's id.

        A key with a letter after the year, ``he2016b``, gives the letter: another work of the same people and year.
        """
        if self.key in _documents() or not self.year:
            return self.key
        names = [family.split()[-1] if family[0].islower() else family for family, _ in self.people]
        who = names[0] if len(names) == 1 else " and ".join(names) if len(names) == 2 else f"{names[0]} et al."
        letter = self.key[-1] if re.search(r"\d[a-z]$", self.key) else ""
        return f"{who} {self.year}{letter}"

    @property
    def venue(self) -> str:
        """Where it appeared, with volume and pages: ``IEEE Access 8, 81142-81153``."""
        text = next((self.fields[name] for name in _VENUE if name in self.fields), "")
        number = f"({self.fields['number']})" if "number" in self.fields else ""
        volume = f" {self.fields['volume']}{number}" if "volume" in self.fields else ""
        pages = f", {self.fields['pages']}" if "pages" in self.fields else ""
        return text + volume + pages

    @property
    def link(self) -> str:
        """Its address: DOI, arXiv, or what is given; empty where nothing is known for certain."""
        if "doi" in self.fields:
            return f"https://doi.org/{self.fields['doi']}"
        if "eprint" in self.fields:
            return f"https://arxiv.org/abs/{self.fields['eprint']}"
        return self.fields.get("url", self.fields.get("code", ""))


def parse(text: str) -> list[Reference]:
    """Read entries in the one form that is kept here: a field a line, in braces, with a comma.

    Raises:
        DataError: A line that has another form, a key twice, an entry without a title.
    """
    found = [Reference(key, kind, dict(_FIELD.findall(body))) for kind, key, body in _ENTRY.findall(text)]
    rest = [line for line in _ENTRY.sub("", text).splitlines() if line.strip()]
    if rest:
        raise DataError(f"the bibliography cannot be read at {rest[0]!r}; write one 'field = {{text}},' a line")
    keys = [entry.key for entry in found]
    for entry in found:
        if keys.count(entry.key) > 1 or "title" not in entry.fields:
            raise DataError(f"the bibliography's entry {entry.key} is there twice or has no title")
    return found


def text() -> str:
    """The bibliography as BibTeX."""
    return (resources.files("ltlib.published") / "data" / "references.bib").read_text(encoding="utf-8")


def bibliography() -> list[Reference]:
    """Every entry: the documents first, then in the file's order."""
    return list(_read().values())


def get(key: str) -> Reference:
    """The entry of that key.

    Raises:
        UnknownName: No such entry.
    """
    if key not in _read():
        raise UnknownName("reference", key, _read())
    return _read()[key]


def cited(source: str) -> list[Reference]:
    """The entries that a source in words names, in the order in which it names them.

    Args:
        source: Such as ``Zhong et al. 2021, section 3.4; awabs Table 4.1`` or ``github.com/Bish-Soli/MQP, March 2024``.
    """
    return [get(key) for key in dict.fromkeys(key for _, key in pieces(source) if key)]


def pieces(source: str) -> list[tuple[str, str]]:
    """A source in words, cut into what names an entry, with its key, and the words between, with none."""
    spans: list[tuple[int, int, str]] = []
    for entry in bibliography():
        names = [entry.short]
        if "code" in entry.fields:
            names += [entry.fields["code"].removeprefix("https://"), entry.fields["code"].rpartition("/")[2]]
        for name in names:
            hits = re.finditer(rf"(?<![\w/]){re.escape(name)}(?!\w)", source)
            spans += [(hit.start(), hit.end(), entry.key) for hit in hits]
    found, place = [], 0
    for start, end, key in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start >= place:
            found += [(source[place:start], ""), (source[start:end], key)]
            place = end
    return [(text, key) for text, key in [*found, (source[place:], "")] if text]


def _documents() -> list[str]:
    from ltlib import published

    return published.documents()


@cache
def _read() -> dict[str, Reference]:
    return {entry.key: entry for entry in parse(text())}
