"""Commands about plugins: plugin list, plugin run."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medview.cli import console
from medview.cli.headless import existing, finish, home, open_series, workstation
from medview.cli.reading import Json, SeriesUid
from medview.core.progress import NoProgress

if TYPE_CHECKING:
    from medview.catalog.plugins import PluginRecord


class Device(StrEnum):
    """Where a model runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="List and run plugins.", no_args_is_help=True)
    group.command("list")(list_plugins)
    group.command("run")(run)
    app.add_typer(group, name="plugin")


def list_plugins(json: Json = False) -> None:
    """List the plugins, and whether they can be run."""
    with workstation(home()) as station:
        records = station.analysis.plugins()
    if json:
        console.print_json({"plugins": [_record(record) for record in records]})
        return
    console.table(
        [_row(record) for record in records], ("Id", "Version", "Name", "Modality", "Task", "Licence", "State")
    )


def run(
    plugin: Annotated[str, typer.Argument(metavar="ID", help="The plugin; medview plugin list shows them.")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A series: DICOM, NIfTI, NRRD or MetaImage.")],
    out: Annotated[Path, typer.Option(help="The folder for labels.nii.gz, seg.dcm (from DICOM) and result.json.")],
    series: SeriesUid = "",
    device: Annotated[Device, typer.Option(help="Where it runs.")] = Device.AUTO,
    json: Json = False,
) -> None:
    """Run a plugin on a series, and write what it found; every file is read back and compared."""
    existing(path)
    if out.exists() and not out.is_dir():
        raise console.CommandError(f"{out} is a file; --out names a folder.")
    with workstation(home()) as station:
        _require(plugin, station.analysis.plugins())
        _, volume = open_series(station, path, series)
        station.analysis.device = device.value
        finish(station, station.analysis.run(plugin))
        finished = station.analysis.last
        if finished is None or finished.segmentation is None:
            raise console.CommandError(f"The plugin {plugin} gave no answer.")
        from medview.workstation import results, saving

        sources = saving.sources_of(station.importing, volume)
        written = results.write(out, finished.segmentation, finished.result, volume, sources, NoProgress())
        station.correction.mark_saved(finished.segmentation)
    if json:
        console.print_json({**written.record, "folder": str(out.absolute())})
        return
    console.table(
        [(str(one.label), one.name, str(one.voxels), f"{one.volume_ml:.1f}") for one in written.segments],
        ("Label", "Segment", "Voxels", "ml"),
    )
    for note in finished.result.notes:
        console.say(f"note: {note}")
    console.say(f"{out}: {', '.join(written.files)}; read back, identical.")


def _require(plugin: str, known: Sequence[PluginRecord]) -> None:
    """Refuse an unknown plugin before a large series is read."""
    if plugin not in {record.id for record in known}:
        listed = ", ".join(record.id for record in known) or "none"
        raise console.CommandError(f"There is no plugin {plugin}. There are: {listed}.")


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
