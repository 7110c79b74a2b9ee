from __future__ import annotations

from pathlib import Path

import pytest

from medview.catalog import manifest, manifest_engines
from medview.core.errors import ManifestError
from medview.core.folders import shipped_plugins_folder
from medview.core.segmentation import Code

SOURCE = (shipped_plugins_folder() / "ct_lungs" / "plugin.toml").read_text(encoding="utf-8")


def test_a_good_manifest() -> None:
    read = manifest.parse(SOURCE, Path("plugin.toml"))
    assert (read.id, read.version, read.task) == ("ct_lungs", "1.0.0", "segment")
    left = read.segments[0]
    assert (left.label, left.name, left.color) == (1, "Left lung", (0x6F, 0xB8, 0xD2))
    assert left.code == Code("39607008", "SCT", "Lung")
    assert left.laterality == Code("7771000", "SCT", "Left")
    assert read.translations["zh_CN"]["Left lung"] == "左肺"


MISTAKES = [
    ("value = 2", "value = 1", "same value", "value of its own"),
    ('color = "#e0a060"', 'colour = "#e0a060"', "no such key", "Did you mean color?"),
    ('color = "#e0a060"', 'color = "orange"', "orange", 'color = "#9d6c62"'),
    ('kind = "python"', 'kind = "docker"', "'python', 'bundle', 'nnunet'", "kind = "),
    ('entry = "lungs:run"', 'entry = "lungs.run"', "lungs.run", 'entry = "module:function"'),
    ('entry = "lungs:run"', 'entry = "../lungs:run"', "../lungs:run", 'entry = "module:function"'),
    ('modality = ["CT"]', 'modality = "CT"', "list in square brackets", 'modality = ["CT"]'),
    ('modality = ["CT"]', 'modality = ["X-ray"]', "must be one of", 'modality = ["CT"]'),
    ("minimum-slices = 10", 'minimum-slices = "10"', "whole number", "minimum-slices = 10"),
    ("minimum-slices = 10", "min-slices = 10", "no such key", "Did you mean minimum-slices?"),
    ("minimum-slices = 10", "maximum-extent-mm = [1, 2, 3]", "larger than", "Exchange"),
    ("minimum-extent-mm = [100, 80, 40]", "minimum-extent-mm = [150, 80]", "too short", "minimum-extent-mm = ["),
    ("minimum-extent-mm = [100, 80, 40]", "minimum-extent-mm = [150, 80, -1]", "too small", "minimum-extent-mm = ["),
    ('["SCT", "44567001", "Trachea"]', '["SCT", "44567001"]', "too short", "code = ["),
    ('version = "1.0.0"', "version = 1.0", "quotation marks", 'version = "1.0.0"'),
    ('version = "1.0.0"', 'version = "newest"', "newest", 'version = "1.0.0"'),
    ("schema = 1", "schema = 2", "must be one of 1", "schema = 1"),
    ('task = "segment"', 'task = "paint"', "must be one of", 'task = "segment"'),
    ('name = "CT lungs"', "name = CT lungs", "not TOML", "quotation marks"),
    ("[engine]", "[engine", "not TOML", "Correct that line"),
]


@pytest.mark.parametrize(("right", "wrong", "what", "remedy"), MISTAKES, ids=[wrong for _, wrong, _, _ in MISTAKES])
def test_a_mistake_is_named_with_its_line_and_its_remedy(right: str, wrong: str, what: str, remedy: str) -> None:
    assert SOURCE.count(right) >= 1
    text = SOURCE.replace(right, wrong, 1)
    line = SOURCE[: SOURCE.index(right)].count("\n") + 1
    with pytest.raises(ManifestError) as caught:
        manifest.parse(text, Path("here") / "plugin.toml")
    said = str(caught.value.what)
    if "larger than" not in what:  # this concerns two lines; the table is named
        assert f"line {line}" in said
    assert "plugin.toml" in said
    assert what in said
    assert remedy in str(caught.value.remedy)


