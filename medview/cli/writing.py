"""Commands that write images, masks and reports in the forms of other programs; every file is read back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medview.cli import console
from medview.cli.headless import existing, home, open_series, workstation
from medview.cli.reading import SeriesUid
from medview.core.errors import InputError
from medview.core.measurement import Quantity
from medview.core.progress import NoProgress
from medview.core.segmentation import Segmentation
from medview.core.text import Text
from medview.core.volume import Volume

_STL = ".stl"
_FORMS = ("", "seg", "labelmap", "rtstruct", "map")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("convert")(convert)
    app.command("report")(report)


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A series, or a mask.")],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="Ends in .nii.gz, .nii, .nrrd, .mha; a mask also in .dcm, .stl.")
    ],
    series: SeriesUid = "",
    reference: Annotated[
        Path | None, typer.Option(help="IN is a mask, and this is the series that it was drawn on.")
    ] = None,
    form: Annotated[
        str, typer.Option("--as", help="What a .dcm file becomes: seg, labelmap, rtstruct, or map.", metavar="FORM")
    ] = "",
    quantity: Annotated[str, typer.Option(help="What the numbers of a map say.")] = "probability",
) -> None:
    """Convert a series to NIfTI, NRRD or MetaImage; with --reference, a mask between these, DICOM SEG, RTSTRUCT, STL.

    With --as map, IN is an image of numbers on the grid of the reference, and OUT a DICOM parametric map.

    STL holds surfaces in patient coordinates (LPS, mm), one file of every segment: OUT where there is one segment,
    else OUT with its name.
    """
    existing(source)
    if form not in _FORMS:
        raise console.CommandError(f"There is no form {form}; choose seg, labelmap, rtstruct or map.")
    _require_folder(target)
    written = [target]
    with workstation(home()) as station:
        if reference is None:
            _, volume = open_series(station, source, series)
            _write_volume(volume, target)
        else:
            from medview.workstation import maps, masks, saving

            _, volume = open_series(station, existing(reference), series)
            sources = saving.sources_of(station.importing, volume)
            if form == "map":
                maps.write_map(source, volume, sources, target, quantity, NoProgress())
            elif target.suffix.lower() == _STL:
                written = _write_surfaces(masks.read_mask(source, volume, NoProgress()), target)
            else:
                dicom = masks.DicomMask(form) if form else None
                mask = masks.read_mask(source, volume, NoProgress())
                masks.write_mask(mask, volume, sources, target, NoProgress(), dicom=dicom)
    for path in written:
        console.say(f"{path}: written, read back, identical.")


def report(
    mask: Annotated[Path, typer.Argument(metavar="MASK", help="The masks: DICOM SEG, RTSTRUCT, NIfTI, NRRD.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The report, a .dcm file.")],
    reference: Annotated[Path, typer.Option(help="The DICOM series that they were drawn on.")],
    series: SeriesUid = "",
    reader: Annotated[str, typer.Option(help="Who reports; the reader of the settings when not given.")] = "",
) -> None:
    """Report the volume and the values of every segment as DICOM SR (TID 1500).

    A report refers to a DICOM SEG: the masks are written as one beside it.
    """
    existing(mask)
    if target.suffix.lower() != ".dcm":
        raise console.CommandError(f"The report {target} must be a .dcm file.")
    _require_folder(target)
    with workstation(home()) as station:
        from medview.workstation import masks, reporting, saving

        _, volume = open_series(station, existing(reference), series)
        sources = saving.sources_of(station.importing, volume)
        drawn = masks.read_mask(mask, volume, NoProgress())
        beside = target.with_name(f"{target.stem}-seg.dcm")
        masks.write_mask(drawn, volume, sources, beside, NoProgress())
        who = reader or station.settings.current.reader_name
        reporting.write_report(
            drawn.labels, drawn.segments, drawn.provenance, volume, sources, beside, target, who, NoProgress()
        )
        values = reporting.segment_values(drawn.labels, volume.geometry, drawn.segments, volume)
    unit = f" {volume.unit}" if volume.unit else ""
    columns = {
        Quantity.VOLUME: "ml",
        Quantity.MEAN: f"Mean{unit}",
        Quantity.DEVIATION: f"SD{unit}",
        Quantity.MINIMUM: f"Min{unit}",
        Quantity.MAXIMUM: f"Max{unit}",
    }
    rows = []
    for one in values:
        numbers = {value.quantity: f"{value.number:.2f}" for value in one.values}
        rows.append((str(one.segment.label), one.segment.name, *(numbers.get(quantity, "") for quantity in columns)))
    console.table(rows, ("Label", "Segment", *columns.values()))
    if volume.caution is not None:
        console.say(f"note: {volume.caution}")
    for path in (beside, target):
        console.say(f"{path}: written, read back, identical.")


def _require_folder(target: Path) -> None:
    if not target.parent.is_dir():
        raise console.CommandError(f"There is no folder {target.parent}.")


def _write_volume(volume: Volume, target: Path) -> None:
    from medview.formats import image_files

    if not image_files.is_image_file(target):
        raise InputError(
            Text.of("A series cannot be written as {name}.", name=target.name),
            Text("Choose a name that ends in .nii.gz, .nii, .nrrd or .mha; a mask as .dcm or .stl needs --reference."),
        )
    image_files.write_proved(volume.voxels, volume.geometry, target)


def _write_surfaces(mask: Segmentation, target: Path) -> list[Path]:
    from medview.views import surface_files
    from medview.workstation import saving

    verdicts = saving.save_surfaces(mask, target, surface_files.make_meshes, NoProgress())
    for verdict in verdicts:
        if not verdict.ok:
            raise console.CommandError(f"{verdict.path}: {verdict.differences[0]} {verdict.remedy}".strip())
    if not verdicts:
        raise console.CommandError(f"There is no segment in {mask.title}.")
    return [verdict.path for verdict in verdicts]
