from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medview.catalog import archives, installing, manifest, packing
from medview.catalog.bundle_manifest import license_of
from medview.catalog.installing import AlreadyInstalledError, install, looks_like_plugin, remove
from medview.catalog.plugins import PluginState, discover, entry_point_folders, inspect
from medview.core.errors import InputError, ManifestError, MedViewError
from medview.core.folders import shipped_plugins_folder
from medview.core.progress import NoProgress
from medview.core.volume import Modality
from medview.inference import runner
from tests.support import nnunet_folders
from tests.support.bundles import bundle_config, python_plugin
from tests.support.hostile import zipped
from tests.support.volumes import volume

RUN = "def run(case, context): ...\n"


def bare_bundle(folder: Path, *, metadata: bool = True) -> Path:
    """A bundle as its makers publish it: without a plugin.toml."""
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "configs" / "inference.json").write_text(json.dumps(bundle_config()), encoding="utf-8")
    torch.save({}, folder / "models" / "model.pt")
    if metadata:
        told = {
            "version": "0.5.9",
            "task": "Spleen",
            "description": "Finds the spleen.",
            "intended_use": "This is an example, not to be used for diagnostic purposes",
            "data_source": "Task09",
            "eval_metrics": {"mean_dice": 0.96},
            "network_data_format": {
                "inputs": {"image": {"modality": "CT", "num_channels": 1, "channel_def": {"0": "image"}}},
                "outputs": {
                    "pred": {"num_channels": 3, "channel_def": {"0": "background", "1": "spleen", "2": "Left kidney"}}
                },
            },
        }
        (folder / "configs" / "metadata.json").write_text(json.dumps(told), encoding="utf-8")
        (folder / "LICENSE").write_text("   Apache License\n   Version 2.0, January 2004\n", encoding="utf-8")
    return folder


def _zip_of(folder: Path, path: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, prefix + file.relative_to(folder).as_posix())
    return path


