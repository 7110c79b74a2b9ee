"""What is looked at, and how: one frozen value and one event."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from medview.core.events import Event
from medview.core.geometry import Point
from medview.core.planes import Plane
from medview.core.segmentation import SegmentationId
from medview.core.volume import VolumeId, Window


class Mode(StrEnum):
    """What the left button and the digits do: read, or correct."""

    VIEW = "view"
    EDIT = "edit"


class Compared(StrEnum):
    """Which labels are drawn: as they are, as they came, or what differs."""

    MINE = "mine"
    MODEL = "model"
    DIFFERENCE = "difference"


class ViewName(StrEnum):
    """The four views."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"
    VOLUME = "volume"

    @property
    def plane(self) -> Plane | None:
        """The plane it shows; None for the 3D view."""
        return None if self is ViewName.VOLUME else Plane(self.value)


@dataclass(frozen=True, slots=True)
class ViewState:
    """Everything that the views and their controls agree on.

    Attributes:
        volume_id: The volume shown; None when nothing is.
        segmentation_id: The segmentation that is drawn and edited; None when there is none.
        cursor: The point that the three slices run through and the crosshair marks, LPS, mm.
        window: Black and white.
        inverted: Whether black and white are exchanged.
        mode: Reading or correcting.
        active_view: The view that keys go to.
        maximised: The one view that fills the window; None for all four.
        labels_shown: Whether segmentations are drawn at all (key G).
        compared: Which labels are drawn (key Shift+G).
        annotations_shown: Whether corner text, letters, scale bar and crosshair are drawn (key I).
        crosshair_shown: Whether the crosshair is drawn.
        interpolated: Whether pixels are smoothed between voxels.
        fill_opacity: 0..1 of the labels' fill.
        outlined: Whether segments have an outline.
        hidden_segments: Label numbers not drawn, by segmentation.
        volume_preset: Id of the ray-casting preset of the 3D view.
        map_id: The map of the same grid that is drawn over the image; None for none.
        map_opacity: 0..1, of its largest values.
        volume_rendered: Whether the 3D view shows the image itself beside the surfaces.
    """

    volume_id: VolumeId | None = None
    segmentation_id: SegmentationId | None = None
    cursor: Point = (0.0, 0.0, 0.0)
    window: Window = field(default_factory=lambda: Window(40.0, 400.0))
    inverted: bool = False
    mode: Mode = Mode.VIEW
    active_view: ViewName = ViewName.AXIAL
    maximised: ViewName | None = None
    labels_shown: bool = True
    compared: Compared = Compared.MINE
    annotations_shown: bool = True
    crosshair_shown: bool = True
    interpolated: bool = True
    fill_opacity: float = 0.3
    outlined: bool = True
    hidden_segments: tuple[tuple[SegmentationId, frozenset[int]], ...] = ()
    volume_preset: str = ""
    volume_rendered: bool = True
    map_id: VolumeId | None = None
    map_opacity: float = 0.6

    def hidden_of(self, segmentation_id: SegmentationId) -> frozenset[int]:
        """The label numbers of a segmentation that are not drawn."""
        return dict(self.hidden_segments).get(segmentation_id, frozenset())

    def with_hidden(self, segmentation_id: SegmentationId, labels: frozenset[int]) -> ViewState:
        """The same state with other labels hidden."""
        hidden = dict(self.hidden_segments)
        hidden[segmentation_id] = labels
        return replace(self, hidden_segments=tuple((key, value) for key, value in hidden.items() if value))


@dataclass(frozen=True, slots=True)
class ViewChange:
    """From one view state to another."""

    old: ViewState
    new: ViewState

    def touches(self, *names: str) -> bool:
        """Whether one of these attributes differs."""
        return any(getattr(self.old, name) != getattr(self.new, name) for name in names)


class Viewing:
    """Holds the view state. Main thread only."""

    def __init__(self) -> None:
        self.changed: Event[ViewChange] = Event()
        self._state = ViewState()

    @property
    def state(self) -> ViewState:
        """The state as it is."""
        return self._state

    def update(self, **attributes: Any) -> None:
        """Change some attributes; says so once, and only when something differs."""
        self.put(replace(self._state, **attributes))

    def put(self, state: ViewState) -> None:
        """Replace the state."""
        if state != self._state:
            old, self._state = self._state, state
            self.changed.emit(ViewChange(old, state))
