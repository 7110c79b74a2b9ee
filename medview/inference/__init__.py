"""Running a model on a volume; the only place besides learning that knows torch and monai."""

import os

# A network fills fresh memory at every step. Linux gives it out in pages of 4 KB, which takes longer than many a step
# computes; PyTorch asks for pages of 2 MB when it finds this at its first large tensor (c10/core/impl/alloc_cpu.cpp).
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
