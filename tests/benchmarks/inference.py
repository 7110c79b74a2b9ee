"""A segmentation bundle through MedView's engine, beside MONAI's own way through the same bundle.

Both are given a volume in memory and the same configuration: orientation, spacing of 1.5 x 1.5 x 2 mm, windows of 96^3
at half overlap, softmax, inversion, argmax. MONAI runs them as `monai.bundle run` would: transforms, sliding window
inferer, transforms. Every measurement is a process of its own, in turn with the others. The stub is one convolution of
1x1x1 that takes next to no time: what remains is everything but the network. The bare calls that a whole run is
compared with are those of its own windows, timed while it runs.

An nnU-Net folder runs beside `nnUNetPredictor.predict_single_npy_array`, both without mirroring, where the nnunetv2
package is installed. Its network is a U-Net that has learnt to tell air from body.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from subprocess import CalledProcessError
from subprocess import run as run_program
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.bench import Options, Row, in_fresh_process, options, report, series_folder

_ONE_CORE = "MEDVIEW_BENCHMARK_ONE_CORE"
"""In the environment: processes keep to one core, and count its time."""
_WORKER = "import sys; from tests.benchmarks.inference import work; work(*sys.argv[1:])"
_STEPS = [
    {"_target_": "LoadImaged", "keys": "image"},
    {"_target_": "EnsureChannelFirstd", "keys": "image"},
    {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS", "labels": None},
    {"_target_": "Spacingd", "keys": "image", "pixdim": [1.5, 1.5, 2.0], "mode": "bilinear"},
    {
        "_target_": "ScaleIntensityRanged", "keys": "image",
        "a_min": -57, "a_max": 164, "b_min": 0.0, "b_max": 1.0, "clip": True,
    },
]  # fmt: skip
_AFTER = [
    {"_target_": "Activationsd", "keys": "pred", "softmax": True},
    {
        "_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image",
        "nearest_interp": False, "to_tensor": True,
    },
    {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
]  # fmt: skip
_NETWORKS: dict[str, dict[str, Any]] = {
    "stub": {"_target_": "torch.nn.Conv3d", "in_channels": 1, "kernel_size": 1},
    # of MONAI's spleen_ct_segmentation and wholeBody_ct_segmentation
    "unet": {
        "_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "channels": [16, 32, 64, 128, 256],
        "strides": [2, 2, 2, 2], "num_res_units": 2, "norm": "batch",
    },
    "segresnet": {
        "_target_": "SegResNet", "spatial_dims": 3, "in_channels": 1, "init_filters": 32,
        "blocks_down": [1, 2, 2, 4], "blocks_up": [1, 1, 1], "dropout_prob": 0.2,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """One thing to measure: a network, its classes, and how many slices of 512x512 the image has."""

    network: str
    classes: int
    slices: int

    @property
    def text(self) -> str:
        """As an argument of a process."""
        return json.dumps([self.network, self.classes, self.slices])


def bundle(folder: Path, network: str, classes: int) -> Path:
    """A plugin folder with a bundle of random weights; of the stub, weights that make classes of brightness."""
    import torch

    from medview.catalog.bundle_files import CONFIG_FILES
    from medview.inference.bundle_parts import Parts

    definition = dict(_NETWORKS[network])
    definition["out_channels"] = classes
    config = {
        "network_def": definition,
        "preprocessing": {"_target_": "Compose", "transforms": _STEPS},
        "inferer": {
            "_target_": "SlidingWindowInferer", "roi_size": [96, 96, 96], "sw_batch_size": 4, "overlap": 0.5,
        },
        "postprocessing": {"_target_": "Compose", "transforms": _AFTER},
    }  # fmt: skip
    (folder / "models").mkdir(parents=True)
    (folder / CONFIG_FILES[0]).parent.mkdir()
    (folder / CONFIG_FILES[0]).write_text(json.dumps(config), encoding="utf-8")
    from medview.catalog import bundle_config

    torch.manual_seed(0)
    made = Parts(_plain(bundle_config, config), "cpu").build("network_def")
    if network == "stub":
        centers = torch.linspace(0.0, 1.0, classes)
        with torch.no_grad():
            made.weight.copy_((40 * centers).reshape(made.weight.shape))
            made.bias.copy_(-20 * centers**2)
    torch.save(made.state_dict(), folder / "models" / "model.pt")
    labels = "".join(
        f'[[label]]\nvalue = {value}\nname = "Class {value}"\ncolor = "#ff0000"\n' for value in range(1, classes)
    )
    (folder / "plugin.toml").write_text(
        'schema = 1\nid = "bench"\nversion = "1.0.0"\nname = "bench"\ntask = "segment"\nsummary = "A benchmark."\n'
        'license = { code = "Apache-2.0" }\nintended-use = { level = "research", text = "A benchmark." }\n'
        '[engine]\nkind = "bundle"\n[[input]]\nname = "image"\nmodality = ["CT", "MR"]\n' + labels,
        encoding="utf-8",
    )
    return folder


def _plain(module: Any, config: dict[str, Any]) -> Any:
    return module.BundleConfig(config, module.LoaderSettings())


def image(slices: int) -> Any:
    """The chest phantom, 512x512 with voxels of 0.71 x 0.71 x 1.47 mm."""
    from medview.core.geometry import Geometry
    from medview.core.volume import Modality, Volume, VolumeId
    from medview.phantom import chest

    small = chest.make((max(24, slices // 4), 128, 128)).volume.voxels
    k = np.linspace(0, small.shape[0] - 1, slices).astype(int)
    voxels = small[k].repeat(4, axis=1).repeat(4, axis=2)
    geometry = Geometry.from_parts((slices, 512, 512), (1.47, 0.71, 0.71))
    return Volume(VolumeId("bench"), geometry, np.ascontiguousarray(voxels), Modality.CT, "HU", "1.2.3")


def work(who: str, folder: str, setting: str, out: str = "") -> None:
    """What a process of its own measures; prints seconds and bytes."""
    import torch

    from medview.inference import monai_bundle, nnunet, runner  # noqa: F401 - what is imported is not measured

    one_core = _ONE_CORE in os.environ
    if one_core:
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[os.getpid() % len(os.sched_getaffinity(0))]})
    clock = time.process_time if one_core else time.perf_counter
    torch.set_num_threads(1 if one_core else 2)
    network, _, slices = json.loads(setting)
    volume = image(slices)
    calls = _watched_calls(clock)
    before, started = _resident(), clock()
    if who == "nnunet":
        labels = _by_nnunet(Path(folder), volume)
    elif who == "monai":
        labels = _by_monai(Path(folder), volume)
    else:
        labels = _ours(Path(folder), volume, exact=who == "ours-exact")
    seconds = clock() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if out:
        np.save(out, labels)
    answer = {"s": seconds, "calls": sum(calls), "bytes": peak - before, "network": network}
    print(json.dumps(answer))  # noqa: T201 - its answer


def _watched_calls(clock: Callable[[], float]) -> list[float]:
    """Seconds of every call of a network that MedView's engine makes from now on, but for those of its trial.

    They are the run's own calls: of the same windows, as many at once, in the same numbers and order in memory.
    """
    import torch

    from medview.inference.forward import Forward

    spent: list[float] = []

    class Watched(torch.nn.Module):
        def __init__(self, network: torch.nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, windows: torch.Tensor) -> Any:
            started = clock()
            values = self.network(windows)
            spent.append(clock() - started)
            return values

    class WatchedForward(Forward):
        def __init__(self, *arguments: Any, **further: Any) -> None:
            super().__init__(*arguments, **further)
            self._network = Watched(self._network)

        def try_out(self, window: torch.Tensor, *, exact: bool) -> Any:
            found = super().try_out(window, exact=exact)
            spent.clear()
            return found

    for module in ("medview.inference.monai_bundle", "medview.inference.ensemble"):
        vars(import_module(module))["Forward"] = WatchedForward
    return spent


def _resident() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024


def _ours(folder: Path, volume: Any, *, exact: bool) -> Any:
    from medview.catalog.plugins import inspect
    from medview.core.progress import NoProgress
    from medview.inference import runner

    return runner.run(inspect(folder), volume, NoProgress(), device="cpu", exact=exact).labels


def _by_monai(folder: Path, volume: Any) -> Any:
    import torch
    from monai.data import MetaTensor

    from medview.catalog import bundle_config
    from medview.inference import monai_bundle, tensors
    from medview.inference.bundle_parts import Parts

    parts = Parts(bundle_config.read(folder), "cpu")
    network = parts.build("network_def")
    network.load_state_dict(torch.load(folder / "models" / "model.pt", weights_only=True))
    network.eval()
    data = parts.build("preprocessing")(monai_bundle.item(volume, loader=bundle_config.LoaderSettings()))
    with torch.no_grad():
        data["pred"] = MetaTensor(parts.build("inferer")(data["image"].as_tensor()[None], network)[0])
    return tensors.to_labels(parts.build("postprocessing")(data)["pred"]).astype(np.uint16)


def nnunet_plugin(folder: Path) -> Path:
    """A plugin folder with a plain U-Net for chest CT in windows of 96^3 voxels of 1.5 mm."""
    import torch

    from tests.support import nnunet_folders

    patch = (96, 96, 96)
    settings = nnunet_folders.configuration((1.5, 1.5, 1.5), patch, schemes=("CTNormalization",))
    settings["architecture"] = nnunet_folders.architecture("PlainConvUNet", patch, (32, 64, 128, 256))
    settings["architecture"]["arch_kwargs"]["n_conv_per_stage"] = [2, 2, 2, 2]
    settings["architecture"]["arch_kwargs"]["strides"] = [[1, 1, 1], [2, 2, 2], [2, 2, 2], [2, 2, 2]]
    made = nnunet_folders.network(settings["architecture"], patch, 1, 2, 0)
    voxels = torch.from_numpy(image(96).voxels[:, 100:388:3, 100:388:3].astype(np.float32))
    truth = (voxels > -300).long()
    _train(made, (voxels.clamp(-1000, 400) - 20) / 150, truth)
    plans = nnunet_folders.plans({"3d_fullres": settings})
    plans["foreground_intensity_properties_per_channel"]["0"] |= {"percentile_00_5": -1000.0}
    dataset = nnunet_folders.dataset({"background": 0, "body": 1})
    path = nnunet_folders.model_folder(folder, plans, "3d_fullres", dataset, [made])
    text = nnunet_folders.manifest(f'path = "{path.name}"', [1])
    (folder / "plugin.toml").write_text(text, encoding="utf-8")
    return folder


def _train(made: Any, image: Any, truth: Any, steps: int = 120, size: int = 48) -> None:
    """Let a network tell body from air as a published one would: by descent, on cubes from all over an image.

    Args:
        made: In evaluation mode.
        image: (x, y, z) float32, as the network gets it.
        truth: (x, y, z) int64, which class each voxel has.
        steps: How many cubes it sees.
        size: Of a cube.
    """
    import torch

    at = np.random.default_rng(0)
    descent = torch.optim.Adam(made.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(descent, 2e-3, total_steps=steps)
    for _ in range(steps):
        where = tuple(slice(one, one + size) for one in at.integers(0, np.array(image.shape) - size + 1))
        loss = torch.nn.functional.cross_entropy(made(image[where][None, None]), truth[where][None])
        descent.zero_grad()
        torch.autograd.backward(loss)
        descent.step()
        schedule.step()


def _by_nnunet(folder: Path, volume: Any) -> Any:
    import torch

    predicting = import_module("nnunetv2.inference.predict_from_raw_data")
    predictor = predicting.nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
    model = next(folder.glob("nnUNetTrainer__*"))
    predictor.initialize_from_trained_model_folder(str(model), (0,))
    image = volume.voxels[None].astype(np.float32)
    return predictor.predict_single_npy_array(image, {"spacing": list(volume.geometry.spacing_mm)})


def _beside_nnunet(scratch: Path, slices: int, rounds: int) -> list[Row]:
    if find_spec("nnunetv2") is None:
        print("The rows beside nnU-Net are left out: the package nnunetv2 is not installed.", file=sys.stderr)  # noqa: T201
        return []
    folder = nnunet_plugin(scratch / "nnunet")
    setting = Setting("nnunet", 2, slices)
    try:
        found = _measured(folder, setting, ("ours-exact", "ours", "nnunet"), rounds)
    except CalledProcessError as error:
        # The other rows have taken long; they are not lost because one reference does not run here.
        print(f"The rows beside nnU-Net are left out, a run failed: {error}", file=sys.stderr)  # noqa: T201
        return []
    rows = []
    for name, kind in (("ours-exact", "float32"), ("ours", "shorter numbers")):
        title = f"nnU-Net folder, {slices} slices, {kind}"
        limit = 0.50 if name == "ours" else None
        rows.append(Row(f"whole run, {title}", _seconds(found[name]), _seconds(found["nnunet"]), "nnU-Net", limit))
        rows.append(
            Row(f"memory, {title}", _megabytes(found[name]), _megabytes(found["nnunet"]), "nnU-Net", None, "MB")
        )
        first, second = np.load(folder / f"{name}.npy"), np.load(folder / "nnunet.npy")
        dice = _dice(first == 1, second == 1)
        rows.append(Row(f"1 - Dice, {title}", 1 - dice, 1.0, "nothing in common", 0.0005, ""))
    return rows


def _window_meanwhile(scratch: Path, opts: Options) -> list[Row]:
    """How long the program's window keeps its user waiting who scrolls while the UNet runs on all cores."""
    if "DISPLAY" not in os.environ:
        print("The rows of the window are left out: there is no display (xvfb-run gives one).", file=sys.stderr)  # noqa: T201
        return []
    folder = _finding_nothing(bundle(scratch / "window", "unet", 2))
    program = [sys.executable, str(Path(__file__).with_name("first_frames.py")), "run", str(series_folder(opts))]
    runs = [
        json.loads(run_program([*program, str(folder)], check=True, capture_output=True, text=True).stdout)
        for _ in range(3)
    ]
    names = ("longest", "most", "longest without", "longest of first")
    longest, most, without, first = (median(run[name] for run in runs) for name in names)
    return [
        Row(
            "runs with a window that did not end",
            1.0 + sum(not run["done"] for run in runs),
            1.0,
            "one more than none",
            1.0,
            "",
        ),
        Row("longest stall of the window while a model runs", 1000 * longest, 100.0, "what is felt", 1.0, "ms"),
        Row("99 of 100 turns of its event loop", 1000 * most, 33.0, "a frame in thirty", 1.0, "ms"),
        Row("longest stall in the first run, which imports PyTorch", 1000 * first, 100.0, "what is felt", None, "ms"),
        Row("longest stall, compared with no model", 1000 * longest, 1000 * without, "scrolling alone", None, "ms"),
    ]


