"""A table as CSV, Markdown, LaTeX and HTML, from one tidy frame.

A comparison (a frame of `tables.compare`) is laid out as its document does: methods down, metrics across, and in each
cell ``published | ours | difference | verdict``, ours as mean ± standard deviation, in percent or fractions as printed.
The best of each column is bold, the second underlined, the document's and ours separately, and ours only where the
runs tell them apart. What is not comparable has no difference. CSV stays tidy, with ids and full precision. Any other
frame is written as it stands. Text from outside is escaped for each format.
"""

from __future__ import annotations

import csv
import html
import io
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ltlib.files import csv_text, write_text
from ltlib.tables.layout import Layout, Record, is_comparison, layout, spans
from ltlib.tables.verdicts import MARKS, UNJUDGED

if TYPE_CHECKING:
    import pandas as pd

_NUMBER = re.compile(r"[-+−–]?[\d.,]*\d(\s?[%x×]|\s(s|ms|min|MB|GB))?|[-–]|")
"""A number with its unit, a dash for none, or nothing: what stands right-aligned in a table."""
_LONG = 40
"""Characters from which a table's text wraps."""
_LATEX_MARKS = {
    "reproduced": "$=$",
    "inconclusive": r"$\sim$",
    "above": r"$\uparrow$",
    "below": r"$\downarrow$",
    "not comparable": r"$\neq$",
    "not run": "--",
}


def pivot(frame: pd.DataFrame) -> pd.DataFrame:
    """A comparison in its document's own layout, each cell ``published | ours | difference | verdict``, as texts."""
    import pandas as pd

    shape = layout(frame)
    index = pd.MultiIndex.from_tuples(shape.rows, names=shape.row_names)
    texts = [["; ".join(_text(r) for r in shape.cells.get((row, c), [])) for c in shape.columns] for row in shape.rows]
    return pd.DataFrame(texts, index=index, columns=pd.MultiIndex.from_tuples(shape.columns))