def _files(folder: Path) -> dict[str, bytes]:
    return {one.relative_to(folder).as_posix(): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def test_a_plugin_comes_whole_from_a_zip_a_tar_and_a_folder(tmp_path: Path) -> None:
    folder = python_plugin(tmp_path / "mine", RUN)
    (folder / "data").mkdir()
    (folder / "data" / "table.csv").write_text("1,2\n", encoding="utf-8")
    tar = tmp_path / "p.tar.gz"
    with tarfile.open(tar, "w:gz") as archive:
        archive.add(folder, "./top/tiny")
    sources = [folder, _zip_of(folder, tmp_path / "p.zip"), _zip_of(folder, tmp_path / "q.mvp", "outer/inner/"), tar]
    for number, source in enumerate(sources):
        assert looks_like_plugin(source), source
        done = install(source, tmp_path / f"plugins{number}")
        assert (done.id, done.version, done.replaced, done.made_manifest) == ("tiny", "1.0.0", "", False)
        assert done.folder == tmp_path / f"plugins{number}" / "tiny"
        assert _files(done.folder) == _files(folder)
        assert [one.name for one in done.folder.parent.iterdir()] == ["tiny"]


def test_a_second_one_asks_and_the_older_waits_until_the_new_one_is_there(tmp_path: Path) -> None:
    plugins = tmp_path / "plugins"
    first = python_plugin(tmp_path / "one", RUN)
    install(first, plugins)
    second = python_plugin(tmp_path / "two", RUN + "# newer\n")
    text = (second / "plugin.toml").read_text(encoding="utf-8")
    (second / "plugin.toml").write_text(text.replace("1.0.0", "1.1.0"), encoding="utf-8")
    with pytest.raises(AlreadyInstalledError, match=r"tiny 1\.0\.0 is installed already\..*1\.1\.0"):
        install(second, plugins)
    assert _files(plugins / "tiny") == _files(first)
    done = install(second, plugins, replace=True)
    assert done.replaced == "1.0.0"
    assert _files(plugins / "tiny") == _files(second)
    (second / "plugin.toml").write_text("schema = 1\n", encoding="utf-8")
    with pytest.raises(MedViewError, match=r"plugin\.toml, line 1"):
        install(second, plugins, replace=True)
    assert (plugins / "tiny" / "tiny.py").read_text(encoding="utf-8").endswith("# newer\n")
    assert [one.name for one in plugins.iterdir()] == ["tiny"]


def test_what_a_killed_program_put_aside_is_put_back(tmp_path: Path) -> None:
    plugins = tmp_path / "plugins"
    install(python_plugin(tmp_path / "one", RUN), plugins)
    (plugins / "tiny").rename(plugins / ".kept-tiny")
    assert discover([plugins]) == ()
    installing.put_back_kept(plugins)
    assert [one.id for one in discover([plugins])] == ["tiny"]


def test_a_plugin_is_removed_and_a_shipped_one_stays(tmp_path: Path) -> None:
    plugins, shipped = tmp_path / "plugins", [shipped_plugins_folder()]
    install(python_plugin(tmp_path / "one", RUN), plugins)
    assert remove("tiny", plugins, shipped) == plugins / "tiny"
    assert list(plugins.iterdir()) == []
    with pytest.raises(InputError, match="No plugin tiny is installed"):
        remove("tiny", plugins, shipped)
    with pytest.raises(InputError, match="comes with MedView"):
        remove("ct_lungs", plugins, shipped)
    with pytest.raises(InputError, match="comes with MedView"):
        install(python_plugin(tmp_path / "two", RUN, id="ct_lungs"), plugins, shipped=shipped)


def test_a_bare_bundle_gets_a_manifest_from_what_it_says(tmp_path: Path) -> None:
    bundle = bare_bundle(tmp_path / "spleen_ct_segmentation")
    archive = _zip_of(bundle, tmp_path / "download.zip", "spleen_ct_segmentation/")
    assert looks_like_plugin(archive)
    done = install(archive, tmp_path / "plugins")
    assert (done.id, done.version, done.made_manifest) == ("spleen_ct_segmentation", "0.5.9", True)
    assert _files(done.folder / "bundle") == _files(bundle)
    made = manifest.load(done.folder)
    assert [(one.value, one.name) for one in made.label] == [(1, "spleen"), (2, "Left kidney")]
    codes = [one.code for one in made.label]
    assert codes[0] is not None
    assert codes[0][:2] == ("SCT", "78961009")
    assert made.label[1].laterality is not None
    assert [one.value for one in made.input[0].modality] == ["CT"]
    assert (made.license.code, made.license.weights, made.license.data) == ("Apache-2.0", "unknown", "unknown")
    assert made.trained_on == "Task09"
    assert [(one.name, one.value) for one in made.score] == [("mean dice", 0.96)]
    assert "not to be used for diagnostic" in made.intended_use.text
    assert inspect(done.folder).state is PluginState.READY


def test_what_a_bundle_does_not_say_is_said_to_be_unknown(tmp_path: Path) -> None:
    done = install(bare_bundle(tmp_path / "Quiet Bundle", metadata=False), tmp_path / "plugins")
    made = manifest.load(done.folder)
    assert done.id == "quiet_bundle"
    assert [one.name for one in made.label] == ["Structure 1 (name unknown)", "Structure 2 (name unknown)"]
    assert made.license.short == "unknown"
    assert made.trained_on == "unknown"
    assert len(made.input[0].modality) > 5
    assert made.intended_use.text == "Its authors do not say what it is for."


@pytest.mark.parametrize(
    ("text", "spdx"),
    [
        ("Apache License\n Version 2.0", "Apache-2.0"),
        ("Permission is hereby granted, free\nof charge, to any", "MIT"),
        ("Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International", "CC-BY-NC-SA-4.0"),
        ("Attribution 4.0 International", "CC-BY-4.0"),
        ("Ask us first.", "see LICENSE"),
    ],
)
def test_licences_are_known_by_their_text(tmp_path: Path, text: str, spdx: str) -> None:
    (tmp_path / "LICENSE").write_text(text, encoding="utf-8")
    assert license_of(tmp_path) == spdx


def test_images_are_no_plugins(tmp_path: Path) -> None:
    (tmp_path / "scan.nii.gz").write_bytes(b"\x1f\x8b\x08\x00")
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "1.dcm").write_bytes(b"x")
    archive = zipped(tmp_path / "study.zip", {"study/1.dcm": b"x"})
    assert not any(looks_like_plugin(one) for one in (tmp_path / "scan.nii.gz", tmp_path / "study", archive))
    with pytest.raises(InputError, match="neither a plugin, nor a MONAI bundle, nor a model folder"):
        install(archive, tmp_path / "plugins")
    with pytest.raises(InputError, match="damaged, or no zip or tar"):
        install(tmp_path / "scan.nii.gz", tmp_path / "plugins")


