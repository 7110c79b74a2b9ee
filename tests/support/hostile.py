"""Plugins that want to do harm. Each leaves a canary file when something of it runs.

`FIXTURES` maps a name to a function that makes the plugin in a folder and returns what is to be installed: an archive
or a folder. `canary` is the file that must not appear.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.support import nnunet_folders, onnx_models
from tests.support.bundles import MANIFEST, bundle_config, bundle_plugin, python_plugin

Maker = Callable[[Path, Path], Path]


class _Touches:
    """Unpickled, it makes a file."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mknod if os.name != "nt" else Path.touch, (str(self._canary),)


def touching(canary: Path) -> str:
    """An expression that makes the canary."""
    return f"__import__('pathlib').Path({str(canary)!r}).touch()"


def _bundle(folder: Path, **changes: Any) -> Path:
    made = bundle_plugin(folder / "plugin", bundle_config(**changes))
    torch.save({}, made / "models" / "model.pt")
    return made


def _weights(folder: Path, write: Callable[[Path], object], name: str = "model.pt") -> Path:
    made = bundle_plugin(folder / "plugin", bundle_config())
    write(made / "models" / name)
    return made


def _pickled_weights(folder: Path, canary: Path) -> Path:
    return _weights(folder, lambda path: torch.save({"model": _Touches(canary)}, path))


def _bare_pickle(folder: Path, canary: Path) -> Path:
    return _weights(folder, lambda path: path.write_bytes(pickle.dumps(_Touches(canary), protocol=2)))


def _modern_pickle(folder: Path, canary: Path) -> Path:
    return _weights(folder, lambda path: path.write_bytes(pickle.dumps(_Touches(canary), protocol=5)))


def _torchscript(folder: Path, canary: Path) -> Path:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("m/data.pkl", pickle.dumps(_Touches(canary), protocol=2))
            archive.writestr("m/code/__torch__.py", touching(canary))

    return _weights(folder, write, "model.ts")


def _network_file(folder: Path, kind: str, name: str, data: bytes) -> Path:
    made = folder / "plugin"
    made.mkdir()
    engine = f'kind = "{kind}"\npath = "{name}"'
    (made / "plugin.toml").write_text(MANIFEST.format(id="network", engine=engine), encoding="utf-8")
    (made / name).write_bytes(data)
    return made


def _torchscript_by_a_line(folder: Path, canary: Path) -> Path:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("m/data.pkl", pickle.dumps(_Touches(canary), protocol=2))
        archive.writestr("m/code/__torch__.py", touching(canary))
    return _network_file(folder, "torchscript", "model.ts", stream.getvalue())


def _onnx_elsewhere(folder: Path, canary: Path) -> Path:
    there = onnx_models.piece(5, onnx_models.elsewhere("w", str(canary)))
    data = onnx_models.pointwise(np.ones((2, 1), np.float32), np.zeros(2, np.float32), more=there)
    return _network_file(folder, "onnx", "model.onnx", data)


def _postprocessing(folder: Path, canary: Path) -> Path:
    """nnU-Net keeps functions in a pickle; this one has others."""
    made = folder / "plugin"
    settings = nnunet_folders.configuration((1.0, 1.0, 1.0), (16, 16, 16))
    labels = nnunet_folders.dataset({"background": 0, "one": 1})
    model = nnunet_folders.model_folder(made, nnunet_folders.plans({"3d_fullres": settings}), "3d_fullres", labels, [])
    (model / "fold_0").mkdir()
    (model / "fold_0" / "checkpoint_final.pth").write_bytes(b"")
    (model / "postprocessing.pkl").write_bytes(pickle.dumps(([_Touches(canary)], [{}]), protocol=4))
    (made / "plugin.toml").write_text(nnunet_folders.manifest(f'path = "{model.name}"', [1]), encoding="utf-8")
    return made


def _expression(folder: Path, canary: Path) -> Path:
    return _bundle(folder, network_def="$" + touching(canary))


def _hidden_expression(folder: Path, canary: Path) -> Path:
    size = f"$[16, 16, 16] if ({touching(canary)}) is None else 0"
    return _bundle(folder, inferer={"_target_": "SlidingWindowInferer", "roi_size": size})


def _import_expression(folder: Path, canary: Path) -> Path:
    made = _bundle(folder, imports=["$import scripts", "$" + touching(canary)], run=["$" + touching(canary)])
    (made / "scripts").mkdir()
    (made / "scripts" / "__init__.py").write_text(touching(canary), encoding="utf-8")
    return made


