"""Takes in plugins that are dropped on the window: asks in place, installs in the background, says what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject

from medview.catalog.installing import AlreadyInstalledError, Installed, looks_like_plugin
from medview.catalog.plugins import PluginState
from medview.core.errors import MedViewError
from medview.core.text import Text
from medview.ui.banner import Answer, Banner, Kind, Message
from medview.workstation.jobs import Lane
from medview.workstation.station import Workstation


class PluginDesk(QObject):
    """Stands between the window and what is dropped on it.

    Args:
        station: Whose plugins.
        banner: Where it asks and tells.
        show_plugins: Brings the plugins to the front.
    """

    def __init__(self, station: Workstation, banner: Banner, show_plugins: Callable[[], None]) -> None:
        super().__init__()
        self._station = station
        self._banner = banner
        self._show_plugins = show_plugins

    def take(self, paths: Sequence[Path], open_others: Callable[[list[Path]], None]) -> None:
        """Look through what was dropped, in the background: plugins are offered, everything else is opened.

        Args:
            paths: What was dropped.
            open_others: Opens files and folders.
        """
        if not any(_may_be_plugin(path) for path in paths):
            open_others(list(paths))
            return

        def looked(found: list[Path]) -> None:
            others = [path for path in paths if path not in found]
            if others:
                open_others(others)
            if found:
                self._offer(found)

        self._station.jobs.submit(
            Text("Looking at what was dropped"),
            lambda _: [path for path in paths if looks_like_plugin(path)],
            lane=Lane.DISK,
            then=looked,
        )

    def _offer(self, paths: list[Path]) -> None:
        path, rest = paths[0], paths[1:]
        self._banner.show_message(
            Message(
                Kind.OFFER,
                Text.of("Install the plugin {name}?", name=path.name),
                Text("It is copied into your folder of plugins. Nothing of it runs, and nothing is sent or fetched."),
                "",
                (
                    Answer(Text("Install"), partial(self._install, path, rest), primary=True),
                    Answer(Text("Not now"), partial(self._next, rest)),
                ),
            )
        )

    def _next(self, rest: list[Path]) -> None:
        if rest:
            self._offer(rest)

    def _install(self, path: Path, rest: list[Path], *, replace: bool = False) -> None:
        def done(installed: Installed) -> None:
            self._tell(installed)
            self._next(rest)

        def failed(error: MedViewError) -> None:
            if isinstance(error, AlreadyInstalledError):
                self._ask_replacing(path, rest, error)
            else:
                self._banner.show_error(error)

        self._station.shelf.install(path, replace=replace, done=done, failed=failed)

    def _ask_replacing(self, path: Path, rest: list[Path], error: AlreadyInstalledError) -> None:
        replace = Answer(Text("Replace it"), partial(self._install, path, rest, replace=True))
        keep = Answer(Text("Keep the old one"), partial(self._next, rest), primary=True)
        self._banner.show_message(
            Message(
                Kind.OFFER,
                error.what,
                Text.of("Put version {version} in its place?", version=error.offered),
                "",
                (replace, keep),
            )
        )

    def _tell(self, installed: Installed) -> None:
        record = self._station.shelf.record(installed.id)
        remedy = Text("It is among the plugins now.")
        if record.state is PluginState.NEEDS_TRUST:
            remedy = Text("It needs your trust before it runs; its card says why.")
        elif record.reason:
            remedy = record.reason
        what = Text.of("{name} {version} is installed.", name=record.name, version=installed.version)
        self._show_plugins()
        self._banner.show_message(Message(Kind.DONE, what, remedy))


def _may_be_plugin(path: Path) -> bool:
    """Whether it is worth looking: an image file is opened without a detour."""
    if path.is_dir():
        return looks_like_plugin(path)
    name = path.name.lower()
    return name.endswith((".zip", ".mvp", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2"))
