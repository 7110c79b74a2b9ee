"""What the doctor finds, and what counts as wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from medview.catalog.plugins import PluginRecord, PluginState
from medview.core.errors import MedViewError
from medview.core.text import Text
from medview.workstation import doctor
from medview.workstation.doctor import Health


def _broken() -> str:
    raise MedViewError(Text("Nothing can be drawn."), Text("Install a driver."))


def test_a_sound_machine_is_well(tmp_path: Path) -> None:
    facts = doctor.examine(tmp_path / "home", (), opengl=lambda: "a renderer", accelerator=lambda: "a processor")
    assert doctor.is_well(facts)
    found = {(fact.topic, fact.name): fact.value for fact in facts}
    assert found["graphics", "OpenGL"] == "a renderer"
    assert found["models", "runs on"] == "a processor"
    assert ("program", "torch") in found


def test_without_opengl_it_is_not_well(tmp_path: Path) -> None:
    facts = doctor.examine(tmp_path, (), opengl=_broken)
    (fact,) = [fact for fact in facts if fact.health is Health.BAD]
    assert (fact.topic, str(fact.remedy)) == ("graphics", "Install a driver.")
    assert not doctor.is_well(facts)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    facts = doctor.examine(tmp_path / "file" / "home", ())
    assert [fact.name for fact in facts if fact.health is Health.BAD] == ["your data"]


@pytest.mark.parametrize("state", [PluginState.BLOCKED, PluginState.BROKEN])
def test_a_plugin_that_cannot_run_is_a_warning(tmp_path: Path, state: PluginState) -> None:
    record = PluginRecord(tmp_path / "lungs", None, state, Text("Its manifest is wrong."))
    fact = doctor.examine(tmp_path, (record,))[-1]
    assert (fact.name, fact.health) == ("lungs", Health.WARNING)
    assert "Its manifest is wrong." in fact.value
