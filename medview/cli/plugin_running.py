"""The command plugin run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medview.cli import console
from medview.cli.headless import Device, existing, finish, finish_all, home, open_series, workstation
from medview.cli.reading import Json, SeriesUid
from medview.core.evidence import Evidence, EvidenceMethod
from medview.core.progress import NoProgress

if TYPE_CHECKING:
    from medview.catalog.manifest import Class, Label, PluginManifest
    from medview.workstation.analysis import Finished
    from medview.workstation.results import WrittenResult
    from medview.workstation.station import Workstation

_MORE = "How it runs"


@dataclass(frozen=True, slots=True)
class MapFiles:
    """Where maps are to be written; None: nowhere.

    Attributes:
        uncertainty: How unsure the model is.
        probability: A label, by its number or name, and the file of its probability.
        evidence: A class, by its number or name, and the file that says where the model looked.
    """

    uncertainty: Path | None
    probability: tuple[str, Path] | None
    evidence: tuple[str, Path] | None


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command("run")(run)


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
    mirroring: Annotated[
        bool | None,
        typer.Option(
            help="Show every window mirrored too: 2 to 8 times the time. When not given: as the plugin does.",
            rich_help_panel=_MORE,
        ),
    ] = None,
    ensemble: Annotated[
        bool | None,
        typer.Option(
            help="Average all weights of the plugin, or use the first alone. When not given: as it does.",
            rich_help_panel=_MORE,
        ),
    ] = None,
    uncertainty: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write how unsure the model is, 0 to 1 (.nii.gz, .nrrd, .mha or .dcm).",
            rich_help_panel=_MORE,
        ),
    ] = None,
    probability: Annotated[
        tuple[str, Path] | None,
        typer.Option(
            metavar="LABEL FILE",
            help="Also write the probability of a label, named by its number or name, 0 to 1.",
            rich_help_panel=_MORE,
        ),
    ] = None,
    dropout: Annotated[
        int,
        typer.Option(
            min=0,
            max=1000,
            help="Ask a classifier so many more times with dropout, for an interval.",
            rich_help_panel=_MORE,
        ),
    ] = 0,
    evidence: Annotated[
        tuple[str, Path] | None,
        typer.Option(
            metavar="CLASS FILE",
            help="Also write where a classifier looked for a class, named by its number or name, 0 to 1.",
            rich_help_panel=_MORE,
        ),
    ] = None,
    evidence_by: Annotated[
        EvidenceMethod,
        typer.Option(help="How it is asked; occlusion runs it some hundred times.", rich_help_panel=_MORE),
    ] = EvidenceMethod.GRAD_CAM,
    box: Annotated[
        tuple[float, float, float, float, float, float] | None,
        typer.Option(
            metavar="X Y Z X Y Z",
            help="Look only between two opposite corners: left-right, front-back, foot-head, LPS, mm.",
            rich_help_panel=_MORE,
        ),
    ] = None,
    exact: Annotated[
        bool | None,
        typer.Option(
            help="Compute in float32, whatever is faster. When not given: as in the settings.", rich_help_panel=_MORE
        ),
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Run although an earlier run has given the answer.", rich_help_panel=_MORE)
    ] = False,
    json: Json = False,
) -> None:
    """Run a plugin on a series, and write what it found; every file is read back and compared.

    Naming the plugin's folder (./DIR) instead of its id runs it as it is: do so with what you wrote yourself.
    """
    from medview.inference.options import RunOptions, require_possible

    existing(path)
    if out.exists() and not out.is_dir():
        raise console.CommandError(f"{out} is a file; --out names a folder.")
    files = MapFiles(uncertainty, probability, evidence)
    with workstation(home()) as station:
        if _is_path(plugin):
            plugin = station.shelf.lend(Path(plugin)).id
        manifest = _runnable(plugin, station)
        options = RunOptions(
            mirroring=mirroring,
            ensemble=ensemble,
            uncertainty=uncertainty is not None,
            probability=_value(probability[0], manifest.label, manifest) if probability is not None else 0,
            dropout=dropout,
            evidence=Evidence(_value(evidence[0], manifest.class_, manifest), evidence_by)
            if evidence is not None
            else None,
        )
        if not json:
            _tell_card_once(station, manifest)
        require_possible(station.shelf.record(plugin), options)
        station.analysis.device = device.value
        station.analysis.exact = station.settings.current.exact if exact is None else exact
        station.analysis.choose(plugin, options)
        _open(station, manifest, path, series, _inputs(input or [], manifest))
        if box is not None:
            station.analysis.search.set_between(box[:3], box[3:])
        finished = _run(station, manifest, anew=anew)
        written, maps = _write(station, finished, out, files)
    if json:
        console.print_json({**written.record, "folder": str(out.absolute()), "maps": maps})
        return
    if written.segments:
        console.table(
            [(str(one.label), one.name, str(one.voxels), f"{one.volume_ml:.1f}") for one in written.segments],
            ("Label", "Segment", "Voxels", "ml"),
        )
    if finished.result.earlier is not None:
        when = finished.result.earlier.astimezone().strftime("%Y-%m-%d %H:%M")
        console.say(f"note: from an earlier run, {when}; --anew runs it again.")
    for note in finished.result.notes:
        console.say(f"note: {note}")
    console.say(f"{out}: {', '.join(written.files)}; read back, identical.")
    for kind, file in maps.items():
        console.say(f"{file}: {kind}, 0 to 1; read back, identical.")


def _tell_card_once(station: Workstation, manifest: PluginManifest) -> None:
    """Before its first run: what the plugin is for, what not, and how good it is."""
    from medview.workstation import model_cards

    if station.shelf.is_new(station.shelf.record(manifest.id)):
        console.say(f"{manifest.name} has not been run here before:")
        for line in model_cards.sentences(manifest):
            console.say(f"  {line}")


def _open(station: Workstation, manifest: PluginManifest, path: Path, series: str, chosen: dict[str, str]) -> None:
    case, volume = open_series(station, path, chosen.get(manifest.input[0].name, series))
    for one in manifest.input[1:]:
        if one.name in chosen:
            open_series(station, path, chosen[one.name])
    station.workspace.activate(case, volume)
    station.analysis.inputs.choose(manifest.id, chosen)


def _run(station: Workstation, manifest: PluginManifest, *, anew: bool) -> Finished:
    finish(station, station.analysis.run(manifest.id, anew=anew))
    station.shelf.note_run(station.shelf.record(manifest.id))
    finished = station.analysis.last
    if finished is None or (manifest.task == "segment" and not finished.segmentations):
        raise console.CommandError(f"The plugin {manifest.id} gave no answer.")
    return finished


def _write(
    station: Workstation, finished: Finished, out: Path, files: MapFiles
) -> tuple[WrittenResult, dict[str, str]]:
    """Write what was found, and its maps: what each of them is, and its file."""
    from medview.inference.maps import MapKind
    from medview.workstation import answer_maps, results, saving

    sources = saving.sources_of(station.importing, finished.volume)
    written = results.write(out, finished, sources, NoProgress())
    for segmentation in finished.segmentations:
        station.correction.mark_saved(segmentation)
    probability = files.probability[1] if files.probability is not None else None
    evidence = files.evidence[1] if files.evidence is not None else None
    wanted = {MapKind.UNCERTAINTY: files.uncertainty, MapKind.PROBABILITY: probability, MapKind.EVIDENCE: evidence}
    maps: dict[str, str] = {}
    for one in finished.result.maps:
        file = wanted[one.kind]
        if file is not None:
            answer_maps.save(one, finished.volume, sources, file, NoProgress())
            maps[one.kind.value] = str(file)
    return written, maps


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


def _value(given: str, named: Sequence[Label] | Sequence[Class], manifest: PluginManifest) -> int:
    """The value of a label or class that is named by it or by its name."""
    for one in named:
        if given in (str(one.value), one.name):
            return one.value
    listed = ", ".join(f"{one.value} ({one.name})" for one in named[:20]) or "nothing of the kind"
    raise console.CommandError(f"{manifest.name} does not find {given}. It finds: {listed}.")


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