def _finding_nothing(folder: Path) -> Path:
    """A bundle whose answer is background: the noise that random weights find takes the 3D view long to draw."""
    import torch

    weights = folder / "models" / "model.pt"
    state = torch.load(weights, weights_only=True)
    last = [name for name, values in state.items() if name.endswith("bias") and values.shape == (2,)][-1]
    state[last] = torch.tensor([1e3, -1e3])
    torch.save(state, weights)
    return folder


def _dice(first: Any, second: Any) -> float:
    return float(2 * np.count_nonzero(first & second) / (np.count_nonzero(first) + np.count_nonzero(second)))


def _measured(folder: Path, setting: Setting, runs: tuple[str, ...], rounds: int) -> dict[str, list[dict[str, float]]]:
    found: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    for turn in range(rounds):
        for name in runs:
            out = str(folder / f"{name}.npy") if turn == 0 else ""
            found[name].append(in_fresh_process(_WORKER, name, str(folder), setting.text, out))
    return found


def _seconds(runs: list[dict[str, float]]) -> float:
    return median(run["s"] for run in runs)


def _megabytes(runs: list[dict[str, float]]) -> float:
    return median(run["bytes"] for run in runs) / 2**20


def _differing(folder: Path, one: str, other: str) -> tuple[float, float]:
    first, second = np.load(folder / f"{one}.npy"), np.load(folder / f"{other}.npy")
    return float(np.count_nonzero(first != second)), float(first.size)