def test_what_it_finds_goes_with_its_task() -> None:
    head = SOURCE.partition("[[label]]")[0]
    classes = '[[class]]\nvalue = 0\nname = "A"\n[[class]]\nvalue = 1\nname = "B"\n'
    read = manifest.parse(head.replace('"segment"', '"classify"') + classes, Path("plugin.toml"))
    assert [(one.value, one.name) for one in read.class_] == [(0, "A"), (1, "B")]
    for text, said, remedy in (
        (head, "needs a [[label]]", "[[label]] value = 1"),
        (SOURCE.replace('"segment"', '"detect"'), "needs a [[class]]", "[[class]] value = 0"),
        (head.replace('"segment"', '"landmark"'), "needs a [[class]]", "[[class]] value = 0"),
        (head.replace('"segment"', '"classify"') + classes.replace("value = 1", "value = 0"), "same value", ""),
        (head.replace('"segment"', '"classify"') + classes.replace("value = 1", "values = 1"), "no such key", "value"),
    ):
        with pytest.raises(ManifestError) as caught:
            manifest.parse(text, Path("plugin.toml"))
        assert said in str(caught.value.what)
        assert remedy in str(caught.value.remedy)


@pytest.mark.parametrize("key", ["schema", "id", "version", "name", "task", "summary", "license"])
def test_a_missing_key_is_named(key: str) -> None:
    lines = SOURCE.splitlines()
    place = next(n for n, line in enumerate(lines) if line.startswith(f"{key} ="))
    del lines[place]
    with pytest.raises(ManifestError) as caught:
        manifest.parse("\n".join(lines), Path("plugin.toml"))
    assert f"{key}: the key is missing" in str(caught.value.what)
    assert f"{key} =" in str(caught.value.remedy)


@pytest.mark.parametrize("path", ["/etc", "../other", "a/../../b", "C:/x", "..\\x"])
def test_a_bundle_stays_in_its_folder(path: str) -> None:
    text = SOURCE.replace('kind = "python"\nentry = "lungs:run"', f"kind = \"bundle\"\npath = '{path}'")
    with pytest.raises(ManifestError, match="leads out of the plugin's folder"):
        manifest.parse(text, Path("plugin.toml"))


NNUNET = SOURCE.replace(
    'kind = "python"\nentry = "lungs:run"',
    'kind = "nnunet"\npath = "model"\nfolds = [0, 3]\nstep-size = 0.8\nmirroring = true\norientation = "RAS"',
)


def test_an_nnunet_engine() -> None:
    engine = manifest.parse(NNUNET, Path("plugin.toml")).engine
    assert isinstance(engine, manifest_engines.NnunetEngine)
    assert [part.path for part in engine.parts] == ["model"]
    assert (engine.folds, engine.step_size, engine.mirroring) == ((0, 3), 0.8, True)
    several = NNUNET.replace('path = "model"', 'paths = [{ path = "a", labels = { 1 = 4, 2 = 7 } }, { path = "b" }]')
    engine = manifest.parse(several, Path("plugin.toml")).engine
    assert isinstance(engine, manifest_engines.NnunetEngine)
    assert [(part.path, part.labels) for part in engine.parts] == [("a", {1: 4, 2: 7}), ("b", None)]


@pytest.mark.parametrize(
    ("right", "wrong", "what", "remedy"),
    [
        ("step-size = 0.8", "step-size = 0", "too small", "step-size = 0.5"),
        ("step-size = 0.8", "step-size = 2", "too large", "step-size = 0.5"),
        ("mirroring = true", 'mirroring = "yes"', "true or false", "mirroring = false"),
        ('orientation = "RAS"', 'orientation = "RAR"', "RAR", 'orientation = "RAS"'),
        ("folds = [0, 3]", 'folds = ["every"]', "", "folds = [0, 1]"),
        ('path = "model"', 'path = "../model"', "leads out of", 'path = "."'),
        ('path = "model"', 'paths = [{ path = "/model" }]', "leads out of", 'path = "Dataset001"'),
        ('path = "model"', 'paths = [{ path = "m", labels = { 1 = 0 } }]', "too small", "labels = { 1 = 1, 2 = 5 }"),
        ('path = "model"', 'pathes = ["model"]', "no such key", "Did you mean path"),
        ('path = "model"\n', "", "one folder as path, or several", "[engine]"),
    ],
)
def test_a_mistake_in_an_nnunet_engine_is_named(right: str, wrong: str, what: str, remedy: str) -> None:
    assert right in NNUNET
    line = NNUNET[: NNUNET.index(right)].count("\n") + 1
    with pytest.raises(ManifestError) as caught:
        manifest.parse(NNUNET.replace(right, wrong, 1), Path("plugin.toml"))
    assert what in str(caught.value.what)
    assert remedy in str(caught.value.remedy)
    if wrong:
        assert f"line {line}" in str(caught.value.what)


