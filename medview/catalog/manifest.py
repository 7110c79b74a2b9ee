"""The manifest of a plugin: `plugin.toml`, read as data and checked before anything else of the plugin is touched.

schema = 1
id = "ct_lungs"                      # also the name on the command line; never changes
version = "1.0.0"
name = "CT lungs"
task = "segment"                     # or "classify", "detect" (boxes), "landmark" (points): then with [[class]]
summary = "One sentence for the list of plugins."
license = { code = "Apache-2.0", weights = "CC-BY-SA-4.0", data = "CC-BY-SA-4.0", attribution = "..." }
intended-use = { level = "research", text = "...", not-for = ["..."] }
trained-on = "How many patients, from where, with which machines."

[engine]
kind = "python"                      # one module in the plugin's folder
entry = "lungs:run"                  # module:function
# or
kind = "bundle"                      # a MONAI bundle
path = "."                           # its folder, inside the plugin's folder
weights = "models/model.safetensors" # inside the bundle; when not given: models/model.safetensors or models/model.pt
further-weights = ["models/fold1.pt"]  # of the same network: the values of all are averaged after the activation
ensemble = true                      # whether all weights (nnunet: folds) are used when the user says nothing
mirror-axes = [0, 1, 2]              # along which axes of the network's image a window may be mirrored
mirroring = false                    # whether it is when the user says nothing: two times the time for every axis
# or
kind = "nnunet"                      # a model folder of nnU-Net v2, as its training left it
path = "nnUNetTrainer__nnUNetPlans__3d_fullres"  # plans.json, dataset.json and folds, inside the plugin's folder
folds = [0]                          # or ["all"]; when not given: all numbered folds that are there
checkpoint = "checkpoint_final.pth"  # in each fold; when not given: checkpoint_final, .safetensors before .pth
step-size = 0.5                      # how far windows lie apart at most, in windows
mirroring = false                    # also show every window mirrored: up to eight times the time
postprocessing = true                # keep the largest parts, where nnU-Net's own postprocessing file says so
orientation = "RAS"                  # where the axes (i, j, k) of the training images pointed; when not given: as read
# or, in place of path, several folders, of which a later one covers what earlier ones found
[[engine.paths]]
path = "Dataset291/nnUNetTrainer__nnUNetPlans__3d_fullres"
labels = { 1 = 1, 2 = 5 }            # of the model = of the plugin; what is not named is left out

# or
kind = "torchscript"                 # or "onnx": a network in one file, around which the host does the rest
path = "model.ts"
orientation = "RAS"                  # where its axes (i, j, k) point; when not given: as read
spacing-mm = [1.5, 1.5, 2.0]         # of its voxels along these axes; when not given: as read
clip = [-57, 164]                    # these values, and those beyond, become 0 and 1; when not given: as read
normalize = false                    # then a mean of 0 and a deviation of 1
window = [96, 96, 96]                # how much it sees at once along these axes; when not given: everything
overlap = 0.5
activation = "softmax"               # the largest value wins; "sigmoid": each that is above one half counts

[[input]]                            # several: their order is the order of a bundle's channels
name = "ct"                          # what the engine is given it as
modality = ["CT"]
dims = 3                             # a volume; 2: each picture, also projections and frames; 4: a film, time last
color = false                        # pictures as red, green, blue; grey ones three times the same
body-part = ["CHEST", "ABDOMEN"]     # a hint, shown when the series says something else
unit = "HU"                          # "HU", "SUVbw" or "" (arbitrary)
planes = ["axial"]                   # how the slices lie in the patient: axial, coronal, sagittal; empty: any
maximum-spacing-mm = 5.0             # the largest step between voxels along any axis
view = ["PA", "AP"]                  # of a radiograph, DICOM's View Position; another one is doubted, none is not
contrast = "with"                    # "with" or "without" contrast agent; a hint, shown when the series says otherwise
minimum-extent-mm = [150, 100, 100]  # left-right, front-back, foot-head; the series must be at least this large
maximum-extent-mm = [80, 90, 80]     # and at most this large
minimum-slices = 10
wants-box = true                     # it looks at what lies in a box: the reader is asked to set one
background-below = -900              # a window is not run where all of it lies below this, in the unit of the image
crop = { above = -500, margin-mm = 20 }  # of the first input: only its largest part above this is searched, and so far
                                     # around it (bundle and nnunet)

[[label]]
value = 1                            # what the engine writes
name = "Left lung"
color = "#d8655b"
code = ["SCT", "39607008", "Lung"]                      # scheme, value, meaning: DICOM Segmented Property Type
category = ["SCT", "123037004", "Anatomical Structure"] # Segmented Property Category
laterality = ["SCT", "7771000", "Left"]
overlap = true                       # a bundle that decides on every structure by itself: value n is its channel n - 1

[[class]]                            # in place of [[label]]: a class, a kind of box, or a point
value = 0                            # its place among the network's values, from 0
name = "Density A"
code = ["RADLEX", "RID34265", "Almost entirely fat"]

[hints]                              # it takes hints at one structure, and answers each anew
kinds = ["point", "scribble"]        # also "box", "lasso", "mask"
negative = true                      # also hints at what does not belong to it
given-as = "channels"                # bundle: images behind the image's own, or "points" for its inferer; a Python
                                     # plugin: "program", as context.hints
channels = ["positive", "negative"]  # what they show; also "positive-box" and the like, and "previous", the last answer
sigma-voxels = 3.0                   # of the Gaussian around a point, as DeepEdit has it; 0: as thick as it was drawn
margin-mm = 60                       # how far around the hints it looks; when not given: all of the image

[classify]                           # about the classes as a whole
relation = "exclusive"               # one of them holds; "independent": each by itself; "ordinal": grades, in order
evidence-layer = ["features.norm5"]  # which layers Grad-CAM looks at; when not given: the last convolution
shows-evidence = true                # a Python plugin that answers context.evidence
dropout = true                       # it can be asked again with dropout left on: context.options.dropout times

[[score]]                            # how good it is, as measured; shown before it is run, and kept with its results
name = "Dice, left lung"
value = 0.97
data = "What it was measured on: how many patients, from where, not used in training."

[translations.zh_CN]                 # every sentence and name above, as in the program's own catalogues
"Left lung" = "左肺"
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from medview.catalog.manifest_engines import BundleEngine, NetworkEngine, NnunetEngine, PythonEngine
from medview.catalog.manifest_hints import Hints
from medview.catalog.manifest_problems import FILE_NAME, explain, syntax_error
from medview.catalog.manifest_table import Extent, Millimetres, NonEmpty, Share, Table, Triple
from medview.core.errors import ManifestError
from medview.core.finding import OperatingPoint, Relation
from medview.core.planes import Plane
from medview.core.segmentation import Code, Color, Segment
from medview.core.text import Text
from medview.core.volume import Modality

_LARGEST_MANIFEST_BYTES = 2**20
_ANATOMY = ("SCT", "123037004", "Anatomical Structure")


class License(Table):
    """Under what the parts of the plugin may be used: SPDX names.

    Attributes:
        code: Licence of the program text and the configuration.
        weights: Licence of the trained weights; empty when there are none.
        data: Licence of the data that the weights were trained on.
        attribution: Whom that licence wants to be named.
    """

    code: NonEmpty
    weights: str = ""
    data: str = ""
    attribution: str = ""

    @property
    def short(self) -> str:
        """The licences in one line, without repetition."""
        return " · ".join(dict.fromkeys(one for one in (self.code, self.weights, self.data) if one))


class IntendedUse(Table):
    """What the plugin is for, and what it is not for."""

    level: Literal["research", "evaluation", "cleared"]
    text: NonEmpty
    not_for: tuple[NonEmpty, ...] = ()


class Crop(Table):
    """Of which part of an image something is looked for.

    Attributes:
        above: The largest connected thing that reaches this value, in the unit of the image.
        margin_mm: How far around it.
    """

    above: float
    margin_mm: Annotated[float, Field(ge=0, le=1000)] = 20.0


class Input(Table):
    """What the plugin wants to see."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    modality: Annotated[tuple[Modality, ...], Field(min_length=1)]
    dims: Literal[2, 3, 4] = 3
    color: bool = False
    body_part: tuple[NonEmpty, ...] = ()
    unit: Literal["HU", "SUVbw", ""] = ""
    minimum_extent_mm: Extent | None = None
    maximum_extent_mm: Extent | None = None
    minimum_slices: Annotated[int, Field(ge=1)] = 1
    planes: tuple[Plane, ...] = ()
    maximum_spacing_mm: Millimetres | None = None
    view: tuple[NonEmpty, ...] = ()
    contrast: Literal["with", "without", ""] = ""
    wants_box: bool = False
    background_below: float | None = None
    crop: Crop | None = None

    @model_validator(mode="after")
    def _extent_is_possible(self) -> Input:
        least, most = self.minimum_extent_mm, self.maximum_extent_mm
        if least and most and any(low > high for low, high in zip(least, most, strict=True)):
            raise PydanticCustomError("extent_impossible", "The smallest extent is above the largest")
        return self


