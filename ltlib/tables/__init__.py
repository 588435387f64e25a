"""The documents' tables with our numbers beside theirs, and tables in files: CSV, Markdown, LaTeX, HTML.

ltlib.tables.compare(runs, "cefl", "2")  # published, reproduced, difference, runs, interval, verdict
"""

from ltlib.tables.comparison import Wanted, cell_key, compare, compare_cells, measured
from ltlib.tables.exports import pivot, save, to_csv, to_html, to_latex, to_markdown

__all__ = [
    "Wanted",
    "cell_key",
    "compare",
    "compare_cells",
    "measured",
    "pivot",
    "save",
    "to_csv",
    "to_html",
    "to_latex",
    "to_markdown",
]