BUNDLE = SOURCE.replace(
    'kind = "python"\nentry = "lungs:run"',
    'kind = "bundle"\nfurther-weights = ["models/fold1.pt"]\nensemble = false\nmirror-axes = [0, 2]\nmirroring = true',
)


def test_weights_and_mirroring_of_a_bundle() -> None:
    engine = manifest.parse(BUNDLE, Path("plugin.toml")).engine
    assert isinstance(engine, manifest_engines.BundleEngine)
    assert (engine.further_weights, engine.ensemble) == (("models/fold1.pt",), False)
    assert (engine.mirror_axes, engine.mirroring) == ((0, 2), True)


@pytest.mark.parametrize(
    ("right", "wrong", "what", "remedy"),
    [
        ('["models/fold1.pt"]', '["../fold1.pt"]', "leads out of", 'further-weights = ["models/fold1.pt"]'),
        ('["models/fold1.pt"]', '"models/fold1.pt"', "list in square brackets", "further-weights = ["),
        ("ensemble = false", "ensemble = 0", "true or false", "ensemble = true"),
        ("mirror-axes = [0, 2]", "mirror-axes = [0, 3]", "too large", "mirror-axes = [0, 1, 2]"),
        ("mirror-axes = [0, 2]", "mirror-axes = [0, 0]", "named twice", "mirror-axes = [0, 1, 2]"),
        ("mirror-axes = [0, 2]", "mirror-axis = [0]", "no such key", "Did you mean mirror-axes?"),
    ],
)
def test_a_mistake_in_a_bundle_engine_is_named(right: str, wrong: str, what: str, remedy: str) -> None:
    line = BUNDLE[: BUNDLE.index(right)].count("\n") + 1
    with pytest.raises(ManifestError) as caught:
        manifest.parse(BUNDLE.replace(right, wrong, 1), Path("plugin.toml"))
    assert f"line {line}" in str(caught.value.what)
    assert what in str(caught.value.what)
    assert remedy in str(caught.value.remedy)


def test_mirroring_needs_axes() -> None:
    text = BUNDLE.replace("mirror-axes = [0, 2]\n", "")
    line = text[: text.index("mirroring = true")].count("\n") + 1
    with pytest.raises(
        ManifestError, match=rf"line {line}, engine\.mirroring: nothing says along which axes"
    ) as caught:
        manifest.parse(text, Path("plugin.toml"))
    assert "mirror-axes = [0, 1, 2]" in str(caught.value.remedy)


WINDOWS = NNUNET.replace(
    "minimum-slices = 10", "minimum-slices = 10\nbackground-below = -900\ncrop = { above = -500, margin-mm = 15 }"
)


def test_what_need_not_be_looked_at() -> None:
    wanted = manifest.parse(WINDOWS, Path("plugin.toml")).input[0]
    assert wanted.background_below == -900.0
    assert wanted.crop is not None
    assert (wanted.crop.above, wanted.crop.margin_mm) == (-500.0, 15.0)


