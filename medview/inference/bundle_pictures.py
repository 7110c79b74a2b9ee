"""Bundles that look at pictures: projections, frames and slices, each by itself, or all of them as a film."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from monai.transforms import Compose
from numpy.typing import NDArray
from torch import nn

from medview.catalog.bundle_config import LoaderSettings
from medview.catalog.manifest import PluginManifest
from medview.core.errors import PluginFailedError
from medview.core.geometry import Box
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference import bundle_ending, bundle_findings, tensors
from medview.inference.bundle_ending import Prepared
from medview.inference.found import Findings
from medview.inference.plugin import Context

_FILM = 4


@dataclass(frozen=True, slots=True)
class LoadedBundle:
    """A bundle that is ready to be shown images.

    Attributes:
        network: With its weights, on its device, in evaluation mode.
        preprocessing: What is done to an image first.
        after: What is done with the network's values.
        inferer: How the network is called.
        loader: How images are called among the transforms' items.
        splits_batches: Whether the further steps see one image of a batch, as they usually do.
        further: The network with further weights; in windows, the mean of all is what counts.
        mirrored: The axes, x, y, z of the prepared image, along which windows are mirrored and averaged.
    """

    network: nn.Module
    preprocessing: Compose
    after: tuple[Any, ...]
    inferer: Inferer
    loader: LoaderSettings
    splits_batches: bool = True
    further: tuple[nn.Module, ...] = ()
    mirrored: tuple[int, ...] = ()

    def prepared(self, image: MetaTensor) -> dict[str, Any]:
        """What the transforms make of an image, by name."""
        made = self.preprocessing(image if self.loader.is_bare else {self.loader.key: image})
        return {self.loader.key: made} if self.loader.is_bare else dict(made)

    def shown(self, items: dict[str, Any], device: str) -> torch.Tensor:
        """What the network is shown of them: (1, channel, ...) float32."""
        found = items[self.loader.network_key]
        plain = found.as_tensor() if isinstance(found, MetaTensor) else torch.as_tensor(found)
        return plain.to(torch.float32)[None].to(device)

    def values(self, items: dict[str, Any], device: str) -> torch.Tensor:
        """The network's values for a prepared image, (1, ...)."""
        with torch.inference_mode():
            values = self.inferer(self.shown(items, device), self.network)
        if not isinstance(values, torch.Tensor):
            raise PluginFailedError(Text("The network returns more than one value."), Text("Tell the plugin's author."))
        return values.float().cpu()


def segment(bundle: LoadedBundle, manifest: PluginManifest, volume: Volume, context: Context) -> NDArray[Any]:
    """Labels of every picture by itself: (k, j, i); where structures may overlap, (structure, k, j, i)."""
    found: NDArray[Any] | None = None
    for slice, items in _pictures(bundle, manifest, volume, context):
        values = bundle.values(items, context.device)[0]
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
        values = _after(bundle, bundle.values(items, context.device))
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
        values = bundle.values(items, context.device)[0]
        if manifest.task == "landmark":
            points += bundle_findings.points(values, _affine(bundle, items), manifest.class_, place, slice)
        else:
            classes += bundle_findings.classes(values, bundle.after, manifest.class_, slice)
    return Findings(classes=tuple(classes), points=tuple(points))


def _pictures(
    bundle: LoadedBundle, manifest: PluginManifest, volume: Volume, context: Context
) -> Iterator[tuple[int, dict[str, Any]]]:
    count = volume.geometry.shape[0]
    for slice in range(count):
        context.progress(0.05 + 0.9 * slice / count, Text("Running the network"))
        yield slice, bundle.prepared(tensors.to_picture(volume, slice, color=manifest.input[0].color))


def _after(bundle: LoadedBundle, values: torch.Tensor) -> torch.Tensor:
    """A film's points after the bundle's further steps: (picture, axis, point)."""
    items: dict[str, Any] = {"pred": MetaTensor(values[0] if bundle.splits_batches else values)}
    for step in bundle.after:
        items = step(items)
    return torch.as_tensor(items["pred"]).as_subclass(torch.Tensor)


def _affine(bundle: LoadedBundle, items: dict[str, Any]) -> NDArray[np.float64]:
    image = items[bundle.loader.key]
    return np.asarray(image.affine, dtype=np.float64) if isinstance(image, MetaTensor) else np.eye(4)
