"""A plugin to begin with: one that runs as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from medview.catalog import bundle_manifest, installing, manifest_problems, nnunet_manifest
from medview.core.errors import InputError, StorageError
from medview.core.files import not_written, rename_folder, whole_folder
from medview.core.text import Text

_MANIFEST = """# What the plugin is. medview plugin check says what is wrong, with the line and what to write instead.
schema = 1
id = "{id}"
version = "0.1.0"
name = "{name}"
task = "segment"
summary = "Bone on CT: everything above 250 HU that is larger than 1 ml."
license = {{ code = "Apache-2.0" }}
intended-use = {{ level = "research", text = "A start for a plugin of one's own.", not-for = ["Diagnosis"] }}

[engine]
kind = "python"
entry = "segment:run"

[[input]]
name = "ct"
modality = ["CT"]
unit = "HU"

[[label]]
value = 1
name = "Bone"
color = "#e8dcb5"
code = ["SCT", "272673000", "Bone structure"]
"""
_MODULE = '''"""Called for every run. Of MedView, import `medview.api` alone; torch and monai are there too."""

import numpy as np

from medview.api import Case, Context, components


def run(case: Case, context: Context) -> np.ndarray:
    """Return labels: (slice, row, column) whole numbers on the grid of the image, 0 for background."""
    ct = case["ct"]
    context.progress(0.2, "Looking for bone")  # also ends the run here when the user has cancelled
    parts, sizes = components(ct.voxels > 250)  # voxels are in HU; parts are numbered from 1, the largest first
    context.progress(0.8, "Leaving out what is small")
    large = int(np.count_nonzero(sizes * ct.geometry.voxel_mm3 >= 1000.0))  # 1 ml
    if not large:
        context.note("There is no bone in this image.")
    return ((parts > 0) & (parts <= large)).astype(np.uint8)
'''


def from_python(name: str, into: Path) -> Path:
    """A plugin of one Python function, which finds bone.

    Args:
        name: What it is called; its id and its folder's name are made from it.
        into: Where the folder is made.

    Returns:
        The folder.

    Raises:
        InputError: There is something of that name.
        StorageError: It could not be written.
    """
    id = bundle_manifest.id_from(name)

    def fill(folder: Path) -> None:
        manifest = _MANIFEST.format(id=id, name=name.replace('"', "'").replace("\\", "/"))
        (folder / manifest_problems.FILE_NAME).write_text(manifest, encoding="utf-8")
        (folder / "segment.py").write_text(_MODULE, encoding="utf-8")

    return _made(into / id, fill)


def from_bundle(name: str, bundle: Path, into: Path) -> Path:
    """A plugin around a MONAI bundle or a model of nnU-Net, which is copied; its manifest is made from what it says.

    Raises:
        InputError: It is neither, or there is something of that name.
        PluginError: It does not say what it segments.
        StorageError: It could not be written.
    """
    if not (bundle_manifest.is_bundle(bundle) or nnunet_manifest.is_model_folder(bundle)):
        raise InputError(
            Text.of("{file} is neither a plugin, nor a MONAI bundle, nor a model folder of nnU-Net.", file=str(bundle)),
            Text(
                "A plugin has a plugin.toml; a bundle has configs/inference.json or .yaml, and models; "
                "a model folder has plans.json and folds."
            ),
        )
    id = bundle_manifest.id_from(name)
    return _made(into / id, lambda folder: installing.copy_bundle(bundle, folder, id))


def _made(target: Path, fill: Callable[[Path], None]) -> Path:
    if target.exists():
        raise InputError(Text.of("{folder} is there already.", folder=str(target)), Text("Choose another name."))
    try:
        with whole_folder(target) as temporary:
            made = temporary / "made"
            made.mkdir()
            fill(made)
            if not rename_folder(made, target):
                raise StorageError(Text.of("{folder} is there already.", folder=str(target)))
    except OSError as error:
        raise not_written(target, error) from error
    return target