def _without_network(scratch: Path, classes: int, slices: int, limit: float, rounds: int) -> list[Row]:
    setting = Setting("stub", classes, slices)
    folder = bundle(scratch / f"stub-{classes}", "stub", classes)
    found = _measured(folder, setting, ("ours-exact", "monai"), rounds)
    differ, voxels = _differing(folder, "ours-exact", "monai")
    title = f"{classes} classes, {slices} slices"
    ours, theirs = found["ours-exact"], found["monai"]
    return [
        Row(f"all but the network, {title}", _seconds(ours), _seconds(theirs), "MONAI", limit),
        Row(f"memory, {title}", _megabytes(ours), _megabytes(theirs), "MONAI", 0.2 if classes > 100 else None, "MB"),
        Row(f"labels that differ, {title}", differ, voxels, "all labels", 1e-5, ""),
    ]


def _longer(scratch: Path, classes: int, slices: int) -> Row:
    """What twice as many slices cost in memory, beside the image and its labels."""
    folder = scratch / f"stub-{classes}"
    runs = [
        in_fresh_process(_WORKER, "ours-exact", str(folder), Setting("stub", classes, n).text)["bytes"]
        for n in (slices, 2 * slices)
    ]
    # the image as float32, as the network wants it, and as the transforms hand it on
    more = slices * 512 * 512 * (4 + 1)
    return Row(
        f"memory for {slices} slices more", (runs[1] - runs[0]) / 2**20, more / 2**20, "image and labels", 1.1, "MB"
    )


