"""The plugins at hand: found, trusted, installed and removed. Main thread only."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from medview.catalog import installing, plugins
from medview.catalog.installing import Installed
from medview.catalog.plugins import PluginRecord, PluginState
from medview.catalog.trust import TrustBook, files_sha256
from medview.core.errors import MedViewError, PluginUnavailableError
from medview.core.events import Event
from medview.core.files import write_bytes
from medview.core.progress import Progress
from medview.core.segmentation import ModelRef
from medview.core.text import Text
from medview.workstation import model_cards
from medview.workstation.jobs import Job, JobQueue, Lane


class PluginShelf:
    """Finds plugins in three places: those that came with the program, the user's own, and Python packages.

    Args:
        jobs: Read and copy files in the background.
        shipped: Folders of the plugins that came with the program.
        own: The user's folder of plugins.
        trust: Whom the user trusts.
    """

    def __init__(self, jobs: JobQueue, shipped: Sequence[Path], own: Path, trust: TrustBook) -> None:
        self.changed: Event[None] = Event()
        self._jobs = jobs
        self._shipped = tuple(shipped)
        self._own = own
        self._trust = trust
        self._records: tuple[PluginRecord, ...] | None = None
        self._lent: tuple[PluginRecord, ...] = ()
        self._ran_file = own.parent / "plugins-run.json"
        self._ran: set[str] | None = None

    def records(self) -> tuple[PluginRecord, ...]:
        """All plugins found, also those that cannot be used."""
        if self._records is None:
            installing.put_back_kept(self._own)
            found = plugins.discover((*self._shipped, self._own), trust=self._trust, more=plugins.entry_point_folders())
            self._records = (*self._lent, *found)
            for record in self._records:
                if record.state is PluginState.FOUND:
                    self._compare(record)
        return self._records

    def record(self, plugin_id: str) -> PluginRecord:
        """The plugin with an id.

        Raises:
            PluginUnavailableError: There is none.
        """
        known = self.records()
        record = next((one for one in known if one.id == plugin_id), None)
        if record is None:
            raise PluginUnavailableError(
                Text.of("There is no plugin “{id}”.", id=plugin_id),
                Text.of("There are {ids}.", ids=", ".join(one.id for one in known) or "–"),
            )
        return record

    def lend(self, folder: Path) -> PluginRecord:
        """Take a plugin from any folder for as long as the program runs; whoever names the folder vouches for it."""
        record = plugins.inspect(folder)
        if record.state is PluginState.NEEDS_TRUST:
            record = replace(record, state=PluginState.READY, reason=Text(""), trusted=True)
        record = replace(record, runs_apart=record.trusted)
        self._lent = (record, *self._lent)
        self.refresh()
        return record

    def refresh(self) -> None:
        """Look for plugins again."""
        self._records = None
        self.changed.emit(None)

    def trust(self, plugin_id: str) -> Job[str]:
        """Let a plugin run a program of its own, as its files are now. They are read in the background.

        Returns:
            The job; its result is the hash over the files.

        Raises:
            PluginUnavailableError: There is no such plugin, or it cannot be run anyway.
        """
        record = self.record(plugin_id)
        if record.state in (PluginState.BROKEN, PluginState.BLOCKED):
            raise PluginUnavailableError(
                Text.of("{name} cannot run. {reason}", name=Text(record.name), reason=record.reason)
            )

        def read(sha256: str) -> None:
            self._trust.trust(record.folder, record.id, sha256)
            self.refresh()

        return self._jobs.submit(
            Text.of("Reading the files of {name}", name=Text(record.name)),
            lambda progress: files_sha256(record.folder, progress),
            lane=Lane.DISK,
            then=read,
        )

    def is_new(self, record: PluginRecord) -> bool:
        """Whether this version of a plugin has never been run: its model card is then shown unasked."""
        return record.manifest is not None and f"{record.id} {record.manifest.version}" not in self._known_runs()

    def note_run(self, record: PluginRecord) -> None:
        """Remember that a plugin was run.

        Raises:
            StorageError: It holds until the program ends, but could not be kept.
        """
        if self.is_new(record) and record.manifest is not None:
            known = self._known_runs()
            known.add(f"{record.id} {record.manifest.version}")
            write_bytes(self._ran_file, json.dumps(sorted(known), indent=1).encode())

    def keep_card(self, record: PluginRecord, model: ModelRef) -> None:
        """Keep what a plugin said of itself when it answered, under the name by which results know it.

        Raises:
            StorageError: It could not be kept.
        """
        if record.manifest is not None:
            model_cards.keep(self._own.parent / "model-cards", model, record.manifest)

    def _known_runs(self) -> set[str]:
        if self._ran is None:
            try:
                self._ran = {str(one) for one in json.loads(self._ran_file.read_bytes())}
            except (OSError, ValueError, TypeError):
                self._ran = set()
        return self._ran

    def install(
        self,
        source: Path,
        *,
        replace: bool = False,
        done: Callable[[Installed], None] | None = None,
        failed: Callable[[MedViewError], None] | None = None,
    ) -> Job[Installed]:
        """Install a plugin from an archive or a folder, in the background.

        Args:
            source: The archive or the folder.
            replace: Whether a plugin of the same id may be replaced.
            done: Told what was installed.
            failed: Told why nothing was.
        """

        def work(progress: Progress) -> Installed:
            return installing.install(source, self._own, replace=replace, shipped=self._shipped, progress=progress)

        def installed(what: Installed) -> None:
            self._trust.forget(what.id)
            self.refresh()
            if done is not None:
                done(what)

        return self._jobs.submit(
            Text.of("Installing {name}", name=source.name), work, lane=Lane.DISK, then=installed, failed=failed
        )

    def can_remove(self, record: PluginRecord) -> bool:
        """Whether a plugin lies in the user's own folder, from which it may be taken away."""
        return record.folder.parent == self._own

    def remove(self, plugin_id: str, *, failed: Callable[[MedViewError], None] | None = None) -> Job[Path]:
        """Take one of the user's own plugins away, in the background. The job's result is where it was.

        Args:
            plugin_id: Its id.
            failed: Told why it is still there.
        """

        def removed(_: Path) -> None:
            self._trust.forget(plugin_id)
            self.refresh()

        return self._jobs.submit(
            Text.of("Removing {name}", name=plugin_id),
            lambda _: installing.remove(plugin_id, self._own, self._shipped),
            lane=Lane.DISK,
            then=removed,
            failed=failed,
        )

    def _compare(self, record: PluginRecord) -> None:
        """Read the files of a plugin that was trusted and has been touched since."""

        def compared(found: PluginRecord) -> None:
            if self._records is not None and record in self._records:
                if found.state is PluginState.READY:
                    self._trust.trust(record.folder, record.id, found.pinned_sha256)
                # A namesake that stands before it stays before it.
                self._records = tuple(found if one == record else one for one in self._records)
                self.changed.emit(None)

        def failed(error: MedViewError) -> None:
            reason = Text.of("{what} {remedy}", what=error.what, remedy=error.remedy)
            compared(replace(record, state=PluginState.BLOCKED, reason=reason))

        self._jobs.submit(
            Text.of("Reading the files of {name}", name=Text(record.name)),
            lambda _: plugins.inspect(record.folder, self._trust, read_files=True),
            lane=Lane.DISK,
            then=compared,
            failed=failed,
        )
