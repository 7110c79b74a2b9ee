"""Running a model on a volume; the only place besides learning that knows torch and monai."""

from __future__ import annotations

import os

# Every layer's values are memory that is new, and Linux clears new memory page by page at first touch: 4 KiB each, or
# 2 MiB where a program asks for it. torch reads this once, with its first large tensor.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
