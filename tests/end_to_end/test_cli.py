"""The command line, each command in a process of its own: what it prints, what it writes, and how it fails."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
import torch
from monai.networks.nets import UNet

from medview.formats.dicom_writer import write_series
from medview.phantom.chest import Phantom
from tests.end_to_end.conftest import Ended, Run
from tests.support import blob_classifier
from tests.support.bundles import bundle_config, bundle_plugin
from tests.support.named_files import named, names_in


def _json(ended: Ended) -> Any:
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def _refusal(ended: Ended) -> str:
    """The one plain line of a command that failed."""
    assert ended.returncode not in (0, None)
    (line,) = ended.stderr.splitlines()
    assert line.startswith("medview: ")
    assert "Traceback" not in ended.stdout
    return line


# What it prints


def test_the_version(medview: Run) -> None:
    ended = medview("--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("medview 0.")


def test_help_names_every_command(medview: Run) -> None:
    ended = medview("--help")
    assert ended.returncode == 0
    commands = ("index", "convert", "snapshot", "plugin", "dataset", "deidentify", "demo", "doctor", "selftest")
    assert all(name in ended.stdout for name in commands)


def test_help_loads_no_heavy_library(medview_home: Path) -> None:
    program = (
        "import sys; from medview.cli import main; main(['--help'])\n"
        "heavy = {'torch', 'monai', 'vtkmodules', 'PySide6', 'SimpleITK', 'pydicom'}\n"
        "sys.exit(sorted(heavy & sys.modules.keys()) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_the_window_comes_before_the_heavy_packages() -> None:
    program = (
        "import sys; import medview.app; import medview.ui.main_window\n"
        "heavy = {'torch', 'monai', 'SimpleITK', 'pydicom', 'highdicom', 'pyqtgraph', 'qtawesome', 'nibabel'}\n"
        "sys.exit(sorted(heavy & sys.modules.keys()) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_index_of_a_series(medview: Run, small_series_folder: Path, small_phantom: Phantom) -> None:
    report = _json(medview("index", small_series_folder, "--json"))
    (study,) = report["studies"]
    (series,) = study["series"]
    assert series["readable"]
    assert series["files"] == 40
    assert series["shape_kji"] == [40, 64, 64]
    assert np.allclose(series["affine_lps"], small_phantom.volume.geometry.affine, atol=1e-4)
    assert report["rejects"] == []
    listed = medview("index", small_series_folder)
    assert listed.returncode == 0
    assert series["uid"] in listed.stdout


def test_index_says_what_is_wrong_with_each(medview: Run, small_series_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed 影像"
    shutil.copytree(small_series_folder, folder)
    for path in sorted(folder.iterdir())[10:12]:
        path.unlink()
    (folder / "notes.txt").write_text("not an image")
    report = _json(medview("index", folder, "--json"))
    (series,) = report["studies"][0]["series"]
    assert series["readable"]
    assert [(remark["severity"], remark["code"]) for remark in series["remarks"]] == [("warning", "missing-slices")]
    assert series["unsafe_for"] == ["analyse", "measure"]
    assert [Path(reject["path"]).name for reject in report["rejects"]] == ["notes.txt"]


def test_the_plugins(medview: Run) -> None:
    plugins = {plugin["id"]: plugin for plugin in _json(medview("plugin", "list", "--json"))["plugins"]}
    assert plugins["ct_lungs"]["state"] == "ready"
    assert plugins["ct_lungs"]["manifest"]["license"]["code"]


def test_the_doctor(medview: Run) -> None:
    report = _json(medview("doctor", "--json"))
    assert report["well"]
    assert {"program", "machine", "graphics", "models", "pixels", "folders", "plugins"} == {
        fact["topic"] for fact in report["facts"]
    }


# What it writes


def test_a_series_becomes_nifti(
    medview: Run, small_series_folder: Path, small_phantom: Phantom, tmp_path: Path
) -> None:
    out = tmp_path / "out.nii.gz"
    assert medview("convert", small_series_folder, out).returncode == 0
    image = nibabel.nifti1.Nifti1Image.from_filename(out)
    geometry = small_phantom.volume.geometry
    expected = np.diag([-1.0, -1.0, 1.0, 1.0]) @ geometry.affine[:, [2, 1, 0, 3]]
    assert np.allclose(image.affine, expected, atol=1e-3)
    assert np.array_equal(np.asarray(image.dataobj).transpose(2, 1, 0), small_phantom.volume.voxels)


def test_a_mask_becomes_dicom_seg_and_comes_back(
    medview: Run, small_series_folder: Path, small_phantom: Phantom, tmp_path: Path
) -> None:
    mask = SimpleITK.GetImageFromArray((small_phantom.labels % 5).astype(np.uint8))
    geometry = small_phantom.volume.geometry
    mask.SetOrigin(geometry.origin_mm)
    mask.SetSpacing(geometry.spacing_mm[::-1])
    # Written with two axes the other way round, as many programs do: the same voxels, another order.
    SimpleITK.WriteImage(SimpleITK.Flip(mask, (True, True, False)), str(tmp_path / "mask.nii.gz"))
    seg = tmp_path / "seg.dcm"
    ended = medview("convert", tmp_path / "mask.nii.gz", seg, "--reference", small_series_folder)
    assert ended.returncode == 0, ended.stderr
    assert pydicom.dcmread(seg).Modality == "SEG"
    back = tmp_path / "back.nrrd"
    assert medview("convert", seg, back, "--reference", small_series_folder).returncode == 0
    read = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(back)))
    assert np.array_equal(read, small_phantom.labels % 5)


def test_a_plugin_writes_its_answer(
    medview: Run, coarse_series_folder: Path, coarse_phantom: Phantom, tmp_path: Path
) -> None:
    out = tmp_path / "answer"
    report = _json(
        medview("plugin", "run", "ct_lungs", coarse_series_folder, "--out", out, "--device", "cpu", "--json")
    )
    assert sorted(path.name for path in out.iterdir()) == ["labels.nii.gz", "result.json", "seg.dcm"]
    assert json.loads((out / "result.json").read_text(encoding="utf-8"))["plugin"]["plugin_id"] == "ct_lungs"
    labels = np.asarray(nibabel.nifti1.Nifti1Image.from_filename(out / "labels.nii.gz").dataobj).transpose(2, 1, 0)
    assert labels.shape == coarse_phantom.labels.shape
    for segment in report["segments"]:
        assert segment["voxels"] == np.count_nonzero(labels == segment["label"])
    assert pydicom.dcmread(out / "seg.dcm").SegmentSequence


def test_wishes_for_a_run(medview: Run, small_series_folder: Path, small_phantom: Phantom, tmp_path: Path) -> None:
    config = bundle_config()
    config["preprocessing"]["transforms"][3]["pixdim"] = [8.0, 8.0, 8.0]
    folder = bundle_plugin(tmp_path / "here" / "tiny", config, id="tiny", lines=("mirror-axes = [0]",))
    torch.manual_seed(1)
    made = UNet(spatial_dims=3, in_channels=1, out_channels=3, channels=[4, 8], strides=[2], num_res_units=0)
    torch.save(made.state_dict(), folder / "models" / "model.pt")
    geometry = small_phantom.volume.geometry
    one, other = geometry.to_patient((12.0, 20.0, 22.0)), geometry.to_patient((24.0, 50.0, 48.0))
    corners = [f"{value:.3f}" for value in (*one, *other)]
    arguments = ["plugin", "run", "./tiny", small_series_folder, "--device", "cpu", "--exact", "--mirroring", "--json"]
    arguments += ["--box", *corners, "--uncertainty", "unsure.nii.gz", "--probability", "Two", "two.dcm"]
    report = _json(medview(*arguments, "--out", "first"))
    here = tmp_path / "here"
    assert report["options"]["box"] == {"start_kji": [12, 20, 22], "stop_kji": [25, 51, 49]}
    assert report["options"]["mirroring"] is True
    assert report["maps"] == {"uncertainty": "unsure.nii.gz", "probability": "two.dcm"}
    labels = np.asarray(nibabel.nifti1.Nifti1Image.from_filename(here / "first" / "labels.nii.gz").dataobj)
    unsure = np.asarray(nibabel.nifti1.Nifti1Image.from_filename(here / "unsure.nii.gz").dataobj).transpose(2, 1, 0)
    inside = np.zeros(unsure.shape, dtype=np.bool_)
    inside[12:25, 20:51, 22:49] = True
    assert len(np.unique(labels)) > 1
    assert not labels.transpose(2, 1, 0)[~inside].any()
    assert not unsure[~inside].any()
    assert 0 < unsure[inside].mean() < 1
    assert pydicom.dcmread(here / "two.dcm").SOPClassUID == "1.2.840.10008.5.1.4.1.1.30"  # Parametric Map Storage

    again = medview(*[one for one in arguments if one != "--json"], "--out", "second")
    assert again.returncode == 0, again.stderr
    assert "note: from an earlier run, " in again.stdout
    plain = ("plugin", "run", "./tiny", small_series_folder, "--out", "third")
    refused = _refusal(medview(*plain, "--probability", "Three", "x.nii.gz"))
    assert "does not find Three. It finds: 1 (One), 2 (Two)" in refused


def test_where_a_classifier_looked(medview: Run, tmp_path: Path) -> None:
    image, (bright,) = blob_classifier.scan(((0.7, 0.3, 0.65), 1.0))
    series = tmp_path / "scan"
    write_series(image, series)
    here = tmp_path / "here"
    blob_classifier.write(here / "blobs", blob_classifier.SHOWN_3D)
    plain = ("plugin", "run", "./blobs", series, "--out", "out", "--device", "cpu")
    report = _json(medview(*plain, "--json", "--evidence", "Blob", "evidence.nii.gz", "--evidence-by", "grad-cam++"))
    assert report["maps"] == {"evidence": "evidence.nii.gz"}
    assert report["options"]["evidence"] == {"value": 1, "method": "grad-cam++", "slice": None}
    found = SimpleITK.ReadImage(str(here / "evidence.nii.gz"))
    values = SimpleITK.GetArrayFromImage(found)
    k, j, i = np.argwhere(values == values.max()).mean(axis=0)
    place = found.TransformContinuousIndexToPhysicalPoint((float(i), float(j), float(k)))
    assert np.linalg.norm(np.subtract(place, bright)) < 8
    refused = _refusal(medview(*plain, "--evidence", "Cyst", "x.nii.gz"))
    assert "does not find Cyst. It finds: 0 (No blob), 1 (Blob)" in refused


def test_the_four_views_become_a_picture(medview: Run, small_series_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "views.png"
    ended = medview("snapshot", small_series_folder, "--out", out)
    assert ended.returncode == 0, ended.stderr
    picture = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(out)))
    height, width = picture.shape[0] // 2, picture.shape[1] // 2
    quarters = [picture[y : y + height, x : x + width] for y in (0, height) for x in (0, width)]
    assert all(np.ptp(quarter) > 100 for quarter in quarters)


def test_an_example_is_added_listed_exported_and_checked(
    medview: Run, small_series_folder: Path, small_phantom: Phantom, tmp_path: Path
) -> None:
    mask = SimpleITK.GetImageFromArray((small_phantom.labels > 0).astype(np.uint8))
    mask.SetOrigin(small_phantom.volume.geometry.origin_mm)
    mask.SetSpacing(small_phantom.volume.geometry.spacing_mm[::-1])
    SimpleITK.WriteImage(SimpleITK.Flip(mask, (False, True, True)), str(tmp_path / "mask.nii.gz"))
    arguments = ("dataset", "add", small_series_folder, tmp_path / "mask.nii.gz", "--name", "Body", "--json")
    assert _json(medview(*arguments))["revision"] == 1
    assert _json(medview(*arguments))["revision"] == 2
    (listed,) = _json(medview("dataset", "list", "--json"))["examples"]
    assert [segment["name"] for segment in listed["segments"]] == ["Body"]
    exported = _json(medview("dataset", "export", "nifti", tmp_path / "exported", "--json"))
    assert exported["examples"] == 1
    assert _json(medview("dataset", "stats", "--json"))["revisions"] == 2
    assert _json(medview("dataset", "verify", "--json"))["well"]


def test_damage_in_the_store_is_found(
    medview: Run, medview_home: Path, small_series_folder: Path, small_phantom: Phantom, tmp_path: Path
) -> None:
    mask = SimpleITK.GetImageFromArray((small_phantom.labels > 0).astype(np.uint8))
    mask.SetOrigin(small_phantom.volume.geometry.origin_mm)
    mask.SetSpacing(small_phantom.volume.geometry.spacing_mm[::-1])
    SimpleITK.WriteImage(mask, str(tmp_path / "mask.nii.gz"))
    assert medview("dataset", "add", small_series_folder, tmp_path / "mask.nii.gz").returncode == 0
    labels = next((medview_home / "examples").rglob("labels.nii.gz"))
    labels.chmod(0o600)
    labels.write_bytes(labels.read_bytes()[:-1])
    ended = medview("dataset", "verify", "--json")
    assert not json.loads(ended.stdout)["well"]
    assert "1 files" in _refusal(ended)


def test_copies_without_names(medview: Run, small_series_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number, path in enumerate(sorted(small_series_folder.iterdir())[:3]):
        named(path, SOPInstanceUID=pydicom.uid.UID(f"1.2.3.{number}")).save_as(folder / f"{number}.dcm")
    (folder / "letter.txt").write_text("Zebulon", encoding="utf-8")
    out = tmp_path / "out"
    told = _json(medview("deidentify", folder, out, "--shift-dates", "--keep-descriptions", "--json"))
    assert told["written"] == 3
    assert [Path(one["path"]).name for one in told["held_back"]] == ["letter.txt"]
    copies = sorted(out.rglob("*.dcm"))
    assert len(copies) == 3
    files = [path for path in out.rglob("*") if path.is_file()]
    assert [name for path in files for name in names_in(path)] == []
    report = json.loads(Path(told["report"]).read_text(encoding="utf-8"))
    assert [one["value"] for one in report["codes"]] == ["113100", "113105", "113107"]
    names = {str(pydicom.dcmread(path).PatientName) for path in copies}
    ended = medview("deidentify", folder / "0.dcm", folder / "1.dcm", tmp_path / "again")
    assert ended.returncode == 0, ended.stderr
    assert "2 files written, 0 held back" in ended.stdout
    assert {str(pydicom.dcmread(path).PatientName) for path in (tmp_path / "again").rglob("*.dcm")} == names


# How it fails


def test_what_cannot_be_copied_without_names(medview: Run, small_series_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(small_series_folder, folder)
    (tmp_path / "letter.txt").write_text("Dear colleague", encoding="utf-8")
    assert "among the originals" in _refusal(medview("deidentify", folder, folder / "out"))
    assert "not an empty folder" in _refusal(medview("deidentify", folder, small_series_folder))
    assert "No file could be copied" in _refusal(medview("deidentify", tmp_path / "letter.txt", tmp_path / "out"))
    assert "and then the new folder" in _refusal(medview("deidentify", folder))
    assert "no file or folder" in _refusal(medview("deidentify", tmp_path / "missing", tmp_path / "out"))
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "could not be written" in _refusal(medview("deidentify", folder, tmp_path / "file" / "out"))


def test_what_is_not_there(medview: Run, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    for arguments in (
        ("index", missing),
        ("convert", missing, "a.nii.gz"),
        ("snapshot", missing, "--out", "a.png"),
        ("plugin", "run", "ct_lungs", missing, "--out", "out"),
        ("dataset", "add", missing, missing),
        (missing,),
    ):
        assert str(missing) in _refusal(medview(*arguments))


def test_what_is_no_image(medview: Run, tmp_path: Path) -> None:
    empty, text = tmp_path / "empty", tmp_path / "letter.txt"
    empty.mkdir()
    text.write_text("Dear colleague")
    assert str(empty) in _refusal(medview("index", empty))
    assert "letter.txt" in _refusal(medview("index", text))
    assert "letter.txt" in _refusal(medview("plugin", "run", "ct_lungs", text, "--out", "out"))
    ended = medview("index", text, "--json")
    assert json.loads(ended.stdout)["studies"] == []
    assert _refusal(ended)


def test_what_is_not_known(medview: Run, small_series_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused = _refusal(medview("plugin", "run", "ct_wings", small_series_folder, "--out", out))
    assert "ct_wings" in refused
    assert "ct_lungs" in refused
    arguments = ("plugin", "run", "ct_lungs", small_series_folder, "--out", out, "--series", "1.2.3")
    assert "1.2.3" in _refusal(medview(*arguments))
    assert "1.2.3" in _refusal(medview("convert", small_series_folder, tmp_path / "a.nii.gz", "--series", "1.2.3"))
    assert not out.exists()


def test_what_cannot_be_written(medview: Run, small_series_folder: Path, tmp_path: Path) -> None:
    assert "a.dcm" in _refusal(medview("convert", small_series_folder, tmp_path / "a.dcm"))
    assert "nowhere" in _refusal(medview("convert", small_series_folder, tmp_path / "nowhere" / "a.nii.gz"))
    assert ".png" in _refusal(medview("snapshot", small_series_folder, "--out", tmp_path / "a.jpg"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "medview-home"]


def test_a_mask_of_another_series(medview: Run, small_series_folder: Path, tmp_path: Path) -> None:
    SimpleITK.WriteImage(SimpleITK.Image(8, 8, 8, SimpleITK.sitkUInt8), str(tmp_path / "mask.nii.gz"))
    out = tmp_path / "seg.dcm"
    refused = _refusal(medview("convert", tmp_path / "mask.nii.gz", out, "--reference", small_series_folder))
    assert "mask.nii.gz" in refused
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments", [("plugin", "run"), ("index",), ("--frobnicate",), ("dataset", "export", "x", "y")]
)
def test_a_wrong_call(medview: Run, arguments: tuple[str, ...]) -> None:
    assert _refusal(medview(*arguments))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there always is a display")
def test_the_window_without_a_display(medview: Run) -> None:
    assert "display" in _refusal(medview())
    assert "display" in _refusal(medview("demo"))


# Making and keeping plugins


def test_a_plugin_from_nothing_to_a_mask(medview: Run, tmp_path: Path, small_series_folder: Path) -> None:
    here = tmp_path / "here"
    assert medview("plugin", "new", "my_bones").returncode == 0
    assert _json(medview("plugin", "check", "my_bones", "--json"))["well"] is True
    found = _json(medview("plugin", "run", "./my_bones", small_series_folder, "--out", "found", "--json"))
    # a folder that lies about with the name of a plugin is not taken for one that was named
    assert "There is no plugin my_bones" in _refusal(medview("plugin", "run", "my_bones", here, "--out", "no"))
    assert found["model_card"]["intended-use"]["not-for"] == ["Diagnosis"]
    installed = _json(medview("plugin", "install", "my_bones", "--json"))
    assert (installed["id"], installed["state"]) == ("my_bones", "needs trust")
    shutil.rmtree(here / "my_bones")
    refused = _refusal(medview("plugin", "run", "my_bones", small_series_folder, "--out", "again"))
    assert refused.endswith("medview plugin trust my_bones")
    assert medview("plugin", "trust", "my_bones").returncode == 0
    again = _json(medview("plugin", "run", "my_bones", small_series_folder, "--out", "again", "--json"))
    assert again["segments"] == found["segments"]
    image = SimpleITK.ReadImage(str(here / "again" / "labels.nii.gz"))
    assert int((SimpleITK.GetArrayFromImage(image) == 1).sum()) == again["segments"][0]["voxels"] > 0
    assert medview("plugin", "remove", "my_bones").returncode == 0
    assert "No plugin my_bones" in _refusal(medview("plugin", "remove", "my_bones"))
