"""A plugin that answers with classes, a box and a point, and needs no network."""

from __future__ import annotations

from pathlib import Path

_MANIFEST = """
schema = 1
id = "verdicts"
version = "1.2.0"
name = "Verdicts"
task = "classify"
summary = "Says what it is told to."
[license]
code = "Apache-2.0"
[intended-use]
level = "research"
text = "Tests."
[engine]
kind = "python"
entry = "verdicts:run"
[[input]]
name = "image"
modality = ["CT", "MR", "PT"]
[[class]]
value = 0
name = "Normal"
[[class]]
value = 1
name = "Nodule"
code = ["SCT", "27925004", "Nodule"]
threshold = 0.6
sensitivity = 0.9
specificity = 0.8
[translations.zh_CN]
"Nodule" = "结节"
"Unlike what it knows." = "与它所知不同。"
"""
_SOURCE = """
BOXES = {boxes}
from medview.api import BoxFound, ClassFound, Findings, Interval, PointFound

def run(case, context):
    geometry = case["image"].geometry
    x, y, z = (float(n) for n in geometry.to_patient((7, 11, 13)))
    context.note("Unlike what it knows.")
    return Findings(
        classes=(ClassFound(0, "Normal", 0.25), ClassFound(1, "Nodule", 0.75, interval=Interval(0.62, 0.81, 8))),
        boxes=tuple(
            BoxFound(1, "Nodule", share, (x + away, y, z), ((6.0, 0.0, 0.0), (0.0, 8.0, 0.0), (0.0, 0.0, 10.0)))
            for share, away in BOXES
        ),
        points=(PointFound(0, "Normal", (x, y, z + 1)),),
    )
"""


def write_finding_plugin(
    folder: Path,
    *,
    id: str = "verdicts",
    name: str = "Verdicts",
    boxes: tuple[tuple[float, float], ...] = ((0.5, 0.0),),
) -> Path:
    """Make the plugin in a new folder; its boxes have these probabilities, and lie so far from a point, mm."""
    folder.mkdir(parents=True)
    manifest = _MANIFEST.replace('id = "verdicts"', f'id = "{id}"').replace('name = "Verdicts"', f'name = "{name}"')
    (folder / "plugin.toml").write_text(manifest, encoding="utf-8")
    (folder / "verdicts.py").write_text(_SOURCE.replace("{boxes}", repr(tuple(boxes))), encoding="utf-8")
    return folder