def to_csv(frame: pd.DataFrame) -> str:
    """The tidy frame with full precision. A text that a spreadsheet would run as a formula gets an apostrophe."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([_csv_value(name) for name in frame.columns])
    for values in frame.itertuples(index=False, name=None):
        writer.writerow([_csv_value(value) for value in values])
    return stream.getvalue()


def to_markdown(frame: pd.DataFrame, caption: str = "") -> str:
    """A GitHub-flavoured table; best in bold, second underlined."""
    if not is_comparison(frame):
        head, body = [str(name) for name in frame.columns], _plain_rows(frame)
        rows = [[_markdown(text) for text in row] for row in body]
        header = [_markdown(text) for text in head]
    else:
        shape = layout(frame)
        header = [_markdown(name) for name in shape.row_names] + [_markdown(" / ".join(c)) for c in shape.columns]
        rows = _body(shape, {1: "**{}**", 2: "<u>{}</u>"}, _markdown, r" \| ", MARKS)
    lines = [header, ["---"] * len(header), *rows]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
    return (f"{_markdown(caption)}\n\n" if caption else "") + table


def to_latex(frame: pd.DataFrame, caption: str = "") -> str:
    """A booktabs tabular; best in bold, second underlined, a legend of the verdict signs below."""
    if not is_comparison(frame):
        header = [[_latex(str(name)) for name in frame.columns]]
        rows = [[_latex(text) for text in row] for row in _plain_rows(frame)]
        legend, left = "", len(frame.columns)
    else:
        shape = layout(frame)
        left = len(shape.row_names)
        header = []
        for level in range(len(shape.columns[0])):
            names = [_latex(n) for n in shape.row_names] if level == len(shape.columns[0]) - 1 else [""] * left
            for text, span in spans(shape, level):
                names.append(f"\\multicolumn{{{span}}}{{l}}{{{_latex(text)}}}" if span > 1 else _latex(text))
            header.append(names)
        rows = _body(shape, {1: r"\textbf{{{}}}", 2: r"\underline{{{}}}"}, _latex, r" $\mid$ ", _LATEX_MARKS)
        legend = "\\par\\smallskip\\footnotesize published $\\mid$ ours, mean $\\pm$ standard deviation (runs) $\\mid$ "
        signs = ", ".join(f"{sign} {name}" for name, sign in _LATEX_MARKS.items())
        legend += f"difference $\\mid$ verdict: {signs}\n"
        left += len(shape.columns)
    parts = [f"% needs booktabs\n\\begin{{tabular}}{{{'l' * left}}}", "\\toprule"]
    parts += [" & ".join(line) + r" \\" for line in header] + ["\\midrule"]
    parts += [" & ".join(row) + r" \\" for row in rows] + ["\\bottomrule", "\\end{tabular}"]
    title = f"\\begin{{center}}{_latex(caption)}\\end{{center}}\n" if caption else ""
    return title + "\n".join(parts) + "\n" + legend


def to_html(frame: pd.DataFrame, caption: str = "", link: Callable[[str], str] | None = None) -> str:
    """A table that a screen reader can walk: caption, scopes, the verdict as words and as a class; no script or style.

    Args:
        frame: A comparison or any other frame.
        caption: What the table shows.
        link: Address of a run's card, from the run's id; each cell then links to its runs.
    """
    kind = "comparison" if is_comparison(frame) else "plain"
    lines = [f'<table class="ltlib {kind}">']
    if caption:
        lines.append(f"<caption>{html.escape(caption)}</caption>")
    if kind == "plain":
        classes = [_column_class(frame.iloc[:, i]) for i in range(frame.shape[1])]
        heads = "".join(
            f'<th scope="col"{own}>{html.escape(str(name))}</th>'
            for name, own in zip(frame.columns, classes, strict=True)
        )
        lines += ["<thead>", f"<tr>{heads}</tr>", "</thead>", "<tbody>"]
        for values in _plain_rows(frame):
            first = f'<th scope="row">{html.escape(values[0])}</th>' if values else ""
            rest = (f"<td{own}>{html.escape(text)}</td>" for text, own in zip(values[1:], classes[1:], strict=True))
            lines.append(f"<tr>{first}{''.join(rest)}</tr>")
        return "\n".join([*lines, "</tbody>", "</table>"]) + "\n"
    shape = layout(frame)
    lines.append("<thead>")
    levels = len(shape.columns[0])
    for level in range(levels):
        names = shape.row_names if level == levels - 1 else ()
        heads = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
        if not names:
            heads = f'<td colspan="{len(shape.row_names)}"></td>'
        for text, span in spans(shape, level):
            scope = f'scope="colgroup" colspan="{span}"' if span > 1 else 'scope="col"'
            heads += f"<th {scope}>{html.escape(text)}</th>"
        lines.append(f"<tr>{heads}</tr>")
    lines += ["</thead>", "<tbody>"]
    for row in shape.rows:
        cells = "".join(f'<th scope="row">{html.escape(part)}</th>' for part in row)
        for column in shape.columns:
            records = shape.cells.get((row, column), [])
            kinds = " ".join(dict.fromkeys("verdict-" + r["verdict"].replace(" ", "-") for r in records))
            inner = "; ".join(_html_cell(record, shape, link) for record in records)
            cells += f'<td class="{kinds}">{inner}</td>' if records else "<td></td>"
        lines.append(f"<tr>{cells}</tr>")
    return "\n".join([*lines, "</tbody>", "</table>"]) + "\n"


def legend(frame: pd.DataFrame) -> str:
    """How to read the cells of a comparison as `to_html` writes them, as HTML: only what occurs in them."""
    parts = []
    if frame["n"].gt(0).any():
        judged = not frame["verdict"].isin(UNJUDGED).all()
        parts.append(f"A cell: printed │ ours (runs){', difference and verdict' if judged else ''}.")
    found = set(frame["verdict"])
    parts += [f"{MARKS[name].replace(' ', ': ', 1)}." for name in UNJUDGED if name in found]
    ranked = set(layout(frame).ranks.values())
    if ranked:
        second = ", <u>underlined</u>: the second" if 2 in ranked else ""
        own = "; ours, where the runs tell them apart" if frame["n"].gt(0).any() else ""
        parts.append(f"<b>Bold</b>: the best of its column{second}{own}.")
    return " ".join(parts)


def save(frame: pd.DataFrame, stem: Path, caption: str = "") -> list[Path]:
    """Write ``stem.csv``, ``.md``, ``.tex`` and ``.html``, each whole or not at all; a dot in the stem stays."""
    stem = Path(stem)
    texts = {
        "csv": to_csv(frame),
        "md": to_markdown(frame, caption),
        "tex": to_latex(frame, caption),
        "html": to_html(frame, caption),
    }
    paths = []
    for suffix, text in texts.items():
        path = stem.parent / f"{stem.name}.{suffix}"
        write_text(path, text)
        paths.append(path)
    return paths


def _numbers(record: Record) -> tuple[str, str, str]:
    """Published as printed, ours as mean ± std (n), and the difference, all in the document's unit."""
    scale = 100 if record["unit"] == "percent" else 1
    digits = min(len(str(record["printed"]).partition(".")[2]), 2 if scale == 100 else 4)
    if record["n"] == 0:
        return str(record["printed"]), "", ""
    comparable = record["verdict"] != "not comparable"
    spread = f" ± {record['std'] * scale:.{digits}f}" if record["n"] > 1 else ""
    ours = f"{record['reproduced'] * scale:.{digits}f}{spread} ({record['n']})"
    return str(record["printed"]), ours, f"{record['delta'] * scale:+.{digits}f}" if comparable else ""


