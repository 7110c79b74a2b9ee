"""Windows and ray-casting looks that readers know by name; from `resources/presets.json`."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from medview.core.folders import resources_folder
from medview.core.volume import Modality, Volume, Window


class ColorPoint(NamedTuple):
    """A voxel value and its sRGB colour, 0..1."""

    value: float
    red: float
    green: float
    blue: float


class OpacityPoint(NamedTuple):
    """A voxel value and how opaque it is, 0..1 per voxel diagonal."""

    value: float
    opacity: float


class WindowPreset(BaseModel):
    """A window with a name; `key` is the digit that sets it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    key: int | None = None
    center: float
    width: float
    modalities: tuple[Modality, ...]

    @property
    def window(self) -> Window:
        """Its black and white."""
        return Window(self.center, self.width)


class RayCastPreset(BaseModel):
    """Colours and opacities of ray casting.

    `relative` presets give values as shares (0..1) of the volume's own range, for images without a fixed scale.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    modalities: tuple[Modality, ...]
    relative: bool = False
    maximum: bool = False
    shaded: bool = True
    colors: tuple[ColorPoint, ...]
    opacities: tuple[OpacityPoint, ...]


class Presets(BaseModel):
    """Everything in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    windows: tuple[WindowPreset, ...]
    ray_casting: tuple[RayCastPreset, ...]


@cache
def load() -> Presets:
    """The presets of the program; read once."""
    return Presets.model_validate_json((resources_folder() / "presets.json").read_text(encoding="utf-8"))


def windows(modality: Modality) -> tuple[WindowPreset, ...]:
    """The windows for a kind of image."""
    return tuple(one for one in load().windows if modality in one.modalities)


def window_for_key(modality: Modality, key: int) -> Window | None:
    """The window on a digit, 1..9."""
    return next((one.window for one in windows(modality) if one.key == key), None)


def ray_casting(volume: Volume) -> tuple[RayCastPreset, ...]:
    """The looks for a volume: those of its modality first in line, else those for any image."""
    fitting = tuple(one for one in load().ray_casting if volume.modality in one.modalities)
    return fitting or tuple(one for one in load().ray_casting if one.relative)


def ray_cast_preset(volume: Volume, preset_id: str) -> RayCastPreset:
    """The look with this id, or the first that suits the volume."""
    fitting = ray_casting(volume)
    return next((one for one in fitting if one.id == preset_id), fitting[0])
