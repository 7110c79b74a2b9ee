"""The whole workstation, without a screen: its parts, and how they are joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from medview.catalog.trust import TrustBook
from medview.core.errors import InputError, MedViewError
from medview.core.folders import shipped_plugins_folder
from medview.core.proof import Proof
from medview.core.segmentation import Segmentation
from medview.core.text import Text
from medview.inference.earlier_runs import EarlierRuns
from medview.learning.examples import Saved
from medview.workstation import answer_maps, findings_export
from medview.workstation.analysis import Analysis
from medview.workstation.archives import Archives
from medview.workstation.attaching import Attaching
from medview.workstation.comparing import Comparing
from medview.workstation.correction import Correction
from medview.workstation.deidentifying import Deidentified, check_target, deidentify
from medview.workstation.doubts import Doubts
from medview.workstation.edit_tools import EditTools
from medview.workstation.editing import Editing
from medview.workstation.evidence_desk import EvidenceDesk
from medview.workstation.findings_desk import FindingsDesk
from medview.workstation.hint_engines import HintPlugins
from medview.workstation.hinting import Hinting
from medview.workstation.importing import Importing
from medview.workstation.jobs import Job, JobQueue, Lane
from medview.workstation.live_numbers import Live
from medview.workstation.main_queue import MainQueue
from medview.workstation.measuring import Measuring
from medview.workstation.named_images import NamedImages
from medview.workstation.plugin_inputs import PluginInputs
from medview.workstation.plugin_shelf import PluginShelf
from medview.workstation.reviewing import Reviewing
from medview.workstation.saving import SaveFormat, Saving, Surfaces, Verdict, sources_of
from medview.workstation.settings import Settings, SettingsStore
from medview.workstation.shaping import Shaping
from medview.workstation.taking_back import TakingBack
from medview.workstation.teaching import Teaching
from medview.workstation.view_state import Viewing
from medview.workstation.worklist import Worklist
from medview.workstation.workspace import Workspace

if TYPE_CHECKING:
    from medview.formats.confidentiality_profile import Options


class Workstation:
    """Holds the parts. The window and the command line use it alike. Main thread only.

    Args:
        home: The user's folder (`settings.user_folder()`).
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.settings = SettingsStore(home)
        self.queue = MainQueue()
        self.jobs = JobQueue(self.queue)
        self.workspace = Workspace()
        self.viewing = Viewing()
        self.importing = Importing(self.workspace, self.viewing, self.jobs, self.queue, home / "headers.sqlite")
        self.correction = Correction(
            self.workspace,
            self.viewing,
            self.jobs,
            home / "journals",
            self.settings.current.undo_limit_mb * 2**20,
        )
        self.live = Live(self.workspace, self.jobs, self.correction)
        self.comparing = Comparing(self.workspace, self.viewing, self.correction)
        self.shaping = Shaping(self.workspace, self.jobs, self.correction)
        shipped = shipped_plugins_folder()
        self.shelf = PluginShelf(
            self.jobs, (shipped,), home / "plugins", TrustBook(home / "trusted-plugins.json", vouched=(shipped,))
        )
        self.analysis = Analysis(
            self.workspace,
            self.viewing,
            self.jobs,
            self.correction,
            self.shelf,
            PluginInputs(home / "plugin-inputs.json"),
            EarlierRuns(home / "answers", self.settings.current.kept_answers_mb * 2**20),
        )
        self.analysis.exact = self.settings.current.exact
        self.correction.proposals.box_on = self.analysis.search.on
        self.hinting = Hinting(self.workspace, self.jobs, self.correction, HintPlugins(self.analysis))
        self.tools = EditTools()
        self.editing = Editing(self.workspace, self.viewing, self.jobs, self.correction, self.tools, self.hinting)
        self._listening = self.settings.changed.connect(self._settings_changed)
        self.measuring = Measuring(
            self.workspace,
            self.viewing,
            self.jobs,
            home / "measurements",
            lambda: self.settings.current.reader_name,
        )
        self.findings = FindingsDesk(
            self.workspace,
            self.viewing,
            self.jobs,
            self.analysis,
            home / "findings",
            lambda: self.settings.current.reader_name,
        )
        self.evidence = EvidenceDesk(self.workspace, self.viewing, self.jobs, self.analysis, self.findings)
        self.taking_back = TakingBack(self.viewing, self.measuring, self.correction, self.editing)
        self.reviewing = Reviewing(
            self.workspace,
            self.viewing,
            self.jobs,
            self.correction,
            home / "reviews",
            lambda: self.settings.current.reader_name,
        )
        self.doubts = Doubts(self.workspace, self.viewing, self.jobs, self.correction, self.analysis)
        self.worklist = Worklist(self.workspace, self.importing)
        self.named_images = NamedImages(self.workspace, self.viewing, self.jobs, self.importing)
        self.attaching = Attaching(self.workspace, self.viewing, self.jobs, self.importing, self.correction)
        self.saving = Saving(self.workspace, self.jobs, self.importing, lambda: self.settings.current.reader_name)
        self.archives = Archives(home, self.workspace, self.jobs, self.importing)
        chosen = self.settings.current.examples_folder
        self.teaching = Teaching(
            self.workspace,
            self.jobs,
            self.importing,
            Path(chosen).expanduser() if chosen else home / "examples",
            lambda: self.settings.current.reader_name,
        )

    def _settings_changed(self, settings: Settings) -> None:
        self.analysis.exact = settings.exact
        earlier, limit = self.analysis.earlier, settings.kept_answers_mb * 2**20
        if limit != earlier.limit_bytes:
            earlier.limit_bytes = limit
            self.jobs.submit(Text("Making room"), lambda _: earlier.make_room(), lane=Lane.DISK)

    def save_example(self) -> Job[Saved]:
        """Keep the active segmentation for training, with what was corrected in it; without one, what was decided on.

        Raises:
            InputError: There is nothing to save, or its image is still loading.
        """
        self.correction.end_stroke()
        segmentation = self.workspace.active_segmentation
        if segmentation is None and self.findings.any_decided:
            return self.save_decisions()
        edits = self.correction.summary(segmentation) if segmentation is not None else None
        review = replace(self.reviewing.review, seconds=self.reviewing.seconds)
        return self.teaching.save_example(segmentation, edits=edits, review=review, saved=self.correction.mark_saved)

    def save_decisions(self) -> Job[Saved]:
        """Keep the image that is shown, with what was decided on its findings, for training.

        Raises:
            InputError: Nothing is open or decided on, or the image is still loading.
        """
        case, volume = self.workspace.active_case, self.workspace.active_volume
        if case is None or volume is None:
            raise InputError("No series is open.", "Open a series first.")
        return self.teaching.save_decisions(case, volume, self.findings.shown)

    def save_masks(
        self,
        segmentation: Segmentation,
        formats: Sequence[SaveFormat],
        folder: Path,
        name: str,
        surfaces: Surfaces,
    ) -> Job[tuple[Verdict, ...]]:
        """Save a segmentation as files for other programs, each proved. A report has what was measured, too.

        Args:
            segmentation: Which one.
            formats: As what.
            folder: Where.
            name: What the names of the files begin with.
            surfaces: Makes surfaces, for STL.

        Raises:
            InputError: Its image is still loading, or it belongs to no open case.
        """
        self.correction.end_stroke()
        case = next((one for one in self.workspace.cases if segmentation.id in one.segmentations), None)
        measured = self.measuring.of_volume(case.volume_under(segmentation.id)) if case is not None else ()
        return self.saving.save(segmentation, formats, folder, name, surfaces, measured)

    def save_findings(
        self, path: Path, then: Callable[[str], None], failed: Callable[[MedViewError], None]
    ) -> Job[str]:
        """Save the findings of the active series as a structured report (.dcm), a table (.csv) or JSON.

        Args:
            path: The file.
            then: Gets what was compared, on the main thread.
            failed: Gets the error, on the main thread.

        Raises:
            InputError: No series is open.
        """
        volume = self.workspace.active_volume
        if volume is None:
            raise InputError("No series is open.", "Open a series first.")
        entries, sources = self.findings.shown, sources_of(self.importing, volume)
        reader = self.settings.current.reader_name
        return self.jobs.submit(
            Text("Saving findings"),
            lambda progress: findings_export.write(path, entries, volume, sources, reader, progress),
            lane=Lane.DISK,
            then=then,
            failed=failed,
        )

    def save_maps(self, folder: Path) -> Job[tuple[Proof, ...]]:
        """Save the maps that came with the latest answer of a plugin, each proved.

        Raises:
            InputError: There are none.
        """
        last = self.analysis.last
        if last is None or not last.result.maps:
            raise InputError(Text("There are no maps to save."), Text("Ask for one, and run the plugin again."))
        sources = sources_of(self.importing, last.volume)
        return self.jobs.submit(
            Text("Saving maps"),
            lambda progress: answer_maps.save_all(last.result.maps, last.volume, sources, folder, progress),
            lane=Lane.DISK,
        )

    def save_evidence(self, folder: Path) -> Job[tuple[Proof, ...]]:
        """Save the evidence that is drawn over the image: as NIfTI, and from a DICOM volume as a parametric map too.

        Raises:
            InputError: None is drawn.
        """
        drawn = self.evidence.drawn
        if drawn is None:
            raise InputError(Text("There is no evidence to save."), Text("Ask a model where it looked first."))
        evidence, volume = drawn
        # parametric maps lie in the patient, and pictures do not
        sources = sources_of(self.importing, volume) if volume.is_spatial else ()
        return self.jobs.submit(
            Text("Saving maps"),
            lambda progress: answer_maps.save_all((evidence,), volume, sources, folder, progress),
            lane=Lane.DISK,
        )

    def deidentify(self, paths: Sequence[Path], target: Path, options: Options) -> Job[Deidentified]:
        """Copy files and folders without names into a new folder; patients bear the pseudonyms of the examples.

        Raises:
            InputError: The folder is not empty, or lies among the files.
        """
        check_target(paths, target)
        secret_folder = self.teaching.store.folder
        return self.jobs.submit(
            Text("Copying without names"),
            lambda progress: deidentify(paths, target, secret_folder, options, progress),
            lane=Lane.DISK,
        )

    def close(self, timeout_s: float = 5.0) -> None:
        """Stop the jobs, then finish what is being corrected or kept. Unsaved work stays in its journal."""
        self.jobs.close(timeout_s)
        self.correction.close()
        self.measuring.close()
        self.findings.close()
        self.reviewing.close()
