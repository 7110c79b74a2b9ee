"""Libraries that would write patients' names and warnings of their own into the log."""

from __future__ import annotations

import logging
import warnings


def quiet_libraries() -> None:
    """Keep patients' data out of the log, and pydicom's warnings on odd data sets off the terminal.

    What matters is raised as an error with a sentence. The filters stay, because lifting them again would race with
    the other threads that read.
    """
    for name in ("pynetdicom", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"pydicom\b")
