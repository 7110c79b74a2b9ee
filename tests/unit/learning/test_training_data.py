from __future__ import annotations

from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medview.core.errors import InputError
from medview.learning import bundle, training_data
from medview.learning.optimisation import HeldOut
from medview.learning.training_data import CasePair
from tests.support import training_set


def _pairs(patients: list[str]) -> tuple[CasePair, ...]:
    return tuple(CasePair(f"{n}", Path(f"{n}.nii"), Path(f"{n}.nii"), one) for n, one in enumerate(patients))


def _case(folder: Path, name: str) -> None:
    for kind in ("imagesTr", "labelsTr"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        (folder / kind / name).touch()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=8), max_size=30), st.text(max_size=5), st.floats(0, 1))
def test_no_patient_is_on_both_sides(patients: list[str], salt: str, share: float) -> None:
    pairs = _pairs(patients)
    training, held_out = training_data.divide(pairs, HeldOut(salt=salt, held_out_share=share))
    assert not {pair.patient for pair in training} & {pair.patient for pair in held_out}
    assert sorted(pair.name for pair in (*training, *held_out)) == sorted(pair.name for pair in pairs)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=8), max_size=30), st.lists(st.text(max_size=8), max_size=30))
def test_a_patient_stays_where_he_is_when_others_come(first: list[str], more: list[str]) -> None:
    rule = HeldOut(salt="a", held_out_share=0.4)
    before = {pair.patient for pair in training_data.divide(_pairs(first), rule)[1]}
    after = {pair.patient for pair in training_data.divide(_pairs(more + first), rule)[1]}
    assert before == after & set(first)


def test_the_share_held_out_is_the_one_asked_for() -> None:
    patients = [f"patient {number}" for number in range(5000)]
    _, held_out = training_data.divide(_pairs(patients), HeldOut(salt="b", held_out_share=0.2))
    assert abs(len(held_out) / 5000 - 0.2) < 0.03


def test_the_images_of_one_head_are_one_patient(tmp_path: Path) -> None:
    for number in (1, 2, 3, 4, 10, 11):
        _case(tmp_path, f"hippocampus_{number:03}.nii.gz")
    pairs = training_data.find_pairs(tmp_path, images_per_patient=2)
    assert [pair.patient[len("hippocampus_") :] for pair in pairs] == ["1", "1", "2", "2", "5", "6"]
    assert len({pair.patient for pair in training_data.find_pairs(tmp_path)}) == 6


def test_only_images_with_masks_are_cases(tmp_path: Path) -> None:
    for name in ("b.nii.gz", "a.mha", "._b.nii.gz", "notes.txt"):
        _case(tmp_path, name)
    (tmp_path / "imagesTr" / "alone.nii.gz").touch()
    assert [pair.name for pair in training_data.find_pairs(tmp_path)] == ["a", "b"]


def test_a_folder_without_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pairs"):
        training_data.find_pairs(tmp_path)


def test_a_mask_stored_in_another_orientation_lies_on_the_same_anatomy(tmp_path: Path) -> None:
    data = training_set.write_set(tmp_path / "data", cases=1)
    parts = bundle.load(training_set.write_bundle(tmp_path / "bundle"))
    pair = training_data.find_pairs(data)[0]
    straight = training_data.load_case(pair, parts)
    mask = nib.Nifti1Image.from_filename(pair.mask)
    turned = mask.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))
    nib.save(turned, pair.mask)
    case = training_data.load_case(pair, parts)
    assert case.image.shape == (1, training_set.SIZE, training_set.SIZE, training_set.SIZE)
    assert case.labels.equal(straight.labels)
    # bright where label 1 is and dark where label 2 is, as they were made
    assert case.image[0][case.labels[0] > 0].mean() > 1
    assert case.image[0][case.labels[1] > 0].mean() < -1


def test_a_label_that_the_network_does_not_know_is_refused(tmp_path: Path) -> None:
    data = training_set.write_set(tmp_path / "data", cases=1)
    pair = training_data.find_pairs(data)[0]
    mask = nib.Nifti1Image.from_filename(pair.mask)
    nib.save(nib.Nifti1Image(np.asarray(mask.dataobj) * np.uint8(2), mask.affine), pair.mask)
    with pytest.raises(InputError, match="case_001"):
        training_data.load_case(pair, bundle.load(training_set.write_bundle(tmp_path / "bundle")))


def test_every_case_comes_once_in_an_epoch_however_it_is_cut_into_batches() -> None:
    order = training_data.order_of_cases(7, 0, 21, seed=4)
    assert all(Counter(order[start : start + 7]) == Counter(range(7)) for start in (0, 7, 14))
    pieces = [training_data.order_of_cases(7, first, 3, seed=4) for first in range(0, 21, 3)]
    assert tuple(one for piece in pieces for one in piece) == order
    assert len({order[:7], order[7:14], order[14:]}) > 1
