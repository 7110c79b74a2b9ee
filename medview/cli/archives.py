"""Commands about archives on the network: pacs list, add, remove, echo, find, get, send."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medview.cli import console
from medview.cli.headless import existing, finish, home, workstation
from medview.cli.reading import Json

if TYPE_CHECKING:
    from medview.network.records import FoundSeries, FoundStudy

Name = Annotated[str, typer.Argument(metavar="ARCHIVE", help="The name that it was entered with.")]
_MB = 1e6


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="Archives on the network: search, retrieve, send.", no_args_is_help=True)
    group.command("list")(list_archives)
    group.command("add")(add)
    group.command("remove")(remove)
    group.command("echo")(echo)
    group.command("find")(find)
    group.command("get")(get)
    group.command("send")(send)
    app.add_typer(group, name="pacs")


def list_archives(json: Json = False) -> None:
    """List the archives that are entered."""
    with workstation(home()) as station:
        addresses = station.archives.list.addresses
    if json:
        # secrets leave as stars
        console.print_json({"archives": [one.model_dump(mode="json") for one in addresses]})
        return
    rows = [(one.name, one.kind.value, one.place, "yes" if one.encrypted else "no") for one in addresses]
    console.table(rows, ("Archive", "Kind", "Where", "Encrypted"))


def add(
    name: Name,
    url: Annotated[str, typer.Option(help="DICOMweb: the root, as https://host/dicom-web.")] = "",
    host: Annotated[str, typer.Option(help="DIMSE: the machine.")] = "",
    port: Annotated[int, typer.Option(help="DIMSE: its port.")] = 104,
    aet: Annotated[str, typer.Option(help="DIMSE: the archive's AE title.")] = "",
    my_aet: Annotated[str, typer.Option(help="DIMSE: the AE title under which it knows this workstation.")] = "MEDVIEW",
    receive_port: Annotated[int, typer.Option(help="DIMSE: where to listen for C-MOVE.")] = 11112,
    tls: Annotated[bool, typer.Option("--tls", help="DIMSE: encrypt.")] = False,
    user: Annotated[str, typer.Option(help="DICOMweb: a user's name.")] = "",
    password_file: Annotated[Path | None, typer.Option(help="A file with the password; - reads a line.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="A file with a bearer token; - reads a line.")] = None,
    ca_file: Annotated[str, typer.Option(help="Certificates to trust (PEM), instead of the system's.")] = "",
    certificate: Annotated[str, typer.Option(help="This workstation's certificate (PEM).")] = "",
    key: Annotated[str, typer.Option(help="Its private key (PEM).")] = "",
    json: Json = False,
) -> None:
    """Enter an archive: DICOMweb with --url, else DIMSE with --host, --port and --aet."""
    from pydantic import SecretStr

    from medview.network.address import Address, Kind

    address = Address(
        name=name,
        kind=Kind.DICOMWEB if url else Kind.DIMSE,
        url=url,
        host=host,
        port=port,
        called_ae=aet,
        calling_ae=my_aet,
        receive_port=receive_port,
        tls=tls,
        user=user,
        password=SecretStr(_secret(password_file)),
        token=SecretStr(_secret(token_file)),
        ca_file=_absolute(ca_file),
        certificate_file=_absolute(certificate),
        key_file=_absolute(key),
    )
    with workstation(home()) as station:
        station.archives.list.put(address)
    if json:
        console.print_json(address.model_dump(mode="json"))
    else:
        console.say(f"{name}: {address.place} is entered. medview pacs echo {name} tries it.")


def remove(name: Name, json: Json = False) -> None:
    """Forget an archive; what came from it stays."""
    with workstation(home()) as station:
        station.archives.list.remove(name)
    if json:
        console.print_json({"removed": name})
    else:
        console.say(f"{name} is removed.")


def echo(name: Name, json: Json = False) -> None:
    """Find out whether an archive is there and lets this workstation in."""
    with workstation(home()) as station:
        address = station.archives.list.named(name)
        finish(station, station.archives.echo(address))
    if json:
        console.print_json({"archive": name, "place": address.place, "answers": True})
    else:
        console.say(f"{name}: {address.place} answers.")


def find(
    name: Name,
    patient: Annotated[str, typer.Option(help="The patient's name, its beginning, or with * and ?.")] = "",
    patient_id: Annotated[str, typer.Option("--id", help="The patient's ID.")] = "",
    first: Annotated[str, typer.Option("--from", help="The earliest study date, yyyy-mm-dd.")] = "",
    last: Annotated[str, typer.Option("--to", help="The latest study date, yyyy-mm-dd.")] = "",
    modality: Annotated[str, typer.Option(help="As CT.")] = "",
    accession: Annotated[str, typer.Option(help="The accession number.")] = "",
    study: Annotated[str, typer.Option(help="The UID of one study: its series are listed, too.")] = "",
    json: Json = False,
) -> None:
    """Look for studies."""
    from medview.network.records import Query

    query = Query(patient, patient_id, _day(first), _day(last), modality, accession, study)
    with workstation(home()) as station:
        archives = station.archives
        address = archives.list.named(name)
        found = finish(station, archives.find(address, query))
        series = finish(station, archives.find_series(address, study)) if study and found and found.studies else ()
    assert found is not None  # this job returns a value, or raises
    if json:
        console.print_json({**console.plain(found), "series_found": console.plain(series or ())})
        return
    console.table([_study_row(one) for one in found.studies], ("Patient", "ID", "Date", "What", "Images", "Study UID"))
    if study:
        console.table([_series_row(one) for one in series or ()], ("Series", "Kind", "What", "Images", "Series UID"))
    if not found.complete:
        console.complain("there are more; narrow the search.")


def get(
    name: Name,
    study: Annotated[str, typer.Argument(metavar="STUDY", help="The study's UID, as find shows it.")],
    series: Annotated[list[str] | None, typer.Option(help="A series' UID; again for more. All when not given.")] = None,
    json: Json = False,
) -> None:
    """Retrieve a study into the inbox; again after it broke off, only the rest."""
    with workstation(home()) as station:
        archives = station.archives
        job = archives.retrieve(archives.list.named(name), study, tuple(series or ()), opens=False)
        done = finish(station, job)
    assert done is not None  # this job returns a value, or raises
    if json:
        console.print_json(done)
    else:
        now = f"{done.fetched} came now, {done.size_bytes / _MB:.1f} MB"
        console.say(f"{done.folder}: {done.instances} images are there; {now}.")


def send(
    name: Name,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="DICOM files, or folders of them.")],
    json: Json = False,
) -> None:
    """Send DICOM files, and ask the archive afterwards whether it has them."""
    from medview.network.records import Fate

    for path in paths:
        existing(path)
    with workstation(home()) as station:
        archives = station.archives
        address = archives.list.named(name)
        files = _files(paths)
        sent = finish(station, archives.send(address, files))
    assert sent is not None  # this job returns a value, or raises
    if json:
        console.print_json(
            {
                "well": sent.is_well,
                **{fate.value: sent.count(fate) for fate in Fate},
                "files": [
                    {
                        "path": one.file.path,
                        "instance": one.file.instance.uid,
                        "fate": one.fate,
                        "reason": one.reason,
                    }
                    for one in sent.outcomes
                ],
            }
        )
    else:
        for one in sent.outcomes:
            if not one.fate.is_well:
                console.say(f"{one.file.path}: {one.fate.value}. {one.reason}")
        for fate, words in (
            (Fate.CONFIRMED, "sent, and a query afterwards found them in the archive"),
            (Fate.THERE, "were in the archive before"),
            (Fate.ACCEPTED, "sent and accepted; the archive cannot be asked whether it has them"),
        ):
            if count := sent.count(fate):
                console.say(f"{count}: {words}.")
    if not sent.is_well:
        raise console.CommandError(f"{sent.count(Fate.REFUSED, Fate.MISSING)} files are not in the archive.")


def _files(paths: list[Path]) -> list[Path]:
    """Every file of the folders but hidden ones and directories of media."""
    found: list[Path] = []
    for path in paths:
        inner = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        found += [one for one in inner if not one.name.startswith(".") and one.name.upper() != "DICOMDIR"]
    return found


def _study_row(study: FoundStudy) -> tuple[str, ...]:
    from medview.formats.dicom_text import iso_date, written_name

    what = " ".join(part for part in ("/".join(study.modalities), study.description) if part)
    day = iso_date(study.date)
    count = "" if study.instances is None else str(study.instances)
    return (written_name(study.patient_name), study.patient_id, day, what, count, study.uid)


def _series_row(series: FoundSeries) -> tuple[str, ...]:
    number, count = ("" if one is None else str(one) for one in (series.number, series.instances))
    return (number, series.modality, series.description, count, series.uid)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise console.CommandError(f"{text} is no date; write it as 2024-01-31.") from error


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute()) if path else ""


def _secret(path: Path | None) -> str:
    if path is None:
        return ""
    if str(path) == "-":
        return sys.stdin.readline().rstrip("\r\n")
    return existing(path).read_text(encoding="utf-8").strip("\r\n")
