"""What is said of a drop that holds nothing to look at."""

from __future__ import annotations

from pathlib import Path

from medview.core.progress import NoProgress
from medview.workstation.searching import Found, nothing_to_open, search


def found_in(*paths: Path) -> Found:
    return search(paths, {}, NoProgress(), lambda series: None)


def test_reports_alone_are_worth_opening_and_masks_alone_want_their_images(real_data: Path) -> None:
    report = real_data / "sr-tid1500-dcmqi" / "sr.dcm"
    assert nothing_to_open(found_in(report)) is None
    error = nothing_to_open(found_in(real_data / "sr-tid1500-dcmqi" / "seg.dcm"))
    assert error is not None
    assert "no images" in str(error)
