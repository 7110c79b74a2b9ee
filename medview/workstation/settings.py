"""What the user has chosen, and where the user's data lie."""

from __future__ import annotations

import getpass
import logging
import os
import tempfile
import tomllib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import platformdirs

from medview.core.errors import StorageError
from medview.core.events import Event
from medview.core.text import Text

_log = logging.getLogger(__name__)
_RECENT = 8


def user_folder() -> Path:
    """The folder of everything that MedView keeps: `MEDVIEW_HOME`, or the system's place for user data."""
    chosen = os.environ.get("MEDVIEW_HOME")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("MedView", appauthor=False))


@dataclass(frozen=True, slots=True)
class Settings:
    """The user's choices.

    Attributes:
        language: "en", "zh_CN", or "" for the system's.
        theme: "dark" or "light".
        reader: Who corrects and saves; empty means the account's name.
        wheel_down_to_feet: Whether turning the wheel towards oneself goes to the feet.
        undo_limit_mb: How much memory the undo history may take.
        examples_folder: Where training examples are kept; empty means inside the user's folder.
        kept_answers_mb: How much disk the answers of plugins may take that are kept for the next time; 0: none is kept.
        exact: Whether networks compute in float32 even where shorter numbers say the same.
        recent: Paths that were opened, the latest first.
    """

    language: str = ""
    theme: str = "dark"
    reader: str = ""
    wheel_down_to_feet: bool = True
    undo_limit_mb: int = 512
    examples_folder: str = ""
    kept_answers_mb: int = 2048
    exact: bool = False
    recent: tuple[str, ...] = ()

    @property
    def reader_name(self) -> str:
        """Who corrects and saves."""
        if self.reader:
            return self.reader
        try:
            return getpass.getuser()
        except (OSError, KeyError):
            return "reader"


class SettingsStore:
    """Holds the settings and keeps them in `settings.toml`. Main thread only."""

    def __init__(self, folder: Path) -> None:
        self.changed: Event[Settings] = Event()
        self._path = folder / "settings.toml"
        self._settings = _read(self._path)

    @property
    def current(self) -> Settings:
        """The settings as they are."""
        return self._settings

    def update(self, **choices: Any) -> None:
        """Change some choices and keep them.

        Raises:
            StorageError: They hold until the program ends, but could not be written.
        """
        settings = replace(self._settings, **choices)
        if settings == self._settings:
            return
        self._settings = settings
        self.changed.emit(settings)
        _write(settings, self._path)

    def remember(self, path: Path) -> None:
        """Put a path at the head of the recently opened ones."""
        name = str(path.absolute())
        others = [one for one in self._settings.recent if one != name]
        self.update(recent=(name, *others)[:_RECENT])


def _read(path: Path) -> Settings:
    try:
        with path.open("rb") as file:
            stored = tomllib.load(file)
    except FileNotFoundError:
        return Settings()
    except (OSError, ValueError):
        _log.warning("The settings cannot be read; the defaults hold.", exc_info=True)
        return Settings()
    default = Settings()
    known: dict[str, Any] = {}
    for one in fields(Settings):
        value = stored.get(one.name)
        if isinstance(value, list):
            value = tuple(str(item) for item in value)
        if type(value) is type(getattr(default, one.name)):
            known[one.name] = value
    return replace(default, **known)


def _write(settings: Settings, path: Path) -> None:
    lines = [f"{name} = {_toml(value)}\n" for name, value in asdict(settings).items()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(path)
    except OSError as error:
        raise StorageError(
            Text.of("The settings could not be kept in {folder}.", folder=str(path.parent)),
            Text("They hold until the program ends. Check the folder's rights and free space."),
        ) from error


def _toml(value: bool | int | str | tuple[str, ...]) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    escaped = "".join(
        f"\\u{ord(letter):04x}" if ord(letter) < 32 or ord(letter) == 127 else letter
        for letter in value.replace("\\", "\\\\").replace('"', '\\"')
    )
    return f'"{escaped}"'