@pytest.mark.parametrize(
    ("right", "wrong", "what", "remedy"),
    [
        ("background-below = -900", 'background-below = "air"', "must be a number", "background-below = -900"),
        ("background-below = -900", "background-above = -900", "no such key", "Did you mean background-below?"),
        ("crop = { above = -500,", "crop = {", "crop.above: the key is missing", "above = -500"),
        ("margin-mm = 15", "margin-mm = -1", "too small", "margin-mm = 20"),
        ("margin-mm = 15", "margin = 15", "no such key", "Did you mean margin-mm?"),
    ],
)
def test_a_mistake_in_what_need_not_be_looked_at_is_named(right: str, wrong: str, what: str, remedy: str) -> None:
    line = WINDOWS[: WINDOWS.index(right)].count("\n") + 1
    with pytest.raises(ManifestError) as caught:
        manifest.parse(WINDOWS.replace(right, wrong, 1), Path("plugin.toml"))
    assert f"line {line}" in str(caught.value.what)
    assert what in str(caught.value.what)
    assert remedy in str(caught.value.remedy)


def test_what_cannot_be_spared_is_refused() -> None:
    own = WINDOWS[WINDOWS.index("[[input]]") : WINDOWS.index("[[label]]")]
    second = WINDOWS.replace("[[label]]", own.replace('name = "ct"', 'name = "pet"') + "[[label]]", 1)
    line = second[: second.rindex("crop = ")].count("\n") + 1
    with pytest.raises(ManifestError, match=rf"line {line}, input\.crop: only the first input"):
        manifest.parse(second, Path("plugin.toml"))
    in_python = SOURCE.replace("minimum-slices = 10", "background-below = -900")
    line = in_python[: in_python.index("background-below")].count("\n") + 1
    with pytest.raises(ManifestError, match=rf"line {line}, input\.background-below: a Python plugin") as caught:
        manifest.parse(in_python, Path("plugin.toml"))
    assert "Take that line away" in str(caught.value.remedy)


def test_a_missing_or_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"has no plugin\.toml"):
        manifest.load(tmp_path)
    (tmp_path / "plugin.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match="cannot be read"):
        manifest.load(tmp_path)


HINTS = SOURCE + '\n[hints]\nkinds = ["point", "box"]\ngiven-as = "program"\nmargin-mm = 40\n'


def test_a_plugin_says_which_hints_it_takes() -> None:
    hints = manifest.parse(HINTS, Path("plugin.toml")).hints
    assert hints is not None
    assert (hints.kinds, hints.given_as, hints.negative, hints.margin_mm) == (("point", "box"), "program", True, 40)
    assert manifest.parse(SOURCE, Path("plugin.toml")).hints is None


@pytest.mark.parametrize(
    ("right", "wrong", "what", "remedy"),
    [
        ('kinds = ["point", "box"]', 'kinds = ["poke"]', "must be one of", 'kinds = ["point"'),
        ('given-as = "program"', 'given-as = "channels"', "not given hints in this way", "program"),
        ('given-as = "program"', 'given-as = "points"', "points and scribbles", 'kinds = ["point"'),
        ('given-as = "program"', "sigma-voxels = 3.0", "the key is missing", 'given-as = "channels"'),
        ("margin-mm = 40", "margin-mm = -1", "too small", "margin-mm = 60"),
        ("margin-mm = 40", 'channels = ["sideways"]', "sideways", "channels = ["),
        ("margin-mm = 40", "margins-mm = 40", "no such key", "Did you mean margin-mm"),
    ],
)
def test_mistakes_in_what_is_said_of_hints(right: str, wrong: str, what: str, remedy: str) -> None:
    with pytest.raises(ManifestError) as caught:
        manifest.parse(HINTS.replace(right, wrong), Path("plugin.toml"))
    assert what in str(caught.value.what)
    assert remedy in str(caught.value.remedy)


def test_only_what_segments_takes_hints() -> None:
    text = NNUNET + '\n[hints]\nkinds = ["point"]\ngiven-as = "channels"\n'
    with pytest.raises(ManifestError, match="not given hints in this way") as caught:
        manifest.parse(text, Path("plugin.toml"))
    assert "Take that table away" in str(caught.value.remedy)
    with pytest.raises(ManifestError, match="can take hints"):
        manifest.parse(
            HINTS.replace("[[label]]", "[[label]]\noverlap = true", 1).replace("python", "python"), Path("p")
        )
