"""The program's own test of itself: every step of the main job on the sample study, without a display."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from medview.workstation.selftest import SelfTest, Step, Verdict


def test_every_step_passes(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    ended = subprocess.run(
        [sys.executable, "-m", "medview", "selftest", "--json"],
        env={**environment, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(ended.stdout)
    assert [step for step in report["steps"] if step["verdict"] != "passed"] == []
    assert ended.returncode == 0
    names = " ".join(step["name"] for step in report["steps"])
    assert all(word in names for word in ("ct_lungs", "mr_hippocampus", "dicom-seg", "nifti", "monai", "nnunet"))


def test_a_step_that_cannot_be_done_fails_and_skips_what_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "sample-study").mkdir()  # a study without a file
    monkeypatch.setenv("MEDVIEW_HOME", str(tmp_path / "home"))
    told: list[Step] = []
    steps = SelfTest(tmp_path, picture=None).run(told.append)
    assert tuple(told) == steps
    chest = steps[: [str(step.name) for step in steps].index("Make and open an MR series")]
    assert [step.verdict for step in chest[:3]] == [Verdict.PASSED, Verdict.FAILED, Verdict.SKIPPED]
    assert {step.verdict for step in chest[2:]} == {Verdict.SKIPPED}
    assert steps[len(chest)].verdict is Verdict.PASSED
