"""Commands about the plugins on this machine: plugin install, remove, trust."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medview.cli import console
from medview.cli.headless import existing, finish, finish_all, home, workstation
from medview.cli.reading import Json


def register(group: typer.Typer) -> None:
    """Add the commands to the group."""
    group.command("install")(install)
    group.command("remove")(remove)
    group.command("trust")(trust)


PluginId = Annotated[str, typer.Argument(metavar="ID", help="The plugin; medview plugin list shows them.")]


def install(
    source: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="A plugin or a MONAI bundle: zip, tar or folder.")],
    replace: Annotated[bool, typer.Option("--replace", help="Put it in the place of one with the same id.")] = False,
    json: Json = False,
) -> None:
    """Install a plugin or a MONAI bundle. Nothing of it is run, and nothing is fetched."""
    existing(source)
    with workstation(home()) as station:
        installed = finish(station, station.shelf.install(source, replace=replace))
        if installed is None:
            raise console.CommandError(f"{source} was not installed.")
        record = station.shelf.record(installed.id)
    if json:
        console.print_json({**console.plain(installed), "state": record.state.value, "reason": str(record.reason)})
        return
    before = f" in the place of {installed.replaced}" if installed.replaced else ""
    console.say(f"{installed.id} {installed.version} is installed{before}: {installed.folder}")
    if installed.made_manifest:
        console.say(f"Its plugin.toml was made from what the bundle says; look through it: {installed.folder}")
    if record.reason:
        console.say(f"{record.state.value}: {record.reason}")


def remove(plugin: PluginId) -> None:
    """Remove a plugin of your own, with its files."""
    with workstation(home()) as station:
        folder = finish(station, station.shelf.remove(plugin))
    console.say(f"{plugin} is removed: {folder}")


def trust(plugin: PluginId) -> None:
    """Let a plugin run a program of its own, as its files are now; a changed file asks again."""
    with workstation(home()) as station:
        record = station.shelf.record(plugin)
        finish_all(station)
        sha256 = finish(station, station.shelf.trust(record.id))
        state = station.shelf.record(plugin).state
    console.say(f"{plugin} is trusted as its files are now (SHA-256 {sha256}): {state.value}.")
