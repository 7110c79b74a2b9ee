"""A process that opens spoilt files as the program does, one after another, and says how each ended.

It is given folders on standard input, one a line, and answers with one line each on standard output: the folder, a tab,
"opened", "refused" or "WRONG", a tab, and words. Its memory is limited, and it ends itself with all its stacks on
standard error when a file takes too long: whatever ends it is the fault of the folder that it had not answered.
"""

from __future__ import annotations

import faulthandler
import hashlib
import sys
import traceback
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from medview.core.case import Series, SeriesKind
from medview.core.errors import MedViewError, UnsupportedSeriesError
from medview.core.geometry import Geometry
from medview.core.progress import NoProgress
from medview.core.volume import Volume
from medview.formats import dicom_volume, documents, image_files, mask_references, thumbnails
from medview.workstation import masks
from medview.workstation.searching import Found, search

_MOST_PHASES = 3
GOOD = "the sound series"


def main(limit_bytes: int, limit_s: float, good_hash: str) -> None:
    """Answer every folder of standard input."""
    _warm_up()
    if sys.platform != "win32":
        import resource

        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() if _has_proc() else 0
        resource.setrlimit(resource.RLIMIT_AS, (held + limit_bytes, held + limit_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print("ready", flush=True)
    for line in sys.stdin:
        folder = Path(line.rstrip("\n"))
        faulthandler.dump_traceback_later(limit_s, exit=True)
        try:
            verdict, words = _opened(folder, good_hash)
        except MedViewError as error:
            verdict, words = "WRONG", f"an error of one file ends the search: {error}"
        except BaseException:
            verdict, words = "WRONG", traceback.format_exc()
        faulthandler.cancel_dump_traceback_later()
        print(f"{folder}\t{verdict}\t{words!r}", flush=True)


def _has_proc() -> bool:
    return Path("/proc/self/statm").is_file()


def _warm_up() -> None:
    """What is imported when the first file of a kind comes, before memory is counted."""
    import highdicom  # noqa: F401
    import nibabel.nicom.csareader  # noqa: F401
    import SimpleITK  # noqa: F401

    from medview.formats import decoders, dicom_seg, rtstruct_reader  # noqa: F401

    decoders.decoder_reports()


def _opened(folder: Path, good_hash: str) -> tuple[str, str]:
    found = search([folder], {}, NoProgress(), lambda series: None)
    said = [str(one.reason) for one in found.rejects]
    good = None
    for facts, source in found.sources:
        if not isinstance(source, Path):
            thumbnails.of_series(source)
        try:
            volume = _used(facts, source, _grid(found))
            good = volume if facts.description == GOOD else good
        except MedViewError as error:
            said.append(str(error))
    if good is None or hashlib.sha256(good.voxels.tobytes()).hexdigest() != good_hash:
        return "WRONG", f"the sound series beside it does not open, or has other values: {said}"
    if not all(one.strip() for one in said):
        return "WRONG", f"no sentence: {said}"
    return ("refused" if said else "opened"), "; ".join(said)


def _used(facts: Series, source: Any, grid: Geometry) -> Volume | None:
    """Do with a series what the program does when it is chosen."""
    volume = None
    if facts.kind is SeriesKind.DOCUMENT:
        documents.read(facts.files[0])
    elif facts.kind is SeriesKind.MASK:
        mask_references.read(facts.files[0])
        masks.read_layers(facts.files[0], grid, NoProgress())
    elif facts.refusal is not None:
        raise UnsupportedSeriesError(facts.refusal.text)
    elif facts.geometry is None:
        raise UnsupportedSeriesError("")
    else:
        for phase in range(min(_MOST_PHASES, max(1, len(facts.phases)))):
            volume = _read(source, phase)
    return volume


def _read(source: Any, phase: int) -> Volume:
    if isinstance(source, Path):
        return image_files.read_volume(source, NoProgress())
    return dicom_volume.read(source, NoProgress(), phase=phase)


def _grid(found: Found) -> Geometry:
    return next(one.geometry for one in found.series if one.description == GOOD and one.geometry is not None)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3])
