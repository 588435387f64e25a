"""papermill as a process of its own: ``python -m ltlib.pages.headless PREPARED EXECUTED OPTIONS...``.

jsonschema builds a grammar of addresses when it is imported, where the package of one is there: for most of the time
that papermill takes to start, and no notebook's schema asks for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable


def papermill() -> Callable[[], None]:
    """papermill's command line, imported."""
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    from papermill.cli import papermill as command_line

    return command_line


if __name__ == "__main__":
    papermill()()
