"""Headers of NIfTI and NRRD lose their words; voxels and their place stay, as nibabel and SimpleITK read them."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from nibabel.nifti1 import Nifti1Extension, Nifti1Image
from nibabel.nifti2 import Nifti2Image

from medview.core.errors import UnreadableFileError, UnsupportedSeriesError
from medview.core.progress import NoProgress
from medview.formats import image_header_cleaning

VOXELS = np.arange(2 * 3 * 4 * 5, dtype=np.int16).reshape(2, 3, 4, 5)
AFFINE = np.array([[-1.5, 0, 0, 10], [0, 2.0, 0.1, -3], [0, -0.1, 2.5, 7], [0, 0, 0, 1.0]])


@pytest.mark.parametrize("kind", [Nifti1Image, Nifti2Image])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_nifti(tmp_path: Path, kind: type[Nifti1Image], ending: str) -> None:
    image = kind(VOXELS, AFFINE)
    image.header["descrip"], image.header["aux_file"] = b"Quagga^Zebulon 19670304", b"/quagga"
    image.header["intent_name"] = b"Zebulon"
    image.header["scl_slope"], image.header["scl_inter"] = 2.0, -1.0
    image.header.extensions.append(Nifti1Extension("comment", b"Zebulon Quagga"))
    source, target = tmp_path / f"quagga{ending}", tmp_path / f"copy{ending}"
    nibabel.save(image, source)
    touched = image_header_cleaning.copy(source, target, NoProgress())
    assert touched == ("header texts", "extensions")
    content = gzip.decompress(target.read_bytes()) if ending.endswith("gz") else target.read_bytes()
    assert b"uagga" not in content + target.read_bytes()
    assert b"Zebulon" not in content
    before, after = kind.from_filename(source), kind.from_filename(target)
    np.testing.assert_array_equal(np.asarray(after.dataobj), np.asarray(before.dataobj))
    np.testing.assert_array_equal(after.affine, before.affine)
    assert len(after.header.extensions) == 0
    assert image_header_cleaning.copy(target, tmp_path / f"again{ending}", NoProgress()) == ()


def test_nrrd(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(VOXELS[..., 0].copy())
    image.SetSpacing((1.5, 2.0, 2.5))
    image.SetOrigin((3, 4, 5))
    image.SetMetaData("patient", "Quagga^Zebulon")
    source, target = tmp_path / "quagga.nrrd", tmp_path / "copy.nrrd"
    SimpleITK.WriteImage(image, str(source), True)
    source.write_bytes(source.read_bytes().replace(b"\n", b"\n# Zebulon\ncontent: Quagga\n", 1))
    assert b"Quagga" in source.read_bytes()
    touched = image_header_cleaning.copy(source, target, NoProgress())
    assert touched == ("comments", "key/value pairs and content")
    content = target.read_bytes()
    assert b"uagga" not in content
    assert b"Zebulon" not in content
    before, after = SimpleITK.ReadImage(str(source)), SimpleITK.ReadImage(str(target))
    assert SimpleITK.Hash(after) == SimpleITK.Hash(before)
    assert (after.GetOrigin(), after.GetSpacing(), after.GetDirection()) == (
        before.GetOrigin(),
        before.GetSpacing(),
        before.GetDirection(),
    )


def test_real_masks(real_data: Path, tmp_path: Path) -> None:
    sources = sorted((real_data / "image-mask-pairs").rglob("*.nrrd"))[:4]
    sources += sorted((real_data / "image-mask-pairs").rglob("*.nii.gz"))[:2]
    assert len(sources) >= 4
    for number, source in enumerate(sources):
        target = tmp_path / f"{number}{image_header_cleaning.suffix(source)}"
        image_header_cleaning.copy(source, target, NoProgress())
        before, after = SimpleITK.ReadImage(str(source)), SimpleITK.ReadImage(str(target))
        assert SimpleITK.Hash(after) == SimpleITK.Hash(before)
        assert after.GetDirection() == before.GetDirection()


def test_what_is_no_image_or_only_half_of_one_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(b"Quagga")
    (tmp_path / "a.nii.gz").write_bytes(b"\x1f\x8b broken")
    (tmp_path / "a.nrrd").write_bytes(b"NRRD0004\ntype: short\n")
    for name in ("a.nii", "a.nii.gz", "a.nrrd"):
        with pytest.raises(UnreadableFileError, match="damaged"):
            image_header_cleaning.copy(tmp_path / name, tmp_path / "out", NoProgress())
    (tmp_path / "b.nrrd").write_bytes(b"NRRD0004\ntype: short\ndata file: b.raw\n\n")
    with pytest.raises(UnsupportedSeriesError, match="another file"):
        image_header_cleaning.copy(tmp_path / "b.nrrd", tmp_path / "out", NoProgress())
