"""Masks saved as files: which formats, where, and what the proof of each file said."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, Qt, QUrl
from PySide6.QtGui import QCloseEvent, QDesktopServices, QMouseEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from medview.core.errors import MedViewError
from medview.core.segmentation import Segmentation
from medview.core.text import Text
from medview.ui.banner import Banner
from medview.ui.theme import STEP_PX, icon, set_role
from medview.ui.translation import render
from medview.ui.verdict_list import VerdictList
from medview.workstation import saving
from medview.workstation.jobs import Job, JobState
from medview.workstation.saving import SaveFormat, Verdict
from medview.workstation.station import Workstation

_PER_MILLE = 1000
_MOST_NAMES = 4
_FORMATS = {
    SaveFormat.SEG: (Text("DICOM SEG"), Text("a mask for each structure; most viewers read it")),
    SaveFormat.LABELMAP: (Text("DICOM label map"), Text("one map for many structures; small, for newer viewers")),
    SaveFormat.RTSTRUCT: (Text("RTSTRUCT"), Text("contours, for planning radiotherapy")),
    SaveFormat.REPORT: (Text("Report (SR)"), Text("volumes, values and what was measured; brings the DICOM SEG along")),
    SaveFormat.NIFTI: (Text("NIfTI"), Text("a label map, for research programs")),
    SaveFormat.NRRD: (Text("NRRD"), Text("a label map, for 3D Slicer and ITK")),
    SaveFormat.STL: (Text("STL"), Text("closed surfaces in mm, for 3D printing; a file for each structure")),
}


class SaveDialog(QDialog):
    """Saves a segmentation; shown beside the work, which goes on meanwhile. Main thread only.

    Args:
        station: Whose masks.
    """

    def __init__(self, station: Workstation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._station = station
        self._segmentation: Segmentation | None = None
        self._job: Job[tuple[Verdict, ...]] | None = None
        self.setMinimumWidth(620)
        self.banner = Banner()
        self._what = _label("title")
        self._facts = _label("quiet")
        self._caution = _label("warning")
        self.boxes = {one: QCheckBox() for one in SaveFormat}
        self._words = {one: _Words(box) for one, box in self.boxes.items()}
        self.boxes[SaveFormat.SEG].setChecked(True)
        self._no_dicom = _label("quiet")
        self.folder = QLineEdit()
        self.name = QLineEdit()
        self._choose = QPushButton()
        self._choose.clicked.connect(self._ask_folder)
        self._folder_label, self._name_label = QLabel(), QLabel()
        self._files = _label("quiet")
        self._replaced = _label("warning")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.verdicts = VerdictList()
        self._show = QPushButton()
        self._show.clicked.connect(self._show_folder)
        self.cancel_button, self.close_button, self.save_button = QPushButton(), QPushButton(), QPushButton()
        set_role(self.save_button, "primary")
        self.save_button.setDefault(True)
        self.save_button.clicked.connect(self.save)
        self.cancel_button.clicked.connect(self._cancel)
        self.close_button.clicked.connect(self.close)
        for box in self.boxes.values():
            box.toggled.connect(self._sync)
        self.folder.textChanged.connect(self._sync)
        self.name.textChanged.connect(self._sync)
        self._lay_out()
        self._connection = station.jobs.changed.connect(self._job_changed)
        self._write_texts()

    def offer(self, segmentation: Segmentation, folder: Path) -> None:
        """Ask how to save a segmentation.

        Args:
            segmentation: Which one.
            folder: Where to, until the reader has chosen a folder.
        """
        if segmentation is not self._segmentation:
            self._segmentation = segmentation
            self.verdicts.clear()
            self.banner.clear()
            self.name.setText(saving.file_name(render(segmentation.title)))
        if not self.folder.text():
            self.folder.setText(str(folder))
        self._write_facts()
        self._sync()
        self.adjustSize()

    def save(self) -> None:
        """Save as what is chosen."""
        # Surfaces are made by VTK, which is loaded with the views already.
        from medview.views import surface_files

        if self._segmentation is None:
            return
        self.banner.clear()
        self.verdicts.clear()
        folder, name = Path(self.folder.text()).expanduser(), saving.file_name(self.name.text())
        try:
            self._job = self._station.save_masks(
                self._segmentation, self._chosen(), folder, name, surface_files.make_meshes
            )
        except MedViewError as error:
            self.banner.show_error(error)
        self._sync()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange) and hasattr(self, "verdicts"):
            self._write_texts()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Let go of the masks; what is being saved goes on."""
        super().closeEvent(event)
        if self._job is None:
            self._segmentation = None

    def close_down(self) -> None:
        """Stop listening."""
        self._connection.close()

    # What happens

    def _job_changed(self, job: Job[tuple[Verdict, ...]]) -> None:
        if job is not self._job:
            return
        if job.state.is_final:
            self._job = None
            if job.state is JobState.DONE:
                self.verdicts.show_verdicts(job.result or ())
                self.adjustSize()
            elif job.error is not None:
                self.banner.show_error(job.error)
        self._sync()

    def _cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()
            self._sync()

    def _ask_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Choose a folder"), self.folder.text())
        if chosen:
            self.folder.setText(chosen)

    def _show_folder(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(self.folder.text()))

    # What is shown

    def _chosen(self) -> list[SaveFormat]:
        return [one for one, box in self.boxes.items() if box.isChecked() and box.isEnabled()]

    def _sources(self) -> tuple[Path, ...]:
        if self._segmentation is None:
            return ()
        try:
            return self._station.saving.sources(self._segmentation)
        except MedViewError:
            return ()

    def _sync(self, _: object = None) -> None:
        segmentation, job = self._segmentation, self._job
        any_dicom = bool(self._sources())
        for one, box in self.boxes.items():
            box.setEnabled(job is None and (any_dicom or not one.needs_dicom))
        self._no_dicom.setVisible(segmentation is not None and not any_dicom)
        files: tuple[Path, ...] = ()
        if segmentation is not None and self.folder.text().strip():
            folder = Path(self.folder.text()).expanduser()
            named = saving.files_of(segmentation, self._chosen(), folder, saving.file_name(self.name.text()))
            files = tuple(path for _, path in named)
        shown = [path.name for path in files[:_MOST_NAMES]]
        more = len(files) - len(shown)
        names = ", ".join(shown)
        self._files.setText(render(Text.of("{names} and {count} more", names=names, count=more)) if more > 0 else names)
        there = sum(path.exists() for path in files)
        self._replaced.setText(
            render(Text.of("Files that are there already and will be replaced: {count}", count=there))
        )
        self._replaced.setVisible(there > 0 and job is None and not self.verdicts.any)
        self.save_button.setEnabled(job is None and bool(files))
        self.bar.setVisible(job is not None)
        self.cancel_button.setVisible(job is not None)
        self._show.setVisible(self.verdicts.any)
        if job is not None:
            self.bar.setRange(0, 0 if job.fraction is None else _PER_MILLE)
            if job.fraction is not None:
                self.bar.setValue(round(job.fraction * _PER_MILLE))
            self.cancel_button.setEnabled(not job.cancel_asked)

    def _write_facts(self) -> None:
        segmentation = self._segmentation
        if segmentation is None:
            return
        names = ", ".join(render(Text(one.name)) for one in segmentation.segments)
        self._what.setText(render(segmentation.title) or self.tr("Segmentation"))
        self._facts.setText(names)
        volume = next(
            (case.volume_under(segmentation.id) for case in self._station.workspace.cases
             if segmentation.id in case.segmentations),
            None,
        )  # fmt: skip
        caution = volume.caution if volume is not None else None
        self._caution.setVisible(caution is not None)
        if caution is not None:
            self._caution.setText(render(Text.of("Numbers in a report will say: {caution}", caution=caution)))

    def _write_texts(self) -> None:
        self.setWindowTitle(self.tr("Save masks as files"))
        for one, (name, words) in _FORMATS.items():
            self.boxes[one].setText(render(name))
            self._words[one].setText(render(words))
        self._no_dicom.setText(
            self.tr("The image did not come from DICOM: objects that refer to DICOM images cannot be made.")
        )
        self._folder_label.setText(self.tr("Folder"))
        self._name_label.setText(self.tr("Name"))
        self._choose.setText(self.tr("Choose ..."))
        self._choose.setIcon(icon("folder-open-outline"))
        self._show.setText(self.tr("Show folder"))
        self.cancel_button.setText(self.tr("Cancel"))
        self.close_button.setText(self.tr("Close"))
        self.save_button.setText(self.tr("Save and prove"))
        self.verdicts.write_texts()
        self._write_facts()
        self._sync()

    def _lay_out(self) -> None:
        formats = QGridLayout()
        formats.setHorizontalSpacing(4 * STEP_PX)
        formats.setVerticalSpacing(STEP_PX)
        for row, one in enumerate(SaveFormat):
            formats.addWidget(self.boxes[one], row, 0)
            formats.addWidget(self._words[one], row, 1)
        formats.setColumnStretch(1, 1)
        place = QHBoxLayout()
        place.addWidget(self.folder, 1)
        place.addWidget(self._choose)
        form = QFormLayout()
        form.setSpacing(2 * STEP_PX)
        form.addRow(self._folder_label, place)
        form.addRow(self._name_label, self.name)
        form.addRow(QLabel(), self._files)
        buttons = QHBoxLayout()
        buttons.setSpacing(2 * STEP_PX)
        buttons.addWidget(self._show)
        buttons.addStretch(1)
        for button in (self.cancel_button, self.close_button, self.save_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(5 * STEP_PX, 4 * STEP_PX, 5 * STEP_PX, 4 * STEP_PX)
        layout.setSpacing(2 * STEP_PX)
        for above in (self.banner, self._what, self._facts, self._caution):
            layout.addWidget(above)
        layout.addSpacing(STEP_PX)
        layout.addLayout(formats)
        layout.addWidget(self._no_dicom)
        layout.addSpacing(STEP_PX)
        layout.addLayout(form)
        for below in (self._replaced, self.bar, self.verdicts):
            layout.addWidget(below)
        layout.addStretch(1)
        layout.addLayout(buttons)


class _Words(QLabel):
    """What a box means; a click on the words is a click on the box."""

    def __init__(self, box: QCheckBox) -> None:
        super().__init__()
        self._box = box
        self.setWordWrap(True)
        set_role(self, "quiet")

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Click the box."""
        super().mouseReleaseEvent(event)
        self._box.click()


def _label(role: str) -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.NoTextInteraction)
    set_role(label, role)
    return label