def _logging_conf(folder: Path, canary: Path) -> Path:
    made = _bundle(folder)
    text = (
        "[loggers]\nkeys=root\n[handlers]\nkeys=h\n[formatters]\nkeys=\n[logger_root]\nlevel=INFO\nhandlers=h\n"
        f"[handler_h]\nclass={touching(canary)}\nargs=({touching(canary)},)\n"
    )
    (made / "configs" / "logging.conf").write_text(text, encoding="utf-8")
    return made


def _pydoc_name(folder: Path, canary: Path) -> Path:
    return _bundle(folder, network_def={"_target_": "pydoc.pathlib.Path.touch", "self": str(canary)})


def _system_call(folder: Path, canary: Path) -> Path:
    return _bundle(folder, network_def={"_target_": "os.system", "command": f"touch {canary}"})


def _through_monai(folder: Path, canary: Path) -> Path:
    return _bundle(folder, network_def={"_target_": "monai.transforms.utils.os.mknod", "path": str(canary)})


def _metadata_expression(folder: Path, canary: Path) -> Path:
    made = _bundle(folder)
    told = {"version": "$" + touching(canary), "network_data_format": "$" + touching(canary)}
    (made / "configs" / "metadata.json").write_text(json.dumps(told), encoding="utf-8")
    return made


def _yaml_object(folder: Path, canary: Path) -> Path:
    made = _bundle(folder)
    (made / "configs" / "inference.json").unlink()
    text = f"network_def: !!python/object/apply:os.mknod ['{canary}']\npreprocessing: []\ninferer: 1\n"
    (made / "configs" / "inference.yaml").write_text(text, encoding="utf-8")
    return made


def _macro_outside(folder: Path, canary: Path) -> Path:
    (folder / "outside.json").write_text(json.dumps({"network_def": "$" + touching(canary)}), encoding="utf-8")
    return _bundle(folder, network_def="%../outside.json#network_def")


def _python_on_import(folder: Path, canary: Path) -> Path:
    return python_plugin(folder / "plugin", f"{touching(canary)}\ndef run(case, context): ...\n")


def _compiled_beside_source(folder: Path, canary: Path) -> Path:
    made = python_plugin(folder / "plugin", "def run(case, context): ...\n")
    (made / "__pycache__").mkdir()
    (made / "__pycache__" / "tiny.cpython-311.pyc").write_bytes(b"\0" * 16)
    (made / "sitecustomize.py").write_text(touching(canary), encoding="utf-8")
    (made / "conftest.py").write_text(touching(canary), encoding="utf-8")
    (made / "setup.py").write_text(touching(canary), encoding="utf-8")
    return made


def _external_data(folder: Path, canary: Path) -> Path:
    """ONNX may name a file outside for its weights; no such file is read."""
    made = bundle_plugin(folder / "plugin", bundle_config())
    (made / "models" / "model.onnx").write_bytes(b"\x08\x07location\x12" + str(canary).encode())
    text = (made / "plugin.toml").read_text(encoding="utf-8")
    text = text.replace('kind = "bundle"', 'kind = "bundle"\nweights = "models/model.onnx"')
    (made / "plugin.toml").write_text(text, encoding="utf-8")
    return made


def _path_outside(folder: Path, canary: Path) -> Path:
    made = _bundle(folder)
    text = (made / "plugin.toml").read_text(encoding="utf-8")
    text = text.replace('kind = "bundle"', f'kind = "bundle"\nweights = "../../{canary.name}"')
    (made / "plugin.toml").write_text(text, encoding="utf-8")
    return made


