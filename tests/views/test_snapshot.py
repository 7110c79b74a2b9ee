"""The picture of the four views."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK

from medview.core.segmentation import Segmentation
from medview.core.volume import Window
from medview.phantom.chest import Phantom
from medview.views import png, snapshot
from tests.support.screens import Picture


def quarters(picture: Picture) -> dict[str, Picture]:
    rows, columns, _ = picture.shape
    top, left = rows // 2, columns // 2
    return {
        "axial": picture[:top, :left],
        "coronal": picture[:top, left:],
        "sagittal": picture[top:, :left],
        "space": picture[top:, left:],
    }


def test_all_four_views_show_the_patient(small_phantom: Phantom, tmp_path: Path) -> None:
    picture = snapshot.four_views(small_phantom.volume, size=(640, 480))
    assert picture.shape == (480, 640, 3)
    for name, part in quarters(picture).items():
        assert (part.max(axis=-1) > 60).mean() > 0.1, name
        assert len(np.unique(part)) > 50, name
    png.write(picture, tmp_path / "views.png")
    assert np.array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "views.png"))), picture)


def test_the_spine_is_behind_and_the_liver_on_the_left_of_the_screen(small_phantom: Phantom) -> None:
    names = {segment.name: segment.label for segment in small_phantom.segments}
    colors = {name: np.array(segment.color) for name, segment in zip(names, small_phantom.segments, strict=True)}
    segmentation = Segmentation(small_phantom.volume.geometry, small_phantom.labels.copy(), small_phantom.segments)
    coronal = quarters(snapshot.four_views(small_phantom.volume, segmentation, size=(640, 480)))["coronal"].astype(int)
    (liver,) = [name for name in names if "liver" in name.lower()]
    outline = (np.abs(coronal - colors[liver]) <= 3).all(axis=-1)
    assert outline.sum() > 50
    row, column = np.argwhere(outline).mean(axis=0)
    assert column < coronal.shape[1] / 2
    assert row > coronal.shape[0] / 2


def test_the_window_asked_for_is_the_one_shown(small_phantom: Phantom) -> None:
    bright = snapshot.four_views(small_phantom.volume, size=(320, 240), window=Window(-2000.0, 10.0))
    assert (quarters(bright)["axial"][20:50, 90:130] == 255).all()
