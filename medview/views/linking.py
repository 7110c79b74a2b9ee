"""The four views as one: what happens in the workstation shows in all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from vtkmodules.vtkCommonDataModel import vtkPolyData

from medview.core.case import Case, CaseChange, SeriesFound, SlicesArrived, VolumeComplete
from medview.core.events import Connection, Event
from medview.core.segmentation import Drawn, LabelsChanged, Segmentation, SegmentsChanged
from medview.core.volume import Volume
from medview.views.slice_view import SliceView
from medview.views.surface_maker import SurfaceMaker
from medview.views.volume_view import VolumeView
from medview.workstation.comparing import Comparing
from medview.workstation.jobs import JobQueue
from medview.workstation.view_state import Compared, ViewChange, Viewing, ViewName
from medview.workstation.work_in_hand import Edited
from medview.workstation.workspace import ActiveChanged, PreviewChanged, Workspace, WorkspaceChange

AnyView = SliceView | VolumeView


class Edits(Protocol):
    """Who changes labels."""

    edited: Event[Edited]

    @property
    def is_painting(self) -> bool:
        """Whether a stroke is under way."""


class LinkedViews:
    """Drives the attached views from the events of the workstation. Main thread only.

    Args:
        workspace: Says what is active.
        viewing: Says how it is shown.
        jobs: Makes surfaces in the background.
        painting: While it paints, no surfaces are made.
        comparing: Says what is drawn in place of the labels as they are.
    """

    def __init__(
        self,
        workspace: Workspace,
        viewing: Viewing,
        jobs: JobQueue,
        painting: Edits,
        comparing: Comparing | None = None,
    ) -> None:
        self._workspace = workspace
        self._viewing = viewing
        self._jobs = jobs
        self._painting = painting
        self._comparing = comparing
        self._views: dict[ViewName, AnyView] = {}
        self._case: Case | None = None
        self._segmentation: Segmentation | None = None
        self._of_case: Connection | None = None
        self._of_segmentation: Connection | None = None
        self._surfaces = SurfaceMaker(jobs, lambda: painting.is_painting, self._show_surfaces)
        self._surfaces_of: tuple[Segmentation | None, Volume | None] = (None, None)
        painting.edited.connect(self._edited)
        workspace.changed.connect(self._workspace_changed)
        viewing.changed.connect(self._viewing_changed)
        if comparing is not None:
            comparing.changed.connect(self._comparison_changed)
        self._follow_workspace()

    def attach(self, name: ViewName, view: AnyView) -> None:
        """Drive a view from now on."""
        self._views[name] = view
        view.apply(self._viewing.state)
        self._fill(view)
        if isinstance(view, VolumeView):
            self._follow_surfaces(anew=True)

    def detach(self, name: ViewName) -> None:
        """Leave a view alone."""
        self._views.pop(name, None)

    def stroke_ended(self) -> None:
        """Surfaces may follow what was painted."""
        self._surfaces.go_on()

    def close(self) -> None:
        """Let go of everything."""
        self._views.clear()
        self._surfaces.close()
        for connection in (self._of_case, self._of_segmentation):
            if connection is not None:
                connection.close()

    def _workspace_changed(self, change: WorkspaceChange) -> None:
        if isinstance(change, ActiveChanged | PreviewChanged):
            self._follow_workspace()

    def _follow_workspace(self) -> None:
        workspace = self._workspace
        if workspace.active_case is not self._case:
            if self._of_case is not None:
                self._of_case.close()
            self._case = workspace.active_case
            self._of_case = self._case.changed.connect(self._case_changed) if self._case is not None else None
        if workspace.drawn_segmentation is not self._segmentation:
            if self._of_segmentation is not None:
                self._of_segmentation.close()
            self._segmentation = one = workspace.drawn_segmentation
            self._of_segmentation = one.changed.connect(self._segmentation_changed) if one is not None else None
        for view in self._views.values():
            self._fill(view)
        self._follow_surfaces()

    def _fill(self, view: AnyView) -> None:
        """Give a view what is active."""
        volume, case = self._workspace.active_volume, self._workspace.active_case
        if isinstance(view, VolumeView):
            ready = volume is not None and case is not None and case.is_complete(volume.id)
            whole = volume if ready and volume is not None and volume.is_spatial else None
            if view.volume is not whole:
                view.show(whole)
            view.set_segmentation(self._segmentation if whole is not None else None)
        else:
            if view.volume is not volume:
                series = case.series_with(volume.series_uid) if case is not None and volume is not None else None
                view.show(volume, series)
            view.set_segmentation(self._segmentation)
            view.draw_instead(self._drawn())
            view.set_map(self._map())
        view.apply(self._viewing.state)

    def _viewing_changed(self, change: ViewChange) -> None:
        for view in self._views.values():
            view.apply(change.new)
        if change.touches("compared"):
            self._draw_compared()
        if change.touches("map_id"):
            for one in self._slice_views():
                one.set_map(self._map())

    def _map(self) -> Volume | None:
        """The map over the active volume; one of another grid waits."""
        volume, case, map_id = self._workspace.active_volume, self._workspace.active_case, self._viewing.state.map_id
        found = case.volumes.get(map_id) if case is not None and map_id is not None else None
        fits = found is not None and volume is not None and found.geometry.same_grid(volume.geometry)
        return found if fits and found is not volume else None

    def _case_changed(self, change: CaseChange) -> None:
        volume = self._workspace.active_volume
        if volume is None:
            return
        if isinstance(change, SlicesArrived) and change.volume_id == volume.id:
            for view in self._slice_views():
                view.slices_arrived(change.start, change.stop)
        elif isinstance(change, VolumeComplete) and change.volume_id == volume.id:
            for any_view in self._views.values():
                self._fill(any_view)
            self._follow_surfaces()
        elif isinstance(change, SeriesFound) and change.series_uid == volume.series_uid and self._case is not None:
            for view in self._slice_views():
                view.set_series(self._case.series_with(change.series_uid))

    def _segmentation_changed(self, change: LabelsChanged | SegmentsChanged) -> None:
        if isinstance(change, LabelsChanged):
            self._surfaces.written(change.box)
            for view in self._slice_views():
                view.labels_changed(change.box)
        else:
            for any_view in self._views.values():
                any_view.segments_changed()
        if not self._painting.is_painting:
            # Not at once: a step tells what it was only when all of it is written.
            self._jobs.post(self._surfaces.request)

    def _edited(self, edited: Edited) -> None:
        if edited.segmentation is self._segmentation:
            self._surfaces.edited(edited.labels)
            self._jobs.post(self._surfaces.request)

    def _drawn(self) -> Drawn | None:
        """What is drawn in place of the labels as they are; a model at work is drawn as it is."""
        comparing, segmentation = self._comparing, self._segmentation
        if comparing is None or segmentation is None or segmentation is not self._workspace.active_segmentation:
            return None
        return comparing.drawn(segmentation, self._viewing.state.compared)

    def _draw_compared(self) -> None:
        for view in self._slice_views():
            view.draw_instead(self._drawn())
        self._follow_surfaces(anew=True)

    def _comparison_changed(self, _: None) -> None:
        if self._viewing.state.compared is not Compared.MINE:
            self._draw_compared()

    def _slice_views(self) -> list[SliceView]:
        return [view for view in self._views.values() if isinstance(view, SliceView)]

    def _follow_surfaces(self, *, anew: bool = False) -> None:
        """Have the surfaces of the active segmentation made; a model at work gets none."""
        view, segmentation = self._views.get(ViewName.VOLUME), self._segmentation
        if not isinstance(view, VolumeView) or view.volume is None or segmentation is None:
            segmentation = None
        elif segmentation is not self._workspace.active_segmentation:
            return
        volume = view.volume if isinstance(view, VolumeView) else None
        if anew or (segmentation, volume) != self._surfaces_of:
            self._surfaces_of = segmentation, volume
            self._surfaces.follow(segmentation, self._drawn() if segmentation is not None else None)

    def _show_surfaces(self, surfaces: Mapping[int, vtkPolyData], drawn: Drawn | None) -> None:
        view = self._views.get(ViewName.VOLUME)
        if isinstance(view, VolumeView) and (self._segmentation, view.volume) == self._surfaces_of:
            view.set_surfaces(surfaces, drawn)
