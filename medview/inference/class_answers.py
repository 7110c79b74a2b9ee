"""What a bundle's classifier says: by all of its weights, of the image mirrored too, and how far these answers differ.

Dropout that stays on while a network answers shows how much an answer hangs on single features (Gal, Ghahramani,
Dropout as a Bayesian approximation, ICML 2016).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from medview.catalog.manifest import PluginManifest
from medview.core.finding import Interval
from medview.core.text import Text
from medview.inference import bundle_findings
from medview.inference.found import ClassFound
from medview.inference.loaded_bundle import LoadedBundle
from medview.inference.plugin import Context

_SEED = 0


def of_image(
    bundle: LoadedBundle, items: dict[str, Any], manifest: PluginManifest, context: Context, slice: int | None = None
) -> list[ClassFound]:
    """How probable each class is, and in which interval the answers lie where there are several.

    The probability is the mean of all weights and mirrored images that are wanted; answers with dropout widen the
    interval alone.

    Args:
        bundle: The bundle.
        items: The image as its transforms left it, by name.
        manifest: Names the classes.
        context: The host; its options say what is wanted.
        slice: Which picture it is.

    Raises:
        PluginFailedError: There are not enough values, or they are no probabilities.
        Cancelled: The user has cancelled.
    """
    first = bundle_findings.classes(bundle.values(items, context)[0], bundle.after, manifest.class_, slice)
    shown = bundle.shown(items, context.device)
    turns = _turns([axis + 2 for axis in bundle.mirrored if axis + 2 < shown.ndim])
    networks = (bundle.network, *bundle.further)
    plain = [first]
    for number, network in enumerate(networks):
        network.to(context.device).eval()
        for turn in turns[1:] if number == 0 else turns:
            plain.append(_answer(bundle, network, shown.flip(turn) if turn else shown, manifest, context, slice))
    shaken: list[list[ClassFound]] = []
    if context.options.dropout:
        for network in networks:
            shaken += _with_dropout(bundle, network, shown, turns, manifest, context, slice)
    if len(plain) + len(shaken) == 1:
        return first
    found = []
    for place, one in enumerate(first):
        mean = float(np.mean([answer[place].probability for answer in plain]))
        spread = Interval.of([answer[place].probability for answer in (*plain, *shaken)], mean)
        found.append(ClassFound(one.value, one.name, mean, slice, spread))
    return found


def _turns(axes: list[int]) -> list[tuple[int, ...]]:
    """Every set of axes along which an image is mirrored, none first."""
    return [turn for count in range(len(axes) + 1) for turn in combinations(axes, count)]


def _answer(
    bundle: LoadedBundle,
    network: nn.Module,
    shown: torch.Tensor,
    manifest: PluginManifest,
    context: Context,
    slice: int | None,
) -> list[ClassFound]:
    context.check()
    with torch.inference_mode():
        values = bundle.inferer(shown, network)
    return bundle_findings.classes(values[0], bundle.after, manifest.class_, slice)


def _with_dropout(
    bundle: LoadedBundle,
    network: nn.Module,
    shown: torch.Tensor,
    turns: list[tuple[int, ...]],
    manifest: PluginManifest,
    context: Context,
    slice: int | None,
) -> list[list[ClassFound]]:
    found: list[list[ClassFound]] = []
    layers = [one for one in network.modules() if isinstance(one, _DropoutNd) and one.p > 0]
    if not layers:
        context.note(Text("The network has no dropout: nothing of its answer can be left out by chance."))
        return found
    with _switched_on(layers, context.device):
        for _ in range(context.options.dropout):
            for turn in turns:
                found.append(_answer(bundle, network, shown.flip(turn), manifest, context, slice))
    return found


@contextmanager
def _switched_on(layers: list[_DropoutNd], device: str) -> Iterator[None]:
    """Meanwhile these layers leave values out, the same ones whenever the same is asked."""
    devices = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(_SEED)
        for one in layers:
            one.train()
        try:
            yield
        finally:
            for one in layers:
                one.eval()
