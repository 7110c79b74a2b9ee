from __future__ import annotations

import signal

import pytest

from medview.core.errors import Cancelled
from medview.learning.console import ConsoleProgress


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_work_where_it_asks_and_not_before(kind: signal.Signals) -> None:
    before = signal.getsignal(kind)
    progress = ConsoleProgress()
    with progress.stopped_by_signals():
        progress.raise_if_cancelled()
        signal.raise_signal(kind)
        with pytest.raises(Cancelled):
            progress.raise_if_cancelled()
    assert signal.getsignal(kind) == before


def test_lines_are_rare(capsys: pytest.CaptureFixture[str]) -> None:
    progress = ConsoleProgress()
    for step in range(50):
        progress.report(step / 50, f"Step {step}")
    assert capsys.readouterr().err.split() == ["0", "s", "0.0%", "Step", "0"]
