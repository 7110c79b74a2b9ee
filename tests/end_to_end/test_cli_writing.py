"""`convert` to surfaces and `report`, in processes of their own, read by other programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread
from vtkmodules.vtkFiltersCore import vtkMassProperties
from vtkmodules.vtkIOGeometry import vtkSTLReader

from medview.formats import itk_geometry
from medview.phantom.chest import Phantom
from tests.end_to_end.conftest import Run
from tests.support import reports

WANTED = {1: "right lung", 3: "liver"}


@pytest.fixture
def mask(small_phantom: Phantom, tmp_path: Path) -> Path:
    """Two of the phantom's structures as NIfTI."""
    labels = np.where(np.isin(small_phantom.labels, list(WANTED)), small_phantom.labels, 0).astype(np.uint8)
    path = tmp_path / "mask.nii.gz"
    SimpleITK.WriteImage(itk_geometry.to_itk(labels, small_phantom.volume.geometry), str(path))
    return path


def test_a_mask_becomes_surfaces(
    medview: Run,
    mask: Path,
    small_series_folder: Path,
    small_phantom: Phantom,
    tmp_path: Path,
) -> None:
    ended = medview("convert", mask, tmp_path / "s.stl", "--reference", small_series_folder)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("read back, identical") == 2
    for label in WANTED:
        reader = vtkSTLReader()
        reader.SetFileName(str(tmp_path / f"s-Segment-{label}.stl"))
        mass = vtkMassProperties()
        mass.SetInputConnection(reader.GetOutputPort())
        mass.Update()
        meant = np.count_nonzero(small_phantom.labels == label) * small_phantom.volume.geometry.voxel_mm3
        assert mass.GetVolume() == pytest.approx(meant, rel=0.01)
        places = small_phantom.volume.geometry.to_patient(np.argwhere(small_phantom.labels == label).astype(float))
        low, high = np.array(reader.GetOutput().GetBounds()).reshape(3, 2).T
        assert np.abs(low - places.min(axis=0)).max() < 10.0
        assert np.abs(high - places.max(axis=0)).max() < 10.0


def test_a_report_has_the_numbers(
    medview: Run,
    mask: Path,
    small_series_folder: Path,
    small_phantom: Phantom,
    tmp_path: Path,
) -> None:
    target = tmp_path / "report.dcm"
    ended = medview("report", mask, target, "--reference", small_series_folder, "--reader", "Doe^Jane")
    assert ended.returncode == 0, ended.stderr
    heading, *rows = ended.stdout.splitlines()
    assert heading.split("\t") == ["Label", "Segment", "ml", "Mean HU", "SD HU", "Min HU", "Max HU"]
    content = reports.content_of(target)
    groups = content.get_volumetric_roi_measurement_groups()
    assert len(groups) == 2
    for row, group, label in zip(rows, groups, WANTED, strict=False):
        inside = small_phantom.volume.voxels[small_phantom.labels == label].astype(float)
        ml = inside.size * small_phantom.volume.geometry.voxel_mm3 / 1000
        values = [one.value for one in group.get_measurements()]
        assert values == pytest.approx([ml, inside.mean(), inside.std(ddof=1), inside.min(), inside.max()])
        assert [float(cell) for cell in row.split("\t")[2:]] == pytest.approx(values, abs=0.01)
    seg = dcmread(tmp_path / "report-seg.dcm")
    assert groups[0].referenced_segment.referenced_sop_instance_uid == seg.SOPInstanceUID
    assert str(content.get_observer_contexts()[0].observer_identifying_attributes.name) == "Doe^Jane"


@pytest.mark.parametrize(
    ("target", "words"), [("report.txt", "must be a .dcm file"), ("missing/report.dcm", "There is no folder")]
)
def test_a_report_elsewhere_is_refused(
    medview: Run,
    mask: Path,
    small_series_folder: Path,
    tmp_path: Path,
    target: str,
    words: str,
) -> None:
    ended = medview("report", mask, tmp_path / target, "--reference", small_series_folder)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert words in line


def test_a_report_on_what_is_no_dicom_is_refused(
    medview: Run,
    mask: Path,
    small_phantom: Phantom,
    tmp_path: Path,
) -> None:
    image = tmp_path / "ct.nii.gz"
    SimpleITK.WriteImage(itk_geometry.to_itk(small_phantom.volume.voxels, small_phantom.volume.geometry), str(image))
    ended = medview("report", mask, tmp_path / "report.dcm", "--reference", image)
    assert ended.returncode == 1
    assert "DICOM" in ended.stderr
    assert not (tmp_path / "report.dcm").exists()


def test_a_map_becomes_a_parametric_map_and_comes_back(
    medview: Run, small_series_folder: Path, small_phantom: Phantom, tmp_path: Path
) -> None:
    geometry = small_phantom.volume.geometry
    values = np.random.default_rng(1).random(geometry.shape, dtype=np.float32)
    SimpleITK.WriteImage(itk_geometry.to_itk(values, geometry), str(tmp_path / "map.nrrd"))
    target = tmp_path / "map.dcm"
    call = ("convert", tmp_path / "map.nrrd", target, "--reference", small_series_folder, "--as", "map")
    ended = medview(*call, "--quantity", "uncertainty")
    assert ended.returncode == 0, ended.stderr
    mapping = dcmread(target).SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeMeaning == "Uncertainty"
    ended = medview("convert", target, tmp_path / "back.nrrd")
    assert ended.returncode == 0, ended.stderr
    back = SimpleITK.ReadImage(str(tmp_path / "back.nrrd"))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(back), values)
    assert np.allclose(back.GetOrigin(), geometry.origin_mm, atol=1e-3)
    ended = medview(*call, "--quantity", "beauty")
    assert ended.returncode == 1
    assert "probability" in ended.stderr
