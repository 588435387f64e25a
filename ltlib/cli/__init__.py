"""The command line: ``ltlib reproduce | train | compare | predict | list | runs | status | verify | data | ...``.

Each command is a frozen dataclass; its fields are the flags. A mistake of the user's ends in one sentence and an exit
code that is not 0; ``--debug`` shows the traceback.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import tyro

from ltlib import plugins
from ltlib.cli.checks import Data, Notebooks, Status, Verify
from ltlib.cli.compare import Compare, Predict
from ltlib.cli.lists import List
from ltlib.cli.measure import Bench
from ltlib.cli.reproduce import Reproduce
from ltlib.cli.runs import Runs
from ltlib.cli.train import Train
from ltlib.errors import LtlibError

_COMMANDS: dict[str, Callable[..., Any]] = {
    "reproduce": Reproduce,
    "train": Train,
    "compare": Compare,
    "predict": Predict,
    "list": List,
    "status": Status,
    "verify": Verify,
    "runs": Runs,
    "data": Data,
    "notebooks": Notebooks,
    "bench": Bench,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = _together([argument for argument in given if argument != "--debug"])
    try:
        command = tyro.extras.subcommand_cli_from_dict(
            _COMMANDS,
            prog="ltlib",
            description="A reproducible workbook on long-tailed image recognition.",
            args=given,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
        plugins.load()
        with _terminable():
            return command.run()
    except LtlibError as error:
        if debug:
            raise
        print(f"ltlib: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as stop:
        print("ltlib: stopped; what is finished is kept, the same command goes on from there", file=sys.stderr)
        return 128 + (signal.SIGTERM if isinstance(stop, _Terminated) else signal.SIGINT)
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0


def _together(given: list[str]) -> list[str]:
    """``--skip a --skip b`` as ``--skip a b``: argparse, below, would forget the first."""
    known = fields(command) if given and is_dataclass(command := _COMMANDS.get(given[0])) else ()
    for flag in (f"--{field.name.replace('_', '-')}" for field in known if field.type == "tuple[str, ...]"):
        rest, said, times, its_own = list[str](), list[str](), 0, False
        for argument in given:
            name, equals, value = argument.partition("=")
            if name == flag:
                times, its_own = times + 1, not equals
                said += [value] if equals else []
            elif its_own and not argument.startswith("-"):
                said.append(argument)
            else:
                its_own = False
                rest.append(argument)
        if times > 1:
            given = [*rest, flag, *said]
    return given


class _Terminated(KeyboardInterrupt):
    """SIGTERM: the same as Ctrl-C, with another exit code."""


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends what runs in this block as Ctrl-C does: trainings save their state, kernels end."""

    def end(number: int, frame: object) -> None:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
