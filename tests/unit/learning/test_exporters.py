from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import monai.data
import numpy as np
import pytest
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged
from nibabel.nifti1 import Nifti1Image
from pydicom import dcmread

from medview.core.errors import Cancelled, InputError, StorageError
from medview.core.segmentation import Segment
from medview.core.volume import Modality
from medview.learning.examples import ExampleStore
from medview.learning.exporters import ExportKind, case_name, export, free_folder
from medview.learning.splits import Split
from tests.support import drafts
from tests.support.drafts import draft, draft_from_dicom
from tests.unit.learning.test_examples import CancelAfter

TRACHEA = Segment(3, "Trachea", (1, 2, 3))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ExampleStore:
    """Ten patients with two scans each, in all parts of the split."""
    store = ExampleStore(tmp_path_factory.mktemp("store"))
    (store.folder / "site.key").write_bytes(b"a secret that puts some patients into every part")
    for number in range(10):
        for scan in range(2):
            store.save(draft(f"PHANTOM-{number}", series=f"1.{number}.{scan}", seed=10 * number + scan))
    odd = drafts.labels()
    odd[1, 1, 1] = 7
    case = draft("PHANTOM-0", series="1.0.9", seed=99)
    store.save(replace(case, labels=odd, segments=(replace(TRACHEA, label=7), *case.segments)))
    return store


def test_nifti_pairs(store: ExampleStore, tmp_path: Path) -> None:
    examples = store.examples()[-2:]
    done = export(store, examples, ExportKind.NIFTI, tmp_path / "pairs")
    assert (done.count, done.proof.ok, done.skipped) == (2, True, ())
    for example in examples:
        folder = tmp_path / "pairs" / case_name(example)
        image, labels = (Nifti1Image.from_filename(folder / f"{name}.nii.gz") for name in ("image", "labels"))
        np.testing.assert_array_equal(image.affine, labels.affine)
        np.testing.assert_array_equal(np.asarray(labels.dataobj).T, store.labels(example))
        segments = json.loads((folder / "segments.json").read_text())["segments"]
        assert {one["label"]: one["name"] for one in segments} == {one.label: one.name for one in example.segments}


@pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader")  # MONAI makes a reader that needs a GPU library
def test_monai_reads_its_datalist(store: ExampleStore, tmp_path: Path) -> None:
    export(store, store.examples(), ExportKind.MONAI, tmp_path / "list")
    loaded = {
        key: monai.data.load_decathlon_datalist(tmp_path / "list" / "dataset.json", True, key)
        for key in ("training", "validation", "test")
        if json.loads((tmp_path / "list" / "dataset.json").read_text())[key]
    }
    assert sum(len(items) for items in loaded.values()) == 21
    meant = {case_name(example): example for example in store.examples()}
    load = Compose(
        [LoadImaged(keys=["image", "label"], reader="NibabelReader"), EnsureChannelFirstd(keys=["image", "label"])]
    )
    names = json.loads((tmp_path / "list" / "dataset.json").read_text())["labels"]
    assert names == {"0": "background", "1": "Left lung", "2": "Right lung", "3": "Trachea"}
    for key, items in loaded.items():
        for item in items:
            example = meant.pop(Path(item["image"]).name.removesuffix(".nii.gz"))
            assert example.split.value == key
            label = np.asarray(load(item)["label"])[0].T
            original = store.labels(example)
            for segment in example.segments:
                number = next(int(number) for number, name in names.items() if name == segment.name)
                np.testing.assert_array_equal(label == number, original == segment.label)
    assert meant == {}


@pytest.mark.parametrize("kind", [ExportKind.MONAI, ExportKind.NNUNET])
def test_no_patient_is_in_two_parts(store: ExampleStore, tmp_path: Path, kind: ExportKind) -> None:
    folder = tmp_path / "Dataset501_Lungs"
    export(store, store.examples(), kind, folder)
    patient_of = {case_name(example): example.patient_key for example in store.examples()}
    if kind is ExportKind.MONAI:
        content = json.loads((folder / "dataset.json").read_text())
        parts = [[Path(one["image"]).name.removesuffix(".nii.gz") for one in content[split.value]] for split in Split]
    else:
        (fold,) = json.loads((folder / "splits_final.json").read_text())
        test = [path.name.removesuffix(".nii.gz") for path in (folder / "labelsTs").glob("*.nii.gz")]
        parts = [fold["train"], fold["val"], test]
    assert sum(len(part) for part in parts) == 21
    patients = [{patient_of[name] for name in part} for part in parts]
    assert sum(len(part) for part in patients) == len(set.union(*patients)) == 10
    assert all(patients)


