"""The command that copies files without names: deidentify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medview.cli import console
from medview.cli.headless import existing, finish, home, workstation
from medview.cli.reading import Json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("deidentify")(deidentify)


def deidentify(
    paths: Annotated[
        list[Path], typer.Argument(metavar="IN... OUT", help="Files or folders, then the new folder for the copies.")
    ],
    shift_dates: Annotated[
        bool, typer.Option("--shift-dates", help="Keep dates, all of a patient moved by the same number of days.")
    ] = False,
    keep_uids: Annotated[bool, typer.Option("--keep-uids", help="Keep UIDs.")] = False,
    keep_descriptions: Annotated[
        bool, typer.Option("--keep-descriptions", help="Keep descriptions, without the words that name somebody.")
    ] = False,
    keep_characteristics: Annotated[
        bool, typer.Option("--keep-characteristics", help="Keep sex, age, size and weight.")
    ] = False,
    keep_risky: Annotated[
        bool, typer.Option("--keep-risky", help="Keep files that may show names in their pictures.")
    ] = False,
    keep_safe_private: Annotated[
        bool,
        typer.Option(
            "--keep-safe-private", help="Keep makers' own numbers that are known to name nobody: b-values, mosaics."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Copy files without names, by the Basic Profile of DICOM PS3.15, and report every attribute touched."""
    from medview.formats.confidentiality_profile import Options

    if len(paths) < 2:
        raise console.CommandError("Name the files or folders to copy, and then the new folder for the copies.")
    *sources, target = paths
    options = Options(shift_dates, keep_uids, keep_descriptions, keep_characteristics, keep_risky, keep_safe_private)
    wanted = [existing(path) for path in sources]
    with workstation(home()) as station:
        done = finish(station, station.deidentify(wanted, target, options))
    assert done is not None  # the job returns a value, or raises
    held = [one for one in done.outcomes if one.target is None]
    if json:
        console.print_json(
            {
                "written": done.written,
                "report": done.report.absolute(),
                "held_back": [{"path": one.source, "reason": one.reason} for one in held],
                "to_be_looked_at": [{"path": one.target, "reason": one.risk} for one in done.risky],
            }
        )
    else:
        for one in held:
            console.say(f"held back: {one.source}: {one.reason}")
        for one in done.risky:
            console.say(f"look at: {one.target}: {one.risk}")
        console.say(f"{done.written} files written, {len(held)} held back; {done.summary} says what was done.")
    if not done.written:
        raise console.CommandError("No file could be copied.")
