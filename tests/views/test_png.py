"""Pictures on disk are the pictures that were drawn, and what draws has a name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from medview.core.errors import StorageError
from medview.views import opengl, png


def test_a_picture_comes_back_as_it_was(tmp_path: Path) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (31, 47, 3)).astype(np.uint8)
    png.write(picture, tmp_path / "picture 影像.png")
    read = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "picture 影像.png")))
    assert np.array_equal(read, picture)


def test_a_picture_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"picture\.png"):
        png.write(np.zeros((2, 2, 3), dtype=np.uint8), tmp_path / "file" / "picture.png")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_draws_has_a_name_and_a_version() -> None:
    assert "OpenGL" in opengl.renderer_name()
