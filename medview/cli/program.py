"""The commands in one place, the one way in which they fail, and the log of the run."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from medview import __version__, logs
from medview.cli import archives, console, datasets, deidentifying, machine, plugins, reading, writing
from medview.core.errors import Cancelled, MedViewError
from medview.workstation.settings import user_folder

_log = logging.getLogger(__name__)
_FAILED, _USAGE, _STOPPED = 1, 2, 130
_OPEN = "open"

_HELP = (
    "MedView, a radiology workstation. `medview PATH...` opens the window on files or folders; "
    "the commands work without a window. A path that is named like a command is written ./NAME."
)

app = typer.Typer(name="medview", add_completion=False, no_args_is_help=False, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        console.say(f"medview {__version__}")
        raise typer.Exit


@app.callback(help=_HELP)
def _program(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Options that come before a command."""


@app.command(_OPEN, hidden=True)
def _open(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files or folders.", metavar="[PATH]...")] = None,
) -> None:
    """Open the workstation, on these files or folders if any; the same as `medview PATH...`."""
    for path in paths or []:
        if not path.exists():
            raise console.CommandError(f"There is no file, folder or command {path}.")
    machine.open_window([path.absolute() for path in paths or []])


reading.register(app)
writing.register(app)
plugins.register(app)
datasets.register(app)
deidentifying.register(app)
archives.register(app)
machine.register(app)


def main(arguments: Sequence[str]) -> int:
    """Run a command.

    Args:
        arguments: What stands behind the program's name.

    Returns:
        0 when all went well; else one plain line has been printed that says why not.
    """
    console.make_safe()
    log = logs.start(user_folder())
    try:
        return _run(arguments)
    finally:
        if log is not None:
            log.close()


def _run(arguments: Sequence[str]) -> int:
    try:
        status = app(_with_command(arguments), prog_name="medview", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except console.CommandError as error:
        _log.warning("%s", error)
        return _fail(str(error))
    except MedViewError as error:
        _log.warning("%s", error, exc_info=True)
        return _fail(str(error))
    except typer.TyperException as error:
        # A group without a command has shown its help already, and has no message.
        message = error.format_message().rstrip(".")
        return _fail(f"{message}. See medview --help.", error.exit_code) if message else error.exit_code
    except (Cancelled, KeyboardInterrupt, typer.Abort):
        return _fail("Stopped.", _STOPPED)
    except BrokenPipeError:
        # Whoever read the output has gone, as in `medview index ... | head`: nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    except OSError as error:
        _log.exception("The system refused")
        place = f": {error.filename}" if error.filename else ""
        return _fail(f"The system refused ({error.strerror or error}){place}.")
    except MemoryError:
        return _fail("There is not enough memory for this.")
    except Exception:
        _log.exception("An error that nothing expected")
        return _fail(f"Something went wrong inside MedView. The log in {user_folder() / 'logs'} has the details.")


def _with_command(arguments: Sequence[str]) -> list[str]:
    """Put `open` before arguments that begin with a path."""
    names = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}
    if arguments and (arguments[0] in names or (arguments[0].startswith("-") and arguments[0] not in ("-", "--"))):
        return list(arguments)
    return [_OPEN, *arguments]


def _fail(line: str, status: int = _FAILED) -> int:
    console.complain(line)
    return status
