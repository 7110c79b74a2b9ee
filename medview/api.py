"""The door for plugins: everything of MedView that a plugin may use, and nothing that is slow to import.

A Python plugin is a folder with a `plugin.toml` and a module. This one works:

    from medview.api import Case, Context, components

    def run(case: Case, context: Context):
        ct = case["ct"]
        context.progress(0.5, "Looking for bone")
        parts, _ = components(ct.voxels > 300)
        return parts == 1

It is given volumes by the names of its manifest's inputs and returns labels on the first one's grid: an array (k, j, i)
of whole numbers, 0 for background. Arrays are (slice, row, column); `Volume.geometry` says where they lie in the
patient (LPS, mm). A plugin whose task is to classify, or to find boxes or points, returns `Findings`. One whose
manifest has a table [hints] is told in `context.hints` where the reader says that the structure is, and is not, and in
`context.before` what it answered last; `marks_of` and `voxels_of` say which voxels that means.

One that classifies may show where it looked (`shows-evidence = true` under `[classify]` in the manifest): when
`context.evidence` is not None, `context.explain(network, ...)` asks a network of torch, and `context.add_evidence`
takes the answer, carried to the image's grid.
"""

from medview.core.errors import Cancelled, PluginError, PluginFailedError, PluginUnavailableError
from medview.core.evidence import Evidence, EvidenceMethod
from medview.core.finding import Interval
from medview.core.geometry import Box, Geometry, Index, Point
from medview.core.hint import Hint, HintKind, PlacedMask
from medview.core.hint_marks import Marks, line_of, marks_of, voxels_of
from medview.core.planes import Plane, slice_plane
from medview.core.progress import Progress
from medview.core.segmentation import Labels
from medview.core.text import Text
from medview.core.volume import Modality, Volume
from medview.editing.hint_tool import by_hints
from medview.editing.regions import (
    Mask,
    Spacing,
    closed,
    components,
    connected_to,
    dilate,
    distance,
    erode,
    fill_holes,
    flood,
    largest,
    opened,
    path_length,
)
from medview.inference.familiarity import Familiarity
from medview.inference.found import BoxFound, ClassFound, Findings, PointFound
from medview.inference.plugin import Case, Context

__all__ = [
    "Box",
    "BoxFound",
    "Cancelled",
    "Case",
    "ClassFound",
    "Context",
    "Evidence",
    "EvidenceMethod",
    "Familiarity",
    "Findings",
    "Geometry",
    "Hint",
    "HintKind",
    "Index",
    "Interval",
    "Labels",
    "Marks",
    "Mask",
    "Modality",
    "PlacedMask",
    "Plane",
    "PluginError",
    "PluginFailedError",
    "PluginUnavailableError",
    "Point",
    "PointFound",
    "Progress",
    "Spacing",
    "Text",
    "Volume",
    "by_hints",
    "closed",
    "components",
    "connected_to",
    "dilate",
    "distance",
    "erode",
    "fill_holes",
    "flood",
    "largest",
    "line_of",
    "marks_of",
    "opened",
    "path_length",
    "slice_plane",
    "voxels_of",
]
