"""What a frozen program holds beyond what its imports show: things that are found by name while it runs.

Used by `medview.spec`. A plugin of the user may import the whole standard library, numpy, torch, monai and
`medview.api`; a MONAI bundle names classes in strings; pydicom and pylibjpeg find their decoders by name.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from PyInstaller.utils.hooks import collect_data_files, collect_submodules, copy_metadata

ROOT = Path(__file__).resolve().parents[1]

_BY_NAME = (
    # VTK finds its OpenGL, text and interaction classes through factories.
    "vtkmodules.vtkRenderingOpenGL2", "vtkmodules.vtkRenderingVolumeOpenGL2", "vtkmodules.vtkRenderingFreeType",
    "vtkmodules.vtkRenderingUI", "vtkmodules.vtkInteractionStyle", "vtkmodules.util.numpy_support",
    # Its font of icons is looked for beside it.
    "qtawesome",
    # MONAI's transformers and its transforms of connected parts.
    "einops", "einops.layers.torch", "skimage.measure", "skimage.morphology", "scipy.ndimage",
    # Decoders of compressed pixels.
    "imagecodecs._jpeg2k", "imagecodecs._jpeg8", "imagecodecs._jpegls", "imagecodecs._shared",
    "imagecodecs._shared_cython",
    "openjpeg", "rle", "jpeg_ls", "PIL.JpegImagePlugin", "PIL.Jpeg2KImagePlugin",
)  # fmt: skip
_PACKAGES_BY_NAME = ("monai", "nibabel", "pydicom.pixels", "highdicom", "pylibjpeg", "openjpeg", "rle", "numpy")
_DATA = ("highdicom", "qtawesome", "pylibjpeg", "openjpeg", "rle", "monai")
_METADATA = (
    "PySide6", "vtk", "pydicom", "highdicom", "SimpleITK", "numpy", "torch", "monai", "nibabel",
    "pylibjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle", "pyjpegls", "imagecodecs",
    "pynetdicom",
)  # fmt: skip
_NO_PART_OF_A_PROGRAM = frozenset(
    {
        "antigravity", "this", "test", "idlelib", "lib2to3", "turtle", "turtledemo", "tkinter", "ensurepip", "venv",
        "distutils", "pydoc_data", "nis", "ossaudiodev", "spwd", "crypt", "msilib",
        # Linked to libraries under the GPL, which the program must not ship.
        "readline", "rlcompleter",
    }
)  # fmt: skip

EXCLUDED = (
    "readline", "_gdbm", "dbm.gnu", "tkinter", "_tkinter",
    "PyQt5", "PyQt6", "PySide2", "PySide6.QtWebEngineCore", "PySide6.QtWebEngineWidgets",
    "PySide6.QtQml", "PySide6.QtQuick", "PySide6.Qt3DCore", "PySide6.QtMultimedia", "PySide6.QtDesigner",
    # Parts of Qt that come under the GPL only.
    "PySide6.QtCharts", "PySide6.QtDataVisualization", "PySide6.QtGraphs", "PySide6.QtNetworkAuth",
    "PySide6.QtVirtualKeyboard", "PySide6.QtQuick3D", "PySide6.QtHttpServer",
    "matplotlib", "IPython", "jedi", "pytest", "_pytest", "hypothesis", "mypy", "ruff", "tensorboard",
    "pyqtgraph.opengl", "pyqtgraph.examples", "numpy.f2py.tests", "PyInstaller", "setuptools", "pip",
)  # fmt: skip

_UNWANTED_LIBRARIES = ("VirtualKeyboard", "virtualkeyboard", "DataVisualization", "Qt6Charts", "Qt6Qml", "Qt6Quick")
"""Parts of the names of libraries that Qt's plugins bring with them: under the GPL only, or of no use to widgets."""


def is_wanted_library(name: str) -> bool:
    """Whether a library goes into the program, by its path there."""
    return not any(part in name for part in _UNWANTED_LIBRARIES)


def data_files() -> list[tuple[str, str]]:
    """The program's own files, and those that libraries look for: pairs of file and folder in the program."""
    files = [
        (str(path), str(path.parent.relative_to(ROOT)))
        for folder in ("resources", "plugins")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]
    files += [(str(ROOT / name), ".") for name in ("LICENSE", "NOTICE")]
    for package in _DATA:
        files += collect_data_files(package)
    for distribution in _METADATA:
        files += copy_metadata(distribution)
    return files


def hidden_imports() -> list[str]:
    """Modules that nothing in the program imports by a statement."""
    names = {*_BY_NAME, *_own_modules(), *_standard_library()}
    for package in _PACKAGES_BY_NAME:
        names.update(collect_submodules(package, filter=_is_wanted, on_error="ignore"))
    return sorted(names)


def _own_modules() -> Iterator[str]:
    """All of medview, by its files: plugins import `medview.api`, and the program need not be installed."""
    for path in (ROOT / "medview").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _standard_library() -> Iterator[str]:
    for name in sys.stdlib_module_names - _NO_PART_OF_A_PROGRAM:
        if name.startswith("_") or importlib.util.find_spec(name) is None:
            continue  # private, or a part of another system's Python
        yield name
        yield from collect_submodules(name, filter=_is_wanted, on_error="ignore")


def _is_wanted(name: str) -> bool:
    parts = name.split(".")
    return not ({"tests", "test", "testing", "conftest"} & set(parts[1:])) or name.startswith("numpy.testing")
