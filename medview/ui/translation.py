"""The program's languages.

The catalogue of a language is a folder of JSON files, each a flat object from the English sentence to the translated
one. `tr()` in widgets and `render()` for the sentences of the layers below look into the same catalogue.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QLocale, QObject, QTranslator

from medview.core.folders import resources_folder
from medview.core.text import Text

_log = logging.getLogger(__name__)
ENGLISH = "en"
CHINESE = "zh_CN"
LANGUAGES = ((ENGLISH, "English"), (CHINESE, "简体中文"))
"""Code and own name of every language that is shipped."""


def render(text: Text) -> str:
    """A sentence in the language of the window."""
    return text.render(translated)


def language_of(choice: str) -> str:
    """The language to use for a choice in the settings: "" follows the system."""
    if choice in dict(LANGUAGES):
        return choice
    return CHINESE if QLocale.system().language() == QLocale.Language.Chinese else ENGLISH


def catalogue(language: str) -> dict[str, str]:
    """English sentence -> translated sentence, of all parts of the program. English needs none."""
    entries: dict[str, str] = {}
    for file in sorted((resources_folder() / "translations" / language).glob("*.json")):
        entries |= _read(file)
    return entries


class Catalogue(QTranslator):
    """Answers `tr()` from the catalogue, whatever the class that asks."""

    def __init__(self, entries: dict[str, str], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._entries = entries

    def isEmpty(self) -> bool:
        """Whether there is nothing to answer with."""
        return not self._entries

    def translate(
        self, _context: str, source_text: str, /, _disambiguation: str | None = None, _n: int = -1
    ) -> str:  # Qt names the arguments otherwise; it never passes them by name
        """The translated sentence; the English one where there is none. Translators behind this one are not asked."""
        return self._entries.get(source_text, source_text)


class Languages(QObject):
    """Switches the language of the running program."""

    def __init__(self, app: QCoreApplication) -> None:
        super().__init__(app)
        self._app = app
        self._installed: list[QTranslator] = []
        self.current = ENGLISH

    def use(self, language: str, more: Mapping[str, str] | None = None) -> None:
        """Speak `language` from now on; widgets hear of it through `QEvent.LanguageChange`.

        Args:
            language: Its code.
            more: What plugins say, in that language.
        """
        if language == self.current:
            return
        self.current = language
        for translator in self._installed:
            self._app.removeTranslator(translator)
        self._installed.clear()
        QLocale.setDefault(QLocale(language))
        if language == ENGLISH:
            return
        self._installed.append(Catalogue({**(more or {}), **catalogue(language)}, self))
        # The translator that comes last is asked first.
        of_qt = QTranslator(self)
        if of_qt.load(f"qtbase_{language}", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)):
            self._installed.append(of_qt)
        for translator in self._installed:
            self._app.installTranslator(translator)


def translated(template: str) -> str:
    """An English template in the language of the window."""
    return QCoreApplication.translate("MedView", template)


def _read(file: Path) -> dict[str, str]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        _log.warning("The translations in %s cannot be read.", file.name, exc_info=True)
        return {}
    return {str(english): str(other) for english, other in entries.items() if other}
