"""The user's choices; each takes effect at once."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFormLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from medview.core.errors import StorageError
from medview.ui.banner import Banner
from medview.ui.theme import STEP_PX, set_role
from medview.ui.translation import LANGUAGES
from medview.workstation.settings import SettingsStore

_THEMES = ("dark", "light")
_MB_IN_GB = 1024
_MOST_GB = 500


class SettingsDialog(QDialog):
    """Language, theme, reader, wheel, how models compute, and what is kept of their answers."""

    def __init__(self, settings: SettingsStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self.setMinimumWidth(420)
        current = settings.current
        self._banner = Banner()
        self._language = QComboBox()
        self._language.addItem("", "")
        for code, name in LANGUAGES:
            self._language.addItem(name, code)
        self._language.setCurrentIndex(max(0, self._language.findData(current.language)))
        self._theme = QComboBox()
        for name in _THEMES:
            self._theme.addItem("", name)
        self._theme.setCurrentIndex(max(0, self._theme.findData(current.theme)))
        self._reader = QLineEdit(current.reader)
        self._wheel = QCheckBox()
        self._wheel.setChecked(current.wheel_down_to_feet)
        self.exact = QCheckBox()
        self.exact.setChecked(current.exact)
        self.kept_answers = QSpinBox()
        self.kept_answers.setRange(0, _MOST_GB)
        self.kept_answers.setSuffix(" GB")
        self.kept_answers.setValue(-(-current.kept_answers_mb // _MB_IN_GB))
        self._labels = [QLabel() for _ in range(4)]
        self._folder = QLabel()
        self._folder.setWordWrap(True)
        set_role(self._folder, "quiet")
        form = QFormLayout()
        form.setSpacing(3 * STEP_PX)
        fields = (self._language, self._theme, self._reader, self.kept_answers)
        for label, field in zip(self._labels, fields, strict=True):
            form.addRow(label, field)
        form.addRow(self._wheel)
        form.addRow(self.exact)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(5 * STEP_PX, 5 * STEP_PX, 5 * STEP_PX, 5 * STEP_PX)
        layout.setSpacing(4 * STEP_PX)
        layout.addWidget(self._banner)
        layout.addLayout(form)
        layout.addWidget(self._folder)
        self._language.currentIndexChanged.connect(lambda: self._choose(language=self._language.currentData()))
        self._theme.currentIndexChanged.connect(lambda: self._choose(theme=self._theme.currentData()))
        self._reader.editingFinished.connect(lambda: self._choose(reader=self._reader.text().strip()))
        self._wheel.toggled.connect(lambda on: self._choose(wheel_down_to_feet=on))
        self.exact.toggled.connect(lambda on: self._choose(exact=on))
        self.kept_answers.valueChanged.connect(lambda gb: self._choose(kept_answers_mb=gb * _MB_IN_GB))
        self.write()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange and hasattr(self, "_folder"):
            self.write()

    def write(self) -> None:
        """Put the words into the present language."""
        self.setWindowTitle(self.tr("Settings"))
        names = (self.tr("Language"), self.tr("Theme"), self.tr("Reader's name"), self.tr("Answers of plugins kept"))
        for label, text in zip(self._labels, names, strict=True):
            label.setText(text)
        self._language.setItemText(0, self.tr("As the system"))
        self._theme.setItemText(0, self.tr("Dark, for reading rooms"))
        self._theme.setItemText(1, self.tr("Light, for offices"))
        self._reader.setPlaceholderText(self._settings.current.reader_name)
        self._wheel.setText(self.tr("Wheel towards you goes to the feet"))
        self.exact.setText(self.tr("Models compute exactly (slower)"))
        self.exact.setToolTip(self.tr("In float32, also where shorter numbers were found to say the same"))
        self.kept_answers.setSpecialValueText(self.tr("None"))
        self.kept_answers.setToolTip(
            self.tr("The same question is then answered at once, from your data folder; the oldest ones go first")
        )
        self._folder.setText(self.tr("Kept with every example: who saved it, and when."))

    def _choose(self, **choice: Any) -> None:
        try:
            self._settings.update(**choice)
        except StorageError as error:
            self._banner.show_error(error)
