"""From the values of a bundle's network to classes, boxes and points, in the patient's millimetres.

What makes a decision out of probabilities is left out, for the reader decides; what makes world coordinates of boxes is
left out, for the host owns geometry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.transforms import Activationsd, AsDiscreted
from numpy.typing import NDArray

from medview.catalog.manifest import Class
from medview.core.errors import PluginFailedError
from medview.core.geometry import Geometry
from medview.core.text import Text
from medview.inference.found import BoxFound, ClassFound, PointFound, Vector

_GEOMETRY = ("AffineBoxToWorldCoordinated", "AffineBoxToImageCoordinated", "ConvertBoxModed", "DeleteItemsd")
"""Steps behind a detector that the host does in its own way."""
_RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])


def classes(
    values: torch.Tensor, after: Sequence[Any], named: Sequence[Class], slice: int | None = None
) -> list[ClassFound]:
    """How probable each class is.

    Args:
        values: The network's, one for each class.
        after: The bundle's further steps; of them the activation counts. Where there is none, and the largest value
            decides, a softmax says how sure that is.
        named: The manifest's classes.
        slice: Which picture it was.

    Raises:
        PluginFailedError: There are not enough values, or they are no probabilities.
    """
    flat = values.detach().float().cpu().reshape(-1)
    found = [float(one) for one in activated(flat[None], after)[0]]
    if len(found) <= max(one.value for one in named):
        raise _bad(Text.of("it gives {found} values for its classes", found=len(found)))
    return [ClassFound(one.value, one.name, _probability(found[one.value]), slice) for one in named]


def activated(values: torch.Tensor, after: Sequence[Any]) -> torch.Tensor:
    """A network's values, (n, class), as the probabilities that a bundle's further steps make of them.

    Raises:
        PluginFailedError: There is one value, and it is compared with others that there are not.
    """
    activation = next((one for one in after if isinstance(one, Activationsd)), None)
    largest = any(isinstance(one, AsDiscreted) and one.argmax[0] for one in after)
    compared = bool(activation.softmax[0]) if activation is not None else largest
    if compared and values.shape[1] == 1:
        raise _bad(Text("it gives one value, and a softmax of one value is always 1"))
    if activation is not None:
        # a transform sees one answer at a time
        return torch.stack([torch.as_tensor(activation({"pred": one})["pred"]).reshape(-1) for one in values])
    return values.softmax(1) if largest else values


def boxes(
    found: Mapping[str, Any], image: torch.Tensor, affine: Any, after: Sequence[Any], named: Sequence[Class]
) -> list[BoxFound]:
    """What a detector found.

    Args:
        found: Its answer: "box", (n, 6) corners (x, y, z, x, y, z) in voxels; "label", (n,); "label_scores", (n,).
        image: What it looked at, (channel, x, y, z).
        affine: (4, 4), of that image, to RAS.
        after: The bundle's further steps.
        named: The manifest's classes.
    """
    items: dict[str, Any] = {**found, "image": image}
    for step in after:
        if type(step).__name__ not in _GEOMETRY:
            items = step(items)
    corners = np.asarray(torch.as_tensor(items["box"]).cpu(), dtype=np.float64).reshape(-1, 6)
    kinds = np.asarray(torch.as_tensor(items["label"]).cpu()).reshape(-1)
    score_key = next((one for one in items if one.endswith("_scores")), "label_scores")
    scores = np.asarray(torch.as_tensor(items[score_key]).float().cpu()).reshape(-1)
    names = {one.value: one.name for one in named}
    to_ras = np.asarray(affine, dtype=np.float64)
    made = []
    for box, kind, score in zip(corners, kinds, scores, strict=True):
        if int(kind) not in names:
            raise _bad(Text.of("its manifest does not name the class {value}", value=int(kind)))
        # MONAI's detectors are trained on boxes that the image's affine brought into voxels: the same one leads back.
        center = (to_ras[:3, :3] @ ((box[:3] + box[3:]) / 2) + to_ras[:3, 3]) * _RAS_TO_LPS
        edges = (to_ras[:3, :3] * (box[3:] - box[:3])).T * _RAS_TO_LPS
        x, y, z = (_vector(one) for one in edges)
        made.append(BoxFound(int(kind), names[int(kind)], _probability(float(score)), _vector(center), (x, y, z)))
    return made


def points(
    values: torch.Tensor, affine: Any, named: Sequence[Class], geometry: Geometry | None, slice: int | None = None
) -> list[PointFound]:
    """Points of one picture or of a volume.

    Args:
        values: (axis, point) or (point, axis), in voxels of what the network saw, along (x, y) or (x, y, z).
        affine: (4, 4), of what the network saw: to pixels of the picture, or to RAS of a volume.
        named: The manifest's points.
        geometry: Of the volume whose slice the picture is, where that has a place in the patient; None otherwise.
        slice: Which slice or picture, k; None: it saw the whole volume.
    """
    found = values.detach().float().cpu().numpy().astype(np.float64)
    count = max(one.value for one in named) + 1
    if found.ndim != 2 or not np.isfinite(found).all():
        raise _bad(Text("its points are no numbers, or not two or three for each"))
    if found.shape[0] in (2, 3) and found.shape[1] >= count:
        found = found.T
    if found.shape[1] not in (2, 3) or found.shape[0] < count:
        raise _bad(Text.of("it gives {found} values for its points", found=str(tuple(values.shape))))
    matrix = np.asarray(affine, dtype=np.float64)
    axes = found.shape[1]
    seen = found @ matrix[:axes, :axes].T + matrix[:axes, 3]
    return [PointFound(one.value, one.name, _place(seen[one.value], geometry, slice), slice) for one in named]


def _place(seen: NDArray[np.float64], geometry: Geometry | None, slice: int | None) -> Vector:
    if len(seen) == 3:
        return _vector(seen * _RAS_TO_LPS)
    if geometry is None or slice is None:
        return _vector(np.array([seen[0], seen[1], 0.0]))
    return _vector(geometry.affine[:3] @ np.array([slice, seen[1], seen[0], 1.0]))


def _vector(values: NDArray[np.float64]) -> Vector:
    x, y, z = (float(one) for one in values)
    return x, y, z


def _probability(value: float) -> float:
    if not -1e-6 <= value <= 1 + 1e-6:  # also what is no number
        raise _bad(Text("its answer holds values that are no probabilities"))
    return min(1.0, max(0.0, value))


def _bad(problem: Text) -> PluginFailedError:
    return PluginFailedError(
        Text.of("The bundle gave an answer that cannot be used: {problem}.", problem=problem),
        Text("Nothing was changed. Tell the plugin's author."),
    )