class Label(Table):
    """One structure that the plugin finds."""

    value: Annotated[int, Field(ge=1, le=65535)]
    name: NonEmpty
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
    code: Triple | None = None
    category: Triple = _ANATOMY
    laterality: Triple | None = None
    overlap: bool = False

    def segment(self) -> Segment:
        """The segment that the structure becomes."""
        red, green, blue = bytes.fromhex(self.color[1:])
        color: Color = (red, green, blue)
        return Segment(self.value, self.name, color, _code(self.code), _code(self.category), _code(self.laterality))


class Class(Table):
    """A class that images may belong to, a kind of box, or a point.

    Attributes:
        value: Its place among the network's values, from 0.
        threshold: From which probability on the model calls it there.
        sensitivity: With that threshold, where it was measured.
        specificity: Likewise.
    """

    value: Annotated[int, Field(ge=0, le=65535)]
    name: NonEmpty
    code: Triple | None = None
    threshold: Share | None = None
    sensitivity: Share | None = None
    specificity: Share | None = None

    @property
    def concept(self) -> Code | None:
        """What the class is; None when the plugin does not say."""
        return _code(self.code)

    @property
    def operating_point(self) -> OperatingPoint | None:
        """The threshold and how good it is; None when the plugin names none."""
        if self.threshold is None:
            return None
        return OperatingPoint(self.threshold, self.sensitivity, self.specificity)


