"""The engines that a plugin's manifest may name: what runs it."""

from __future__ import annotations

from itertools import permutations
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from medview.catalog.manifest_table import Inside, Millimetres, Table, Voxels

_MODULE_AND_FUNCTION = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
_ORIENTATION = "^(" + "|".join("".join(one) for one in permutations(("[LR]", "[AP]", "[SI]"))) + ")$"


class PythonEngine(Table):
    """A function `run(case, context)` in a module of the plugin's folder."""

    kind: Literal["python"]
    entry: Annotated[str, Field(pattern=_MODULE_AND_FUNCTION)]

    @property
    def module(self) -> str:
        """The module, dotted, relative to the plugin's folder."""
        return self.entry.partition(":")[0]

    @property
    def function(self) -> str:
        """The function in it."""
        return self.entry.partition(":")[2]


class BundleEngine(Table):
    """A MONAI bundle in the plugin's folder.

    Attributes:
        path: Its folder.
        weights: Its weights, inside the bundle; the usual file when it is not named.
        further_weights: Others of the same network, whose values are averaged with those of the first.
        ensemble: Whether they are when nobody says anything.
        mirror_axes: Along which axes of the network's image windows may be mirrored.
        mirroring: Whether they are when nobody says anything.
    """

    kind: Literal["bundle"]
    path: Inside = "."
    weights: Inside = ""
    further_weights: Annotated[tuple[Annotated[Inside, Field(min_length=1)], ...], Field(max_length=15)] = ()
    ensemble: bool = True
    mirror_axes: tuple[Annotated[int, Field(ge=0, le=2)], ...] = ()
    mirroring: bool = False

    @model_validator(mode="after")
    def _mirrors_somehow(self) -> BundleEngine:
        if len(set(self.mirror_axes)) != len(self.mirror_axes):
            raise PydanticCustomError("axis_twice", "An axis is named twice")
        if self.mirroring and not self.mirror_axes:
            raise PydanticCustomError("no_axes", "No axes to mirror along")
        return self


class ModelPart(Table):
    """One of several model folders of a plugin.

    Attributes:
        path: Inside the plugin's folder.
        labels: The plugin's label for each of the model's; None: they are the same.
    """

    path: Inside
    labels: dict[int, Annotated[int, Field(ge=1, le=65535)]] | None = None


class NnunetEngine(Table):
    """A model folder of nnU-Net v2, or several, in the plugin's folder.

    Attributes:
        path: The folder, where there is one.
        paths: The folders, where there are several.
        folds: Which are averaged; all that are there when none is named.
        checkpoint: The file in each fold.
        step_size: By how much of a window the next one lies further at most.
        ensemble: Whether all of them are used when nobody says anything, or the first alone.
        mirroring: Whether windows are also shown mirrored then, along the axes that the checkpoint names.
        orientation: Where the axes (i, j, k) of the training images pointed, as "RAS".
        postprocessing: Whether the largest parts are kept where nnU-Net found that best and left a note of it.
    """

    kind: Literal["nnunet"]
    path: Inside | None = None
    paths: Annotated[tuple[ModelPart, ...], Field(max_length=100)] = ()
    folds: tuple[Annotated[int, Field(ge=0)] | Literal["all"], ...] = ()
    checkpoint: Inside = ""
    step_size: Annotated[float, Field(gt=0, le=1)] = 0.5
    ensemble: bool = True
    mirroring: bool = False
    postprocessing: bool = True
    orientation: Annotated[str, Field(pattern=_ORIENTATION)] = ""

    @model_validator(mode="after")
    def _names_folders_once(self) -> NnunetEngine:
        if (self.path is None) == (not self.paths):
            raise PydanticCustomError("path_or_paths", "Either path or paths")
        return self

    @property
    def parts(self) -> tuple[ModelPart, ...]:
        """The folders, in the order in which they run."""
        return self.paths or (ModelPart.model_validate({"path": self.path}),)


class NetworkEngine(Table):
    """A network in one file, TorchScript or ONNX, in the plugin's folder.

    Attributes:
        path: The file.
        orientation: Where the axes (i, j, k) that the network sees point, as "RAS"; empty: as they come.
        spacing_mm: Of its voxels along these axes; None: as they come.
        clip: Which values become 0 and 1; None: all stay as they are.
        normalize: Whether an image then gets a mean of 0 and a deviation of 1.
        window: How much the network sees at once along these axes, voxels; None: the whole image.
        overlap: The share of a window that it has in common with the next one.
        activation: "softmax": the largest value wins; "sigmoid": each that is above one half counts.
    """

    kind: Literal["torchscript", "onnx"]
    path: Annotated[Inside, Field(min_length=1)]
    orientation: Annotated[str, Field(pattern=_ORIENTATION)] = ""
    spacing_mm: tuple[Millimetres, Millimetres, Millimetres] | None = None
    clip: tuple[float, float] | None = None
    normalize: bool = False
    window: tuple[Voxels, Voxels, Voxels] | None = None
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.25
    activation: Literal["softmax", "sigmoid"] = "softmax"