def _body(
    shape: Layout, styles: Mapping[int, str], escape: Callable[[str], str], separator: str, marks: Mapping[str, str]
) -> list[list[str]]:
    """The rows of a layout as texts: labels, then one text per column."""
    lines = []
    for row in shape.rows:
        found = [shape.cells.get((row, column), []) for column in shape.columns]
        texts = ["; ".join(_text(r, shape, styles, escape, separator, marks) for r in records) for records in found]
        lines.append([escape(part) for part in row] + texts)
    return lines


def _text(
    record: Record,
    shape: Layout | None = None,
    styles: Mapping[int, str] = MappingProxyType({}),
    escape: Callable[[str], str] = str,
    separator: str = " | ",
    marks: Mapping[str, str] = MARKS,
) -> str:
    printed, ours, delta = (escape(part) for part in _numbers(record))
    mark = marks[record["verdict"]]
    if record["n"] == 1:
        mark += ", n = 1"
    if shape is not None:
        printed = styles.get(shape.ranks.get((id(record), "published"), 0), "{}").format(printed)
        ours = styles.get(shape.ranks.get((id(record), "reproduced"), 0), "{}").format(ours) if ours else ours
    return separator.join([printed, ours or escape("–"), delta or escape("–"), mark])


def _html_cell(record: Record, shape: Layout, link: Callable[[str], str] | None) -> str:
    printed, ours, delta = (html.escape(part) for part in _numbers(record))
    rank = {1: " best", 2: " second"}
    tags = {1: "<strong>{}</strong>", 2: "<u>{}</u>"}
    parts = []
    for name, text, column in (("published", printed, "published"), ("ours", ours, "reproduced"), ("delta", delta, "")):
        place = shape.ranks.get((id(record), column), 0)
        if text:
            parts.append(f'<span class="{name}{rank.get(place, "")}">{tags.get(place, "{}").format(text)}</span>')
    why = html.escape(record["reason"])
    if record["verdict"] in UNJUDGED:  # its sign alone: a word in most cells of a table hides the others
        sign, name = MARKS[record["verdict"]][0], record["verdict"]
        parts.append(f'<span class="sign" role="img" aria-label="{name}" title="{why}">{sign}</span>')
    else:
        mark = MARKS[record["verdict"]] + (", n = 1" if record["n"] == 1 else "")
        parts.append(f'<span class="mark" title="{why}">{html.escape(mark)}</span>')
    if link is not None:
        parts += [
            f'<a class="run" href="{html.escape(link(run))}" title="run {html.escape(run)}">run {i}</a>'
            for i, run in enumerate(record["run_ids"], 1)
        ]
    return " ".join(parts)


def _plain_rows(frame: pd.DataFrame) -> list[list[str]]:
    columns = [_plain_column(frame.iloc[:, i]) for i in range(frame.shape[1])]
    return [list(row) for row in zip(*columns, strict=True)]


def _plain_column(column: pd.Series) -> list[str]:
    """Numbers that need two decimals at most have the same of them all down a column: 72.80 above 73.55."""
    texts = [_plain(value) for value in column]
    if column.dtype != float:
        return texts
    places = max((len(text.partition(".")[2]) for text in texts), default=0)
    if places not in (1, 2) or any("e" in text or "," in text for text in texts):
        return texts
    return [text if text == "–" else f"{value:.{places}f}" for text, value in zip(texts, column, strict=True)]


def _column_class(column: pd.Series) -> str:
    """The class of a plain table's column: none for numbers, ``text`` for words, with ``long`` where they wrap."""
    words = [value for value in column if isinstance(value, str) and not _NUMBER.fullmatch(value)]
    if not words:
        return ""
    return f' class="text{" long" if max(map(len, words)) > _LONG else ""}"'


def _plain(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return " ".join(str(item) for item in value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
    return str(value)


def _csv_value(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        value = " ".join(str(item) for item in value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return repr(float(value))
    return csv_text(str(value))


def _markdown(text: str) -> str:
    text = " ".join(text.split())
    return re.sub(r"([\\`*_\[\]<>$|])", r"\\\1", text)


_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))
