"""The command line: the workstation without a window."""

from medview.cli.program import main

__all__ = ["main"]