def zipped(path: Path, members: dict[str, bytes], attributes: dict[str, int] | None = None) -> Path:
    """A zip with these members, by the names as they are given."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo("x")
            info.filename, info.compress_type = name, zipfile.ZIP_DEFLATED
            info.external_attr = (attributes or {}).get(name, 0o100644) << 16
            archive.writestr(info, content)
    return path


def _manifest() -> bytes:
    return MANIFEST.format(id="evil", engine='kind = "python"\nentry = "it:run"').encode()


def _good_members() -> dict[str, bytes]:
    return {"plugin.toml": _manifest(), "it.py": b"def run(case, context): ...\n"}


def _zip_with(name: str) -> Maker:
    def make(folder: Path, canary: Path) -> Path:
        shown = name.replace("CANARY", canary.name)
        return zipped(folder / "evil.zip", {**_good_members(), shown: b"gotcha"})

    return make


def _zip_absolute(folder: Path, canary: Path) -> Path:
    return zipped(folder / "evil.zip", {**_good_members(), str(canary): b"gotcha"})


def _zip_link(folder: Path, canary: Path) -> Path:
    members = {**_good_members(), "link": str(canary.parent).encode(), f"link/{canary.name}": b"gotcha"}
    return zipped(folder / "evil.zip", members, {"link": 0o120777})


def _zip_bomb(folder: Path, canary: Path) -> Path:
    return zipped(folder / "evil.zip", {**_good_members(), "zeros": bytes(300 * 2**20)})


def _zip_lying_bomb(folder: Path, canary: Path) -> Path:
    """The archive says that the file is small."""
    path = zipped(folder / "evil.zip", {**_good_members(), "zeros": bytes(300 * 2**20)})
    content = bytearray(path.read_bytes())
    true, claimed = (300 * 2**20).to_bytes(4, "little"), (1000).to_bytes(4, "little")
    path.write_bytes(bytes(content.replace(true, claimed)))
    return path


def _zip_of_many(folder: Path, canary: Path) -> Path:
    return zipped(folder / "evil.zip", {**_good_members(), **{f"f/{number}": b"" for number in range(20_001)}})


def _tar_with(change: Callable[[tarfile.TarInfo, Path], None], content: bytes = b"") -> Maker:
    def make(folder: Path, canary: Path) -> Path:
        path = folder / "evil.tar"
        with tarfile.open(path, "w") as archive:
            for name, data in _good_members().items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            evil = tarfile.TarInfo("evil")
            evil.size = len(content)
            change(evil, canary)
            archive.addfile(evil, io.BytesIO(content))
        return path

    return make


def _traversal(info: tarfile.TarInfo, canary: Path) -> None:
    info.name = f"a/../../{canary.name}"


def _symbolic(info: tarfile.TarInfo, canary: Path) -> None:
    info.type, info.linkname = tarfile.SYMTYPE, str(canary.parent)


def _hard(info: tarfile.TarInfo, canary: Path) -> None:
    info.type, info.linkname = tarfile.LNKTYPE, "/etc/passwd"


def _device(info: tarfile.TarInfo, canary: Path) -> None:
    info.type, info.devmajor, info.devminor = tarfile.CHRTYPE, 1, 3


def _pipe(info: tarfile.TarInfo, canary: Path) -> None:
    info.type = tarfile.FIFOTYPE


def _folder_with_link(folder: Path, canary: Path) -> Path:
    made = python_plugin(folder / "plugin", "def run(case, context): ...\n")
    (made / "more").symlink_to(canary.parent, target_is_directory=True)
    return made


RUNS_CODE: dict[str, Maker] = {
    "weights that are a pickle": _pickled_weights,
    "a bare pickle for weights": _bare_pickle,
    "a modern pickle for weights": _modern_pickle,
    "TorchScript": _torchscript,
    "TorchScript by a line of the manifest": _torchscript_by_a_line,
    "an expression": _expression,
    "an expression in a choice": _hidden_expression,
    "imports and run": _import_expression,
    "logging.conf": _logging_conf,
    "a pydoc name": _pydoc_name,
    "a call of the system": _system_call,
    "a path through MONAI": _through_monai,
    "expressions in the metadata": _metadata_expression,
    "a YAML object": _yaml_object,
    "a macro that leads outside": _macro_outside,
    "a module that acts when imported": _python_on_import,
    "modules that others load by themselves": _compiled_beside_source,
}
"""These may be installed; what would run waits for trust."""

REFUSED: dict[str, Maker] = {
    "external data": _external_data,
    "external data by a line of the manifest": _onnx_elsewhere,
    "functions behind nnU-Net": _postprocessing,
    "weights outside of the plugin": _path_outside,
    "a zip that climbs": _zip_with("../../CANARY"),
    "a zip that climbs with backslashes": _zip_with("..\\..\\CANARY"),
    "a zip with a drive": _zip_with("C:/CANARY"),
    "a zip with an absolute path": _zip_absolute,
    "a zip with a reserved name": _zip_with("configs/aux.txt"),
    "a zip with a stream of a file": _zip_with("plugin.toml:hidden"),
    "a zip with one name in two cases": _zip_with("PLUGIN.TOML"),
    "a zip with a link": _zip_link,
    "a zip bomb": _zip_bomb,
    "a zip bomb that lies about its size": _zip_lying_bomb,
    "a zip of too many files": _zip_of_many,
    "a tar that climbs": _tar_with(_traversal, b"gotcha"),
    "a tar with a symbolic link": _tar_with(_symbolic),
    "a tar with a hard link": _tar_with(_hard),
    "a tar with a device": _tar_with(_device),
    "a tar with a pipe": _tar_with(_pipe),
    "a folder with a link": _folder_with_link,
}
"""These are never installed."""
