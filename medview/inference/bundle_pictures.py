"""Bundles that look at pictures: projections, frames and slices, each by itself, or all of them as a film."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from numpy.typing import NDArray

from medview.catalog.manifest import PluginManifest
from medview.core.errors import PluginFailedError, PluginUnavailableError
from medview.core.geometry import Box
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference import bundle_ending, bundle_evidence, bundle_findings, class_answers, tensors
from medview.inference.bundle_ending import Prepared
from medview.inference.found import ClassFound, Findings
from medview.inference.loaded_bundle import LoadedBundle
from medview.inference.plugin import Context

_FILM = 4


def segment(bundle: LoadedBundle, manifest: PluginManifest, volume: Volume, context: Context) -> NDArray[Any]:
    """Labels of every picture by itself: (k, j, i); where structures may overlap, (structure, k, j, i)."""
    found: NDArray[Any] | None = None
    for slice, items in _pictures(bundle, manifest, volume, context):
        values = bundle.values(items, context)[0]
        prepared = Prepared(
            items, bundle.loader.key, bundle.preprocessing, bundle.after, volume, manifest.has_regions,
            bundle.loader.network_key,
        )  # fmt: skip
        labels = bundle_ending.as_written(prepared, values, context.check)
        if found is None:
            layers = labels.shape[:-2]
            found = np.zeros((*layers, *volume.geometry.shape), dtype=np.uint16)
        if labels.shape[-2:] != volume.geometry.shape[1:]:
            raise PluginFailedError(
                Text.of("Its labels of a picture have the shape {found}.", found=labels.shape[-2:]),
                Text("Tell the plugin's author."),
            )
        found[..., slice, :, :] = labels
        if context.is_watched and not manifest.has_regions:
            _, j, i = volume.geometry.shape
            context.preview(Box((slice, 0, 0), (slice + 1, j, i)), found[slice : slice + 1].copy())
    return found if found is not None else np.zeros(volume.geometry.shape, dtype=np.uint16)


def find(bundle: LoadedBundle, manifest: PluginManifest, volume: Volume, context: Context) -> Findings:
    """Classes or points of every picture by itself, or of a film's pictures."""
    place = volume.geometry if volume.is_spatial else None
    if manifest.input[0].dims == _FILM:
        items = bundle.prepared(tensors.to_film(volume))
        context.progress(0.3, Text("Running the network"))
        bundle.network.register_forward_pre_hook(lambda *_: context.check())
        values = _after(bundle, bundle.values(items, context))
        if len(values) != volume.geometry.shape[0]:
            raise PluginFailedError(
                Text.of(
                    "The model answers for {found} pictures, and the film has {wanted}.",
                    found=len(values), wanted=volume.geometry.shape[0],
                ),
                Text("Tell the plugin's author."),
            )  # fmt: skip
        affine = np.eye(4)
        return Findings(
            points=tuple(
                point
                for slice in range(len(values))
                for point in bundle_findings.points(values[slice], affine, manifest.class_, place, slice)
            )
        )
    classes, points = [], []
    for slice, items in _pictures(bundle, manifest, volume, context):
        if manifest.task == "landmark":
            values = bundle.values(items, context)[0]
            points += bundle_findings.points(values, _affine(bundle, items), manifest.class_, place, slice)
        else:
            classes += class_answers.of_image(bundle, items, manifest, context, slice)
    if context.evidence is not None:
        _explain(bundle, manifest, volume, classes, context)
    return Findings(classes=tuple(classes), points=tuple(points))


def _pictures(
    bundle: LoadedBundle, manifest: PluginManifest, volume: Volume, context: Context
) -> Iterator[tuple[int, dict[str, Any]]]:
    count = volume.geometry.shape[0]
    for slice in range(count):
        context.progress(0.05 + 0.9 * slice / count, Text("Running the network"))
        yield slice, bundle.prepared(tensors.to_picture(volume, slice, color=manifest.input[0].color))


def _explain(
    bundle: LoadedBundle, manifest: PluginManifest, volume: Volume, found: Sequence[ClassFound], context: Context
) -> None:
    """Give the evidence of one picture: the one that is asked for, or where the class is most probable."""
    wanted = context.evidence
    assert wanted is not None
    of_class = [one for one in found if one.value == wanted.value]
    best = max(of_class, key=lambda one: one.probability, default=None)
    slice = wanted.slice if wanted.slice is not None else best.slice if best is not None else None
    if slice is None or not 0 <= slice < volume.geometry.shape[0]:
        raise PluginUnavailableError(
            Text("There is no such picture or class to show the evidence of."), Text("Run the plugin again.")
        )
    items = bundle.prepared(tensors.to_picture(volume, slice, color=manifest.input[0].color))
    evidence = np.zeros(volume.geometry.shape, dtype=np.float32)
    evidence[slice] = bundle_evidence.of_image(bundle, items, manifest, volume, context)
    context.add_evidence(evidence)


def _after(bundle: LoadedBundle, values: torch.Tensor) -> torch.Tensor:
    """A film's points after the bundle's further steps: (picture, axis, point)."""
    items: dict[str, Any] = {"pred": MetaTensor(values[0] if bundle.splits_batches else values)}
    for step in bundle.after:
        items = step(items)
    return torch.as_tensor(items["pred"]).as_subclass(torch.Tensor)


def _affine(bundle: LoadedBundle, items: dict[str, Any]) -> NDArray[np.float64]:
    image = items[bundle.loader.key]
    return np.asarray(image.affine, dtype=np.float64) if isinstance(image, MetaTensor) else np.eye(4)
