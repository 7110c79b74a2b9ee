"""All that corrects masks with the mouse, as the views need it."""

from __future__ import annotations

from medview.core.segmentation import Color
from medview.editing.brush import Stamp
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
        self.growing = Growing(jobs, correction, tools, viewing)
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

    def effect(self, stamp: Stamp | None, *, adds: bool) -> Stamp | None:
        """What of a drawing would change anything in the segment in work, by locks and rules.

        Args:
            stamp: What is drawn; None for nothing.
            adds: Whether it adds, or takes away.
        """
        segmentation = self.workspace.active_segmentation
        if stamp is None or stamp[0].is_empty or segmentation is None:
            return stamp if adds else None
        box, mask = stamp
        label = self.correction.active_label
        return box, self.correction.proposals.would_change(segmentation, label, box, mask, adds=adds)

    def color(self) -> Color:
        """Of the segment in work, or of the one that a tool would begin."""
        return self.correction.active_color
