"""A classifier whose evidence is known: by its weights, set by hand, only a bright blob speaks for its second class.

A convolution leaves of the image what is brighter than a threshold; the class is the sum of that over the near half of
the first axis that the network sees. What is dimmer, and what is bright elsewhere, has no say.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.networks.nets import Classifier
from torch import nn

from medview.core.geometry import Geometry, Point
from medview.core.volume import Modality, Volume
from tests.support import zoo, zoo_tasks
from tests.support.volumes import oblique, volume

MANIFEST = """schema = 1
id = "blobs"
version = "1.0.0"
name = "Bright blobs"
task = "classify"
summary = "Says whether there is a bright blob."
license = {{ code = "Apache-2.0" }}
intended-use = {{ level = "research", text = "For a test." }}
[engine]
kind = "bundle"
[[input]]
name = "image"
modality = {modalities}
dims = {dims}
[[class]]
value = 0
name = "No blob"
[[class]]
value = 1
name = "Blob"
threshold = 0.5
{more}
"""
SHOWN_2D, SHOWN_3D = (48, 40), (32, 32, 24)


def network(shown: tuple[int, ...], *, everywhere: bool = True) -> Classifier:
    """The network; not `everywhere`: only the half with the lower first index counts."""
    made = Classifier((1, *shown), 2, (1, 1), (2, 1), num_res_units=0, act="relu", norm=None)
    with torch.no_grad():
        for one in made.modules():
            if isinstance(one, nn.Conv2d | nn.Conv3d):
                one.weight.zero_()
                one.weight[(0, 0, *(1 for _ in shown))] = 1.0
                assert one.bias is not None
                one.bias.zero_()
        first = next(one for one in made.modules() if isinstance(one, nn.Conv2d | nn.Conv3d))
        assert first.bias is not None
        first.bias.fill_(-0.7)
        linear = next(one for one in made.modules() if isinstance(one, nn.Linear))
        linear.weight.zero_()
        counted = torch.ones([(n + 1) // 2 for n in shown])
        if not everywhere:
            counted[counted.shape[0] // 2 :] = 0
        linear.weight[1] = counted.flatten() * 2.0
        linear.bias.copy_(torch.tensor([0.0, -2.0]))
    return made


def write(
    folder: Path,
    shown: tuple[int, ...],
    *,
    everywhere: bool = True,
    more: str = "",
    modalities: str = "",
    **changes: Any,
) -> Path:
    """The plugin, with pictures or volumes brought to the size that its network wants.

    Args:
        folder: To be made.
        shown: What the network sees, (x, y) or (x, y, z).
        everywhere: See `network`.
        more: Further lines of the manifest.
        modalities: Which it takes, as the manifest says it.
        changes: Other entries of the configuration.
    """
    flat = len(shown) == 2
    steps: list[dict[str, Any]] = [
        {"_target_": "LoadImaged", "keys": "image"},
        {"_target_": "EnsureChannelFirstd", "keys": "image"},
    ]
    if flat:
        steps += [
            {"_target_": "Flipd", "keys": "image", "spatial_axis": 0},
            {"_target_": "Rotate90d", "keys": "image", "k": 1},
        ]
    else:
        steps += [
            {"_target_": "Orientationd", "keys": "image", "axcodes": "PLS", "labels": None},
            {"_target_": "Spacingd", "keys": "image", "pixdim": [2.0, 2.0, 2.0], "mode": "bilinear"},
        ]
    steps += [
        {"_target_": "Resized", "keys": "image", "spatial_size": list(shown), "mode": "area" if flat else "trilinear"},
        {"_target_": "ScaleIntensityd", "keys": "image", "minv": 0.0, "maxv": 1.0},
    ]
    config = {
        **zoo.HEAD,
        "network_def": {
            "_target_": "Classifier", "in_shape": [1, *shown], "classes": 2, "channels": [1, 1], "strides": [2, 1],
            "num_res_units": 0, "act": "relu", "norm": None,
        },
        "preprocessing": zoo.chain(*steps),
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": zoo.chain({"_target_": "Activationsd", "keys": "pred", "softmax": True}),
        **changes,
    }  # fmt: skip
    zoo_tasks.write(folder, config, network(shown, everywhere=everywhere), {"version": "0.1.0"})
    modalities = modalities or ('["CR", "DX", "US", "XA"]' if flat else '["CT", "MR"]')
    text = MANIFEST.format(modalities=modalities, dims=len(shown), more=more)
    (folder / "plugin.toml").write_text(text, encoding="utf-8")
    return folder


def _with_blob(shape: tuple[int, int, int], geometry: Geometry, center: Point, radius_mm: float, value: float) -> Any:
    k, j, i = np.indices(shape)
    places = geometry.to_patient(np.stack([k, j, i], axis=-1).reshape(-1, 3)).reshape(*shape, 3)
    return value * (np.linalg.norm(places - np.asarray(center), axis=-1) <= radius_mm)


def radiograph(*blobs: tuple[tuple[float, float, float], float]) -> tuple[Volume, tuple[Point, ...]]:
    """A picture of 97 rows and 180 columns of pixels of 1.0 by 0.5 mm.

    Args:
        blobs: Where each is, a share of every axis (k, j, i), and how bright, 0..1.

    Returns:
        The picture, and the middle of each blob: x, y, z, LPS, mm.
    """
    empty = volume(np.zeros((1, 97, 180), np.uint16), spacing_mm=(1.0, 1.0, 0.5), modality=Modality.DX, unit="")
    return _drawn(empty, blobs, 6.0)


def scan(*blobs: tuple[tuple[float, float, float], float]) -> tuple[Volume, tuple[Point, ...]]:
    """As `radiograph`: a tilted volume of 20 slices of 3 mm, with voxels of 0.8 by 1.1 mm in them."""
    empty = volume(np.zeros((20, 80, 66), np.uint16), spacing_mm=(3.0, 0.8, 1.1), direction=oblique())
    return _drawn(empty, blobs, 8.0)


def _drawn(
    empty: Volume, blobs: tuple[tuple[tuple[float, float, float], float], ...], radius_mm: float
) -> tuple[Volume, tuple[Point, ...]]:
    geometry = empty.geometry
    voxels, centers = np.zeros(geometry.shape), []
    for share, value in blobs:
        x, y, z = (float(n) for n in geometry.to_patient(np.asarray(share) * (np.asarray(geometry.shape) - 1)))
        centers.append((x, y, z))
        voxels = np.maximum(voxels, _with_blob(geometry.shape, geometry, (x, y, z), radius_mm, value))
    return replace(empty, voxels=np.round(voxels * 1000).astype(np.uint16)), tuple(centers)