def test_nnunet_raw_data_is_as_its_documentation_says(store: ExampleStore, tmp_path: Path) -> None:
    """The checks of nnU-Net v2's own `verify_dataset_integrity`, from documentation/dataset_format.md."""
    folder = tmp_path / "Dataset501_Lungs"
    done = export(store, store.examples(), ExportKind.NNUNET, folder)
    assert done.proof.ok
    content = json.loads((folder / "dataset.json").read_text())
    assert {"channel_names", "labels", "numTraining", "file_ending"} <= set(content)
    assert (content["channel_names"], content["file_ending"]) == ({"0": "CT"}, ".nii.gz")
    assert content["labels"]["background"] == 0
    assert sorted(content["labels"].values()) == list(range(len(content["labels"])))
    images = sorted((folder / "imagesTr").iterdir())
    cases = [re.fullmatch(r"(.+)_(\d{4})\.nii\.gz", path.name) for path in images]
    assert all(match is not None and match.group(2) == "0000" for match in cases)
    names = [match.group(1) for match in cases if match]
    assert len(names) == content["numTraining"] == len(list((folder / "labelsTr").iterdir()))
    seen: set[int] = set()
    for name in names:
        image = Nifti1Image.from_filename(folder / "imagesTr" / f"{name}_0000.nii.gz")
        labels = Nifti1Image.from_filename(folder / "labelsTr" / f"{name}.nii.gz")
        assert image.shape == labels.shape
        np.testing.assert_allclose(image.affine, labels.affine)
        seen |= set(np.unique(np.asarray(labels.dataobj)).tolist())
    assert seen <= set(content["labels"].values())


def test_label_numbers_stay_when_examples_are_added(tmp_path: Path) -> None:
    store = ExampleStore(tmp_path / "store")
    store.save(draft())
    export(store, store.examples(), ExportKind.NNUNET, tmp_path / "Dataset501_A")
    case = draft("PHANTOM-2", series="2.2", seed=5)
    segments = (Segment(1, "Aorta", (1, 1, 1)), Segment(2, "left  LUNG", (2, 2, 2)))
    store.save(replace(case, segments=segments))
    export(store, store.examples(), ExportKind.NNUNET, tmp_path / "Dataset502_B")
    first, second = (
        json.loads((tmp_path / name / "dataset.json").read_text())["labels"]
        for name in ("Dataset501_A", "Dataset502_B")
    )
    assert first == {"background": 0, "Left lung": 1, "Right lung": 2}
    assert second == first | {"Aorta": 3}
    assert [name for name, number in second.items() if first.get(name, number) != number] == []


def test_names_that_nnunet_reserves_are_given_another(tmp_path: Path) -> None:
    store = ExampleStore(tmp_path / "store")
    store.save(replace(draft(), segments=(Segment(1, "ignore", (1, 1, 1)), Segment(2, "Background", (1, 1, 1)))))
    export(store, store.examples(), ExportKind.NNUNET, tmp_path / "Dataset501_A")
    content = json.loads((tmp_path / "Dataset501_A" / "dataset.json").read_text())
    assert content["labels"] == {"background": 0, "ignore (structure)": 1, "Background (structure)": 2}


def test_nnunet_refuses_what_does_not_go_together(tmp_path: Path) -> None:
    store = ExampleStore(tmp_path / "store")
    store.save(draft())
    store.save(draft(series="7.7", modality=Modality.MR))
    with pytest.raises(InputError, match="CT, MR"):
        export(store, store.examples(), ExportKind.NNUNET, tmp_path / "Dataset501_A")
    with pytest.raises(InputError, match="Dataset501_Lungs"):
        export(store, store.examples()[:1], ExportKind.NNUNET, tmp_path / "lungs")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_dicom_seg_is_made_from_the_source_and_says_when_it_is_gone(tmp_path: Path) -> None:
    store = ExampleStore(tmp_path / "store")
    kept, lost = (draft_from_dicom(tmp_path / name, name) for name in ("kept", "lost"))
    for case in (kept, lost):
        store.save(case)
    for path in lost.source_files:
        path.unlink()
    done = export(store, store.examples(), ExportKind.DICOM_SEG, tmp_path / "segs")
    assert (done.count, done.proof.ok) == (1, True)
    assert [str(text) for text in done.skipped] == [
        f"{case_name(store.examples()[1])}: the DICOM files that it was drawn on are gone."
    ]
    (path,) = (tmp_path / "segs").iterdir()
    dataset, source = dcmread(path), dcmread(kept.source_files[0])
    assert (dataset.StudyInstanceUID, dataset.PatientID) == (source.StudyInstanceUID, "kept")
    assert int(dataset.pixel_array.sum()) == int(np.count_nonzero(drafts.labels()))
    with pytest.raises(InputError, match="gone"):
        export(store, store.examples()[1:], ExportKind.DICOM_SEG, tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("kind", list(ExportKind))
def test_an_export_never_overwrites(store: ExampleStore, tmp_path: Path, kind: ExportKind) -> None:
    (tmp_path / "Dataset501_Lungs").mkdir()
    (tmp_path / "Dataset501_Lungs" / "mine.txt").write_text("mine")
    with pytest.raises(StorageError, match="exists already"):
        export(store, store.examples(), kind, tmp_path / "Dataset501_Lungs")
    assert [path.name for path in tmp_path.rglob("*")] == ["Dataset501_Lungs", "mine.txt"]
    with pytest.raises(InputError, match="no examples"):
        export(store, (), kind, tmp_path / "Dataset502_Lungs")


@pytest.mark.parametrize("questions", [0, 3, 9])
def test_a_cancelled_export_leaves_nothing(store: ExampleStore, tmp_path: Path, questions: int) -> None:
    with pytest.raises(Cancelled):
        export(store, store.examples(), ExportKind.NNUNET, tmp_path / "Dataset501_Lungs", CancelAfter(questions))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["image", "labels"])
