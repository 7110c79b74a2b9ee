"""Nothing of a hostile plugin runs when it is found, checked or installed, and nothing is written outside its place."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from medview.catalog import installing
from medview.catalog.installing import looks_like_plugin
from medview.catalog.plugins import PluginState, discover, inspect
from medview.catalog.trust import TrustBook
from medview.core.errors import MedViewError, PluginNotTrustedError
from medview.core.progress import NoProgress
from medview.inference import runner
from medview.workstation.plugin_check import Grade, check
from tests.support import hostile
from tests.support.hostile import Maker
from tests.support.volumes import volume


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made").mkdir()
    return tmp_path / "CANARY"


def _outside(tmp_path: Path) -> set[str]:
    """Everything but the plugin itself and the folder of plugins."""
    return {one.name for one in tmp_path.iterdir()} - {"made", "plugins", "trust.json", "medview-home"}


@pytest.mark.parametrize(
    "make", [*hostile.RUNS_CODE.values(), *hostile.REFUSED.values()], ids=[*hostile.RUNS_CODE, *hostile.REFUSED]
)
def test_nothing_runs_when_it_is_found_checked_or_installed(tmp_path: Path, canary: Path, make: Maker) -> None:
    source = make(tmp_path / "made", canary)
    looks_like_plugin(source)
    book = TrustBook(tmp_path / "trust.json")
    if source.is_dir():
        inspect(source)
        discover([source.parent], trust=book)
        check(source, NoProgress())
    with suppress(MedViewError):
        installing.install(source, tmp_path / "plugins")
    discover([tmp_path / "plugins"], trust=book)
    assert not canary.exists()
    assert _outside(tmp_path) == set()


@pytest.mark.parametrize("make", hostile.REFUSED.values(), ids=hostile.REFUSED.keys())
def test_what_may_not_be_installed_leaves_nothing_behind(tmp_path: Path, canary: Path, make: Maker) -> None:
    source = make(tmp_path / "made", canary)
    with pytest.raises(MedViewError) as caught:
        installing.install(source, tmp_path / "plugins")
    assert caught.value.what
    assert list((tmp_path / "plugins").iterdir()) == []
    assert not canary.exists()


_NEEDS_TRUST = [
    name
    for name in hostile.RUNS_CODE
    if name not in ("imports and run", "logging.conf", "expressions in the metadata", "a YAML object")
]


@pytest.mark.parametrize("name", _NEEDS_TRUST)
def test_what_would_run_code_does_not_run_untrusted(tmp_path: Path, canary: Path, name: str) -> None:
    source = hostile.RUNS_CODE[name](tmp_path / "made", canary)
    shutil.copytree(source, tmp_path / "plugins" / "it")
    (record,) = discover([tmp_path / "plugins"], trust=TrustBook(tmp_path / "trust.json"))
    assert record.state is PluginState.NEEDS_TRUST, record.reason
    assert record.reason
    image = volume(np.zeros((4, 5, 6), np.int16))
    with pytest.raises(PluginNotTrustedError, match="medview plugin trust"):
        runner.run(record, image, NoProgress(), device="cpu")
    assert not canary.exists()


@pytest.mark.parametrize("name", ["imports and run", "logging.conf", "expressions in the metadata"])
def test_what_is_never_read_needs_no_trust(tmp_path: Path, canary: Path, name: str) -> None:
    source = hostile.RUNS_CODE[name](tmp_path / "made", canary)
    assert inspect(source, TrustBook(tmp_path / "trust.json")).state is PluginState.READY
    # the weights are empty, and building the network to find that out runs nothing of the bundle
    assert [one.grade for one in check(source, NoProgress())].count(Grade.ERROR) == 1
    assert not canary.exists()
