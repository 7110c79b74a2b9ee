"""Models that take hints: MONAI's DeepEdit and VISTA3D configurations with weights that mean nothing, and programs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.apps.deepedit.transforms import AddGuidanceSignalDeepEditd
from monai.apps.vista3d.inferer import point_based_window_inferer
from monai.apps.vista3d.transforms import VistaPostTransformd
from monai.data import MetaTensor

from medview.catalog.installing import install
from medview.catalog.plugins import PluginRecord, PluginState, inspect
from medview.core.errors import Cancelled, InputError, PluginFailedError, PluginUnavailableError
from medview.core.geometry import Box, Geometry, Point
from medview.core.hint import Hint, PlacedMask
from medview.core.hint_marks import box_around
from medview.core.progress import NoProgress
from medview.inference import tensors
from medview.inference.bundle_hints import BundleHints
from medview.inference.hint_channels import points_in, with_channels
from medview.inference.hint_session import HintSession
from medview.phantom.chest import Phantom
from tests.support import zoo_scripts, zoo_tasks
from tests.support.bundles import python_plugin
from tests.support.volumes import volume


def _trusted(tmp_path: Path, name: str, made: Any, **more: Any) -> PluginRecord:
    torch.manual_seed(11)
    bundle = zoo_tasks.write(tmp_path / name, *made, **more)
    record = inspect(install(bundle, tmp_path / "plugins").folder)
    assert record.state is PluginState.NEEDS_TRUST, record.reason
    return replace(record, state=PluginState.READY, trusted=True)


def _deepedit(tmp_path: Path) -> tuple[PluginRecord, Any]:
    torch.manual_seed(5)
    made = zoo_tasks.deepedit()
    scripts = {"transforms.py": zoo_scripts.DEEPEDIT_TRANSFORMS}
    return _trusted(tmp_path, "spleen_deepedit_annotation", made, scripts=scripts), made[1]


def _at(grid: Geometry, *index: float) -> Point:
    k, j, i = index
    x, y, z = (float(value) for value in grid.to_patient((k, j, i)))
    return x, y, z


def _places(grid: Geometry) -> np.ndarray[Any, Any]:
    axes = [np.arange(size, dtype=np.float64) for size in grid.shape]
    return grid.to_patient(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))


def _even(size: int) -> list[int]:
    """Places that land on the same of 32 voxels whether scaled from the first voxel, as MONAI does, or by centres."""
    share = 32 / size
    return [n for n in range(size) if int(n * share) == round((n + 0.5) * share - 0.5)]


def test_clicks_are_channels_as_deepedit_draws_them(tmp_path: Path, small_phantom: Phantom) -> None:
    record, network = _deepedit(tmp_path)
    assert record.manifest is not None
    spec = record.manifest.hints
    assert spec is not None
    assert (spec.kinds, spec.negative, spec.given_as, spec.margin_mm) == (("point", "scribble"), True, "channels", None)
    image = small_phantom.volume
    shape = image.geometry.shape
    places = [[_even(shape[axis])[n * len(_even(shape[axis])) // 4] for axis in range(3)] for n in (1, 2, 3)]
    hints = [Hint.point(_at(image.geometry, *place), positive=number != 1) for number, place in enumerate(places)]
    session = HintSession(record, image, device="cpu", exact=True)
    found = session.answer(hints, None, NoProgress())
    assert found.box == Box.whole(shape)
    # by hand: turned to RAS, made 32 voxels wide, and MONAI draws the clicks, which are scaled with the image
    values = np.clip((image.voxels.astype(np.float32) + 175) / 425, 0, 1)
    x = torch.from_numpy(values).permute(2, 1, 0).flip([0, 1])[None, None]
    small = torch.nn.functional.interpolate(x, (32, 32, 32), mode="area")
    turned = [(shape[2] - 1 - i, shape[1] - 1 - j, k) for k, j, i in places]
    scaled = [[int(n * 32 / size) for n, size in zip(place, x.shape[2:], strict=True)] for place in turned]
    near = [[round((n + 0.5) * 32 / size - 0.5) for n, size in zip(p, x.shape[2:], strict=True)] for p in turned]
    assert np.abs(np.array(scaled) - np.array(near)).max() <= 1
    guidance = {"spleen": [near[0], near[2]], "background": [near[1]]}
    draw: Any = AddGuidanceSignalDeepEditd("image")
    drawn = draw({"image": MetaTensor(small[0]), "guidance": guidance})["image"]
    with torch.inference_mode():
        answer = network.eval()(torch.as_tensor(drawn.array)[None].float()).softmax(1)
    back = torch.nn.functional.interpolate(answer, x.shape[2:], mode="trilinear", align_corners=False)
    wanted = back[0].argmax(0).flip([0, 1]).permute(2, 1, 0).numpy() == 1
    assert (found.inside == wanted).mean() > 0.98
    other = session.answer(hints[:1], found, NoProgress())
    assert (other.inside != found.inside).any(), "it does not look at the clicks"
    session.close()


def test_channels_of_any_kind_are_put_behind_the_image(tmp_path: Path) -> None:
    values = np.zeros((6, 10, 12), dtype=np.float32)
    image = volume(values, spacing_mm=(3.0, 1.0, 1.0))
    grid = image.geometry
    tensor = MetaTensor(tensors.to_tensor(image).as_tensor()[None], affine=tensors.to_tensor(image).affine)
    record, _ = _deepedit(tmp_path)
    assert record.manifest is not None
    assert record.manifest.hints is not None
    kinds = ("positive", "negative", "positive-box", "previous")
    spec = record.manifest.hints.model_copy(update={"channels": kinds, "sigma_voxels": 0.0})
    hints = [
        Hint.box(_at(grid, 1, 2, 3), _at(grid, 4, 7, 8)),
        Hint.point(_at(grid, 2, 4, 5)),
        Hint.scribble([_at(grid, 3, 1, 1), _at(grid, 3, 1, 9)], positive=False),
    ]
    before = PlacedMask(grid.cropped(Box((1, 1, 1), (3, 4, 5))), np.ones((2, 3, 4), dtype=bool))
    found = with_channels(tensor, hints, spec, (), "", before).numpy()
    assert found.shape == (5, 12, 10, 6)
    box = np.zeros((12, 10, 6))
    box[3:9, 2:8, 1:5] = 1
    assert np.array_equal(found[3], box)
    assert np.array_equal(found[1], box), "a positive channel shows all kinds"
    assert np.argwhere(found[2]).tolist() == [[i, 1, 3] for i in range(1, 10)]
    previous = np.zeros((12, 10, 6))
    previous[1:5, 1:4, 1:3] = 1
    assert np.array_equal(found[4], previous)
    points, signs = points_in(tensor, hints[1:], 2.0)
    assert points[0].tolist() == [5, 4, 2]
    assert signs.tolist() == [True] + [False] * (len(points) - 1)
    assert points[-1].tolist() == [9, 1, 3]


@pytest.mark.filterwarnings("ignore:Setting affine")  # MONAI's own
def test_vista_is_given_points_and_looks_around_them(tmp_path: Path, small_phantom: Phantom) -> None:
    made = zoo_tasks.vista()
    record = _trusted(tmp_path, "vista3d", made, scripts={"inferer.py": zoo_scripts.VISTA_INFERER})
    assert record.manifest is not None
    spec = record.manifest.hints
    assert spec is not None
    assert (spec.given_as, spec.margin_mm) == ("points", 32 * 14 / 2)
    image, network = small_phantom.volume, made[1].eval()
    grid = image.geometry
    middle = tuple(size // 2 for size in grid.shape)
    yes, no = Hint.point(_at(grid, *middle)), Hint.point(_at(grid, 2, 3, 4), positive=False)
    session = HintSession(record, image, device="cpu", exact=True)
    found = session.answer([yes, no], None, NoProgress())
    assert found.box == box_around([yes, no], grid, 224.0)
    assert found.inside.shape == found.box.shape
    # what MONAI's own inferer says of the same points, on the grid that the bundle works on
    bundle = session._engine
    assert isinstance(bundle, BundleHints)
    assert bundle._prepared is not None
    prepared = bundle._prepared[1]
    affine = np.asarray(prepared.image.affine)
    ras = np.array([[*(np.array([-1, -1, 1]) * one.points[0]), 1] for one in (yes, no)])
    points = (np.linalg.inv(affine) @ ras.T).T[:, :3]
    with torch.inference_mode():
        values = point_based_window_inferer(
            inputs=MetaTensor(prepared.tensor[None]), roi_size=[32, 32, 32], predictor=network,
            point_coords=torch.from_numpy(points[None].astype(np.float32)), point_labels=torch.tensor([[1, 0]]),
            transpose=True,
        )  # fmt: skip
    items = {"pred": torch.as_tensor(values[0].numpy()), "points": torch.from_numpy(points[None])}
    items["point_labels"] = torch.tensor([[1, 0]])
    wanted = torch.nan_to_num(VistaPostTransformd("pred")(items)["pred"])[0] > 0
    back = tensors.geometry_of(prepared.image).to_index(_places(grid.cropped(found.box)).reshape(-1, 3))
    index = np.clip(np.floor(back + 0.5).astype(int), 0, np.array(wanted.shape[::-1]) - 1)
    again = wanted.numpy().transpose(2, 1, 0)[tuple(index.T)].reshape(found.inside.shape)
    assert (again == found.inside).mean() > 0.97
    session.close()
    named = HintSession(record, image, device="cpu", structure=1)
    liver = named.answer([yes], None, NoProgress())
    assert liver.inside.shape == liver.box.shape
    named.close()


_ECHO = """import numpy as np
from medview.api import PluginFailedError, voxels_of

