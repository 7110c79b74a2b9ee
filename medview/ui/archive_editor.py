"""Where an archive is and how to be let in: entered, tried and kept."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QIntValidator
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from medview.core.errors import MedViewError
from medview.core.text import Text
from medview.network.address import Address, Kind
from medview.ui.banner import Banner, Message
from medview.ui.banner import Kind as BannerKind
from medview.ui.file_field import FileField
from medview.ui.theme import STEP_PX, set_role
from medview.workstation.archives import Archives
from medview.workstation.jobs import Job, JobQueue, JobState

_WIDTH_PX = 520
_LAST_PORT = 65535


class ArchiveEditor(QDialog):
    """Enters a new archive, or changes one.

    Args:
        archives: Where it is kept.
        jobs: For trying it.
        address: What is changed; None for a new one.
        parent: The window that it belongs to.
    """

    def __init__(
        self, archives: Archives, jobs: JobQueue, address: Address | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(_WIDTH_PX)
        self._archives = archives
        self._replaces = address.name if address is not None else ""
        self._trial: Job[Any] | None = None
        self._listener = jobs.changed.connect(self._job_changed)
        known = address or Address(name="")
        self.banner = Banner()
        self.kind = QComboBox()
        for kind in Kind:
            self.kind.addItem("", kind)
        self.kind.setCurrentIndex(list(Kind).index(known.kind))
        self.name, self.host, self.url = (QLineEdit(text) for text in (known.name, known.host, known.url))
        self.called_ae, self.calling_ae = QLineEdit(known.called_ae), QLineEdit(known.calling_ae)
        self.port, self.receive_port = _port(known.port), _port(known.receive_port)
        self.tls = QCheckBox()
        self.tls.setChecked(known.tls)
        self.user = QLineEdit(known.user)
        self.password, self.token = (_secret(one.get_secret_value()) for one in (known.password, known.token))
        self.ca_file, self.certificate_file, self.key_file = (FileField() for _ in range(3))
        for field, path in (
            (self.ca_file, known.ca_file),
            (self.certificate_file, known.certificate_file),
            (self.key_file, known.key_file),
        ):
            field.line.setText(path)
        self._form = QFormLayout()
        self._form.setSpacing(2 * STEP_PX)
        self._rows: list[tuple[QLabel, QWidget, tuple[Kind, ...]]] = []
        both = tuple(Kind)
        for widget, kinds in (
            (self.name, both),
            (self.kind, both),
            (self.host, (Kind.DIMSE,)),
            (self.port, (Kind.DIMSE,)),
            (self.called_ae, (Kind.DIMSE,)),
            (self.calling_ae, (Kind.DIMSE,)),
            (self.receive_port, (Kind.DIMSE,)),
            (self.tls, (Kind.DIMSE,)),
            (self.url, (Kind.DICOMWEB,)),
            (self.user, (Kind.DICOMWEB,)),
            (self.password, (Kind.DICOMWEB,)),
            (self.token, (Kind.DICOMWEB,)),
            (self.ca_file, both),
            (self.certificate_file, both),
            (self.key_file, both),
        ):
            label = QLabel()
            self._form.addRow(label, widget)
            self._rows.append((label, widget, kinds))
        self._note = QLabel()
        self._note.setWordWrap(True)
        set_role(self._note, "quiet")
        self.try_button, self.save_button, self._cancel = QPushButton(), QPushButton(), QPushButton()
        set_role(self.save_button, "primary")
        self.save_button.setDefault(True)
        self.try_button.setAutoDefault(False)
        self._cancel.setAutoDefault(False)
        self.try_button.clicked.connect(self._try)
        self.save_button.clicked.connect(self._save)
        self._cancel.clicked.connect(self.reject)
        buttons = QHBoxLayout()
        buttons.addWidget(self.try_button)
        buttons.addStretch(1)
        buttons.addWidget(self._cancel)
        buttons.addWidget(self.save_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(5 * STEP_PX, 5 * STEP_PX, 5 * STEP_PX, 5 * STEP_PX)
        layout.setSpacing(4 * STEP_PX)
        layout.addLayout(self._form)
        layout.addWidget(self._note)
        layout.addWidget(self.banner)
        layout.addLayout(buttons)
        self.kind.currentIndexChanged.connect(self._show_kind)
        self._write()
        self._show_kind()
        self.name.setFocus()

    def done(self, result: int) -> None:
        """Stop listening and waiting, however it is closed."""
        self._listener.close()
        if self._trial is not None:
            self._trial.cancel()
        super().done(result)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange and hasattr(self, "_note"):
            self._write()

    def _address(self) -> Address:
        kind = Kind(self.kind.currentData())
        return Address(
            name=self.name.text().strip(),
            kind=kind,
            host=self.host.text().strip(),
            port=_number(self.port),
            called_ae=self.called_ae.text().strip(),
            calling_ae=self.calling_ae.text().strip(),
            receive_port=_number(self.receive_port),
            tls=self.tls.isChecked(),
            url=self.url.text().strip(),
            user=self.user.text().strip(),
            password=SecretStr(self.password.text()),
            token=SecretStr(self.token.text().strip()),
            ca_file=self.ca_file.path,
            certificate_file=self.certificate_file.path,
            key_file=self.key_file.path,
        )

    def _try(self) -> None:
        self.banner.clear()
        address = self._address()
        if not address.name:
            address = address.model_copy(update={"name": address.place})
        try:
            address.require()
        except MedViewError as error:
            self.banner.show_error(error)
            return
        self._trial = self._archives.echo(address)
        self._show_trial()

    def _job_changed(self, job: Job[Any]) -> None:
        if job is not self._trial or not job.state.is_final:
            return
        self._trial = None
        self._show_trial()
        if job.state is JobState.FAILED and job.error is not None:
            self.banner.show_error(job.error)
        elif job.state is JobState.DONE:
            self.banner.show_message(
                Message(BannerKind.DONE, Text("The archive answers and lets this workstation in."))
            )
        self.adjustSize()

    def _show_trial(self) -> None:
        self.try_button.setEnabled(self._trial is None)
        self.try_button.setText(self.tr("Trying ...") if self._trial is not None else self.tr("Try it"))

    def _save(self) -> None:
        try:
            self._archives.list.put(self._address(), self._replaces)
        except MedViewError as error:
            self.banner.show_error(error)
            return
        self.accept()

    def _show_kind(self) -> None:
        kind = Kind(self.kind.currentData())
        for _, widget, kinds in self._rows:
            self._form.setRowVisible(widget, kind in kinds)
        self.adjustSize()

    def _write(self) -> None:
        self.setWindowTitle(self.tr("Edit the archive") if self._replaces else self.tr("Add an archive"))
        texts = (
            self.tr("Name"),
            self.tr("Kind"),
            self.tr("Host"),
            self.tr("Port"),
            self.tr("AE title of the archive"),
            self.tr("AE title of this workstation"),
            self.tr("Port to receive on"),
            "",
            self.tr("URL"),
            self.tr("User"),
            self.tr("Password"),
            self.tr("or a token"),
            self.tr("Trusted certificates"),
            self.tr("Own certificate"),
            self.tr("Its private key"),
        )
        for (label, _, _), text in zip(self._rows, texts, strict=True):
            label.setText(text)
        self.tls.setText(self.tr("Encrypt the connection (TLS)"))
        self.kind.setItemText(0, self.tr("DICOM (C-FIND, C-GET, C-MOVE, C-STORE)"))
        self.kind.setItemText(1, self.tr("DICOMweb (QIDO, WADO, STOW)"))
        self.name.setPlaceholderText(self.tr("What you call it"))
        self.host.setPlaceholderText(self.tr("pacs.hospital.example or 192.0.2.10"))
        self.url.setPlaceholderText("https://pacs.hospital.example/dicom-web")
        self.ca_file.line.setPlaceholderText(self.tr("PEM file; empty: those of the system"))
        self.certificate_file.line.setPlaceholderText(self.tr("PEM file; only where the archive asks for one"))
        self.receive_port.setToolTip(
            self.tr("Used only with archives that cannot send over the same connection (C-GET).")
        )
        self._note.setText(self.tr("Kept in your user folder, in a file that only you may read."))
        self._cancel.setText(self.tr("Cancel"))
        self.save_button.setText(self.tr("Save"))
        self._show_trial()


def _port(value: int) -> QLineEdit:
    line = QLineEdit(str(value))
    line.setValidator(QIntValidator(1, _LAST_PORT, line))
    line.setMaximumWidth(100)
    return line


def _number(line: QLineEdit) -> int:
    """A port that was typed; 0, which is none, where nothing was."""
    return int(line.text()) if line.text().isdecimal() else 0


def _secret(value: str) -> QLineEdit:
    line = QLineEdit(value)
    line.setEchoMode(QLineEdit.EchoMode.Password)
    return line
