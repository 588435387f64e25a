"""From data to the HTML of a page: figures, tables, claims, remarks. Pure functions; what they are given is escaped.

What is shown is self-contained, so an executed copy needs no other file.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltlib.errors import SettingError
from ltlib.pages import names, standing
from ltlib.pages.standing import Judgement

if TYPE_CHECKING:
    import pandas as pd

EMBED_SVG = 90_000
"""Bytes; a larger drawing is embedded as pixels, the SVG is linked."""
_PREVIEW_ROWS = 40
_PRINTED = {True: "yes", False: "no", None: "open"}


class Shown:
    """Something displayed: HTML for people, its text for terminals and plain-text readers."""

    def __init__(self, html: str, text: str, extra: Mapping[str, Any] | None = None):
        self.html, self.text, self.extra = html, text, dict(extra or {})

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {"text/html": self.html, "text/plain": self.text, **self.extra}

    def __repr__(self) -> str:
        return self.text


# --- figures and tables ----------------------------------------------------------------------------------------------


def links(addresses: Iterable[tuple[Path, str]]) -> str:
    """Saved files as links named by their endings, from pairs of a file and its address."""
    return " ".join(f'<a href="{escape(address)}">{path.suffix[1:].upper()}</a>' for path, address in addresses)


def stamp(profile: str, runs: Sequence[tuple[str, str]], fingerprints: Sequence[str]) -> str:
    """Where a figure or table comes from.

    Args:
        profile: The profile.
        runs: Ids of the runs, each with the address of its card.
        fingerprints: Of their data, different and sorted.
    """
    parts = [profile]
    shown = [f'<a href="{escape(address)}">{escape(run)}</a>' for run, address in runs[:3]]
    if shown:
        parts.append(f"runs {', '.join(shown)}{_more(runs, 3)}")
    if fingerprints:
        parts.append(f"data {', '.join(fingerprints[:2])}{_more(fingerprints, 2)}")
    return " · ".join(parts)


def _more(items: Sequence[Any], shown: int) -> str:
    return f" and {len(items) - shown} more" if len(items) > shown else ""


def frame(data: pd.DataFrame) -> str:
    """A frame as a table."""
    from ltlib.tables import exports

    return exports.to_html(data)


def table(
    number: str, caption: str, data: pd.DataFrame, verdicts: Mapping[str, int], stamp: str, card: Callable[[str], str]
) -> Shown:
    """A numbered table.

    Args:
        number: Its number.
        caption: What it shows.
        data: Its rows; those of a comparison have verdicts.
        verdicts: How many cells have which; empty for any other frame.
        stamp: Where it comes from, as HTML.
        card: From a run's id to the address of its card.
    """
    from ltlib.tables import exports

    name = names.label("table", number)
    counts = ", ".join(f"{n} {verdict}" for verdict, n in verdicts.items())
    body = exports.to_html(data, link=card)
    legend = f'<span class="lt-legend">{exports.legend(data)}</span>' if verdicts else ""
    return Shown(
        f'<figure class="lt-table" id="{names.slug("table", number)}"><figcaption><b>{escape(name)}</b> '
        f"{escape(caption)}{f'. {counts}.' if counts else ''} "
        f'{legend}<span class="lt-stamp">{stamp}</span></figcaption>'
        f'<div class="lt-scroll" tabindex="0" role="region" aria-label="{escape(name)}">{body}</div>'
        f"{_without_verdict(data) if verdicts else ''}</figure>",
        f"{name} {caption}. {counts}\n{data.to_string(max_rows=20, max_cols=8)}",
    )


def sentences(name: str, caption: str, data: pd.DataFrame) -> Shown:
    """A table of sentences: its cells wrap and read from the left, the first of a row names it.

    Args:
        name: What it is called.
        caption: What it shows.
        data: Its cells, each as text.
    """
    cell = 'style="white-space:normal;text-align:left;max-width:58ch;vertical-align:top"'
    heads = "".join(f'<th scope="col" {cell}>{escape(str(column))}</th>' for column in data.columns)
    rows = ""
    for first, *rest in data.itertuples(index=False, name=None):
        cells = "".join(f"<td {cell}>{escape(str(value))}</td>" for value in rest)
        rows += f'<tr><th scope="row" {cell}>{escape(str(first))}</th>{cells}</tr>'
    return Shown(
        f'<figure class="lt-table" id="{names.slug("table", name)}"><figcaption><b>{escape(name)}</b> '
        f'{escape(caption)}</figcaption><div class="lt-scroll" tabindex="0" role="region" aria-label="{escape(name)}">'
        f'<table class="ltlib plain"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></figure>',
        f"{name} {caption}\n{data.to_string(index=False)}",
    )


def _without_verdict(comparison: pd.DataFrame) -> str:
    """Why cells of a comparison are not comparable or not run, each reason once."""
    from ltlib.tables.verdicts import UNJUDGED

    unjudged = comparison["verdict"].isin(UNJUDGED)
    counts = comparison.loc[unjudged, "reason"].value_counts()
    items = [f"<li>{n} {'cell' if n == 1 else 'cells'}: {escape(str(reason))}</li>" for reason, n in counts.items()]
    if not items:
        return ""
    head = "<summary>Cells without a verdict, and why</summary>"
    return f'<details class="lt-data">{head}<ul>{"".join(items)}</ul></details>'


def figure(number: str, source: str, alt: str, caption: str, stamp: str, data: pd.DataFrame | None) -> Shown:
    """A numbered figure.

    Args:
        number: Its number, or a name of our own.
        source: Address of the picture, as `embedded` gives it.
        alt: The finding in words.
        caption: Text under the figure.
        stamp: Where it comes from, as HTML.
        data: The numbers it shows, of which the first rows are folded under it.
    """
    name = names.label("figure", number)
    below = ""
    if data is not None:
        note = f"<p>First {_PREVIEW_ROWS} of {len(data)} rows.</p>" if len(data) > _PREVIEW_ROWS else ""
        below = (
            f'<details class="lt-data"><summary>Data of {escape(name)}</summary>{note}'
            f'<div class="lt-scroll" tabindex="0">{frame(data.head(_PREVIEW_ROWS))}</div></details>'
        )
    return Shown(
        f'<figure class="lt-figure" id="{names.slug("figure", number)}">'
        f'<div class="lt-picture" tabindex="0"><img src="{source}" alt="{escape(alt)}"></div>'
        f"<figcaption><b>{escape(name)}.</b> {escape(caption)} "
        f'<span class="lt-stamp">{stamp}</span></figcaption>{below}</figure>',
        f"{name}. {caption} [{alt}]",
    )


def embedded(stem: Path) -> str:
    """The saved figure as a data address: the drawing where it is small, else the pixels."""
    svg, png = stem.with_suffix(".svg"), stem.with_suffix(".png")
    for path, kind in ((svg, "svg+xml"), (png, "png")):
        if path.is_file() and (path is png or path.stat().st_size <= EMBED_SVG or not png.is_file()):
            return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
    raise SettingError(f"nothing was saved at {stem}")


def missing(items: Sequence[tuple[str, str]], reason: str, command: str | None) -> Shown:
    """One box for tables and figures that are not here.

    Args:
        items: Each one's kind and number.
        reason: Why, in one sentence.
        command: What would fill it.
    """
    parts = []
    for kind in dict.fromkeys(kind for kind, _ in items):
        numbers = [number for own, number in items if own == kind]
        plain = [number for number in numbers if names.label(kind, number) != number]
        plural = kind.capitalize() + "s" * (len(plain) > 1)
        parts += [f"{plural} {names.ranges(plain)}"] if plain else []
        parts += [number for number in numbers if number not in plain]
    name = f"{', '.join(parts)} {'is' if len(items) == 1 else 'are'} not here:"
    how = f" <code>{escape(command)}</code>" if command else ""
    marks = "".join(f'<span id="{names.slug(*item)}"></span>' for item in items)
    return Shown(
        f'<figure class="lt-missing">{marks}<b>{escape(name)}</b> {escape(reason)}{how}</figure>',
        f"{name} {reason} {command or ''}".rstrip(),
    )


def left_out(grid: str, profile: str, reasons: Sequence[str]) -> Shown:
    """How much of a grid a profile does not train, and why."""
    different = list(dict.fromkeys(reasons))
    more = f"; and {len(different) - 3} other reasons" if len(different) > 3 else ""
    return note(f"{len(reasons)} of {grid} not in {profile}: {'; '.join(different[:3])}{more}.")


def failures(grid: str, reasons: Mapping[str, str]) -> list[Shown]:
    """The runs of a grid that are not here, by id with the reason: a remark for each reason."""
    remarks = []
    for reason in dict.fromkeys(reasons.values()):
        failed = [run_id for run_id, own in reasons.items() if own == reason]
        name = "Run" if len(failed) == 1 else "Runs"
        remarks.append(note(f"{name} {', '.join(failed[:3])}{_more(failed, 3)} of {grid} not here: {reason}"))
    return remarks


# --- folds -----------------------------------------------------------------------------------------------------------


def fold(summary: str, shown: Sequence[Shown]) -> Shown:
    """Things shown under one line that opens them, with the mouse, with Enter and by a link to what is inside."""
    inside = "\n".join(item.html for item in shown)
    extra = {kind: value for item in shown for kind, value in item.extra.items()}
    text = "\n".join([summary, *(item.text for item in shown)])
    return Shown(f'<details class="lt-fold"><summary>{escape(summary)}</summary>\n{inside}\n</details>', text, extra)


# --- words -----------------------------------------------------------------------------------------------------------


def say(text: str) -> Shown:
    """A paragraph."""
    return Shown(f'<p class="lt-say">{escape(text)}</p>', text)


def command(text: str, code: str) -> Shown:
    """A paragraph and the command it speaks of, which wraps where it is long."""
    shown = f'<p class="lt-say">{escape(text)}</p><pre class="lt-command"><code>{escape(code)}</code></pre>'
    return Shown(shown, f"{text}\n\n{code}")


def note(text: str, extra: Mapping[str, Any] | None = None) -> Shown:
    """A remark."""
    return Shown(f'<p class="lt-note">{escape(text)}</p>', text, extra)


def notes(told: Sequence[tuple[str, str]], again: Sequence[tuple[str, str]] = ()) -> Shown:
    """What a close reading of the source found, folded.

    Args:
        told: Anchor and text of each point.
        again: Address and place of each that is told elsewhere; places are drawn together.
    """
    places: dict[str, list[str]] = {}
    for address, place in again:
        places.setdefault(place, []).append(address)
    said = []
    for place, own in places.items():
        marks = ", ".join(f'<a href="{escape(a)}">{escape(a.rpartition("-")[2])}</a>' for a in own)
        said.append(f"{escape(place)} ({'point' if len(own) == 1 else 'points'} {marks})")
    below = f"{'More ' if told else ''}{' and '.join(said)}."
    if not told:
        html = f'<aside class="lt-notes"><b>The source, read closely:</b> {below}</aside>'
        lines = ["The source, read closely:"]
    else:
        head = f"The source, read closely: {len(told)} remark{'s' * (len(told) != 1)}"
        items = "".join(f'<li id="{escape(anchor)}">{escape(text)}</li>' for anchor, text in told)
        more = f"<p>{below}</p>" if said else ""
        html = f'<details class="lt-notes"><summary>{head}</summary><ul>{items}</ul>{more}</details>'
        lines = [head, *(f"- {text}" for _, text in told)]
    lines += [f"- {place}: {len(own)} more" for place, own in places.items()]
    return Shown(html, "\n".join(lines))


def claim(
    text: str,
    source: str,
    ours: Judgement,
    printed: Judgement | None = None,
    profile: str | None = None,
    rule: str = "",
) -> Shown:
    """A judged sentence of a document.

    Args:
        text: What the document claims.
        source: Where.
        ours: Our answer.
        printed: What the document's own numbers say of the sentence.
        profile: The profile our answer is confined to, or None where it is not.
        rule: How the sentence is read and judged.
    """
    word = standing.words(ours.answer, ours.runs)
    kind = standing.KINDS[standing.kind(ours.answer, ours.runs)]
    if ours.answer is not None and profile is not None:
        word = f"{word} in {profile}"
    word += standing.shared(ours.share)
    lines = [(f"Ours: {word}" if printed else word, kind, ours.evidence)]
    if printed:
        said = f"Its own numbers: {standing.PRINTED[printed.answer]}{standing.shared(printed.share)}"
        lines.insert(0, (said, _PRINTED[printed.answer], printed.evidence))
    body = f'<p class="lt-rule">{escape(rule)}</p>' if rule else ""
    body += "".join(f'<p><span class="lt-chip lt-{k}">{escape(w)}</span> {escape(e)}</p>' for w, k, e in lines)
    plainly = "\n".join([*([rule] if rule else []), *(f"{w}: {e}" for w, _, e in lines)])
    return Shown(
        f'<aside class="lt-claim lt-{kind}"><p>“{escape(text)}” <cite>{escape(source)}</cite></p>{body}</aside>',
        f"Claim ({source}): {text}\n{plainly}",
    )


def machine_card(rows: Mapping[str, str], css: str) -> Shown:
    """What a page is made with, under the styles that all of its cells use."""
    items = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in rows.items())
    return Shown(
        f"<style data-lt>{css}</style>"
        f'<details class="lt-machine"><summary>Machine, software and what this profile costs</summary>'
        f"<dl>{items}</dl></details>",
        "\n".join(f"{key}: {value}" for key, value in rows.items()),
    )
