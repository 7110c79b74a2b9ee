"""Where the program starts: `medview`, `python -m medview`, and the frozen program."""

from __future__ import annotations

import multiprocessing
import sys


def main() -> None:
    """Run the command line; leaves with its exit status."""
    multiprocessing.freeze_support()
    from medview.cli import main as command_line

    sys.exit(command_line(sys.argv[1:]))


if __name__ == "__main__":
    main()
