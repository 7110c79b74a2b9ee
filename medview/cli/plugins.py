"""Commands about plugins: plugin list; the others are in modules of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from medview.cli import console, plugin_keeping, plugin_making, plugin_running
from medview.cli.headless import finish_all, home, workstation
from medview.cli.reading import Json

if TYPE_CHECKING:
    from medview.catalog.plugins import PluginRecord


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="List, run, install and make plugins.", no_args_is_help=True)
    group.command("list")(list_plugins)
    plugin_running.register(group)
    plugin_keeping.register(group)
    plugin_making.register(group)
    app.add_typer(group, name="plugin")


def list_plugins(json: Json = False) -> None:
    """List the plugins, and whether they can be run."""
    with workstation(home()) as station:
        station.analysis.plugins()
        finish_all(station)  # the files of those that have been touched since they were trusted are read
        records = station.analysis.plugins()
    if json:
        console.print_json({"plugins": [_record(record) for record in records]})
        return
    console.table(
        [_row(record) for record in records], ("Id", "Version", "Name", "Modality", "Task", "Licence", "State")
    )


def _record(record: PluginRecord) -> dict[str, Any]:
    manifest = record.manifest
    return {
        "id": record.id,
        "folder": str(record.folder),
        "state": record.state.value,
        "reason": str(record.reason),
        "manifest": None if manifest is None else manifest.model_dump(mode="json", by_alias=True),
    }


def _row(record: PluginRecord) -> tuple[str, ...]:
    manifest = record.manifest
    state = f"{record.state.value}: {record.reason}" if record.reason else record.state.value
    if manifest is None:
        return record.id, "", record.name, "", "", "", state
    modalities = "/".join(one.value for one in manifest.input[0].modality)
    return record.id, manifest.version, record.name, modalities, manifest.task, manifest.license.short, state
