from __future__ import annotations

from pathlib import Path

from medview.core.case import Patient, Reject, Study
from medview.core.segmentation import SegmentationId
from medview.core.text import Text
from medview.core.volume import Window
from medview.workstation.view_state import ViewChange, Viewing
from medview.workstation.workspace import ActiveChanged, CaseClosed, CaseOpened, Workspace, WorkspaceChange

STUDY = Study("1.2.3", Patient("P1"))


def test_a_study_is_opened_once_and_closing_it_leaves_nothing_active() -> None:
    workspace = Workspace()
    heard: list[WorkspaceChange] = []
    workspace.changed.connect(heard.append)
    case = workspace.case_of(STUDY)
    assert workspace.case_of(STUDY) is case
    workspace.activate(case, None)
    workspace.close_case(case)
    assert workspace.cases == ()
    assert workspace.active_case is None
    assert heard == [CaseOpened(case.id), ActiveChanged(), ActiveChanged(), CaseClosed(case.id)]


def test_a_file_is_rejected_once() -> None:
    workspace = Workspace()
    workspace.add_rejects((Reject(Path("a"), Text("empty")),))
    workspace.add_rejects((Reject(Path("a"), Text("empty")), Reject(Path("b"), Text("empty"))))
    assert [reject.path.name for reject in workspace.rejects] == ["a", "b"]


def test_a_view_change_says_what_differs_and_nothing_is_said_of_no_change() -> None:
    viewing = Viewing()
    heard: list[ViewChange] = []
    viewing.changed.connect(heard.append)
    viewing.update(window=Window(40, 400))
    assert heard == []
    viewing.update(window=Window(-600, 1500))
    assert heard[0].touches("window")
    assert not heard[0].touches("cursor", "mode")


def test_hidden_segments_are_kept_by_segmentation() -> None:
    viewing = Viewing()
    one, other = SegmentationId("one"), SegmentationId("other")
    state = viewing.state.with_hidden(one, frozenset({1, 2})).with_hidden(other, frozenset({3}))
    assert state.hidden_of(one) == {1, 2}
    assert state.with_hidden(one, frozenset()).hidden_of(one) == frozenset()
    assert state.with_hidden(one, frozenset()).hidden_of(other) == {3}
