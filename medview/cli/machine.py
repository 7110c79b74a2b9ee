"""Commands about the program on this machine: demo, doctor, selftest, and the window itself."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medview.cli import console
from medview.cli.headless import home, workstation
from medview.cli.reading import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from medview.core.segmentation import Segmentation
    from medview.core.volume import Volume
    from medview.workstation.selftest import Step

_MARKS = {"good": "ok", "note": "note", "warning": "WARNING", "bad": "BAD"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("demo")(demo)
    app.command("doctor")(doctor)
    app.command("selftest")(selftest)


def open_window(paths: Sequence[Path], *, sample: bool = False) -> None:
    """Open the workstation and stay until it is closed.

    Raises:
        CommandError: There is no display.
    """
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise console.CommandError(
            "There is no display, so the window cannot open. The other commands work without one: medview --help."
        )
    from medview import app

    status = app.run(home(), paths, sample=sample)
    if status:
        raise typer.Exit(status)


def demo() -> None:
    """Open the workstation on the built-in sample study."""
    open_window([], sample=True)


def doctor(json: Json = False) -> None:
    """Show what this machine has: memory, processor or GPU for models, OpenGL, decoders, folders, plugins."""
    from medview.workstation import doctor as examination

    folder = home()
    with workstation(folder) as station:
        plugins = station.analysis.plugins()
    facts = examination.examine(folder, plugins, opengl=_opengl, accelerator=_accelerator)
    well = examination.is_well(facts)
    if json:
        console.print_json({"well": well, "facts": list(facts)})
    else:
        rows = [
            (
                fact.topic,
                fact.name,
                " ".join(part for part in (fact.value, str(fact.remedy)) if part),
                _MARKS[fact.health],
            )
            for fact in facts
        ]
        console.table(rows, ("Topic", "What", "Found", ""))
    if not well:
        bad = ", ".join(fact.name for fact in facts if fact.health is examination.Health.BAD)
        raise console.CommandError(f"MedView will not work well here: {bad}.")


def selftest(
    json: Json = False,
    keep: Annotated[Path | None, typer.Option(help="Keep the files of the test in this folder.")] = None,
) -> None:
    """Do the whole job on the sample study, without a window: each step with its verdict."""
    from medview.workstation.selftest import SelfTest, Verdict

    def tell(step: Step) -> None:
        if not json:
            seconds = f"{step.seconds:6.1f} s" if step.verdict is not Verdict.SKIPPED else "        "
            console.say(f"{step.verdict.value:8} {seconds}  {step.name}" + (f": {step.found}" if step.found else ""))

    with tempfile.TemporaryDirectory(prefix="medview-selftest-", ignore_cleanup_errors=True) as temporary:
        folder = keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        steps = SelfTest(folder, picture=_picture).run(tell)
    passed = all(step.verdict is Verdict.PASSED for step in steps)
    if json:
        console.print_json({"passed": passed, "steps": [_step(step) for step in steps]})
    if not passed:
        failed = ", ".join(str(step.name) for step in steps if step.verdict is Verdict.FAILED)
        raise console.CommandError(f"The self-test failed: {failed}.")
    if not json:
        console.say(f"All {len(steps)} steps passed.")


def _step(step: Step) -> dict[str, Any]:
    return {
        "name": str(step.name),
        "verdict": step.verdict.value,
        "found": step.found,
        "seconds": round(step.seconds, 3),
    }


def _picture(volume: Volume, segmentation: Segmentation) -> NDArray[np.uint8]:
    from medview.views import opengl, snapshot

    opengl.renderer_name()
    opengl.silence()
    return snapshot.four_views(volume, segmentation)


def _opengl() -> str:
    from medview.views import opengl

    return opengl.renderer_name()


def _accelerator() -> str:
    from medview.inference import device

    return device.describe()
