"""Runs a network that is one file, TorchScript or ONNX; how its image is prepared stands in the manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.inferers import Inferer, SimpleInferer, SlidingWindowInferer
from monai.transforms import (
    Activationsd,
    AsDiscreted,
    Compose,
    EnsureChannelFirstd,
    Invertd,
    NormalizeIntensityd,
    Orientationd,
    ScaleIntensityRanged,
    Spacingd,
)
from numpy.typing import NDArray
from torch import nn

from medview.catalog import onnx_file
from medview.catalog.bundle_config import LoaderSettings
from medview.catalog.manifest import PluginManifest
from medview.catalog.manifest_engines import NetworkEngine
from medview.core.errors import PluginNotTrustedError, PluginUnavailableError
from medview.core.text import Text
from medview.inference import monai_bundle, trusted_bundle
from medview.inference.found import Findings
from medview.inference.loaded_bundle import LoadedBundle
from medview.inference.plugin import Case, Context

_IMAGE, _PREDICTION = "image", "pred"
_VOLUME = 3
_HALF = 0.5


def run(
    folder: Path, engine: NetworkEngine, case: Case, context: Context, *, manifest: PluginManifest, trusted: bool
) -> NDArray[Any] | Findings:
    """Do the network's task on the case's images, which are its channels in their order.

    Returns:
        Labels on the first image's grid, (k, j, i); where structures may overlap, a layer for each. For another task,
        what was found.

    Raises:
        PluginUnavailableError: The file is none that can be run, or onnxruntime is not installed.
        PluginNotTrustedError: It is a program that nobody has allowed.
        PluginFailedError: The network failed.
        Cancelled: The user cancelled.
    """
    context.progress(0.0, Text("Loading the model"))
    network = _network(folder / engine.path, engine, context.device, trusted=trusted)
    flat = manifest.input[0].dims != _VOLUME
    chain = Compose(_preparation(engine, flat=flat))
    loaded = LoadedBundle(network, chain, tuple(_ending(engine, chain)), _inferer(engine, flat=flat), LoaderSettings())
    return monai_bundle.answer(loaded, case, context, manifest)


def _network(path: Path, engine: NetworkEngine, device: str, *, trusted: bool) -> nn.Module:
    if engine.kind == "onnx":
        return OnnxNetwork(path, device)
    if not trusted:
        raise PluginNotTrustedError(
            Text.of("The network {file} is TorchScript, a program.", file=path.name),
            Text("Trust it if you know who made it."),
        )
    return trusted_bundle.load_torchscript(path, device)


def _preparation(engine: NetworkEngine, *, flat: bool) -> list[Any]:
    steps: list[Any] = [EnsureChannelFirstd(_IMAGE)]
    if engine.orientation and not flat:
        steps.append(Orientationd(_IMAGE, engine.orientation, labels=None))
    if engine.spacing_mm is not None and not flat:
        steps.append(Spacingd(_IMAGE, engine.spacing_mm, mode="bilinear"))
    if engine.clip is not None:
        low, high = engine.clip
        steps.append(ScaleIntensityRanged(_IMAGE, low, high, 0.0, 1.0, clip=True))
    if engine.normalize:
        steps.append(NormalizeIntensityd(_IMAGE, channel_wise=True))
    return steps


def _ending(engine: NetworkEngine, chain: Compose) -> list[Any]:
    soft = engine.activation == "softmax"
    return [
        Activationsd(_PREDICTION, softmax=soft, sigmoid=not soft),
        Invertd(_PREDICTION, transform=chain, orig_keys=_IMAGE, nearest_interp=False, to_tensor=True),
        AsDiscreted(_PREDICTION, argmax=soft, threshold=None if soft else _HALF),
    ]


def _inferer(engine: NetworkEngine, *, flat: bool) -> Inferer:
    if engine.window is None:
        return SimpleInferer()
    window = engine.window[:2] if flat else engine.window
    return SlidingWindowInferer(window, sw_batch_size=4, overlap=engine.overlap, mode="gaussian")


class OnnxNetwork(nn.Module):
    """An ONNX file as a network of torch.

    Args:
        path: The file, which holds all of its weights.
        device: Where it computes, as far as the installed onnxruntime can.

    Raises:
        PluginUnavailableError: onnxruntime is not installed, or the file is none that it can run.
    """

    def __init__(self, path: Path, device: str) -> None:
        super().__init__()
        try:
            import onnxruntime
        except ImportError as error:
            raise PluginUnavailableError(
                Text("This plugin is an ONNX file, and the package onnxruntime is not installed."),
                Text("Install it beside MedView: pip install onnxruntime"),
            ) from error
        onnx_file.check(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4
        wanted = ["CUDAExecutionProvider"] if device == "cuda" else []
        known = onnxruntime.get_available_providers()
        providers = [one for one in (*wanted, "CPUExecutionProvider") if one in known]
        try:
            self._session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=providers)
        except Exception as error:
            raise PluginUnavailableError(
                Text.of("The network {file} is damaged, or no ONNX.", file=path.name), Text("Install the plugin again.")
            ) from error
        first = self._session.get_inputs()[0]
        self._name = first.name
        self._one_by_one = first.shape[:1] == [1]
        self._kind = np.float16 if first.type == "tensor(float16)" else np.float32

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(image, channel, ...) -> the values of its first output, float32."""
        given = np.ascontiguousarray(x.detach().cpu().numpy(), dtype=self._kind)
        parts = [given[n : n + 1] for n in range(len(given))] if self._one_by_one else [given]
        found = [np.asarray(self._session.run(None, {self._name: one})[0], dtype=np.float32) for one in parts]
        return torch.from_numpy(np.concatenate(found)).to(x.device)
