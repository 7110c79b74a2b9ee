"""Images that a document names are found among the open series, and come on the screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from medview.core.document import ImageRef
from medview.formats import documents
from medview.formats.dicom_writer import SeriesOptions, write_series
from medview.phantom.chest import Phantom
from medview.workstation.station import Workstation
from tests.unit.workstation.test_attaching import finish_all


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Workstation]:
    one = Workstation(tmp_path / "home")
    yield one
    one.close()


def key_images(files: list[Path], path: Path) -> Path:
    """A key object selection, made by highdicom."""
    images = [dcmread(file) for file in files]
    for image in images:
        for keyword in ("StudyID", "AccessionNumber", "ReferringPhysicianName", "PatientBirthDate", "PatientSex"):
            if keyword not in image:
                setattr(image, keyword, "")
    highdicom.ko.KeyObjectSelectionDocument(
        evidence=images,
        content=highdicom.ko.KeyObjectSelection(document_title=codes.DCM.OfInterest, referenced_objects=images),
        series_instance_uid=generate_uid(),
        series_number=90,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="Somebody",
    ).save_as(path)
    return path


@pytest.mark.parametrize(
    "options", [SeriesOptions(shuffled=5), SeriesOptions(tilt_degrees=12.0), SeriesOptions(phases=2)]
)
def test_key_images_are_found_and_shown(
    options: SeriesOptions, station: Workstation, small_phantom: Phantom, tmp_path: Path
) -> None:
    """By the pixels and the place that pydicom reads from the file."""
    files = write_series(small_phantom.volume, tmp_path / "series", options)
    chosen = files[len(files) // 3]
    document = documents.read(key_images([chosen, files[0]], tmp_path / "ko.dcm"))
    images = [image for line in document.lines for image in line.images]
    station.importing.find([tmp_path / "series"])
    finish_all(station)
    places = station.named_images.places_of(images)
    assert len(places) == 2
    truth = dcmread(chosen)
    place = places[ImageRef(truth.SOPInstanceUID)]
    assert str(place.name).endswith(f", image {truth.InstanceNumber}")
    station.named_images.show(place)
    finish_all(station)
    volume = station.workspace.active_volume
    assert volume is not None
    index = volume.geometry.to_index(np.array(station.viewing.state.cursor))
    position = volume.geometry.to_index(np.array([float(value) for value in truth.ImagePositionPatient]))
    assert abs(index[0] - position[0]) <= 0.5
    if not options.tilt_degrees:
        plane = volume.voxels[round(index[0])]
        assert np.corrcoef(plane.ravel(), truth.pixel_array.ravel())[0, 1] > 1 - 1e-9


def test_images_of_no_open_series_are_not_found(station: Workstation) -> None:
    assert station.named_images.places_of([ImageRef("1.2.3"), ImageRef("1.2.3", 4)]) == {}


def test_frames_are_told_apart(station: Workstation, real_data: Path) -> None:
    """In a file of four volumes of eight slices, slice by slice."""
    (file,) = (real_data / "enhanced-multiframe/philips-dti/dicom").iterdir()
    station.importing.find([file])
    finish_all(station)
    uid = dcmread(file, stop_before_pixels=True).SOPInstanceUID
    pixels = dcmread(file).pixel_array
    (place,) = station.named_images.places_of([ImageRef(uid, 15)]).values()
    assert place.number == 15
    station.named_images.show(place)
    finish_all(station)
    volume = station.workspace.active_volume
    assert volume is not None
    plane = volume.voxels[round(volume.geometry.to_index(np.array(station.viewing.state.cursor))[0])]
    assert np.corrcoef(plane.ravel(), pixels[14].ravel())[0, 1] > 1 - 1e-9