def test_a_damaged_example_is_not_exported(tmp_path: Path, what: str) -> None:
    store = ExampleStore(tmp_path / "store")
    example = store.save(draft()).example
    path = store.image_path(example) if what == "image" else store.labels_path(example)
    path.write_bytes(path.read_bytes()[:-9] + b"123456789")
    with pytest.raises(StorageError, match="damaged"):
        export(store, store.examples(), ExportKind.NIFTI, tmp_path / "pairs")
    path.unlink()
    with pytest.raises(StorageError, match="damaged"):
        export(store, store.examples(), ExportKind.NIFTI, tmp_path / "pairs")
    assert not (tmp_path / "pairs").exists()


def test_a_free_folder_is_found(store: ExampleStore, tmp_path: Path) -> None:
    for kind in ExportKind:
        found = []
        for _ in range(2):
            folder = free_folder(tmp_path, kind)
            export(store, store.examples()[-1:], kind, folder) if kind is ExportKind.NNUNET else folder.mkdir()
            found.append(folder)
        assert len(set(found)) == 2
    assert sorted(path.name for path in tmp_path.glob("Dataset*")) == ["Dataset501_MedView", "Dataset502_MedView"]


def test_dicom_leaves_without_names_and_its_references_are_whole(tmp_path: Path) -> None:
    store = ExampleStore(tmp_path / "store")
    case = draft_from_dicom(tmp_path / "dicom")
    named = replace(case, segments=(replace(case.segments[0], name="Phantom's nodule"), case.segments[1]))
    example = store.save(named).example
    assert example.segments[0].name == "REMOVED's nodule"
    other = store.save(replace(case, layer=1, labels=np.flip(drafts.labels(), 1).copy())).example
    done = export(store, [example, other], ExportKind.DICOM_WITHOUT_NAMES, tmp_path / "out")
    assert (done.count, done.proof.ok, done.skipped) == (2, True, ())
    copies = sorted((tmp_path / "out").rglob("*.dcm"))
    assert len(copies) == len(case.source_files) + 2
    read = [dcmread(path) for path in copies]
    masks = [one for one in read if one.Modality == "SEG"]
    images = {one.SOPInstanceUID for one in read if one.Modality == "CT"}
    originals = {dcmread(path).SOPInstanceUID for path in case.source_files}
    assert len(images) == len(originals)
    assert not images & originals
    for mask in masks:
        referred = {one.ReferencedSOPInstanceUID for one in mask.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
        assert referred
        assert referred <= images
    # the pseudonym is the beginning of the key that the example has in the store
    assert {str(one.PatientID) for one in read} == {f"P{example.patient_key[:12].upper()}"}
    for path in copies:
        content = path.read_bytes()
        for word in (b"PHANTOM-1", b"Phantom^Chest", b"19600101", b"20240102", b"Reader One", b"Reader^One"):
            assert word not in content
    assert (tmp_path / "out" / "deidentification.json").is_file()
    assert not list((tmp_path / "out").glob(".part-*"))


def test_a_dicom_seg_for_the_record_names_the_patient(tmp_path: Path) -> None:
    store = ExampleStore(tmp_path / "store")
    example = store.save(draft_from_dicom(tmp_path / "dicom")).example
    export(store, [example], ExportKind.DICOM_SEG, tmp_path / "out")
    (path,) = (tmp_path / "out").glob("*.dcm")
    assert dcmread(path).PatientID == "PHANTOM-1"


@pytest.mark.parametrize("kind", [ExportKind.NIFTI, ExportKind.MONAI, ExportKind.NNUNET])
def test_other_exports_name_nobody(tmp_path: Path, kind: ExportKind) -> None:
    store = ExampleStore(tmp_path / "store")
    case = draft_from_dicom(tmp_path / "dicom")
    store.save(case)
    folder = tmp_path / "Dataset501_Lungs"
    export(store, store.examples(), kind, folder)
    words = (b"PHANTOM-1", b"Phantom", b"19600101", b"20240102", b"Reader", case.volume.series_uid.encode("ascii"))
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        assert [
            word for word in words if word in content or word.decode("ascii") in str(path.relative_to(folder))
        ] == []


def test_images_that_may_show_a_name_do_not_leave(tmp_path: Path) -> None:
    store = ExampleStore(tmp_path / "store")
    case = draft_from_dicom(tmp_path / "dicom")
    for path in case.source_files:
        dataset = dcmread(path)
        dataset.BurnedInAnnotation = "YES"
        dataset.save_as(path)
    example = store.save(case).example
    with pytest.raises(InputError, match="names are written into its picture"):
        export(store, [example], ExportKind.DICOM_WITHOUT_NAMES, tmp_path / "out")
    assert not (tmp_path / "out").exists()
