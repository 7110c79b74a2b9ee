"""From a folder of CT slices to a `Volume`, beside dcm2niix, SimpleITK and a plain loop of pydicom.

The series is the chest phantom as 400 slices of 512x512 (`--quick`: 120 slices), made once and kept in the system's
folder for temporary files. Everything is read from warm cache. Compressed series of 100 slices (`--quick`: 24) are read
with one thread, on one core, and as the program reads them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pydicom
import SimpleITK
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from medview.core.progress import NoProgress
from medview.core.volume import Volume
from medview.formats import dicom_files, dicom_series, dicom_volume
from medview.formats.dicom_series import DicomSeries
from medview.formats.dicom_writer import SeriesOptions, write_series
from medview.formats.pixel_decoding import useful_threads
from medview.phantom import chest
from tests.benchmarks.bench import Options, Row, in_fresh_process, interleave, medians, options, report, series_folder

_HEADER_TAGS = [
    *("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "Modality", "InstanceNumber"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "BitsAllocated"),
    *("BitsStored", "PixelRepresentation", "RescaleSlope", "RescaleIntercept", "PatientName", "PatientID"),
]
_COMPRESSED_SLICES, _QUICK_COMPRESSED_SLICES = 100, 24
_COMPRESSED = {
    "JPEG 2000": (JPEG2000Lossless, False),
    "JPEG-LS": (JPEGLSLossless, False),
    "RLE": (RLELossless, False),
    "JPEG 2000 in one file": (JPEG2000Lossless, True),
}
"""Transfer syntax, and whether all slices lie in one file."""
_MEMORY = """
import json, sys
from pathlib import Path
from medview.core.progress import NoProgress
from medview.formats import dicom_files, dicom_series, dicom_volume
def status(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) * 1024
before = status("VmRSS")
(series,) = dicom_series.group(dicom_files.scan([Path(sys.argv[1])], NoProgress()).headers)
volume = dicom_volume.read(series, NoProgress())
print(json.dumps({"peak": status("VmHWM") - before, "voxels": volume.voxels.nbytes}))
"""


def main() -> int:
    """Measure, print, and return the exit status."""
    opts = options(__doc__ or "")
    folder = series_folder(opts)
    with tempfile.TemporaryDirectory() as scratch:
        runs = {
            "ours": lambda: _ours(folder),
            "dcm2niix": lambda: _dcm2niix(folder, Path(scratch)),
            "SimpleITK": lambda: _simpleitk(folder),
            "ours, headers": lambda: _our_headers(folder),
            "pydicom, headers": lambda: _pydicom_headers(folder),
            "ours, first slice": lambda: _first_slice(folder),
        }
        middle = medians(interleave(runs, opts.rounds))
    memory = in_fresh_process(_MEMORY, str(folder))
    compressed = [row for name in _COMPRESSED for row in _decoding(name, opts)]
    rows = [
        Row("folder to volume", middle["ours"], middle["dcm2niix"], "dcm2niix", 1.5),
        Row("folder to volume", middle["ours"], middle["SimpleITK"], "SimpleITK series reader", 0.5),
        Row("header scan", middle["ours, headers"], middle["pydicom, headers"], "pydicom, specific_tags", 0.7),
        Row("folder to first slice", middle["ours, first slice"], middle["ours"], "folder to volume", None),
        Row("peak memory above imports", memory["peak"] / 1e6, memory["voxels"] / 1e6, "the voxels", 1.6, "MB"),
        *compressed,
    ]
    return report(f"Loading {len(list(folder.iterdir()))} slices of 512x512", rows, opts)


def _decoding(name: str, opts: Options) -> list[Row]:
    """Rows for a compressed series: read by one thread, and as the program reads it."""
    series = _compressed(name, opts)
    one, ours = f"{name}, one core", f"{name}, as the program reads it"
    runs: dict[str, Callable[[], None]] = {
        one: lambda: _discard(dicom_volume.read(series, NoProgress(), threads=1)),
        ours: lambda: _discard(dicom_volume.read(series, NoProgress())),
    }
    middle = medians(interleave(runs, opts.rounds))
    threads = useful_threads(_COMPRESSED[name][0])
    limit = 1.5 / threads if threads > 1 else None
    return [Row(ours, middle[ours], middle[one], "one core", limit)]


def _compressed(name: str, opts: Options) -> DicomSeries:
    syntax, is_one_file = _COMPRESSED[name]
    slices = _QUICK_COMPRESSED_SLICES if opts.quick else _COMPRESSED_SLICES
    folder = Path(tempfile.gettempdir()) / f"medview-benchmark-{name.replace(' ', '-')}-{slices}"
    if not folder.is_dir():
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        volume = chest.make((slices, 512, 512)).volume
        write_series(volume, part, SeriesOptions(transfer_syntax=syntax, multi_frame=is_one_file))
        part.rename(folder)
    (series,) = dicom_series.group(dicom_files.scan([folder], NoProgress()).headers)
    return series


def _discard(volume: Volume) -> None:
    """Let go of it."""


def _read(folder: Path) -> Volume:
    (series,) = dicom_series.group(dicom_files.scan([folder], NoProgress()).headers)
    return dicom_volume.read(series, NoProgress())


def _ours(folder: Path) -> None:
    _read(folder)


def _first_slice(folder: Path) -> float:
    """Seconds until the first slice is in; the rest is read too, so that every run does the same work."""
    begin = time.perf_counter()
    seconds: list[float] = []
    (series,) = dicom_series.group(dicom_files.scan([folder], NoProgress()).headers)
    dicom_volume.read(series, NoProgress(), started=lambda volume: seconds.append(time.perf_counter() - begin))
    return seconds[0]


def _our_headers(folder: Path) -> None:
    dicom_files.scan([folder], NoProgress())


def _pydicom_headers(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_HEADER_TAGS))


def _simpleitk(folder: Path) -> None:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    reader.Execute()


def _dcm2niix(folder: Path, scratch: Path) -> None:
    command = ["dcm2niix", "-b", "n", "-z", "n", "-o", str(scratch), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    for path in scratch.iterdir():
        path.unlink()


if __name__ == "__main__":
    sys.exit(main())