class Classify(Table):
    """What holds for all classes of a plugin that classifies.

    Attributes:
        relation: How they relate; None when nobody has said: then one of them is taken to hold.
        evidence_layer: The layers of the network that Grad-CAM looks at, as PyTorch names them; the maps of several are
            added up. When empty: the last convolution.
        shows_evidence: Whether a Python plugin gives its evidence when it is asked for; engines of the host always do.
        dropout: Whether it can be asked again with dropout left on; of a bundle, its configuration tells as a rule.
    """

    relation: Relation | None = None
    evidence_layer: Annotated[tuple[NonEmpty, ...], Field(max_length=16)] = ()
    shows_evidence: bool = False
    dropout: bool = False


class Score(Table):
    """How good a plugin is, as somebody measured it."""

    name: NonEmpty
    value: float
    data: NonEmpty


class PluginManifest(Table):
    """All that a plugin says about itself. Frozen; made by `load`."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,99}$")]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+([-+.][0-9A-Za-z.+-]+)?$")]
    name: NonEmpty
    task: Literal["segment", "classify", "detect", "landmark"]
    summary: NonEmpty
    license: License
    intended_use: IntendedUse
    engine: Annotated[PythonEngine | BundleEngine | NnunetEngine | NetworkEngine, Field(discriminator="kind")]
    input: Annotated[tuple[Input, ...], Field(min_length=1, max_length=16)]
    label: tuple[Label, ...] = ()
    class_: Annotated[tuple[Class, ...], Field(alias="class")] = ()
    hints: Hints | None = None
    classify: Classify = Classify()
    trained_on: str = ""
    score: tuple[Score, ...] = ()
    translations: dict[str, dict[str, str]] = Field(default_factory=dict)

    @field_validator("label")
    @classmethod
    def _labels_differ(cls, labels: tuple[Label, ...]) -> tuple[Label, ...]:
        values = [label.value for label in labels]
        for number, value in enumerate(values):
            if value in values[:number]:
                raise PydanticCustomError("label_twice", "Label {number} repeats a value", {"number": number})
        return labels

    @field_validator("class_")
    @classmethod
    def _classes_differ(cls, classes: tuple[Class, ...]) -> tuple[Class, ...]:
        if len({one.value for one in classes}) != len(classes):
            raise PydanticCustomError("class_twice", "Two classes have the same value")
        return classes

    @model_validator(mode="after")
    def _names_what_it_finds(self) -> PluginManifest:
        if self.task == "segment" and not self.label:
            raise PydanticCustomError("labels_missing", "It names no structure")
        if self.task != "segment" and (self.label or not self.class_):
            raise PydanticCustomError("classes_missing", "It names no class")
        return self

    @field_validator("input")
    @classmethod
    def _inputs_differ(cls, inputs: tuple[Input, ...]) -> tuple[Input, ...]:
        if len({one.name for one in inputs}) != len(inputs):
            raise PydanticCustomError("input_twice", "Two inputs have the same name")
        return inputs

    @model_validator(mode="after")
    def _windows_can_be_spared(self) -> PluginManifest:
        for number, one in enumerate(self.input):
            for key, value in (("background-below", one.background_below), ("crop", one.crop)):
                if value is not None and isinstance(self.engine, PythonEngine):
                    raise PydanticCustomError("no_windows", "No windows", {"number": number, "key": key})
            if number and one.crop is not None:
                raise PydanticCustomError("crop_elsewhere", "Not the first input", {"number": number, "key": "crop"})
        return self

    @model_validator(mode="after")
    def _can_be_given_hints(self) -> PluginManifest:
        if self.hints is None:
            return self
        if self.task != "segment" or self.has_regions or self.input[0].dims != 3:
            raise PydanticCustomError("hints_elsewhere", "Hints are for one structure of a volume")
        ways = {"python": ("program",), "bundle": ("channels", "points")}.get(self.engine.kind, ())
        if self.hints.given_as not in ways:
            raise PydanticCustomError("hints_not_so", "Not this way", {"ways": ", ".join(ways)})
        return self

    @property
    def has_regions(self) -> bool:
        """Whether its structures may overlap: every channel of its answer is a structure of its own."""
        return any(label.overlap for label in self.label)

    @property
    def names(self) -> tuple[str, ...]:
        """What it can find, by name: structures, or classes, kinds of boxes and points."""
        return (*(one.name for one in self.label), *(one.name for one in self.class_))

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The structures that it finds, in the manifest's order."""
        return tuple(label.segment() for label in self.label)


