"""Commands for those who make plugins: plugin new, check, bench, pack."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medview.cli import console
from medview.cli.headless import Device, background, existing
from medview.cli.reading import Json

if TYPE_CHECKING:
    from medview.catalog.manifest import PluginManifest


class Start(StrEnum):
    """What a new plugin is made from."""

    PYTHON = "python"
    BUNDLE = "bundle"
    NNUNET = "nnunet"


_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The plugin's folder, with its plugin.toml.")]
_Where = Annotated[Device, typer.Option(help="Where it runs.")]


def register(group: typer.Typer) -> None:
    """Add the commands to the group."""
    group.command("new")(new)
    group.command("check")(check)
    group.command("bench")(bench)
    group.command("pack")(pack)


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called; a folder of that name is made here.")],
    source: Annotated[
        Start,
        typer.Option(
            "--from", help="python: one function. bundle: a MONAI bundle. nnunet: a model folder of nnU-Net v2."
        ),
    ] = Start.PYTHON,
    bundle: Annotated[
        Path | None, typer.Argument(metavar="[MODEL]", help="The folder of the bundle or of the model.")
    ] = None,
) -> None:
    """Make a plugin to begin with; it runs as it is."""
    from medview.workstation import plugin_templates

    here = Path.cwd()
    if source is Start.PYTHON:
        folder = plugin_templates.from_python(name, here)
    elif bundle is None:
        raise console.CommandError("Name its folder: medview plugin new NAME --from bundle|nnunet MODEL.")
    else:
        folder = plugin_templates.from_bundle(name, existing(bundle), here)
    console.say(f"{folder}: {', '.join(sorted(one.name for one in folder.iterdir()))}")
    console.say(f"Next: medview plugin check {folder.name} --run")


def check(
    folder: _Folder,
    run: Annotated[bool, typer.Option("--run", help="Also run it on made-up patients.")] = False,
    device: _Where = Device.AUTO,
    json: Json = False,
) -> None:
    """Look a plugin through; without --run, nothing of it is run."""
    from medview.workstation.plugin_check import Grade
    from medview.workstation.plugin_check import check as look_through

    existing(folder)
    findings = background(lambda progress: look_through(folder, progress, run=run, device=device.value))
    errors = [one for one in findings if one.grade is Grade.ERROR]
    if json:
        console.print_json({"well": not errors, "findings": list(findings)})
    else:
        console.table([(one.grade.value, str(one.text)) for one in findings], ("", "Finding"))
    if errors:
        raise console.CommandError(f"{folder}: {len(errors)} error(s); the first: {errors[0].text}")


def bench(folder: _Folder, device: _Where = Device.AUTO, json: Json = False) -> None:
    """Measure how long a plugin takes on a made-up patient, and how much memory the program needs."""
    from medview.workstation import plugin_trials

    existing(folder)
    record = plugin_trials.vouched(folder)
    measured = background(lambda progress: plugin_trials.bench(record, progress, device=device.value))
    if json:
        console.print_json({"median_s": measured.median_s, **console.plain(measured)})
        return
    rows = [
        ("runs", " ".join(f"{one:.2f} s" for one in measured.seconds)),
        ("median", f"{measured.median_s:.2f} s"),
        ("voxels", f"{measured.voxels}"),
        ("device", measured.device),
        ("peak memory of the program", f"{measured.peak_mb} MB" if measured.peak_mb else "unknown"),
    ]
    console.table(rows, ("What", "Measured"))


def pack(
    folder: _Folder,
    out: Annotated[Path, typer.Option(help="The folder that the file is written into.")] = Path(),
) -> None:
    """Pack a plugin into one file that others can install: the same bytes for the same files, with their hashes."""
    from medview.catalog import manifest, packing

    existing(folder)
    described: PluginManifest = manifest.load(folder)
    target = background(lambda progress: packing.pack(folder, described, out, progress))
    console.say(f"{target}: {target.stat().st_size} bytes")
