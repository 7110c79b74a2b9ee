"""Spoilt files end in a picture or in a sentence, within bounds of time and memory, and take nothing else with them.

Some hundred of them; `python tests/fuzz/campaign.py --count 5000` is the long run, which spoils small real files too.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fuzz import campaign, mutations, seeds
from tests.fuzz.campaign import Outcome
from tests.fuzz.seeds import Seed

_MUTATIONS = 240

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the memory of a process is limited by POSIX calls")


def failures(outcomes: Sequence[Outcome]) -> list[str]:
    return [
        f"{one.number} {one.seed_name} {one.mutation}: {one.verdict}: {one.words}" for one in outcomes if one.failed
    ]


def test_spoilt_files_open_or_are_refused_with_a_sentence(tmp_path: Path) -> None:
    outcomes = campaign.run(seeds.written(tmp_path / "seeds"), range(_MUTATIONS), tmp_path)
    assert failures(outcomes) == []
    verdicts = [one.verdict for one in outcomes]
    # neither everything is refused nor nothing: the files really are spoilt, and really are read
    assert min(verdicts.count("opened"), verdicts.count("refused")) > _MUTATIONS // 10
    assert {one.mutation for one in outcomes} >= {one.__name__ for one in mutations.DICOM}


def test_a_file_that_hangs_or_ends_the_process_is_told_from_one_that_does_not(tmp_path: Path) -> None:
    """The watch itself: a named pipe hangs whoever opens it, and an image may say that its voxels lie in one."""
    import os

    header = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 4 4 4\nencoding: raw\n"
        "space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nendian: little\ndata file: pipe.raw\n"
    )

    def pipe(data: bytes, rng: random.Random) -> bytes:
        for case in tmp_path.glob("case*"):
            os.mkfifo(case / "pipe.raw")
        return data

    spoilt = Seed("pipe", header.encode(), ".nhdr", (pipe,))
    (outcome,) = campaign.run([spoilt], range(1), tmp_path, limit_s=3.0)
    assert outcome.failed
    assert outcome.verdict == "ENDED"
    assert "Timeout" in outcome.words
