"""The command line: `fastembed COMMAND ...`, one file a command; here words of errors and exit codes only.

Exit codes: 0 done, 1 a benchmark whose results were wrong, 2 broken usage or bad files (one line on stderr),
130 interrupted with Ctrl-C, 143 ended by SIGTERM: both leave no temporary file.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fastembed._cli import bench, convert, demo, embed, gather, info, lookup, neighbors, plot
from fastembed.io._error import printable


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        argv: the arguments without the program's name; those of the process when None.

    Raises:
        SystemExit: by argparse: code 2 for broken usage, 0 after `--help` and `--version`.
    """
    args = _parser().parse_args(argv)
    try:
        with _sigterm_raises():
            code: int = args.run(args)
        # a reader that went away is noticed here rather than while Python exits
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return _complain(args.command, "interrupted", 130)
    except _Terminated:
        return _complain(args.command, "terminated", 143)
    except BrokenPipeError:
        # `fastembed ... | head`: nobody reads on, and what is still buffered must not fail again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except OSError as error:
        return _complain(args.command, f"{error.filename}: {error.strerror}" if error.filename else str(error), 2)
    except MemoryError as error:
        return _complain(args.command, f"out of memory. {error}".strip(), 2)
    except (ValueError, IndexError, ImportError) as error:
        return _complain(args.command, str(error), 2)


class _Terminated(BaseException):
    """SIGTERM arrived."""


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Makes SIGTERM an exception, so that temporary files are removed; where it is ignored or handled, it stays so."""

    def terminate(number: int, frame: Any) -> None:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _complain(command: str, message: str, code: int) -> int:
    # one line, even where a file's name holds a line break; what a function calls `name` is an option here
    line = printable(message).replace("`name`", "--name")
    print(f"fastembed {command}: {line}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    from fastembed import __version__

    parser = argparse.ArgumentParser(prog="fastembed", description="Look up the rows of embedding tables.")
    parser.add_argument("--version", action="version", version=f"fastembed {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for command in (demo, info, convert, lookup, neighbors, embed, plot, gather, bench):
        name = command.__name__.rpartition(".")[2]
        command.add_arguments(
            commands.add_parser(
                name,
                help=command.HELP,
                description=command.__doc__,
                epilog=f"example:\n  {command.EXAMPLE}",
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
        )
    return parser