def _with_network(scratch: Path, network: str, classes: int, slices: int, rounds: int) -> list[Row]:
    setting = Setting(network, classes, slices)
    folder = bundle(scratch / network, network, classes)
    found = _measured(folder, setting, ("ours-exact", "ours", "monai"), rounds)
    title = f"{network}, {slices} slices"
    rows = []
    for name, kind, limit in (("ours-exact", "float32", 0.45), ("ours", "shorter numbers", 0.20)):
        seconds, calls = _seconds(found[name]), median(run["calls"] for run in found[name])
        rows.append(
            Row(f"whole run, {title}, {kind}", seconds, _seconds(found["monai"]), "MONAI",
                limit if network == "unet" else None)
        )  # fmt: skip
        most = 1.15 if network == "unet" else 1.05
        rows.append(Row(f"beside its bare calls, {title}, {kind}", seconds, calls, "bare calls", most))
        differ, voxels = _differing(folder, name, "monai")
        if name == "ours-exact":
            rows.append(Row(f"labels that differ, {title}, {kind}", differ, voxels, "all labels", 1e-5, ""))
    return rows


def main() -> int:
    """Measure, print, and return the exit status."""
    opts = options(__doc__ or "", counts_cores=True)
    if opts.one_core:
        os.environ[_ONE_CORE] = "1"
    quick = opts.quick
    rounds = opts.rounds
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        rows = [
            *_without_network(scratch, 2, 60 if quick else 200, 0.30, rounds),
            *_without_network(scratch, 14, 40 if quick else 200, 0.15, rounds),
            *_without_network(scratch, 105, 24 if quick else 60, 0.10, min(rounds, 3)),
            _longer(scratch, 14, 60 if quick else 200),
            *_with_network(scratch, "unet", 2, 60 if quick else 200, rounds),
            *_beside_nnunet(scratch, 60 if quick else 200, min(rounds, 3)),
            *_window_meanwhile(scratch, opts),
        ]
        if not quick:
            rows += _with_network(scratch, "segresnet", 105, 40, min(rounds, 3))
    return report("Inference", rows, opts)


if __name__ == "__main__":
    sys.exit(main())
