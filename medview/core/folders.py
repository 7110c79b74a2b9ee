"""Where the program's own files lie: beside a checkout, in an installed package, or in a frozen program."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path


def resources_folder() -> Path:
    """Icons, presets, label names and translations."""
    return _shipped("resources")


def shipped_plugins_folder() -> Path:
    """The plugins that come with the program."""
    return _shipped("plugins")


def _shipped(name: str) -> Path:
    places = [
        Path(__file__).resolve().parents[2] / name,
        Path(sysconfig.get_path("data")) / "share" / "medview" / name,
    ]
    frozen = getattr(sys, "_MEIPASS", None)
    if frozen:
        places.insert(0, Path(frozen) / name)
    return next((place for place in places if place.is_dir()), places[0])