def test_packing_gives_the_same_bytes_and_hashes_that_sha256sum_takes(tmp_path: Path) -> None:
    folder = python_plugin(tmp_path / "mine", RUN)
    (folder / "z").mkdir()
    (folder / "z" / "weights.bin").write_bytes(bytes(range(256)) * 100)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "tiny.pyc").write_bytes(b"x")
    first = packing.pack(folder, manifest.load(folder), tmp_path / "a")
    os.utime(folder / "tiny.py", (1, 1))
    second = packing.pack(folder, manifest.load(folder), tmp_path / "b")
    assert first.name == "tiny-1.0.0.mvp"
    assert first.read_bytes() == second.read_bytes()
    done = install(first, tmp_path / "plugins")
    assert _files(done.folder).keys() == {"plugin.toml", "tiny.py", "z/weights.bin", "FILES.sha256"}
    assert packing.pack(done.folder, manifest.load(folder), tmp_path / "c").read_bytes() == first.read_bytes()


@pytest.mark.parametrize("change", ["altered", "added", "missing"])
def test_a_packed_plugin_that_was_changed_on_its_way_is_refused(tmp_path: Path, change: str) -> None:
    folder = python_plugin(tmp_path / "mine", RUN)
    packed = packing.pack(folder, manifest.load(folder), tmp_path)
    with zipfile.ZipFile(packed) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if change == "altered":
        members["tiny.py"] += b"#"
    elif change == "added":
        members["more.py"] = b""
    else:
        del members["tiny.py"]
    evil = zipped(tmp_path / "evil.mvp", members)
    with pytest.raises(InputError, match="not the one that the plugin was packed with"):
        install(evil, tmp_path / "plugins")


@given(st.text(max_size=60))
def test_a_name_that_is_let_through_stays_inside(name: str) -> None:
    try:
        path = archives.check_name(name)
    except ValueError:
        return
    assert os.path.normpath(f"/folder/of/plugin/{path}").startswith("/folder/of/plugin/")
    assert not set(str(path)) & set('\\:*?"<>|')
    assert all(part == part.strip(".") or not part.endswith((".", " ")) for part in path.parts)


