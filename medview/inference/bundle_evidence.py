"""Where a bundle's classifier looked: asked on what its network was shown, carried back to the image as labels are."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medview.catalog.manifest import PluginManifest
from medview.core.volume import Volume
from medview.inference import bundle_ending, bundle_findings
from medview.inference.bundle_ending import Prepared
from medview.inference.explain import explain
from medview.inference.loaded_bundle import LoadedBundle
from medview.inference.plugin import Context


def of_image(
    bundle: LoadedBundle, items: dict[str, Any], manifest: PluginManifest, volume: Volume, context: Context
) -> NDArray[np.float32]:
    """The evidence that the user asks for, of one prepared image.

    Args:
        bundle: The bundle; all networks whose answers are averaged are asked, and what they say is added up.
        items: The image as its transforms left it, by name.
        manifest: Names the layers.
        volume: What the image came of.
        context: The host; somebody has asked for evidence.

    Returns:
        (k, j, i), or (j, i) of a picture: 0..1, on the grid that the image came on.

    Raises:
        PluginUnavailableError: The network cannot be asked in this way.
        PluginFailedError: What it told cannot be used, or not be carried back.
    """
    wanted = context.evidence
    assert wanted is not None
    networks, total = (bundle.network, *bundle.further), torch.zeros(())
    for number, network in enumerate(networks):
        found = explain(
            network.to(context.device),
            bundle.shown(items, context.device),
            wanted.value,
            wanted.method,
            activate=lambda values: bundle_findings.activated(values.float().cpu(), bundle.after),
            progress=context.part(0.3 + 0.65 * number / len(networks), 0.3 + 0.65 * (number + 1) / len(networks)),
            layers=manifest.classify.evidence_layer,
            call=bundle.inferer,
        )
        total = total + found.tensor / len(networks)
        if found.note is not None and number == 0:
            context.note(found.note)
    prepared = Prepared(items, bundle.loader.key, bundle.preprocessing, bundle.after, volume)
    # interpolation may leave 0..1 by what a number is rounded by
    carried: NDArray[np.float32] = np.clip(bundle_ending.carried_back(prepared, total), 0, 1)
    return carried
