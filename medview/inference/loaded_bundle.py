"""A bundle, or a network in a file, that is ready to be shown images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from monai.transforms import Compose
from torch import nn

from medview.catalog.bundle_config import LoaderSettings
from medview.core.errors import PluginFailedError
from medview.core.text import Text
from medview.inference.plugin import Context


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

    def values(self, items: dict[str, Any], context: Context) -> torch.Tensor:
        """The network's values for a prepared image, (1, ...); how long they took is told to the host."""
        shown = self.shown(items, context.device)
        with torch.inference_mode():
            values = context.timed(lambda: self.inferer(shown, self.network), shown.shape[2:])
        if not isinstance(values, torch.Tensor):
            raise PluginFailedError(Text("The network returns more than one value."), Text("Tell the plugin's author."))
        return values.float().cpu()
