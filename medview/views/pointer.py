"""The mouse over a view: device pixels with their origin at the bottom left."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Button(StrEnum):
    """Which button is pressed, or held while the mouse moves."""

    NONE = "none"
    LEFT = "left"
    MIDDLE = "middle"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where the mouse is, and what is held."""

    x: float
    y: float
    button: Button = Button.NONE
    shift: bool = False
    ctrl: bool = False
    alt: bool = False
