from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from medview.catalog import manifest
from medview.catalog.fit import extent_in_patient, fit_volume
from medview.catalog.plugins import PluginState, discover, inspect
from medview.catalog.trust import files_sha256
from medview.core.folders import shipped_plugins_folder
from medview.core.volume import Modality
from tests.support.bundles import python_plugin
from tests.support.volumes import orientations, volume


def test_finding_plugins_runs_none_of_them(tmp_path: Path) -> None:
    source = f"from pathlib import Path\nPath({str(tmp_path / 'CANARY')!r}).touch()\ndef run(case, context): ...\n"
    python_plugin(tmp_path / "plugins" / "a", source)
    code = (
        "import sys; from pathlib import Path; from medview.catalog.plugins import discover;"
        f"print(*[one.state.value for one in discover([Path({str(tmp_path / 'plugins')!r})])]);"
        "print([name for name in ('torch', 'monai', 'SimpleITK') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["ready", "[]"]
    assert not (tmp_path / "CANARY").exists()


def test_broken_plugins_and_namesakes_are_shown_with_the_reason(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    python_plugin(ours / "a", "def run(case, context): ...\n", id="same")
    python_plugin(theirs / "b", "def run(case, context): ...\n", id="same")
    (theirs / "c").mkdir()
    (theirs / "c" / "plugin.toml").write_text("schema = 1\nid = 3\n", encoding="utf-8")
    (theirs / "no-plugin").mkdir()
    first, second, broken = discover([ours, theirs, tmp_path / "absent"])
    assert (first.id, first.state) == ("same", PluginState.READY)
    assert second.state is PluginState.BLOCKED
    assert str(ours / "a") in str(second.reason)
    assert (broken.id, broken.state) == ("c", PluginState.BROKEN)
    assert "line 2, id" in str(broken.reason)


def test_the_hash_changes_with_the_files_and_not_with_the_cache(tmp_path: Path) -> None:
    folder = python_plugin(tmp_path / "a", "def run(case, context): ...\n")
    before = files_sha256(folder)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "tiny.pyc").write_bytes(b"x")
    assert files_sha256(folder) == before
    (folder / "weights.bin").write_bytes(b"x")
    assert files_sha256(folder) != before


def test_shipped_plugins_are_ready() -> None:
    records = discover([shipped_plugins_folder()])
    assert "ct_lungs" in {record.id for record in records}
    assert {record.state for record in records} == {PluginState.READY}, [str(record.reason) for record in records]


def test_extent_runs_along_the_patient_whatever_the_storage() -> None:
    for direction in orientations():
        across, back, up = (int(np.flatnonzero(direction[row])[0]) for row in range(3))
        shape = [0, 0, 0]
        shape[across], shape[back], shape[up] = 2, 3, 4
        image = volume(np.zeros(shape, np.int16), spacing_mm=(10.0, 10.0, 10.0), direction=direction)
        np.testing.assert_allclose(extent_in_patient(image.geometry), (20, 30, 40))


def test_a_fit_says_what_is_wrong() -> None:
    ct_lungs = manifest.load(shipped_plugins_folder() / "ct_lungs")
    good = volume(np.zeros((20, 40, 40), np.int16), spacing_mm=(10.0, 10.0, 10.0))
    assert fit_volume(ct_lungs, good).ok
    careful = fit_volume(ct_lungs, good, body_part="HEAD")
    assert careful.ok
    assert "HEAD" in str(careful.reasons[0])
    assert fit_volume(ct_lungs, good, body_part="CHEST").reasons == ()
    magnetic = volume(np.zeros((20, 40, 40), np.int16), spacing_mm=(10.0, 10.0, 10.0), modality=Modality.MR, unit="")
    assert [str(reason) for reason in fit_volume(ct_lungs, magnetic).reasons] == [
        "It needs CT; this is MR.",
        "It needs voxels in HU, and these are not.",
    ]
    small = volume(np.zeros((5, 40, 40), np.int16), spacing_mm=(6.0, 1.0, 10.0))
    said = [str(reason) for reason in fit_volume(ct_lungs, small).reasons]
    assert said == [
        "It needs at least 10 slices; there are 5.",
        "It needs at least 80 mm from front to back; the image has 40 mm.",
        "It needs at least 40 mm from foot to head; the image has 30 mm.",
    ]
    assert inspect(shipped_plugins_folder() / "ct_lungs").name == "CT lungs"


def test_plane_spacing_and_contrast_are_checked_in_words() -> None:
    text = (shipped_plugins_folder() / "ct_lungs" / "plugin.toml").read_text(encoding="utf-8")
    more = 'unit = "HU"\nplanes = ["axial"]\nmaximum-spacing-mm = 5.0\ncontrast = "with"'
    wanted = manifest.parse(text.replace('unit = "HU"', more), shipped_plugins_folder())
    voxels = np.zeros((80, 80, 80), np.int16)
    axial = volume(voxels, spacing_mm=(5.0, 5.0, 5.0))
    assert fit_volume(wanted, axial).reasons == ()
    assert fit_volume(wanted, axial, contrast="Iohexol").reasons == ()
    (hint,) = fit_volume(wanted, axial, contrast="").reasons
    assert str(hint) == "It was made for images with contrast agent; this one names none."
    thick = fit_volume(wanted, volume(voxels, spacing_mm=(7.5, 2.0, 2.0)))
    assert [str(one) for one in thick.reasons] == ["It needs voxels at most 5 mm apart; these are 7.5 mm apart."]
    sagittal = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    turned = fit_volume(wanted, volume(voxels, spacing_mm=(5.0, 5.0, 5.0), direction=sagittal))
    assert [str(one) for one in turned.reasons] == ["It was made for axial slices; these are sagittal."]
    without = manifest.parse(text.replace('unit = "HU"', more.replace('"with"', '"without"')), shipped_plugins_folder())
    (hint,) = fit_volume(without, axial, contrast="Iohexol").reasons
    assert "names Iohexol" in str(hint)


def test_pictures_suit_what_looks_at_pictures() -> None:
    text = (shipped_plugins_folder() / "ct_lungs" / "plugin.toml").read_text(encoding="utf-8")
    volumes = manifest.parse(text, shipped_plugins_folder())
    pictures = manifest.parse(text.replace('unit = "HU"', 'unit = "HU"\ndims = 2'), shipped_plugins_folder())
    film = replace(volume(np.zeros((10, 40, 40), np.int16)), is_spatial=False)
    assert "without a place" in str(fit_volume(volumes, film).reasons[0])
    assert fit_volume(pictures, film).ok
    short = replace(volume(np.zeros((3, 40, 40), np.int16)), is_spatial=False)
    assert [str(one) for one in fit_volume(pictures, short).reasons] == ["It needs at least 10 slices; there are 3."]
