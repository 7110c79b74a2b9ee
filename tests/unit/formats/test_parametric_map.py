"""Parametric maps: read by highdicom, opened as volumes, spoiled in every way that a proof has to see."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from medview.catalog import quantities
from medview.core.errors import GridMismatchError, InputError, StorageError
from medview.core.geometry import Geometry
from medview.core.progress import NoProgress
from medview.core.proof import Proof
from medview.core.segmentation import Code, ModelRef, Provenance
from medview.core.volume import Volume
from medview.formats import dicom_files, dicom_series, dicom_volume, map_proof, parametric_map
from medview.formats.itk_geometry import from_itk
from medview.formats.parametric_map import MapMeaning
from medview.formats.seg_source import completed, images_on
from tests.support import reports, source_series
from tests.support.phantom_study import series_in

GRID = Geometry.from_parts((5, 14, 9), (2.5, 0.7, 0.8), (-31.5, 12.25, 700.5))
CODES = quantities.load()
MEANING = MapMeaning(CODES.maps["uncertainty"], CODES.unit(""), "How unsure it is")


def values(geometry: Geometry = GRID) -> NDArray[np.float32]:
    return np.random.default_rng(4).random(geometry.shape, dtype=np.float32)


class Written:
    def __init__(self, folder: Path) -> None:
        self.volume, self.files = source_series.make(folder / "ct", GRID)
        self.path = folder / "map.dcm"
        provenance = Provenance(ModelRef("m", "1"), reviewer="Reader^One")
        self.proof = parametric_map.write(
            values(), GRID, MEANING, self.files, self.path, provenance=provenance, series_uid=self.volume.series_uid
        )
        self.headers = completed(images_on(GRID, self.files)[0], GRID, self.volume.series_uid)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(tmp_path_factory.mktemp("map"))


def read_back(path: Path) -> Volume:
    return dicom_volume.read(series_in(path), NoProgress())


def test_highdicom_reads_the_numbers_and_what_they_are(written: Written) -> None:
    assert written.proof.ok
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = highdicom.imread(written.path)
        volume = image.get_volume(apply_real_world_transform=True)
    # highdicom's first axis may run the other way: compared where each voxel lies
    places = np.argwhere(np.ones(volume.spatial_shape))
    points = places @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    k, j, i = np.rint(GRID.to_index(points)).astype(int).T
    np.testing.assert_array_equal(volume.array[tuple(places.T)], values()[k, j, i])
    dataset = dcmread(written.path)
    mapping = dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "1"
    assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeMeaning == "Uncertainty"
    first = dcmread(written.files[0])
    assert (dataset.StudyInstanceUID, dataset.FrameOfReferenceUID) == (
        first.StudyInstanceUID,
        first.FrameOfReferenceUID,
    )


def test_it_opens_as_a_volume(written: Written) -> None:
    volume = read_back(written.path)
    assert volume.geometry.same_grid(GRID)
    assert volume.unit == ""
    np.testing.assert_array_equal(volume.voxels, values())


@pytest.mark.parametrize(("code", "unit"), [("[hnsf'U]", "HU"), ("g/ml{SUVbw}", "SUVbw"), ("um2/s", "um2/s")])
def test_units_come_back(code: str, unit: str, written: Written, tmp_path: Path) -> None:
    meaning = replace(MEANING, unit=Code(code, "UCUM", code))
    parametric_map.write(values(), GRID, meaning, written.files, tmp_path / "map.dcm")
    assert read_back(tmp_path / "map.dcm").unit == unit


def test_a_map_of_one_value_and_a_map_of_whole_numbers(written: Written, tmp_path: Path) -> None:
    for kept in (np.full(GRID.shape, 0.5), np.arange(np.prod(GRID.shape), dtype=np.int16).reshape(GRID.shape)):
        assert parametric_map.write(kept, GRID, MEANING, written.files, tmp_path / "map.dcm").ok
        np.testing.assert_array_equal(read_back(tmp_path / "map.dcm").voxels, kept)


def test_stored_whole_numbers_are_rescaled_by_their_mapping(written: Written, tmp_path: Path) -> None:
    """As other programs write maps: 16-bit pixels, and the real values behind a slope and an intercept."""
    dataset = dcmread(written.path)
    stored = np.arange(np.prod(GRID.shape), dtype=np.uint16).reshape(GRID.shape)
    del dataset.FloatPixelData
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    mapping = dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 0.25, -3.0
    dataset.save_as(tmp_path / "map.dcm")
    depths = [
        float(one.PlanePositionSequence[0].ImagePositionPatient[2]) for one in dataset.PerFrameFunctionalGroupsSequence
    ]
    meant = stored[np.argsort(depths)] * 0.25 - 3.0
    np.testing.assert_allclose(read_back(tmp_path / "map.dcm").voxels, meant)


def test_dcmqi_s_map_lies_where_its_nrrd_lies(real_data: Path, tmp_path: Path) -> None:
    """The source series of a map of dcmqi's tests, and the map's values as NRRD, which SimpleITK reads."""
    folder = real_data / "parametric-map-dcmqi"
    with zipfile.ZipFile(folder / "pm-example-dcm.zip") as packed:
        packed.extractall(tmp_path / "images")
    image = SimpleITK.ReadImage(str(folder / "pm-example-3slices-256x256.nrrd"))
    there, adc = from_itk(image), SimpleITK.GetArrayFromImage(image)
    series = series_in(tmp_path / "images")
    grid = series.facts.geometry
    assert grid is not None
    places = np.argwhere(np.ones(adc.shape))
    k, j, i = np.rint(grid.to_index(there.to_patient(places.astype(float)))).astype(int).T
    whole = np.zeros(grid.shape, dtype=np.float32)
    whole[k, j, i] = adc[tuple(places.T)]
    assert np.count_nonzero(whole) == np.count_nonzero(adc) > 0
    meaning = MapMeaning(CODES.maps["apparent diffusion coefficient"], CODES.unit("um2/s"), "ADC")
    assert parametric_map.write(whole, grid, meaning, series.facts.files, tmp_path / "map.dcm").ok
    volume = read_back(tmp_path / "map.dcm")
    assert volume.unit == "um2/s"
    m = np.rint(volume.geometry.to_index(there.to_patient(places.astype(float)))).astype(int)
    np.testing.assert_array_equal(volume.voxels[tuple(m.T)], adc[tuple(places.T)])


@reports.needs_dciodvfy
def test_a_validator_finds_no_error(written: Written) -> None:
    assert reports.errors_of(written.path) == []


# Damage


def flip(dataset: Dataset) -> None:
    stack = np.frombuffer(dataset.FloatPixelData, "<f4").reshape(GRID.shape)
    dataset.FloatPixelData = np.ascontiguousarray(stack[:, ::-1]).tobytes()


def change_a_voxel(dataset: Dataset) -> None:
    stack = np.frombuffer(dataset.FloatPixelData, "<f4").copy()
    stack[7] += 1e-3
    dataset.FloatPixelData = stack.tobytes()


def shift(dataset: Dataset) -> None:
    for group in dataset.PerFrameFunctionalGroupsSequence:
        position = group.PlanePositionSequence[0].ImagePositionPatient
        position[0] = float(position[0]) + 0.8


def turn(dataset: Dataset) -> None:
    orientation = dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    orientation.ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]


def exchange_axes(dataset: Dataset) -> None:
    orientation = dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    orientation.ImageOrientationPatient = [0, 1, 0, 1, 0, 0]


def mapping_of(dataset: Dataset) -> Dataset:
    item: Dataset = dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    return item


def other_unit(dataset: Dataset) -> None:
    mapping_of(dataset).MeasurementUnitsCodeSequence[0].CodeValue = "%"


def other_quantity(dataset: Dataset) -> None:
    mapping_of(dataset).QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue = "1"


def other_slope(dataset: Dataset) -> None:
    mapping_of(dataset).RealWorldValueSlope = 2.0


def lose_references(dataset: Dataset) -> None:
    del dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0]


def refer_elsewhere(dataset: Dataset) -> None:
    one, two, *_ = (
        group.DerivationImageSequence[0].SourceImageSequence[0] for group in dataset.PerFrameFunctionalGroupsSequence
    )
    one.ReferencedSOPInstanceUID = two.ReferencedSOPInstanceUID


def other_space(dataset: Dataset) -> None:
    dataset.FrameOfReferenceUID = "1.2.3"


def short(dataset: Dataset) -> None:
    dataset.FloatPixelData = dataset.FloatPixelData[:40]


@pytest.mark.parametrize(
    "damage",
    [flip, change_a_voxel, shift, turn, exchange_axes, other_unit, other_quantity, other_slope, lose_references,
     refer_elsewhere, other_space, short],
)  # fmt: skip
def test_damage_is_found(written: Written, tmp_path: Path, damage: Callable[[Dataset], None]) -> None:
    def prove(path: Path) -> Proof:
        return map_proof.prove(path, values(), GRID, MEANING.quantity, MEANING.unit, written.headers)

    dataset = dcmread(written.path)
    damage(dataset)
    dataset.save_as(tmp_path / "map.dcm")
    assert prove(written.path).differences == ()
    assert not prove(tmp_path / "map.dcm").ok


def test_a_spoiled_map_is_not_saved(written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = map_proof.prove

    def spoiled(path: Path, *others: Any) -> Proof:
        dataset = dcmread(path)
        flip(dataset)
        dataset.save_as(path)
        return real(path, *others)

    monkeypatch.setattr(parametric_map, "prove", spoiled)
    with pytest.raises(StorageError, match="written wrongly"):
        parametric_map.write(values(), GRID, MEANING, written.files, tmp_path / "map.dcm")
    assert list(tmp_path.glob("*.dcm")) == []


# Refusals


def test_what_is_no_number_is_refused(written: Written, tmp_path: Path) -> None:
    spoiled = values()
    spoiled[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="no numbers"):
        parametric_map.write(spoiled, GRID, MEANING, written.files, tmp_path / "map.dcm")


def test_a_slice_without_its_image_is_refused(written: Written, tmp_path: Path) -> None:
    with pytest.raises(GridMismatchError, match="no image"):
        parametric_map.write(values(), GRID, MEANING, written.files[1:], tmp_path / "map.dcm")


def test_a_series_of_images_and_a_map_is_two(written: Written) -> None:
    found = dicom_series.group(dicom_files.scan([written.path, *written.files], NoProgress()).headers)
    assert sorted(one.facts.modality.value for one in found) == ["CT", "OT"]
    assert all(one.facts.geometry is not None and one.facts.refusal is None for one in found)
