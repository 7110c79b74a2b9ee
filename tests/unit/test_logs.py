"""The log of a run."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import warnings
from pathlib import Path

from medview import logs


def test_a_run_writes_its_own_file(tmp_path: Path) -> None:
    log = logs.RunLog(tmp_path / "logs")
    try:
        logging.getLogger("medview.test").info("影像 %d", 3)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("a library is getting old", DeprecationWarning, stacklevel=1)
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
    finally:
        log.close()
    written = log.path.read_text(encoding="utf-8")
    assert "影像 3" in written
    assert "a library is getting old" in written
    assert "ZeroDivisionError" in written
    logging.getLogger("medview.test").warning("after the end")
    assert "after the end" not in log.path.read_text(encoding="utf-8")


def test_the_oldest_are_deleted(tmp_path: Path) -> None:
    names = [f"medview-2020-01-{day:02}-000000-1.log" for day in range(1, 32)]
    for name in [*names, "notes.log"]:
        (tmp_path / name).touch()
    log = logs.RunLog(tmp_path)
    log.close()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*names[-29:], "notes.log", log.path.name}


def test_a_folder_that_cannot_be_written_means_no_log(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    assert logs.start(tmp_path) is None


def test_a_crash_leaves_its_stack(tmp_path: Path) -> None:
    program = (
        "import faulthandler, sys; from pathlib import Path; from medview import logs\n"
        "logs.start(Path(sys.argv[1])); faulthandler._sigabrt()"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, check=False)
    assert ended.returncode != 0
    (path,) = (tmp_path / "logs").iterdir()
    assert "Fatal Python error: Aborted" in path.read_text(encoding="utf-8")
