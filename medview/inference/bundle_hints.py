"""A bundle that takes hints: loaded once, with the part of an image that it looked at last, ready for the next hint."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from monai.apps.vista3d.transforms import VistaPostTransformd, VistaPreTransformd
from monai.data import MetaTensor
from numpy.typing import NDArray

from medview.catalog.manifest import PluginManifest
from medview.catalog.manifest_engines import BundleEngine
from medview.core.errors import PluginUnavailableError
from medview.core.text import Text
from medview.inference import bundle_prompts, monai_bundle, tensors, trusted_bundle
from medview.inference.bundle_ending import Prepared
from medview.inference.hint_channels import points_in, with_channels
from medview.inference.loaded_bundle import LoadedBundle
from medview.inference.plugin import Case, Context
from medview.inference.resampling import prepare

_STEP_VOXELS = 4.0
"""How far points that stand for a scribble lie from each other."""


class BundleHints:
    """Answers hints with a bundle. Used by one thread at a time; `close` lets the bundle go.

    Args:
        folder: The plugin's.
        engine: Where in it the bundle is.
        manifest: The plugin's.
        trusted: Whether the bundle may run code of its own.
    """

    def __init__(self, folder: Path, engine: BundleEngine, manifest: PluginManifest, *, trusted: bool) -> None:
        self._bundle = folder / engine.path
        self._engine = engine
        self._manifest = manifest
        self._trusted = trusted
        self._stack = ExitStack()
        self._loaded: LoadedBundle | None = None
        self._prepared: tuple[str, Prepared] | None = None

    def answer(self, case: Case, context: Context, structure: int, place: str) -> NDArray[Any]:
        """Labels for the hints that the context holds, (k, j, i) on the grid of the case's image.

        Args:
            case: Its images, or the part of them that is looked at.
            context: The host.
            structure: The label that the hints are on; 0: the bundle's only one, or whatever is there.
            place: Tells which part of which image it is: where it is the same as before, nothing is prepared again.

        Raises:
            PluginUnavailableError: The bundle needs trust, or is not one that takes hints in this way.
            PluginFailedError: Its transforms or its network failed.
            Cancelled: The user cancelled.
        """
        spec = self._manifest.hints
        assert spec is not None
        loaded = self._ready(context)
        prepared = self._prepare(loaded, case, context, place)
        image = prepared.image
        if spec.given_as == "channels":
            name = next((one.name for one in self._manifest.label if one.value == structure), "")
            steps = loaded.preprocessing.transforms
            shown = with_channels(image, context.hints, spec, steps, name, context.before)
            items = {**prepared.items, prepared.key: shown}
            return monai_bundle.segment(replace(prepared, items=items), loaded, self._manifest, context)
        if not bundle_prompts.is_told_points(loaded.inferer):
            raise PluginUnavailableError(
                Text("The bundle's inferer does not take points."), Text("Tell the plugin's author.")
            )
        return self._at_points(loaded, prepared, image, context, structure)

    def close(self) -> None:
        """Let the bundle, its memory and its modules go."""
        self._loaded = self._prepared = None
        self._stack.close()

    def _ready(self, context: Context) -> LoadedBundle:
        if self._loaded is None:
            context.progress(0.0, Text("Loading the model"))
            if self._trusted:
                self._stack.enter_context(trusted_bundle.own_modules(self._bundle))
            self._loaded = monai_bundle.load(self._bundle, self._engine, self._manifest, context, trusted=self._trusted)
        return self._loaded

    def _prepare(self, loaded: LoadedBundle, case: Case, context: Context, place: str) -> Prepared:
        if self._prepared is None or self._prepared[0] != place:
            context.progress(0.02, Text("Preparing the image"))
            item = monai_bundle.item(*case.values(), loader=loaded.loader)
            items = prepare(loaded.preprocessing, item, loaded.loader.key)
            volume = next(iter(case.values()))
            made = Prepared(items, loaded.loader.key, loaded.preprocessing, loaded.after, volume)
            self._prepared = place, made
        context.check()
        return self._prepared[1]

    def _at_points(
        self, loaded: LoadedBundle, prepared: Prepared, image: MetaTensor, context: Context, structure: int
    ) -> NDArray[Any]:
        step_mm = _STEP_VOXELS * min(tensors.geometry_of(image).spacing_mm)
        points, positive = points_in(image, context.hints, step_mm)
        network = loaded.network.to(context.device).eval()
        own = next((one for one in loaded.preprocessing.transforms if isinstance(one, VistaPreTransformd)), None)
        divided = own is not None and str(structure) in (own.subclass or {})
        values = bundle_prompts.at_points(
            loaded.inferer, prepared.tensor, network, points, positive, 0 if divided else structure,
            context.part(0.1, 0.9), device=context.device, special=own is not None and structure in own.special_index,
        )  # fmt: skip
        kept = [one for one in prepared.after if not isinstance(one, VistaPostTransformd)]  # that was done there
        inside = monai_bundle.carried_back(replace(prepared, after=tuple(kept)), values, context) > 0
        label = structure or self._manifest.label[0].value
        return np.where(inside, label, 0).astype(np.uint16)
