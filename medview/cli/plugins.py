"""Commands about plugins: plugin list, plugin run; the others are in modules of their own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medview.cli import console, plugin_keeping, plugin_making
from medview.cli.headless import Device, existing, finish, finish_all, home, open_series, workstation
from medview.cli.reading import Json, SeriesUid
from medview.core.progress import NoProgress

if TYPE_CHECKING:
    from medview.catalog.manifest import PluginManifest
    from medview.catalog.plugins import PluginRecord
    from medview.core.text import Text
    from medview.workstation.results import WrittenResult
    from medview.workstation.station import Workstation


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="List, run, install and make plugins.", no_args_is_help=True)
    group.command("list")(list_plugins)
    group.command("run")(run)
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


def run(
    plugin: Annotated[
        str, typer.Argument(metavar="ID|DIR", help="The plugin; medview plugin list shows them. Or its folder: ./DIR.")
    ],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A series: DICOM, NIfTI, NRRD or MetaImage.")],
    out: Annotated[Path, typer.Option(help="The folder for labels.nii.gz, seg.dcm (from DICOM) and result.json.")],
    series: SeriesUid = "",
    input: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=UID", help="For a plugin with several inputs: which series each of them is."),
    ] = None,
    device: Annotated[Device, typer.Option(help="Where it runs.")] = Device.AUTO,
    json: Json = False,
) -> None:
    """Run a plugin on a series, and write what it found; every file is read back and compared.

    Naming the plugin's folder (./DIR) instead of its id runs it as it is: do so with what you wrote yourself.
    """
    existing(path)
    if out.exists() and not out.is_dir():
        raise console.CommandError(f"{out} is a file; --out names a folder.")
    with workstation(home()) as station:
        if _is_path(plugin):
            plugin = station.shelf.lend(Path(plugin)).id
        manifest = _runnable(plugin, station)
        if not json:
            _tell_card_once(station, manifest)
        chosen = _inputs(input or [], manifest)
        case, volume = open_series(station, path, chosen.get(manifest.input[0].name, series))
        for one in manifest.input[1:]:
            if one.name in chosen:
                open_series(station, path, chosen[one.name])
        station.workspace.activate(case, volume)
        station.analysis.inputs.choose(manifest.id, chosen)
        station.analysis.device = device.value
        finish(station, station.analysis.run(plugin))
        station.shelf.note_run(station.shelf.record(plugin))
        finished = station.analysis.last
        if finished is None or (manifest.task == "segment" and not finished.segmentations):
            raise console.CommandError(f"The plugin {plugin} gave no answer.")
        from medview.workstation import results, saving

        sources = saving.sources_of(station.importing, volume)
        written = results.write(out, finished, sources, NoProgress())
        for segmentation in finished.segmentations:
            station.correction.mark_saved(segmentation)
    if json:
        console.print_json({**written.record, "folder": str(out.absolute())})
        return
    _tell_result(written, finished.result.notes)


def _tell_card_once(station: Workstation, manifest: PluginManifest) -> None:
    """Before its first run: what the plugin is for, what not, and how good it is."""
    from medview.workstation import model_cards

    if station.shelf.is_new(station.shelf.record(manifest.id)):
        console.say(f"{manifest.name} has not been run here before:")
        for line in model_cards.sentences(manifest):
            console.say(f"  {line}")


def _tell_result(written: WrittenResult, notes: Sequence[Text]) -> None:
    if written.segments:
        console.table(
            [(str(one.label), one.name, str(one.voxels), f"{one.volume_ml:.1f}") for one in written.segments],
            ("Label", "Segment", "Voxels", "ml"),
        )
    for note in notes:
        console.say(f"note: {note}")
    console.say(f"{written.folder}: {', '.join(written.files)}; read back, identical.")


def _is_path(plugin: str) -> bool:
    """Whether a plugin is named by its folder; a bare name is its id, whatever lies where one happens to be."""
    return any(sign in plugin for sign in ("/", os.sep)) and existing(Path(plugin)).is_dir()


def _runnable(plugin: str, station: Workstation) -> PluginManifest:
    """The manifest of a plugin that can be run; what cannot is refused before a large series is read."""
    from medview.inference import runner

    known = station.analysis.plugins()
    if plugin not in {record.id for record in known}:
        listed = ", ".join(record.id for record in known) or "none"
        raise console.CommandError(f"There is no plugin {plugin}. There are: {listed}.")
    finish_all(station)
    return runner.ready_manifest(station.shelf.record(plugin))


def _inputs(given: Sequence[str], manifest: PluginManifest) -> dict[str, str]:
    """Input name -> series UID, of what `--input` said."""
    names = [one.name for one in manifest.input]
    chosen: dict[str, str] = {}
    for one in given:
        name, equals, uid = one.partition("=")
        if name not in names or not equals or not uid:
            raise console.CommandError(f"--input {one}: write NAME=UID, where NAME is one of {', '.join(names)}.")
        chosen[name] = uid
    return chosen


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
