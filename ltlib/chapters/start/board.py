"""The scoreboard on a page: the best of each method on the first board, every training of every board in a fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ltlib.pages.page import Page
    from ltlib.tables.scoreboard import Board


def show(page: Page, boards: Sequence[Board]) -> None:
    """Show boards of `ltlib.tables.scoreboard`: one screen, the rest folded."""
    if boards:
        first = boards[0]
        caption = f"board {first.letter}: {first.title}; the most accurate training of each method at the last epoch"
        page.frame("Scoreboard", first.best(), caption)
    page.note(sentence(boards))
    if boards:
        with page.fold(f"All {sum(len(board.rows) for board in boards)} trainings, board by board"):
            for board in boards:
                page.sentences(f"Board {board.letter}", board.all(), board.title)  # methods with their settings wrap


def sentence(boards: Sequence[Board]) -> str:
    """How many runs the boards have and which can be compared."""
    if not boards:
        return "No run is finished here yet and none is committed. Train the quick ones with: ltlib reproduce"
    runs = sum(int(n) for board in boards for n in board.rows["n"])
    trainings = sum(len(board.rows) for board in boards)
    text = (
        f"{runs} finished {'run' if runs == 1 else 'runs'} of {trainings} trainings (n: runs that differ in seeds only)"
    )
    rivals = [board.letter for board in boards if len(board.rows) > 1]
    if not rivals:
        return f"{text}. No two of them share images, network and recipe, so no row here can be compared with another."
    most = boards[0].best()["best of"].astype(int).max()
    chosen = f" A best is chosen on the test set, of up to {most} settings, which flatters it." if most > 1 else ""
    word = "board" if len(rivals) == 1 else "boards"
    return f"{text}. Compare rows of one board only; rivals stand on {word} {', '.join(rivals)}.{chosen}"
