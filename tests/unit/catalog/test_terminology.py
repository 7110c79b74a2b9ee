from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.sr.codedict import codes

from medview.catalog import terminology
from medview.catalog.terminology import Terminology
from medview.core.segmentation import Code, Color, Segment

_SEEN = {
    "normal": np.eye(3),
    # Machado, Oliveira and Fernandes, IEEE TVCG 15 (2009), table 1, severity 1.0, on linear RGB.
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}


@pytest.fixture(scope="module")
def known() -> Terminology:
    return terminology.load()


def _lab(color: Color, seen: NDArray[np.float64]) -> NDArray[np.float64]:
    value = np.array(color) / 255
    linear = np.clip(seen @ np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4), 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    f = np.cbrt(xyz / [0.9505, 1.0, 1.089])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def _apart(one: Color, other: Color) -> float:
    return min(float(np.linalg.norm(_lab(one, seen) - _lab(other, seen))) for seen in _SEEN.values())


def test_every_code_and_meaning_is_the_standards(known: Terminology) -> None:
    published: dict[tuple[str, str], set[str]] = {}
    for collection in (codes.SCT, codes.cid7159):
        for keyword in collection.dir():
            concept = getattr(collection, keyword)
            published.setdefault((concept.value, concept.scheme_designator), set()).add(concept.meaning)
    for term in (*known.terms, known.generic):
        for code in (term.code, term.category, term.laterality):
            if code is not None:
                assert code.meaning in published.get((code.value, code.scheme), set()), (term.name, code)


def test_every_category_is_one_of_the_standards_categories(known: Terminology) -> None:
    categories = {getattr(codes.cid7150, keyword).value for keyword in codes.cid7150.dir()}
    assert {term.category.value for term in known.terms} <= categories
    assert {term.laterality.value for term in known.terms if term.laterality} == {
        codes.cid244.Left.value,
        codes.cid244.Right.value,
    }


@pytest.mark.parametrize(
    ("name", "english", "value", "side"),
    [
        ("LIVER", "Liver", "10200004", None),
        ("肝", "Liver", "10200004", None),
        ("kidney_left", "Left kidney", "64033007", "Left"),
        ("Kidney, L", "Left kidney", "64033007", "Left"),
        ("左肾", "Left kidney", "64033007", "Left"),
        ("lung_upper_lobe_right", "Right upper lobe of lung", "45653009", "Right"),
        ("vertebrae_T12", "T12 vertebra", "23215003", None),
        ("clavicula_right", "Right clavicle", "51299004", "Right"),
        ("brachiocephalic_vein_left", "Left brachiocephalic vein", "8887007", "Left"),
        ("Anterior hippocampus", "Anterior hippocampus", "5366008", None),
        ("Trachea with main bronchi", "Trachea and bronchi", "110726009", None),
    ],
)
def test_a_structure_is_found_by_any_of_its_names(
    known: Terminology, name: str, english: str, value: str, side: str | None
) -> None:
    term = known.find(name)
    assert term is not None
    assert (term.name, term.code.value, term.laterality and term.laterality.meaning) == (english, value, side)


def test_names_are_unambiguous(known: Terminology) -> None:
    assert all(known.find(term.name) is term for term in known.terms)
    assert known.find("") is None
    assert known.find("?!") is None


def test_the_organs_that_models_find_are_known(known: Terminology) -> None:
    paired = (
        "kidney",
        "adrenal_gland",
        "lung_upper_lobe",
        "lung_lower_lobe",
        "kidney_cyst",
        "subclavian_artery",
        "common_carotid_artery",
        "iliac_artery",
        "iliac_vena",
        "humerus",
        "scapula",
        "femur",
        "hip",
        "gluteus_maximus",
        "gluteus_medius",
        "gluteus_minimus",
        "autochthon",
        "iliopsoas",
        *(f"rib_{n}" for n in range(1, 13)),
    )
    sides = [f"{name}_{side}" for side in ("left", "right") for name in paired]
    single = [
        "spleen",
        "gallbladder",
        "liver",
        "stomach",
        "pancreas",
        "lung_middle_lobe_right",
        "esophagus",
        "trachea",
        "thyroid_gland",
        "small_bowel",
        "duodenum",
        "colon",
        "urinary_bladder",
        "prostate",
        "sacrum",
        "vertebrae_S1",
        "heart",
        "aorta",
        "pulmonary_vein",
        "brachiocephalic_trunk",
        "atrial_appendage_left",
        "superior_vena_cava",
        "inferior_vena_cava",
        "portal_vein_and_splenic_vein",
        "spinal_cord",
        "brain",
        "skull",
        "sternum",
        "costal_cartilages",
        *(f"vertebrae_C{n}" for n in range(1, 8)),
        *(f"vertebrae_L{n}" for n in range(1, 6)),
    ]
    assert [name for name in sides + single if known.find(name) is None] == []


def test_unnamed_segments_are_told_apart_by_colour_blind_readers(known: Terminology) -> None:
    first = [known.color(number) for number in range(1, 8)]
    assert min(_apart(one, other) for one, other in combinations(first, 2)) > 10
    assert len({known.color(number) for number in range(1, 22)}) == 21


@pytest.mark.parametrize(
    "names",
    [
        ("Left lung", "Right lung", "Trachea"),
        ("Anterior hippocampus", "Posterior hippocampus"),
        ("Liver", "Gallbladder", "Right kidney", "Inferior vena cava"),
        ("Left upper lobe of lung", "Left lower lobe of lung"),
        ("Right upper lobe of lung", "Right middle lobe of lung", "Right lower lobe of lung"),
        ("Spleen", "Left kidney", "Pancreas"),
        ("Liver", "Liver tumour"),
        ("Left ventricle", "Right ventricle", "Left atrium", "Right atrium"),
        ("L1 vertebra", "L2 vertebra"),
    ],
)
def test_neighbours_are_told_apart_by_colour_blind_readers(known: Terminology, names: tuple[str, ...]) -> None:
    colors = [term.color for name in names if (term := known.find(name)) is not None]
    assert len(colors) == len(names)
    assert min(_apart(one, other) for one, other in combinations(colors, 2)) > 10


def test_missing_codes_come_from_the_name(known: Terminology) -> None:
    assert known.completed(Segment(1, "Left lung", (1, 2, 3))).code == Code("39607008", "SCT", "Lung")
    nobody_knows = known.completed(Segment(1, "Thing", (1, 2, 3)))
    assert nobody_knows.code == nobody_knows.category == Code("85756007", "SCT", "Tissue")
    own = Segment(1, "Left lung", (1, 2, 3), Code("1", "99SITE", "Mine"))
    assert known.completed(own).code == own.code
    assert known.completed(own).category == Code("85756007", "SCT", "Tissue")
