"""Commands about training examples: dataset list, add, export, stats, verify."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from medview.cli import console
from medview.cli.headless import existing, finish, home, workstation
from medview.cli.reading import Json, SeriesUid
from medview.core.progress import Progress
from medview.core.text import Text
from medview.workstation.jobs import Lane

if TYPE_CHECKING:
    from medview.workstation.station import Workstation

T = TypeVar("T")
_MIB = 2**20


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="The training examples: list, add, export, count, check.", no_args_is_help=True)
    group.command("list")(list_examples)
    group.command("add")(add)
    group.command("export")(export)
    group.command("stats")(stats)
    group.command("verify")(verify)
    app.add_typer(group, name="dataset")


def list_examples(json: Json = False) -> None:
    """List the examples, each with its newest revision."""
    with workstation(home()) as station:
        examples = station.teaching.examples()
    if json:
        console.print_json({"examples": [example.model_dump(mode="json") for example in examples]})
        return
    rows = [
        (
            one.example_id,
            str(one.revision),
            f"{one.saved_at:%Y-%m-%d %H:%M}",
            one.reader,
            one.modality,
            ", ".join(one.proposed_by) or "by hand",
            one.split.value,
            ", ".join(one.names),
        )
        for one in examples
    ]
    console.table(rows, ("Example", "Revision", "Saved (UTC)", "Reader", "Modality", "Proposed by", "Part", "Shows"))


def add(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="A DICOM folder or file, or an image file.")],
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="A DICOM SEG or a label map on the image's grid.")],
    series: SeriesUid = "",
    name: Annotated[
        list[str] | None, typer.Option(help="What label 1 of a label map is called; again for label 2, 3, ...")
    ] = None,
    json: Json = False,
) -> None:
    """Keep an image and its labels as a training example."""
    from medview.workstation import dataset

    existing(image)
    existing(labels)
    with workstation(home()) as station:
        folder, reader = station.teaching.store.folder, station.settings.current.reader_name
        saved = _job(
            station,
            Text("Saving a training example"),
            lambda progress: dataset.add(
                folder, image, labels, reader, progress, series_uid=series or None, names=name or ()
            ),
        )
    example = saved.example
    if json:
        console.print_json(example.model_dump(mode="json"))
        return
    console.say(f"example {example.example_id}, revision {example.revision}: saved, read back, identical.")


def export(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="dicom-seg (for the record, names the patient), dicom-without-names, nifti, monai or nnunet.",
        ),
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to make.")],
    examples: Annotated[
        list[str] | None, typer.Argument(metavar="[EXAMPLE]...", help="Which ones; all when not given.")
    ] = None,
    json: Json = False,
) -> None:
    """Export examples into a new folder; every file is read back and compared."""
    from medview.learning.exporters import ExportKind
    from medview.workstation import dataset

    kinds = [one.value for one in ExportKind]
    if kind not in kinds:
        raise console.CommandError(f"There is no export {kind}. Choose one of {', '.join(kinds)}.")
    with workstation(home()) as station:
        store = station.teaching.store.folder
        done = _job(
            station,
            Text("Exporting examples"),
            lambda progress: dataset.export(store, ExportKind(kind), examples or (), folder, progress),
        )
    if json:
        console.print_json(
            {"kind": done.kind, "folder": done.folder.absolute(), "examples": done.count, "skipped": done.skipped}
        )
        return
    for reason in done.skipped:
        console.say(f"skipped: {reason}")
    console.say(f"{folder}: {done.count} examples, read back, identical.")


def stats(json: Json = False) -> None:
    """Count what the store holds."""
    from medview.workstation import dataset

    with workstation(home()) as station:
        counted = dataset.stats(station.teaching.store.folder)
    if json:
        console.print_json(
            {
                **console.plain(counted),
                "splits": {part.value: count for part, count in counted.splits},
                "segments": dict(counted.segments),
                "classes": dict(counted.classes),
                "models": dict(counted.models),
                "modalities": dict(counted.modalities),
            }
        )
        return
    rows = [
        ("examples", str(counted.examples)),
        ("revisions", str(counted.revisions)),
        ("patients", str(counted.patients)),
        ("size", f"{counted.size_bytes / _MIB:.1f} MiB"),
        *((f"part {part.value}", str(count)) for part, count in counted.splits),
        *((f"modality {one}", str(count)) for one, count in counted.modalities),
        *((f"proposed by {one or 'nobody, made by hand'}", str(count)) for one, count in counted.models),
        *((f"segment {one}", str(count)) for one, count in counted.segments),
        *((f"class {one}", str(count)) for one, count in counted.classes),
    ]
    console.table(rows, ("What", "Count"))


def verify(json: Json = False) -> None:
    """Compare every file of the store with the hash that it was written with."""
    from medview.workstation import dataset

    with workstation(home()) as station:
        folder = station.teaching.store.folder
        damages = _job(station, Text("Checking the examples"), lambda progress: dataset.verify(folder, progress))
    if json:
        console.print_json({"well": not damages, "damages": list(damages)})
    for damage in damages if not json else ():
        console.say(f"{damage.path}: {damage.reason}")
    if damages:
        raise console.CommandError(f"{len(damages)} files of the store are not as they were written.")
    if not json:
        console.say("Every file is as it was written.")


def _job(station: Workstation, title: Text, work: Callable[[Progress], T]) -> T:
    done = finish(station, station.jobs.submit(title, work, lane=Lane.DISK))
    assert done is not None  # these jobs return a value, or raise
    return done
