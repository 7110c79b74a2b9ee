from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Image

from medview.core.errors import Cancelled, GridMismatchError, InputError, StorageError
from medview.core.segmentation import Provenance
from medview.core.text import Text
from medview.learning.example_record import Effort
from medview.learning.examples import ExampleStore
from tests.support import drafts
from tests.support.drafts import draft, draft_from_dicom


class CancelAfter:
    """A progress that stops the work at the n-th question."""

    def __init__(self, questions: int) -> None:
        self.left = questions

    def report(self, fraction: float | None, message: Text | str = "") -> None:
        pass

    def raise_if_cancelled(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Cancelled


def leftovers(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob(".part-*")]


def test_an_example_holds_what_was_saved(tmp_path: Path) -> None:
    store = ExampleStore(tmp_path / "store")
    case = draft()
    saved = store.save(case)
    assert saved.proof.ok
    (example,) = store.examples()
    assert example == saved.example
    assert (example.revision, example.reader, example.modality, example.unit) == (1, "Reader One", "CT", "HU")
    assert example.model is not None
    assert (example.model.plugin_id, example.model.version, example.model.sha256) == ("ct_lungs", "1.0", "ab" * 32)
    assert [(one.name, one.code and one.code.value) for one in example.segments] == [
        ("Left lung", "39607008"),
        ("Right lung", "39607008"),
    ]
    image = Nifti1Image.from_filename(store.image_path(example))
    found = Nifti1Image.from_filename(store.labels_path(example))
    np.testing.assert_array_equal(np.asarray(image.dataobj).T, case.volume.voxels)
    np.testing.assert_array_equal(np.asarray(found.dataobj).T, case.labels)
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    for file in (image, found):
        np.testing.assert_allclose(file.affine[:, [2, 1, 0, 3]], to_ras @ case.volume.geometry.affine, atol=1e-4)


def test_saved_again_it_is_a_new_revision_and_the_old_one_stays(tmp_path: Path) -> None:
    store = ExampleStore(tmp_path / "store")
    first = store.save(draft()).example
    before = {path: path.read_bytes() for path in store.revision_folder(first).iterdir()}
    changed = drafts.labels()
    changed[3, 3, 3] = 1
    second = store.save(replace(draft(), labels=changed)).example
    assert (second.example_id, second.revision) == (first.example_id, 2)
    assert {path: path.read_bytes() for path in store.revision_folder(first).iterdir()} == before
    assert store.examples() == (second,)
    assert store.examples(every_revision=True) == (first, second)
    np.testing.assert_array_equal(store.labels(first), drafts.labels())
    np.testing.assert_array_equal(store.labels(second), changed)
    assert second.edit is not None
    assert (second.edit.since, second.edit.voxels, second.edit.strokes) == ("revision 1", 1, None)
    assert len(list((tmp_path / "store" / "images").iterdir())) == 1


def test_what_was_changed_since_the_model_is_written_down(tmp_path: Path) -> None:
    store = ExampleStore(tmp_path)
    corrected = drafts.labels()
    corrected[0, 1, 2:4] = 0
    corrected[3, 0, 0] = 2
    example = store.save(replace(draft(), labels=corrected, proposal=drafts.labels())).example
    assert example.edit is not None
    assert (example.edit.since, example.edit.voxels) == ("proposal", 3)
    left, right = example.edit.segments
    assert (left.before, left.after, left.added, left.removed) == (12, 10, 0, 2)
    assert (right.before, right.after, right.added, right.removed) == (8, 9, 1, 0)
    assert left.dice == pytest.approx(2 * 10 / 22)
    proposal = Nifti1Image.from_filename(store.revision_folder(example) / "proposal.nii.gz")
    np.testing.assert_array_equal(np.asarray(proposal.dataobj).T, drafts.labels())


def test_what_was_counted_stands_in_for_a_proposal_that_is_gone(tmp_path: Path) -> None:
    store = ExampleStore(tmp_path)
    corrected = drafts.labels()
    corrected[0, 1, 2:4] = 0
    corrected[3, 0, 0] = 2
    known = store.save(replace(draft(), labels=corrected, proposal=drafts.labels())).example.edit
    effort = Effort(2, 12.5, added=((2, 1),), removed=((1, 2),))
    counted = store.save(replace(draft(), labels=corrected, effort=effort)).example.edit
    assert known is not None
    assert counted is not None
    assert counted.segments == known.segments
    assert (counted.since, counted.strokes, counted.seconds) == ("proposal", 2, 12.5)


def test_nothing_that_leaves_names_the_patient(tmp_path: Path) -> None:
    store = ExampleStore(tmp_path / "store")
    case = draft_from_dicom(tmp_path / "Phantom^Chest")
    store.save(case)
    secrets = [b"Phantom", b"PHANTOM-1", b"1960", *(uid.encode() for uid in (case.volume.series_uid, case.study.uid))]
    for path in (tmp_path / "store").rglob("*"):
        if path.is_file() and path.parent.name != "local":
            content = path.read_bytes()
            assert [secret for secret in secrets if secret in content] == [], path
    source = store.source(store.examples()[0])
    assert source is not None
    assert source.files == case.source_files
    assert source.series_uid == case.volume.series_uid


def test_a_patient_key_needs_the_sites_secret(tmp_path: Path) -> None:
    one, other = ExampleStore(tmp_path / "one"), ExampleStore(tmp_path / "other")
    keys = [one.save(draft(series=series)).example.patient_key for series in ("1.1", "1.2")]
    assert keys[0] == keys[1]
    assert other.save(draft()).example.patient_key != keys[0]
    assert one.save(draft("PHANTOM-2")).example.patient_key != keys[0]
    assert one.save(draft(" phantom-1 ", series="1.3")).example.patient_key == keys[0]
    assert keys[0] != hashlib.sha256(b"PHANTOM-1").hexdigest()
    if os.name == "posix":
        assert (tmp_path / "one" / "site.key").stat().st_mode & 0o077 == 0


def test_layers_and_origins_are_examples_of_their_own(tmp_path: Path) -> None:
    store = ExampleStore(tmp_path)
    store.save(draft())
    store.save(replace(draft(), layer=1))
    store.save(replace(draft(), provenance=Provenance()))
    store.save(draft(seed=1))
    assert len(store.examples()) == 4
    assert {example.revision for example in store.examples()} == {1}


def test_the_list_is_made_anew_from_the_folders(tmp_path: Path) -> None:
    store = ExampleStore(tmp_path)
    expected = [store.save(draft(series=f"1.{number}", seed=number)).example for number in range(3)]
    (tmp_path / "index.sqlite").unlink()
    assert list(ExampleStore(tmp_path).examples()) == expected
    (tmp_path / "index.sqlite").write_bytes(b"no database" * 1000)
    assert list(ExampleStore(tmp_path).examples()) == expected
    shutil.rmtree(store.revision_folder(expected[1]).parent)
    assert list(ExampleStore(tmp_path).examples()) == [expected[0], expected[2]]
    assert store.rebuild_index() == 2


def test_what_a_killed_program_left_is_swept(tmp_path: Path) -> None:
    store = ExampleStore(tmp_path)
    home = store.revision_folder(store.save(draft()).example).parent
    for name, age_s in (("old", 100_000), ("new", 10)):
        folder = home / f".part-{name}"
        folder.mkdir()
        (folder / "labels.nii.gz").write_bytes(b"half")
        os.utime(folder, (time.time() - age_s,) * 2)
    assert len(store.examples()) == 1
    assert store.rebuild_index() == 1
    assert sorted(path.name for path in home.iterdir()) == [".part-new", "0001"]


def test_damage_is_found(tmp_path: Path) -> None:
    store = ExampleStore(tmp_path)
    examples = [store.save(draft(series=f"1.{number}", seed=number)).example for number in range(4)]
    assert store.verify() == ()
    with store.labels_path(examples[0]).open("r+b") as file:
        file.seek(40)
        file.write(b"\x00\x01\x02")
    store.labels_path(examples[1]).unlink()
    (store.revision_folder(examples[2]) / "example.json").write_text("{}")
    store.image_path(examples[3]).write_bytes(b"")
    damaged = {str(damage.path.relative_to(tmp_path).parts[-1]) for damage in store.verify()}
    assert damaged == {"labels.nii.gz", "example.json", "image.nii.gz"}
    assert len(store.verify()) == 4


def test_a_record_of_a_newer_program_is_not_misread(tmp_path: Path) -> None:
    store = ExampleStore(tmp_path)
    example = store.save(draft()).example
    path = store.revision_folder(example) / "example.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"schema_version": 2}))
    (tmp_path / "index.sqlite").unlink()
    assert ExampleStore(tmp_path).examples() == ()
    assert len(store.verify()) == 1


def test_no_segments_and_other_grids_are_refused(tmp_path: Path) -> None:
    store = ExampleStore(tmp_path / "store")
    with pytest.raises(InputError, match="no segment"):
        store.save(replace(draft(), labels=np.zeros(drafts.SHAPE, dtype=np.uint8), segments=()))
    with pytest.raises(GridMismatchError):
        store.save(replace(draft(), labels=np.ones((1, 2, 3), dtype=np.uint8)))
    assert store.examples() == ()


@pytest.mark.parametrize("questions", range(8))
def test_cancelled_it_leaves_nothing_half_written(tmp_path: Path, questions: int) -> None:
    store = ExampleStore(tmp_path)
    case = replace(draft(), proposal=drafts.labels())
    try:
        store.save(case, CancelAfter(questions))
    except Cancelled:
        assert store.examples() == ()
    else:
        assert len(store.examples()) == 1
    assert leftovers(tmp_path) == []
    assert store.verify() == ()
    assert store.save(case).example.revision == len(store.examples(every_revision=True))


def test_a_place_that_cannot_be_written_to_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="could not be written"):
        ExampleStore(tmp_path / "store").save(draft())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    import resource
    import signal

    store = ExampleStore(tmp_path)
    store.save(draft())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    big = np.random.default_rng(1).integers(0, 3, (30, 40, 50)).astype(np.uint8)
    case = draft(series="2.2")
    grid = drafts.geometry((30, 40, 50))
    voxels = np.random.default_rng(2).integers(-1000, 1000, (30, 40, 50)).astype(np.int16)
    case = replace(case, labels=big, volume=replace(case.volume, geometry=grid, voxels=voxels))
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
        with pytest.raises(StorageError):
            store.save(case)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    assert leftovers(tmp_path) == []
    assert len(store.examples()) == 1
    assert store.verify() == ()


def test_saving_at_the_same_time_loses_nothing(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def save(number: int) -> None:
        try:
            changed = drafts.labels()
            changed[3, 0, number] = 1
            ExampleStore(tmp_path).save(replace(draft(), labels=changed))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    store = ExampleStore(tmp_path)
    revisions = store.examples(every_revision=True)
    assert sorted(example.revision for example in revisions) == [1, 2, 3, 4, 5, 6]
    assert len({example.patient_key for example in revisions}) == 1
    drawn = {int(np.flatnonzero(store.labels(example)[3, 0])[0]) for example in revisions}
    assert drawn == set(range(6))
    assert store.verify() == ()
    assert leftovers(tmp_path) == []


def test_an_image_with_holes_is_kept(tmp_path: Path) -> None:
    case = draft()
    voxels = case.volume.voxels.astype(np.float32)
    voxels[0, 0, 0] = np.nan
    store = ExampleStore(tmp_path)
    example = store.save(replace(case, volume=replace(case.volume, voxels=voxels))).example
    assert np.asarray(Nifti1Image.from_filename(store.image_path(example)).dataobj)[0, 0, 0] == 0
