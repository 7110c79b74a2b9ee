"""Each input of a plugin gets the series that the reader means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medview.catalog import manifest
from medview.core.case import Case, Patient, Study
from medview.core.errors import PluginUnavailableError
from medview.core.volume import Modality, Volume, VolumeId
from medview.workstation.plugin_inputs import PluginInputs
from medview.workstation.station import Workstation
from medview.workstation.waiting import wait_for
from tests.support.bundles import MANIFEST
from tests.support.volumes import volume

NAMES = ("t1c", "t1", "flair")
SOURCE = (
    "import numpy as np\n"
    "def run(case, context):\n"
    "    assert list(case) == ['t1c', 't1', 'flair']\n"
    "    return np.stack([case['t1c'].voxels > 4, case['flair'].voxels > 2])\n"
)


@pytest.fixture
def folder(medview_home: Path) -> Path:
    made = medview_home / "plugins" / "tumor"
    made.mkdir(parents=True)
    text = MANIFEST.format(id="tumor", engine='kind = "python"\nentry = "it:run"')
    one = '[[input]]\nname = "image"\nmodality = ["CT", "MR"]\n'
    inputs = "\n".join(f'[[input]]\nname = "{name}"\nmodality = ["MR"]\n' for name in NAMES)
    text = text.replace(one, inputs).replace('00"\n', '00"\noverlap = true\n')
    (made / "plugin.toml").write_text(text, encoding="utf-8")
    (made / "it.py").write_text(SOURCE, encoding="utf-8")
    return made


def _image(description: str, value: int, uid: str) -> Volume:
    made = volume(np.full((3, 4, 5), value, np.int16), modality=Modality.MR, unit="")
    return replace(made, description=description, series_uid=uid)


@pytest.fixture
def case() -> Case:
    made = Case(Study("1.2", Patient("p")))
    for n, description in enumerate(("ax T1 se", "Ax FLAIR fs", "sag T1C mprage", "loc"), 1):
        made.add_volume(_image(description, n, f"1.{n}"), complete=True)
    return made


def test_names_are_guessed_choices_win_and_are_remembered(folder: Path, case: Case, tmp_path: Path) -> None:
    described = manifest.load(folder)
    shown = next(iter(case.volumes.values()))
    inputs = PluginInputs(tmp_path / "inputs.json")

    def uids(known: PluginInputs, of: Case) -> dict[str, str]:
        return {name: one.series_uid for name, one in known.proposed(described, of, shown).items()}

    assert uids(inputs, case) == {"t1c": "1.3", "t1": "1.1", "flair": "1.2"}
    localizer = next(one for one in case.volumes.values() if one.description == "loc")
    inputs.remember("tumor", "t1", localizer)
    assert uids(inputs, case)["t1"] == "1.4"
    other = Case(Study("1.3", Patient("q")))
    for n, description in enumerate(("loc", "FLAIR", "T1C", "T1"), 1):
        other.add_volume(_image(description, n, f"2.{n}"), complete=True)
    assert uids(PluginInputs(tmp_path / "inputs.json"), other) == {"t1c": "2.3", "t1": "2.1", "flair": "2.2"}


def test_a_missing_one_and_another_frame_of_reference_are_told(folder: Path, case: Case, tmp_path: Path) -> None:
    described = manifest.load(folder)
    inputs = PluginInputs(tmp_path / "inputs.json")
    empty = Case(Study("1.3", Patient("q")))
    with pytest.raises(PluginUnavailableError, match="needs a series for “t1c”"):
        inputs.volumes(described, empty, _image("x", 1, "9"))
    first, second = list(case.volumes.values())[:2]
    for n, one in enumerate((first, second)):
        frame = replace(one.geometry, frame_of_reference_uid=f"1.2.{n}")
        case.add_volume(replace(one, id=VolumeId(f"{one.id}x"), geometry=frame, series_uid=f"3.{n}"), complete=True)
    inputs.choose("tumor", {"t1": "3.0", "flair": "3.1"})
    with pytest.raises(PluginUnavailableError, match="frame of reference"):
        inputs.volumes(described, case, first)


@pytest.fixture
def station(medview_home: Path, folder: Path) -> Iterator[Workstation]:
    made = Workstation(medview_home)
    yield made
    made.close()


def test_structures_that_overlap_become_a_segmentation_each(station: Workstation) -> None:
    case = station.workspace.case_of(Study("1.2", Patient("p")))
    images = [_image("t1c", 5, "1"), _image("t1", 1, "2"), _image("flair", 3, "3")]
    for one in images:
        case.add_volume(one, complete=True)
    station.workspace.activate(case, images[1])
    wait_for(station.queue, station.shelf.trust("tumor"))
    wait_for(station.queue, station.analysis.run("tumor"))
    found = case.segmentations_on(images[0].id)
    assert [str(one.title) for one in found] == ["tumor: One", "tumor: Two"]
    assert [int(one.labels.max()) for one in found] == [1, 2]
    assert all((one.labels > 0).all() for one in found)
    assert len({one.id for one in found}) == 2
