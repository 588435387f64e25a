"""The bibliography: whole, readable by others, and every source that the package names is in it.

``python tests/published/test_references.py`` writes the bibliography into ``CITATION.cff``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ltlib import losses, mixing, models, published, recipes
from ltlib.batches import draws
from ltlib.datasets import resampling
from ltlib.datasets.base import DATASETS
from ltlib.errors import DataError, UnknownName
from ltlib.methods import METHODS
from ltlib.methods.finishes import FINISHES
from ltlib.models.classifiers import CLASSIFIERS
from ltlib.published import references

ROOT = Path(__file__).parents[2]
REGISTRIES: dict[str, Any] = {
    "method": METHODS,
    "loss": losses.LOSSES,
    "model": models.MODELS,
    "classifier": CLASSIFIERS,
    "finish": FINISHES,
    "sampler": draws.SAMPLERS,
    "mixing": mixing.MIXINGS,
    "resampling": resampling.RESAMPLERS,
    "recipe": recipes.RECIPES,
    "optimizer": recipes.OPTIMIZERS,
    "average": recipes.AVERAGES,
    "data set": DATASETS,
}
KINDS = {"article": "article", "inproceedings": "conference-paper", "book": "book", "mastersthesis": "thesis"}
CITATION = re.compile(r"(?:van der )?([A-Z][\w'-]+) (et al\.|and [A-Z][\w'-]+),? \(?((?:19|20)\d\d)")


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_component_names_a_source_that_is_in_the_bibliography(kind: str):
    bare = [entry.name for entry in REGISTRIES[kind] if not (entry.own or references.cited(entry.source))]
    assert bare == (["folder:PATH", "csv:FILE"] if kind == "data set" else [])  # the reader's own images


def test_every_document_has_an_entry_under_its_id():
    assert [entry.key for entry in references.bibliography()[:5]] == published.documents()
    for document in published.documents():
        assert references.get(document).short == document


def test_a_source_in_words_leads_to_its_entries_in_order_and_only_to_them():
    def keys(text: str) -> list[str]:
        return [entry.key for entry in references.cited(text)]

    assert keys("Lin et al. 2017, Eq. 5; convergent Eq. 4") == ["lin2017", "convergent"]
    assert keys("awabs Table 4.1; Kang et al. 2020; Kang et al. 2021") == ["awabs", "kang2020", "kang2021"]
    assert keys("github.com/Bish-Soli/MQP, March 2024") == ["convergent"]
    assert keys("code of classifier-balancing") == ["kang2020"]
    assert keys("He et al. 2016b; He et al. 2016, Table 1") == ["he2016b", "he2016"]
    assert keys("cefl2 section II, Lin et al. 2018, my_awabs") == []
    assert (
        "".join(text for text, _ in references.pieces("Lin et al. 2017, Eq. 5; ours")) == "Lin et al. 2017, Eq. 5; ours"
    )


def test_every_work_that_code_and_notebooks_cite_by_name_and_year_has_an_entry():
    known = {entry.short for entry in references.bibliography()}
    known |= {short.replace(",", "") for short in known}
    paths = [*(ROOT / "ltlib").rglob("*.py"), *(ROOT / "notebooks").rglob("*.ipynb"), ROOT / "README.md"]
    found = {}
    for path in paths:
        text = " ".join(path.read_text(encoding="utf-8").split())
        for first, others, year in CITATION.findall(text):
            found.setdefault(f"{first} {others} {year}", path.relative_to(ROOT).as_posix())
    missing = {cited: place for cited, place in found.items() if cited not in known}
    documents = {"Huang et al. 2019": "loss_balance", "Wang et al. 2020": "cefl"}  # documents are called by their ids
    assert {cited for cited in missing if cited not in documents} == set(), missing
    assert len(found) > 40


def test_no_two_works_are_cited_alike():
    shorts = [entry.short for entry in references.bibliography()]
    assert len(set(shorts)) == len(shorts)


def test_entries_are_whole():
    for entry in references.bibliography():
        assert entry.title
        assert entry.venue
        assert entry.people or entry.key in ("awabs", "ofbd")
        assert re.fullmatch(r"\d{4}", entry.year) or entry.key in ("awabs", "butterfly", "mushrooms", "ofbd")
        if "eprint" in entry.fields:
            assert re.fullmatch(r"\d{4}\.\d{4,5}", entry.fields["eprint"])
        if "doi" in entry.fields:
            assert entry.fields["doi"].startswith("10.")


def test_arxiv_numbers_in_docstrings_are_those_of_the_bibliography():
    known = {entry.fields["eprint"] for entry in references.bibliography() if "eprint" in entry.fields}
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "ltlib").rglob("*.py"))
    assert set(re.findall(r"arXiv\s(\d{4}\.\d{4,5})", text)) <= known


def test_an_entry_as_people_read_it():
    entry = references.parse(
        "@article{x,\n  author = {de Vries, Ada and Li, Bo and Chen, Cy},\n  title = {On {Tails}},\n  year = {2019},\n"
        "  journal = {J},\n  volume = {4},\n  number = {2},\n  pages = {1-9},\n  eprint = {1901.00001},\n}\n"
    )[0]
    assert entry.authors == "Ada de Vries, Bo Li and Cy Chen"
    assert entry.short == "Vries et al. 2019"
    assert entry.venue == "J 4(2), 1-9"
    assert entry.link == "https://arxiv.org/abs/1901.00001"
    assert entry.title == "On {Tails}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("@misc{a,\n  title = {A},\n}\nstray\n", "at 'stray'"),
        ("@misc{a,\n  title = {A}\n}\n", "at '@misc{a,'"),
        ("@misc{a,\n  year = {2000},\n}\n", "entry a is there twice or has no title"),
        ("@misc{a,\n  title = {A},\n}\n\n@misc{a,\n  title = {B},\n}\n", "entry a is there twice"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, said: str):
    with pytest.raises(DataError, match=re.escape(said)):
        references.parse(text)
    with pytest.raises(UnknownName, match="did you mean lin2017"):
        references.get("lin2018")


def cff() -> list[dict[str, Any]]:
    """The bibliography as the ``references`` of a CITATION.cff."""
    found = []
    for entry in references.bibliography():
        people = [{"family-names": f, "given-names": g} if g else {"name": f} for f, g in entry.people]
        kind = KINDS.get(entry.kind, "report" if entry.kind == "techreport" else "generic")
        own: dict[str, Any] = {"type": kind, "title": entry.title}
        own["authors"] = people or [{"name": "not named in the copy read"}]
        own |= {"year": int(entry.year)} if entry.year else {}
        for name, field in (("journal", "journal"), ("collection-title", "booktitle"), ("doi", "doi")):
            own |= {name: entry.fields[field]} if field in entry.fields else {}
        found.append(own | ({"url": entry.link} if entry.link else {}))
    return found


def test_the_citation_file_names_the_whole_bibliography():
    import yaml

    said = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert said["references"] == cff()
    assert "Class Balanced Loss for Image Classification" in {own["title"] for own in said["references"]}


if __name__ == "__main__":
    import yaml

    path = ROOT / "CITATION.cff"
    head = path.read_text(encoding="utf-8").split("references:\n")[0]
    rest = yaml.safe_dump({"references": cff()}, sort_keys=False, allow_unicode=True, width=120)
    path.write_text(head + rest, encoding="utf-8")
