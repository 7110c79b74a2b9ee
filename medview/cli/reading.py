"""Commands that look at images: index, snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from medview.cli import console
from medview.cli.headless import existing, finish, home, nothing_in, open_series, workstation
from medview.core.case import Reject, Series
from medview.core.progress import NoProgress
from medview.core.segmentation import Segmentation
from medview.core.volume import Volume

Paths = Annotated[list[Path], typer.Argument(help="Files or folders.", metavar="PATH...")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
SeriesUid = Annotated[str, typer.Option("--series", help="UID of the series; the largest one when not given.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("index")(index)
    app.command("snapshot")(snapshot)


def index(paths: Paths, json: Json = False) -> None:
    """List the studies and series in files and folders, and what is wrong with each."""
    wanted = [existing(path) for path in paths]
    with workstation(home()) as station:
        opened = finish(station, station.importing.find(wanted))
    series = opened.series if opened is not None else ()
    rejects = opened.rejects if opened is not None else ()
    if json:
        console.print_json({"studies": _studies(series), "rejects": [_reject(one) for one in rejects]})
    else:
        _show(series, rejects)
    if not series:
        raise nothing_in(wanted, rejects)


def _show(series: Sequence[Series], rejects: Sequence[Reject]) -> None:
    rows = [(*_patient(one), *_series_row(one)) for one in series]
    if series:
        console.table(rows, ("Patient", "Study", "No", "Modality", "Description", "Size", "Spacing mm", "State", "UID"))
    for reject in rejects:
        console.say(f"not used: {reject.path}: {reject.reason}")


def snapshot(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A series.")],
    out: Annotated[Path, typer.Option(help="The picture, a PNG file.")],
    seg: Annotated[Path | None, typer.Option(help="A mask to draw.")] = None,
    series: SeriesUid = "",
) -> None:
    """Draw the four views off screen."""
    existing(path)
    if out.suffix.lower() != ".png":
        raise console.CommandError(f"The picture {out} must be a .png file.")
    if not out.parent.is_dir():
        raise console.CommandError(f"There is no folder {out.parent}.")
    from medview.views import opengl, png
    from medview.views import snapshot as pictures

    opengl.renderer_name()
    opengl.silence()
    with workstation(home()) as station:
        case, volume = open_series(station, path, series)
        segmentation = _mask(existing(seg), volume) if seg is not None else None
        picture = pictures.four_views(volume, segmentation, series=case.series_with(volume.series_uid))
    png.write(picture, out)
    console.say(f"{out}: {picture.shape[1]} x {picture.shape[0]} pixels.")


def _mask(path: Path, volume: Volume) -> Segmentation:
    from medview.workstation import masks

    return masks.read_mask(path, volume, NoProgress())


def _studies(series: tuple[Series, ...]) -> list[dict[str, Any]]:
    studies: dict[str, dict[str, Any]] = {}
    for one in series:
        study = studies.setdefault(one.study.uid, {**console.plain(one.study), "series": []})
        study["series"].append(_series(one))
    return list(studies.values())


def _series(series: Series) -> dict[str, Any]:
    grid = series.geometry
    return {
        "uid": series.uid,
        "number": series.number,
        "modality": series.modality.value,
        "description": series.description,
        "body_part": series.body_part,
        "files": len(series.files),
        "slices": series.slices,
        "folder": str(series.files[0].parent) if series.files else None,
        "shape_kji": None if grid is None else grid.shape,
        "spacing_mm_kji": None if grid is None else grid.spacing_mm,
        "affine_lps": None if grid is None else grid.affine.tolist(),
        "readable": grid is not None and series.refusal is None,
        "kind": series.kind.value,
        "phases": [str(name) for name in series.phases],
        "unsafe_for": sorted({use.value for remark in series.remarks for use in remark.unsafe_for}),
        "remarks": [console.plain(remark) for remark in series.remarks],
    }


def _reject(reject: Reject) -> dict[str, str]:
    return {"path": str(reject.path), "reason": str(reject.reason)}


def _patient(series: Series) -> tuple[str, str]:
    patient = series.study.patient
    return patient.name or patient.key, " ".join(part for part in (series.study.date, series.study.description) if part)


def _series_row(series: Series) -> tuple[str, ...]:
    grid = series.geometry
    remarks = "; ".join(str(remark.text) for remark in series.remarks)
    return (
        "" if series.number is None else str(series.number),
        series.modality.value,
        series.description,
        f"{series.slices}" if grid is None else " x ".join(str(size) for size in grid.shape),
        "" if grid is None else " x ".join(f"{step:.3g}" for step in grid.spacing_mm),
        remarks or "ok",
        series.uid,
    )