def test_plugins_of_python_packages_are_found_without_importing_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    package = python_plugin(site / "spleen_tool", f"raise RuntimeError('imported')\n{RUN}")
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n", encoding="utf-8")
    info = site / "spleen_tool-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: spleen-tool\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        "[medview.plugins]\nspleen = spleen_tool:plugin.toml\ngone = nowhere:plugin.toml\n", encoding="utf-8"
    )
    (info / "RECORD").write_text("spleen_tool/__init__.py,,\nspleen_tool/plugin.toml,,\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    assert entry_point_folders() == (package,)
    (record,) = discover([], more=entry_point_folders())
    assert record.id == "tiny"


def test_a_manifest_made_from_a_bundle_is_toml_whatever_the_bundle_says(tmp_path: Path) -> None:
    bundle = bare_bundle(tmp_path / "b")
    path = bundle / "configs" / "metadata.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    told["description"] = 'A "quote"\n\\ and \x7f and ‮ and """'
    told["eval_metrics"] = {"nan": float("nan"), "text": "0.9", "dice": 1}
    told["network_data_format"]["outputs"]["pred"]["channel_def"]["1"] = '"]\nkind = "python"'
    path.write_text(json.dumps(told), encoding="utf-8")
    done = install(bundle, tmp_path / "plugins")
    text = (done.folder / "plugin.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    assert data["label"][0]["name"] == '"] kind = "python"'
    assert data["engine"]["kind"] == "bundle"
    assert [one["value"] for one in data["score"]] == [1.0]


def test_a_wrong_manifest_is_refused_with_its_line(tmp_path: Path) -> None:
    folder = python_plugin(tmp_path / "mine", RUN)
    text = (folder / "plugin.toml").read_text(encoding="utf-8").replace("value = 2", "value = 1")
    (folder / "plugin.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError):
        manifest.load(folder)
    with pytest.raises(MedViewError, match=r"line \d+, label.value: two labels have the same value"):
        install(folder, tmp_path / "plugins")


def test_a_tar_may_name_its_files_from_a_dot(tmp_path: Path) -> None:
    path = tmp_path / "p.tar"
    with tarfile.open(path, "w") as archive:
        for name, data in (("./", b""), ("./plugin.toml", b"x"), ("././a/b.txt", b"yz")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.type = tarfile.DIRTYPE if name == "./" else tarfile.REGTYPE
            archive.addfile(info, io.BytesIO(data))
    (tmp_path / "out").mkdir()
    archives.unpack(path, tmp_path / "out")
    assert _files(tmp_path / "out") == {"plugin.toml": b"x", "a/b.txt": b"yz"}


def _trained(folder: Path, labels: dict[str, Any], order: Sequence[int] | None = None) -> Path:
    settings = nnunet_folders.configuration((2.0, 2.0, 2.0), (16, 16, 16), schemes=["ZScoreNormalization"] * 2)
    heads = len(labels) - (order is not None)
    network = nnunet_folders.network(settings["architecture"], settings["patch_size"], 2, heads, 3)
    data = nnunet_folders.dataset(labels, channels=2, order=order)
    data["channel_names"] = {"0": "T1", "1": "CT"}
    return nnunet_folders.model_folder(
        folder, nnunet_folders.plans({"3d_fullres": settings}), "3d_fullres", data, [network]
    )


@pytest.mark.parametrize("packed", ["a folder", "a zip of the folder", "a zip of what is in it"])
def test_a_model_of_nnunet_gets_a_manifest_from_what_its_files_say(tmp_path: Path, packed: str) -> None:
    model = _trained(tmp_path / "made" / "Dataset7", {"background": 0, "liver": 1, "odd": 2})
    source = model
    if packed != "a folder":
        base = model.parent.parent if packed == "a zip of the folder" else model
        source = Path(shutil.make_archive(str(tmp_path / "export"), "zip", base, "." if base == model else "Dataset7"))
    assert looks_like_plugin(source)
    installed = install(source, tmp_path / "plugins")
    assert (installed.id, installed.made_manifest) == ("dataset999_test", True)
    record = inspect(installed.folder)
    assert record.state is PluginState.READY, record.reason
    assert record.manifest is not None
    assert [(one.name, [str(m) for m in one.modality][:1]) for one in record.manifest.input] == [
        ("t1", ["MR"]),
        ("ct", ["CT"]),
    ]
    assert [(one.value, one.name) for one in record.manifest.label] == [(1, "liver"), (2, "odd")]
    assert record.manifest.label[0].code == ("SCT", "10200004", "Liver")
    images = {
        name: volume(np.arange(1000, dtype=np.int16).reshape(10, 10, 10), modality=kind, unit="")
        for name, kind in (("t1", Modality.MR), ("ct", Modality.CT))
    }
    result = runner.run(record, images["t1"], NoProgress(), device="cpu", others={"ct": images["ct"]})
    assert result.labels.shape == (10, 10, 10)


def test_regions_of_a_model_are_named_in_the_order_in_which_they_are_written(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": [3]}
    installed = install(_trained(tmp_path, labels, order=[1, 2, 3]), tmp_path / "plugins")
    made = manifest.load(installed.folder)
    assert [(one.value, one.name) for one in made.label] == [(1, "whole"), (2, "core"), (3, "enhancing")]
    assert inspect(installed.folder).state is PluginState.READY