def load(folder: Path) -> PluginManifest:
    """Read and check the manifest in a plugin's folder. Nothing else of the plugin is read.

    Raises:
        ManifestError: There is none, or it is wrong; says file, line and what to write instead.
    """
    path = folder / FILE_NAME
    try:
        if path.stat().st_size > _LARGEST_MANIFEST_BYTES:
            raise ManifestError(Text.of("{file} is too large for a manifest.", file=str(path)))
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ManifestError(
            Text.of("{folder} has no plugin.toml.", folder=str(folder)),
            Text("Put the plugin's manifest there, or take the folder away."),
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(
            Text.of("{file} cannot be read.", file=str(path)),
            Text("Save it as plain text in UTF-8 that you may read."),
        ) from error
    return parse(text, path)


def parse(text: str, path: Path) -> PluginManifest:
    """Check the text of a manifest; `path` is only named in errors.

    Raises:
        ManifestError: It is wrong.
    """
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise syntax_error(error, path, text) from error
    try:
        # Through JSON: strict checking then takes lists for tuples and words for enumerations, as TOML writes them.
        return PluginManifest.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        raise explain(error, path, text, PluginManifest) from error


def _code(triple: Triple | None) -> Code | None:
    return None if triple is None else Code(value=triple[1], scheme=triple[0], meaning=triple[2])
