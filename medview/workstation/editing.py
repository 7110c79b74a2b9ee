"""All that corrects masks with the mouse, as the views need it."""

from __future__ import annotations

from medview.core.segmentation import Color
from medview.workstation.combining import Combining
from medview.workstation.correction import Correction
from medview.workstation.cutting import Cutting
from medview.workstation.edit_tools import EditTool, EditTools
from medview.workstation.growing import Growing
from medview.workstation.hinting import Hinting
from medview.workstation.island_picking import IslandPicking
from medview.workstation.jobs import JobQueue
from medview.workstation.seeding import Seeding
from medview.workstation.thresholding import Thresholding
from medview.workstation.view_state import Mode, Viewing
from medview.workstation.workspace import Workspace

_NO_SEGMENT: Color = (255, 255, 255)


class Editing:
    """Joins the tools with what they change. Main thread only.

    Args:
        workspace: Says what is shown.
        viewing: Says how.
        jobs: Compute what takes longer.
        correction: What the tools change.
        tools: Hold the tool in hand.
        hinting: Takes hints.

    Attributes:
        growing: Grows regions.
        threshold: Thresholds.
        seeding: Grows segments from seeds.
        combining: The segment in work beside others.
        cutting: Cuts with scissors.
        islands: Picks parts of segments.
    """

    def __init__(
        self,
        workspace: Workspace,
        viewing: Viewing,
        jobs: JobQueue,
        correction: Correction,
        tools: EditTools,
        hinting: Hinting,
    ) -> None:
        self.workspace = workspace
        self.viewing = viewing
        self.correction = correction
        self.tools = tools
        self.hinting = hinting
        self.growing = Growing(jobs, correction)
        self.threshold = Thresholding(jobs, correction, tools, viewing)
        self.combining = Combining(workspace, viewing, jobs, correction)
        self.cutting = Cutting(workspace, viewing, jobs, correction, tools)
        self.islands = IslandPicking(workspace, jobs, correction)
        self.seeding = Seeding(workspace, viewing, jobs, correction, tools)

    @property
    def gives_hints(self) -> bool:
        """Whether hints are being given: then it is those that are taken back."""
        in_hand = self.tools.tool is EditTool.HINT and self.viewing.state.mode is Mode.EDIT
        return in_hand and self.hinting.is_active

    def check(self) -> None:
        """Ask whether the segment in work may be changed.

        Raises:
            MedViewError: It is locked.
        """
        self.correction.check_unlocked(self.correction.active_label)

    def color(self) -> Color:
        """Of the segment in work; white where there is none yet."""
        segmentation = self.workspace.active_segmentation
        segment = segmentation.segment(self.correction.active_label) if segmentation is not None else None
        return segment.color if segment is not None else _NO_SEGMENT
