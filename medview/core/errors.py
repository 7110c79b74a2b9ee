"""The errors of MedView: one tree.

Every error says in the reader's words what happened (`what`) and what to do next (`remedy`). Errors of libraries are
mapped onto this tree at the border, with `raise ... from`, so that their details reach the log and never the window.
"""

from __future__ import annotations

from medview.core.text import Text


class MedViewError(Exception):
    """Something that the user has to be told.

    Args:
        what: One sentence: what happened.
        remedy: One sentence: what to do next; empty when nothing can be done.
    """

    def __init__(self, what: Text | str, remedy: Text | str = "") -> None:
        self.what = what if isinstance(what, Text) else Text(what)
        self.remedy = remedy if isinstance(remedy, Text) else Text(remedy)
        super().__init__(str(self.what))

    def __str__(self) -> str:
        return f"{self.what} {self.remedy}".strip()


class InputError(MedViewError):
    """What was opened cannot be used."""


class UnreadableFileError(InputError):
    """A file is damaged, or of a kind that MedView does not read."""


class UnsupportedSeriesError(InputError):
    """A series is sound, but needs more than MedView can do with it."""


class GridMismatchError(InputError):
    """Labels and image do not lie on the same grid."""


class PluginError(MedViewError):
    """A plugin cannot do what it was asked."""


class ManifestError(PluginError):
    """A plugin's manifest is wrong."""


class PluginUnavailableError(PluginError):
    """A plugin cannot run here and now, or not on this series."""


class PluginNotTrustedError(PluginUnavailableError):
    """A plugin would run a program that the user has not trusted."""


class PluginFailedError(PluginError):
    """A plugin started and failed."""


class OutOfMemoryError(PluginError):
    """There is not enough memory for what was asked."""


class StorageError(MedViewError):
    """Something could not be written, or not be read back as written."""


class NetworkError(MedViewError):
    """An archive on the network could not do what it was asked."""


class UnreachableError(NetworkError):
    """There is no such machine, or nothing answers there."""


class NotTrustedError(NetworkError):
    """The connection cannot be made safe: a certificate is missing, wrong, or of somebody unknown."""


class RefusedError(NetworkError):
    """The archive answered and does not want to, or cannot at all."""


class LoginError(RefusedError):
    """Name, password or token are missing or wrong."""


class NotThereError(NetworkError):
    """The archive does not have it."""


class TransferError(NetworkError):
    """Work with the archive began and broke off."""


class Cancelled(Exception):  # noqa: N818 - the user's wish, not a fault
    """A job was asked to stop and has stopped."""
