"""Marks by folder, the real data where it is present, and a home of its own for every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["tests.support.phantom_study", "tests.support.orthanc"]

_MARKS = {
    "views": pytest.mark.gl,
    "ui": pytest.mark.gui,
    "end_to_end": pytest.mark.e2e,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    root = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(root).parts[0]
        if folder in _MARKS:
            item.add_marker(_MARKS[folder])


@pytest.fixture(autouse=True)
def medview_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user folder that no other test and no user sees."""
    home = tmp_path / "medview-home"
    monkeypatch.setenv("MEDVIEW_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real scans; its absence skips."""
    folder = Path(os.environ.get("MEDVIEW_TEST_DATA", "~/.cache/medview-test-data")).expanduser()
    if not folder.is_dir():
        pytest.skip("the real test data are not on this machine")
    return folder
