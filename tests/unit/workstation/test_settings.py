from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from medview.workstation.settings import Settings, SettingsStore, user_folder


def test_the_user_folder_follows_the_environment(medview_home: Path) -> None:
    assert user_folder() == medview_home


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(reader=st.text(st.characters(exclude_categories=["Cs"])), limit=st.integers(1, 10_000), down=st.booleans())
def test_settings_come_back_as_written(tmp_path: Path, reader: str, limit: int, down: bool) -> None:
    store = SettingsStore(tmp_path)
    store.update(reader=reader, undo_limit_mb=limit, wheel_down_to_feet=down, recent=(reader, "b"))
    assert SettingsStore(tmp_path).current == store.current
    if (tmp_path / "settings.toml").exists():
        tomllib.loads((tmp_path / "settings.toml").read_text(encoding="utf-8"))


def test_a_damaged_file_gives_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("language = [", encoding="utf-8")
    assert SettingsStore(tmp_path).current == Settings()


def test_a_value_of_the_wrong_kind_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('undo_limit_mb = "many"\ntheme = "light"\nunknown = 1\n', encoding="utf-8")
    assert SettingsStore(tmp_path).current == Settings(theme="light")


def test_recent_paths_are_unique_and_few(tmp_path: Path) -> None:
    store = SettingsStore(tmp_path)
    for number in range(12):
        store.remember(tmp_path / str(number))
    store.remember(tmp_path / "7")
    assert store.current.recent[0] == str(tmp_path / "7")
    assert len(store.current.recent) == len(set(store.current.recent)) == 8


def test_listeners_hear_of_a_change_once(tmp_path: Path) -> None:
    store = SettingsStore(tmp_path)
    heard: list[Settings] = []
    store.changed.connect(heard.append)
    store.update(theme="light")
    store.update(theme="light")
    assert [one.theme for one in heard] == ["light"]


def test_an_empty_reader_is_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "account")
    assert Settings().reader_name == "account"
    assert Settings(reader="Dr. A").reader_name == "Dr. A"
