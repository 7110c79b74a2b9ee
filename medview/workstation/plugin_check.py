"""What is wrong with a plugin, found for its author before a reader finds it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from medview.catalog import bundle_files, bundle_manifest, packing, plugins
from medview.catalog import manifest as manifests
from medview.catalog.manifest import PluginManifest
from medview.catalog.manifest_engines import BundleEngine, NnunetEngine, PythonEngine
from medview.core.errors import MedViewError
from medview.core.progress import PartOf, Progress
from medview.core.text import Text
from medview.workstation import plugin_trials


class Grade(StrEnum):
    """How a finding is meant: an ERROR keeps the plugin from running, or makes its answers wrong."""

    GOOD = "good"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what was found."""

    grade: Grade
    text: Text


def check(folder: Path, progress: Progress, *, run: bool = False, device: str = "auto") -> tuple[Finding, ...]:
    """Look a plugin through. Without `run`, nothing of it is run.

    Args:
        folder: The plugin's.
        progress: Reported to, and asked for cancellation.
        run: Whether to run it on made-up patients too; it then does what it was written to do.
        device: Where: "auto", "cpu" or "cuda".

    Raises:
        Cancelled: The user has cancelled.
    """
    try:
        manifest = manifests.load(folder)
    except MedViewError as error:
        return (_error(error),)
    found = [_good(Text("plugin.toml is right."))]
    found += _of_manifest(manifest)
    try:
        packing.verify(folder)
        program = plugins.program_of(folder, manifest)
    except MedViewError as error:
        return (*found, _error(error))
    if program is not None:
        found.append(Finding(Grade.WARNING, Text.of("Whoever installs it must trust it. {reason}", reason=program)))
    else:
        found.append(_good(Text("It is data alone; nobody has to trust it.")))
    if isinstance(manifest.engine, PythonEngine):
        found += _of_module(folder, manifest.engine)
    elif isinstance(manifest.engine, BundleEngine):
        found += _of_bundle(folder / manifest.engine.path, manifest, manifest.engine, data_alone=program is None)
    elif isinstance(manifest.engine, NnunetEngine):
        found += _of_nnunet(folder, manifest.engine)
    progress.report(0.2)
    if run and not any(one.grade is Grade.ERROR for one in found):
        record = plugin_trials.vouched(folder)
        for trial in plugin_trials.trials(record, PartOf(progress, 0.2, 1.0), device=device):
            grade = Grade.GOOD if trial.passed else Grade.WARNING if trial.is_hint else Grade.ERROR
            found.append(Finding(grade, trial.text))
    return tuple(found)


def _of_manifest(manifest: PluginManifest) -> Iterator[Finding]:
    license_ = manifest.license
    for name, value in (("code", license_.code), ("weights", license_.weights), ("data", license_.data)):
        if value == bundle_manifest.UNKNOWN:
            yield _warning(Text.of("The licence of its {part} is unknown: write it into plugin.toml.", part=name))
    uncoded = [label.name for label in manifest.label if label.code is None]
    uncoded += [one.name for one in manifest.class_ if one.code is None]
    if uncoded:
        yield _warning(
            Text.of("Without a code, others do not know what is meant by: {names}.", names=", ".join(uncoded))
        )
    if not manifest.score:
        yield _warning(Text("It does not say how good it is: add [[score]] with what was measured."))


def _of_module(folder: Path, engine: PythonEngine) -> Iterator[Finding]:
    path = plugins.entry_file(folder, engine)
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    except (SyntaxError, ValueError, OSError) as error:
        line = getattr(error, "lineno", None) or 1
        yield Finding(
            Grade.ERROR,
            Text.of(
                "{file}, line {line}: this is not Python ({reason}).",
                file=str(path),
                line=line,
                reason=getattr(error, "msg", str(error)),
            ),
        )
        return
    names = {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}
    names |= {one.asname or one.name for part in tree.body if isinstance(part, ast.ImportFrom) for one in part.names}
    if engine.function not in names:
        yield Finding(Grade.ERROR, Text.of("{file} has no function {name}.", file=path.name, name=engine.function))
    else:
        yield _good(Text.of("{file} has the function {name}.", file=path.name, name=engine.function))
    for number, module in _imports(tree):
        if module.split(".")[0] == "medview" and module != "medview.api":
            yield _warning(
                Text.of(
                    "{file}, line {line}: import medview.api alone; {module} may change at any time.",
                    file=path.name,
                    line=number,
                    module=module,
                )
            )


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, one.name) for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module


def _of_nnunet(folder: Path, engine: NnunetEngine) -> Iterator[Finding]:
    # torch takes a second to load; nobody waits for it who checks a manifest.
    from medview.inference import nnunet

    try:
        nnunet.fits(folder, engine)
    except MedViewError as error:
        yield _error(error)
    else:
        yield _good(Text("Every weight fits the network."))


def _of_bundle(bundle: Path, manifest: PluginManifest, engine: BundleEngine, *, data_alone: bool) -> Iterator[Finding]:
    network = bundle_files.entries(bundle).get("network_def")
    outputs = _count(network, "out_channels", "num_classes")
    inputs = _count(network, "in_channels")
    largest = max([*(label.value for label in manifest.label), *(one.value for one in manifest.class_)])
    most = outputs if manifest.has_regions else outputs - 1
    if outputs > 1 and largest > most:
        yield Finding(
            Grade.ERROR,
            Text.of(
                "Its label {value} cannot come out of a network with {count} channels.", value=largest, count=outputs
            ),
        )
    elif outputs > 1:
        yield _good(Text.of("Its labels are among the network's {count} channels.", count=outputs))
    if inputs and inputs != len(manifest.input) and not manifest.input[0].color:
        yield Finding(
            Grade.ERROR,
            Text.of(
                "The network wants {count} images, and plugin.toml has {given} inputs.",
                count=inputs,
                given=len(manifest.input),
            ),
        )
    if data_alone:
        # torch takes a second to load; nobody waits for it who checks a manifest.
        from medview.inference import monai_bundle

        try:
            monai_bundle.fits(bundle, engine, regions=manifest.has_regions)
        except MedViewError as error:
            yield _error(error)
        else:
            yield _good(Text("Every weight fits the network."))


def _count(network: Any, *names: str) -> int:
    if isinstance(network, dict):
        for name in names:
            if isinstance(network.get(name), int):
                return int(network[name])
    return 0


def _good(text: Text) -> Finding:
    return Finding(Grade.GOOD, text)


def _warning(text: Text) -> Finding:
    return Finding(Grade.WARNING, text)


def _error(error: MedViewError) -> Finding:
    return Finding(Grade.ERROR, Text.of("{what} {remedy}", what=error.what, remedy=error.remedy))
