"""What is wrong with a manifest, in plain words: the file, the line, and what to write instead."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from medview.core.errors import ManifestError
from medview.core.text import Text

FILE_NAME = "plugin.toml"

Location = tuple[int | str, ...]

_HEADER = re.compile(r"^\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-.\"' ]+?)\s*=")
_TOML_PLACE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)")

_KINDS = ("python", "bundle", "nnunet", "torchscript", "onnx")
_WHAT: dict[str, Text] = {
    "missing": Text("the key is missing"),
    "extra_forbidden": Text("there is no such key"),
    "string_type": Text("this must be text in quotation marks"),
    "string_too_short": Text("this must not be empty"),
    "string_too_long": Text("this text is too long"),
    "int_type": Text("this must be a whole number"),
    "int_from_float": Text("this must be a whole number"),
    "float_type": Text("this must be a number"),
    "tuple_type": Text("this must be a list in square brackets"),
    "too_short": Text("this list is too short"),
    "too_long": Text("this list is too long"),
    "model_type": Text("this must be a table of keys"),
    "dict_type": Text("this must be a table of keys"),
    "union_tag_not_found": Text("the key is missing"),
    "label_twice": Text("two labels have the same value"),
    "input_twice": Text("two inputs have the same name"),
    "class_twice": Text("two classes have the same value"),
    "labels_missing": Text("a plugin that segments needs a [[label]] for each structure"),
    "classes_missing": Text("a plugin of this task needs a [[class]] for each thing that it finds, and no [[label]]"),
    "bool_type": Text("this must be true or false"),
    "extent_impossible": Text("minimum-extent-mm is larger than maximum-extent-mm"),
    "path_outside": Text("the path leads out of the plugin's folder"),
    "axis_twice": Text("an axis is named twice"),
    "no_axes": Text("nothing says along which axes it mirrors"),
    "no_windows": Text("a Python plugin decides itself what it looks at"),
    "crop_elsewhere": Text("only the first input can be cropped"),
    "only_points": Text("lists of points can hold points and scribbles, and nothing else"),
    "hints_elsewhere": Text("only a plugin that segments volumes, one structure beside the other, can take hints"),
    "hints_not_so": Text("this kind of engine is not given hints in this way"),
    "path_or_paths": Text("it must name one folder as path, or several as paths"),
}
_EXAMPLES = {
    "schema": "schema = 1",
    "id": 'id = "my_plugin"',
    "version": 'version = "1.0.0"',
    "name": 'name = "Spleen (CT)"',
    "task": 'task = "segment"',
    "summary": 'summary = "Spleen on abdominal CT."',
    "license": 'license = { code = "Apache-2.0" }',
    "license.code": 'code = "Apache-2.0"',
    "intended-use": 'intended-use = { level = "research", text = "What it is for." }',
    "intended-use.level": 'level = "research"',
    "intended-use.text": 'text = "What it is for."',
    "engine": '[engine] kind = "python" entry = "module:function"',
    "engine.kind": " / ".join(f'kind = "{kind}"' for kind in _KINDS),
    "engine.entry": 'entry = "module:function"',
    "engine.path": 'path = "."',
    "engine.weights": 'weights = "models/model.safetensors"',
    "engine.further-weights": 'further-weights = ["models/fold1.pt"]',
    "engine.ensemble": "ensemble = true",
    "engine.mirror-axes": "mirror-axes = [0, 1, 2]",
    "engine.paths": '[[engine.paths]] path = "Dataset001" labels = { 1 = 1 }',
    "engine.paths.path": 'path = "Dataset001"',
    "engine.paths.labels": "labels = { 1 = 1, 2 = 5 }",
    "engine.folds": 'folds = [0, 1] / folds = ["all"]',
    "engine.checkpoint": 'checkpoint = "checkpoint_final.pth"',
    "engine.step-size": "step-size = 0.5",
    "engine.postprocessing": "postprocessing = false",
    "engine.mirroring": "mirroring = false",
    "engine.spacing-mm": "spacing-mm = [1.5, 1.5, 2.0]",
    "engine.clip": "clip = [-57, 164]",
    "engine.normalize": "normalize = false",
    "engine.window": "window = [96, 96, 96]",
    "engine.overlap": "overlap = 0.5",
    "engine.activation": 'activation = "softmax"',
    "engine.orientation": 'orientation = "RAS"',
    "input": '[[input]] name = "image" modality = ["CT"]',
    "input.name": 'name = "image"',
    "input.modality": 'modality = ["CT"]',
    "input.dims": "dims = 3",
    "input.color": "color = true",
    "input.unit": 'unit = "HU"',
    "input.body-part": 'body-part = ["CHEST"]',
    "input.minimum-extent-mm": "minimum-extent-mm = [150, 100, 100]",
    "input.maximum-extent-mm": "maximum-extent-mm = [500, 500, 500]",
    "input.minimum-slices": "minimum-slices = 10",
    "input.planes": 'planes = ["axial"]',
    "input.maximum-spacing-mm": "maximum-spacing-mm = 5.0",
    "input.contrast": 'contrast = "with"',
    "input.wants-box": "wants-box = true",
    "input.background-below": "background-below = -900",
    "input.crop": "crop = { above = -500, margin-mm = 20 }",
    "input.crop.above": "above = -500",
    "input.crop.margin-mm": "margin-mm = 20",
    "label.overlap": "overlap = true",
    "hints": '[hints] kinds = ["point"] given-as = "program"',
    "hints.kinds": 'kinds = ["point", "scribble"]',
    "hints.negative": "negative = true",
    "hints.given-as": 'given-as = "channels"',
    "hints.channels": 'channels = ["positive", "negative"]',
    "hints.sigma-voxels": "sigma-voxels = 3.0",
    "hints.margin-mm": "margin-mm = 60",
    "trained-on": 'trained-on = "120 patients of two hospitals."',
    "score": '[[score]] name = "Dice" value = 0.95 data = "20 patients of another hospital."',
    "score.name": 'name = "Dice"',
    "score.value": "value = 0.95",
    "score.data": 'data = "20 patients of another hospital."',
    "label": '[[label]] value = 1 name = "Spleen" color = "#9d6c62"',
    "class": '[[class]] value = 0 name = "Density A"',
    "class.value": "value = 0",
    "class.name": 'name = "Density A"',
    "class.code": 'code = ["SCT", "78961009", "Spleen"]',
    "class.threshold": "threshold = 0.35",
    "class.sensitivity": "sensitivity = 0.95",
    "class.specificity": "specificity = 0.9",
    "label.value": "value = 1",
    "label.name": 'name = "Spleen"',
    "label.color": 'color = "#9d6c62"',
    "label.code": 'code = ["SCT", "78961009", "Spleen"]',
    "label.category": 'category = ["SCT", "123037004", "Anatomical Structure"]',
    "label.laterality": 'laterality = ["SCT", "7771000", "Left"]',
}


def syntax_error(error: Exception, path: Path, text: str) -> ManifestError:
    """The error for text that is not TOML."""
    match = _TOML_PLACE.search(str(error))
    line = int(match.group(1)) if match and match.group(1) else max(1, text.rstrip("\n").count("\n") + 1)
    return ManifestError(
        Text.of(
            "{file}, line {line}: this is not TOML ({reason}).",
            file=str(path),
            line=line,
            reason=_TOML_PLACE.sub("", str(error)),
        ),
        Text("Correct that line: text stands in quotation marks, lists in square brackets, one key to a line."),
    )


def explain(error: ValidationError, path: Path, text: str, model: type[BaseModel]) -> ManifestError:
    """The error for TOML that is not a manifest: the first thing that is wrong."""
    problems = error.errors(include_url=False)
    places = [tuple(one["loc"]) for one in problems]
    # A list with a bad item is also reported as too short, and a misspelt key also as a missing one.
    causes = [one for one in problems if not any(_is_inside(place, tuple(one["loc"])) for place in places)]
    found = min(causes, key=lambda one: (one["type"] == "missing", line_of(text, _written(one))))
    place = _written(found)
    line = line_of(text, place)
    key = ".".join(str(part) for part in place if isinstance(part, str)) or FILE_NAME
    return ManifestError(
        Text.of("{file}, line {line}, {key}: {problem}.", file=str(path), line=line, key=key, problem=_problem(found)),
        _remedy(found, key, model),
    )


def line_of(text: str, place: Location) -> int:
    """The line, from 1, on which a key of a manifest stands; for a missing key, the line of its table.

    Args:
        text: The TOML text.
        place: Keys and list positions from the root, as ("label", 1, "color").
    """
    best, best_depth = 1, 0
    table: Location = ()
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        key = None if header else _KEY.match(line)
        if header:
            name = header.group(2)
            table = _keys(name)
            if header.group(1) == "[[":
                counts[name] = counts.get(name, -1) + 1
                table = (*table, counts[name])
            here = table
        elif key:
            here = (*table, *_keys(key.group(1)))
        else:
            continue
        depth = len(here)
        if place[:depth] == here and depth > best_depth:
            best, best_depth = number, depth
    return best


def _keys(dotted: str) -> Location:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _is_inside(place: Location, outer: Location) -> bool:
    return len(place) > len(outer) and place[: len(outer)] == outer


def _written(problem: Any) -> Location:
    """Where the problem is, in the author's words: without pydantic's name of the branch it took, and with the tag."""
    place: Location = tuple(problem["loc"])
    if place[:1] == ("engine",) and len(place) > 1 and place[1] in _KINDS:
        place = (place[0], *place[2:])
    if problem["type"] in ("union_tag_invalid", "union_tag_not_found"):
        place = (*place, "kind")
    place += {"axis_twice": ("mirror-axes",), "no_axes": ("mirroring",)}.get(problem["type"], ())
    for inner in ("folds", "labels", "mirror-axes", "further-weights"):
        if place[:1] == ("engine",) and inner in place:
            place = place[: place.index(inner) + 1]
    place += {"only_points": ("kinds",)}.get(problem["type"], ())
    if problem["type"] in ("hints_elsewhere", "hints_not_so"):
        place = ("hints", "given-as") if problem["type"] == "hints_not_so" else ("hints",)
    if problem["type"] in ("labels_missing", "classes_missing"):
        place = ("task",)
    if problem["type"] == "label_twice":
        place = (*place, problem["ctx"]["number"], "value")
    if problem["type"] in ("no_windows", "crop_elsewhere"):
        place = ("input", problem["ctx"]["number"], problem["ctx"]["key"])
    return place


def _problem(found: Any) -> Text:
    kind, context = found["type"], found.get("ctx", {})
    if kind == "missing" and isinstance(found["loc"][-1], int):
        kind = "too_short"
    if kind in ("literal_error", "enum"):
        return Text.of("this must be one of {choices}", choices=context["expected"].replace(" or ", ", "))
    if kind == "union_tag_invalid":
        return Text.of("this must be one of {choices}", choices=context["expected_tags"])
    if kind == "string_pattern_mismatch":
        return Text.of("“{value}” is not written as it must be", value=str(found["input"])[:60])
    if kind in ("greater_than", "greater_than_equal"):
        return Text("this number is too small")
    if kind in ("less_than", "less_than_equal"):
        return Text("this number is too large")
    return _WHAT.get(kind) or Text.of("this is not right ({reason})", reason=found["msg"])


def _remedy(found: Any, key: str, model: type[BaseModel]) -> Text:
    if found["type"] == "extra_forbidden":
        keys = _known_keys(model, key)
        near = difflib.get_close_matches(key.rpartition(".")[2], keys, n=1)
        if near:
            return Text.of("Did you mean {key}?", key=near[0])
        return Text.of("Take it away; the keys here are {keys}.", keys=", ".join(keys))
    if found["type"] == "label_twice":
        return Text("Give every label a value of its own.")
    if found["type"] in ("labels_missing", "classes_missing"):
        return Text.of(
            "Write it like this: {example}",
            example=_EXAMPLES["label" if found["type"] == "labels_missing" else "class"],
        )
    if found["type"] in ("no_windows", "crop_elsewhere"):
        return Text("Take that line away.")
    if found["type"] == "hints_elsewhere" or (found["type"] == "hints_not_so" and not found["ctx"]["ways"]):
        return Text("Take that table away.")
    if found["type"] == "hints_not_so":
        return Text.of("Here it can be {choices}.", choices=found["ctx"]["ways"])
    if found["type"] == "extent_impossible":
        return Text("Exchange the numbers, or take one of the two lines away.")
    example = _EXAMPLES.get("engine.mirror-axes" if found["type"] == "no_axes" else key)
    return Text.of("Write it like this: {example}", example=example) if example else Text("Correct that line.")


def _known_keys(model: type[BaseModel], key: str) -> list[str]:
    """The keys that belong where an unknown one was found."""
    prefix = key.rpartition(".")[0]
    if not prefix:
        return [info.alias or name for name, info in model.model_fields.items()]
    known = [one.removeprefix(prefix + ".") for one in _EXAMPLES if one.startswith(prefix + ".")]
    extra = {"license": ["weights", "data", "attribution"], "intended-use": ["not-for"]}
    return known + extra.get(prefix, [])