def run(case, context):
    image = case["image"]
    found = np.zeros(image.geometry.shape, dtype=np.uint8)
    for hint in context.hints:
        found[voxels_of(hint, image.geometry)] = 1 if hint.positive else 0
    if context.before is not None:
        context.check()
    {more}
    return found
"""


def _program(folder: Path, more: str = "pass", hints: str = 'kinds = ["point", "box"]\nmargin-mm = 3') -> PluginRecord:
    python_plugin(folder, _ECHO.format(more=more))
    text = (folder / "plugin.toml").read_text(encoding="utf-8")
    (folder / "plugin.toml").write_text(f'{text}\n[hints]\n{hints}\ngiven-as = "program"\n', encoding="utf-8")
    record = inspect(folder)
    return replace(record, state=PluginState.READY, trusted=True)


def _image() -> Any:
    return volume(np.random.default_rng(1).integers(0, 99, (8, 20, 24)).astype(np.int16), spacing_mm=(3.0, 1.0, 1.0))


def test_a_program_is_given_the_hints_and_the_part_around_them(tmp_path: Path) -> None:
    image = _image()
    session = HintSession(_program(tmp_path / "p"), image)
    hint = Hint.point(_at(image.geometry, 4, 9, 11), radius_mm=2.0)
    found = session.answer([hint], None, NoProgress())
    assert found.box == Box((2, 4, 6), (7, 15, 17)), "3 mm around what the hint reaches"
    whole = np.zeros(image.geometry.shape, dtype=bool)
    whole[found.box.slices] = found.inside
    away = np.linalg.norm(_places(image.geometry) - np.asarray(hint.points[0]), axis=-1)
    assert np.array_equal(whole, away <= 2.0)
    assert session.model.sha256
    two = HintSession(_program(tmp_path / "q"), image, structure=2).answer([hint], found, NoProgress())
    assert not two.inside.any(), "it gave label 1, and 2 was asked for"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("found = found[1:]", "have the shape"),
        ("found = found * np.nan", "not numbers"),
        ("found[:] = 9", "does not name the label 9"),
        ("raise RuntimeError('lost')", "RuntimeError: lost"),
    ],
)
def test_a_bad_answer_is_told_in_words(tmp_path: Path, more: str, said: str) -> None:
    image = _image()
    session = HintSession(_program(tmp_path / "p", more), image)
    with pytest.raises(PluginFailedError, match=said):
        session.answer([Hint.point(_at(image.geometry, 4, 9, 11))], None, NoProgress())


def test_hints_that_cannot_be_answered_are_refused(tmp_path: Path) -> None:
    image, record = _image(), _program(tmp_path / "p", hints='kinds = ["point"]\nnegative = false\nmargin-mm = 3')
    session = HintSession(record, image)
    with pytest.raises(InputError, match="outside the image"):
        session.answer([Hint.point((500.0, 0.0, 0.0))], None, NoProgress())
    with pytest.raises(InputError, match="does not take such hints"):
        session.answer([Hint.point(_at(image.geometry, 4, 9, 11), positive=False)], None, NoProgress())
    with pytest.raises(InputError, match="does not take such hints"):
        session.answer([Hint.scribble([_at(image.geometry, 4, 9, 11)])], None, NoProgress())
    with pytest.raises(PluginUnavailableError, match="does not find the label 7"):
        HintSession(record, image, structure=7)
    assert record.manifest is not None
    bare = replace(record, manifest=record.manifest.model_copy(update={"hints": None}))
    with pytest.raises(PluginUnavailableError, match="takes no hints"):
        HintSession(bare, image)


def test_a_box_that_does_not_suit_is_refused(tmp_path: Path) -> None:
    folder, image = tmp_path / "p", _image()
    record = _program(folder)
    text = (folder / "plugin.toml").read_text(encoding="utf-8")
    limits = (
        'modality = ["CT", "MR"]\nwants-box = true\nminimum-extent-mm = [4, 4, 4]\nmaximum-extent-mm = [12, 12, 12]'
    )
    (folder / "plugin.toml").write_text(text.replace('modality = ["CT", "MR"]', limits), encoding="utf-8")
    session = HintSession(replace(record, manifest=inspect(folder).manifest), image)
    grid = image.geometry
    with pytest.raises(InputError, match="there is none yet"):
        session.answer([Hint.point(_at(grid, 4, 9, 11))], None, NoProgress())
    with pytest.raises(PluginUnavailableError, match="at most 12 mm"):
        session.answer([Hint.box(_at(grid, 0, 0, 0), _at(grid, 7, 19, 23))], None, NoProgress())
    with pytest.raises(PluginUnavailableError, match="at least 4 mm"):
        session.answer([Hint.box(_at(grid, 2, 5, 5), _at(grid, 3, 6, 6))], None, NoProgress())
    with pytest.raises(InputError, match="outside the image"):
        session.answer([Hint.box((900.0, 0.0, 0.0), (910.0, 5.0, 5.0))], None, NoProgress())
    found = session.answer([Hint.box(_at(grid, 2, 5, 5), _at(grid, 5, 14, 14))], None, NoProgress())
    assert found.box == Box((2, 5, 5), (6, 15, 15))


class _Stopping:
    """Cancels when the other process has begun."""

    def __init__(self) -> None:
        self.stop = False

    def report(self, fraction: float | None, message: object = "") -> None:
        self.stop = self.stop or str(message) == "begun"

    def raise_if_cancelled(self) -> None:
        if self.stop:
            raise Cancelled


def test_a_program_of_somebody_stays_in_its_process_between_hints(tmp_path: Path) -> None:
    image = _image()
    more = "\n".join(
        f"    {line}" if number else line
        for number, line in enumerate((
            "import os, time, sys",
            "globals_ = sys.modules.setdefault('counted', type(sys)('counted'))",
            "globals_.n = getattr(globals_, 'n', 0) + 1",
            "found[0, 0, 0] = globals_.n if globals_.n < 3 else 0",
            "if len(context.hints) == 2: context.progress(0.5, 'begun')",
            "while len(context.hints) == 2: context.check(); time.sleep(0.01)",
            "if len(context.hints) == 3: raise PluginFailedError('Lost.', 'Try again.')",
            "if len(context.hints) == 4: os._exit(3)",
        ))
    )  # fmt: skip
    record = replace(_program(tmp_path / "p", more), runs_apart=True)
    session = HintSession(record, image)
    hint = Hint.point(_at(image.geometry, 4, 9, 11))
    first = session.answer([hint], None, NoProgress())
    assert first.inside[2 - first.box.start[0], 0, 0] or first.inside[0, 0, 0]
    with pytest.raises(Cancelled):
        session.answer([hint] * 2, first, _Stopping())
    third = session.answer([hint], first, NoProgress())
    assert not third.inside[0, 0, 0], "the same process counts on"
    with pytest.raises(PluginFailedError, match="Lost"):
        session.answer([hint] * 3, third, NoProgress())
    with pytest.raises(PluginFailedError, match="without an answer"):
        session.answer([hint] * 4, third, NoProgress())
    again = session.answer([hint], None, NoProgress())
    assert again.inside[0, 0, 0], "a new process begins to count"
    session.close()
