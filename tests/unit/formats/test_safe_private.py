"""What makers write of their own and names nobody may stay in copies without names: other readers find it there."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from medview.core.progress import NoProgress
from medview.formats import dicom_files, dicom_series, dicom_volume
from medview.formats.confidentiality_profile import Action, Options
from medview.formats.deidentification_report import write_report
from medview.formats.deidentify import Deidentifier
from tests.support.named_files import NAMES, named, names_in

SECRET = b"of this place"
SAFE = Options(keep_safe_private=True)

needs_dcm2niix = pytest.mark.skipif(shutil.which("dcm2niix") is None, reason="dcm2niix is not installed")
needs_dcmtk = pytest.mark.skipif(shutil.which("dcmdump") is None, reason="dcmtk is not installed")


def copy(source: Path, folder: Path, options: Options = SAFE) -> Path:
    outcome = Deidentifier(SECRET, options).copy(source, folder)
    assert outcome.target is not None, str(outcome.reason)
    return outcome.target


def private_of(dataset: Dataset) -> list[str]:
    return [str(element.tag) for element in dataset.iterall() if element.tag.is_private]


def converted(path: Path, folder: Path) -> nibabel.Nifti1Image:
    """What dcm2niix makes of one file."""
    folder.mkdir()
    source = folder / "source"
    source.mkdir()
    shutil.copy(path, source / "a.dcm")
    subprocess.run(["dcm2niix", "-b", "n", "-z", "n", "-o", str(folder), str(source)], check=True, capture_output=True)
    (made,) = folder.glob("*.nii")
    return nibabel.Nifti1Image.from_filename(made)


def number_in(path: Path, tag: str) -> float:
    """A number as dcmtk's dcmdump reads it."""
    told = subprocess.run(["dcmdump", "+P", tag, str(path)], capture_output=True, check=True, text=True).stdout
    return float(told.split()[2])


@needs_dcm2niix
@pytest.mark.parametrize("name", ["orientation-axasc35", "orientation-corint35", "orientation-sagdesc36"])
def test_mosaics_stay_mosaics(name: str, real_data: Path, tmp_path: Path) -> None:
    """In any direction of slices, also for a converter that reads the makers' header on its own."""
    source = next(iter(sorted((real_data / "mr-siemens-mosaic" / name / "dicom").iterdir())))
    target = copy(source, tmp_path / "safe")
    before, after = converted(source, tmp_path / "before"), converted(target, tmp_path / "after")
    assert before.shape == after.shape
    assert np.array_equal(np.asanyarray(before.dataobj), np.asanyarray(after.dataobj))
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-4)
    (one,), (other,) = (dicom_series.group(dicom_files.scan([path], NoProgress()).headers) for path in (source, target))
    mine, theirs = dicom_volume.read(one, NoProgress()), dicom_volume.read(other, NoProgress())
    assert np.array_equal(mine.voxels, theirs.voxels)
    np.testing.assert_allclose(mine.geometry.affine, theirs.geometry.affine, atol=1e-9)
    assert len(private_of(dcmread(target))) < len(private_of(dcmread(source))) / 2
    csa = dcmread(target)[0x0029, 0x1010].value
    assert b"NumberOfImagesInMosaic" in csa
    assert b"ReferencedImageSequence" not in csa
    assert private_of(dcmread(copy(source, tmp_path / "strict", Options()))) == []


@needs_dcmtk
def test_b_values_stay_and_other_private_attributes_go(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "mr-dwi-4d-with-presentation-state" / "dicom"
    seen = Counter[float]()
    for source in sorted(folder.glob("IM_*"))[::90]:
        target = copy(source, tmp_path / source.name)
        for tag in ("2001,1003", "2005,10b0", "2005,10b1", "2005,10b2"):
            assert number_in(target, tag) == number_in(source, tag)
        seen[number_in(target, "2001,1003")] += 1
        assert set(private_of(dcmread(target))) <= {
            f"({group:04X},{element:04X})"
            for group, numbers in {
                0x2001: (0x10, 0x1003, 0x1004),
                0x2005: (0x10, 0x100D, 0x100E, 0x10B0, 0x10B1, 0x10B2),
            }.items()
            for element in numbers
        }
    assert len(seen) > 1


def test_a_private_attribute_is_known_by_its_creator_and_loses_names(small_series_folder: Path, tmp_path: Path) -> None:
    dataset = named(next(iter(sorted(small_series_folder.iterdir()))))
    known = dataset.private_block(0x0019, "GEMS_ACQU_01", create=True)
    known.add_new(0x23, "DS", "3.75")
    known.add_new(0x24, "DS", "1.5")
    known.add_new(0x30, "LO", "not in the table")
    known.add_new(0x9E, "LO", f"EPI of {NAMES[0]}")
    other = dataset.private_block(0x0019, "SOMEBODY ELSE", create=True)
    other.add_new(0x23, "DS", "4.5")
    dataset.save_as(tmp_path / "a.dcm")
    worker = Deidentifier(SECRET, SAFE)
    outcome = worker.copy(tmp_path / "a.dcm", tmp_path / "out")
    assert outcome.target is not None
    after = dcmread(outcome.target)
    block = after.private_block(0x0019, "GEMS_ACQU_01")
    assert (block[0x23].value, block[0x24].value) == (3.75, 1.5)
    assert 0x30 not in block
    assert NAMES[0].lower() not in str(block[0x9E].value).lower()
    assert names_in(outcome.target) == []
    assert "SOMEBODY ELSE" not in str(after)
    assert "113111" in {one.CodeValue for one in after.DeidentificationMethodCodeSequence}
    kept = {change.name: change.action for change in worker.changes if change.action in (Action.KEEP, Action.CLEAN)}
    assert kept["Table Speed (GEMS_ACQU_01)"] is Action.KEEP
    assert kept["Internal Pulse Sequence Name (GEMS_ACQU_01)"] is Action.CLEAN
    report, summary = write_report([outcome], worker.changes, {}, SAFE, tmp_path / "out")
    assert "Table Speed (GEMS_ACQU_01): kept, 1" in summary.read_text(encoding="utf-8")
    assert {"value": "113111", "scheme": "DCM", "meaning": "Retain Safe Private Option"} in json.loads(
        report.read_text(encoding="utf-8")
    )["codes"]
