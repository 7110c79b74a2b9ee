"""A window in which a document of a study is read."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from PySide6.QtCore import QBuffer, QByteArray, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QPushButton, QTextBrowser, QVBoxLayout, QWidget

from medview.core.document import Document, ImageRef
from medview.core.text import Text
from medview.ui.theme import STEP_PX, current_theme, set_role
from medview.ui.translation import render
from medview.workstation.named_images import ImagePlace

if TYPE_CHECKING:
    from PySide6.QtPdfWidgets import QPdfView

_WIDTH_PX, _HEIGHT_PX, _PAGE_HEIGHT_PX = 720, 640, 900
_ABOUT_PX = 110
_INDENT_PX = 18


class DocumentView(QDialog):
    """Shows one document; its text can be chosen and copied.

    Args:
        document: What to show.
        parent: The window that it belongs to.
        places: Of the images that it names, those that can be shown.
    """

    image_asked = Signal(object)
    """The `ImagePlace` of an image that was clicked."""

    def __init__(
        self,
        document: Document,
        parent: QWidget | None = None,
        *,
        places: Mapping[ImageRef, ImagePlace] = MappingProxyType({}),
    ) -> None:
        super().__init__(parent)
        self._document = document
        self._links = {f"image:{number}": place for number, place in enumerate(places.values())}
        names = {image: f"image:{number}" for number, image in enumerate(places)}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.setWindowTitle(document.title or render(document.kind))
        self.resize(_WIDTH_PX, _HEIGHT_PX)
        title = QLabel(document.title or render(document.kind))
        title.setWordWrap(True)
        set_role(title, "title")
        self.text = QTextBrowser()
        self.text.setOpenLinks(False)
        self.text.setHtml(as_html(document, {image: (link, self._links[link].name) for image, link in names.items()}))
        self.text.anchorClicked.connect(lambda url: self.image_asked.emit(self._links[url.toString()]))
        self.pages = self._pages() if document.suffix == ".pdf" else None
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.close)
        close = buttons.button(QDialogButtonBox.StandardButton.Close)
        close.setText(self.tr("Close"))
        layout = QVBoxLayout(self)
        layout.setSpacing(2 * STEP_PX)
        layout.addWidget(title)
        layout.addWidget(self.text, 0 if self.pages is not None else 1)
        if self.pages is not None:
            self.resize(_WIDTH_PX, _PAGE_HEIGHT_PX)
            self.text.setMaximumHeight(_ABOUT_PX)
            layout.addWidget(self.pages, 1)
        self.open_button = QPushButton(self.tr("Open in another program"))
        self.open_button.setVisible(bool(document.attachment))
        self.open_button.clicked.connect(self._open_attachment)
        layout.addWidget(self.open_button)
        layout.addWidget(buttons)

    def _pages(self) -> QPdfView | None:
        """The pages of a PDF, one below the other; None when it cannot be read here."""
        # not at the start of the program: few studies have one
        from PySide6.QtPdf import QPdfDocument
        from PySide6.QtPdfWidgets import QPdfView

        buffer = QBuffer(self)
        buffer.setData(QByteArray(self._document.attachment))
        buffer.open(QBuffer.OpenModeFlag.ReadOnly)
        pages = QPdfDocument(self)
        pages.load(buffer)
        if pages.status() is not QPdfDocument.Status.Ready:
            return None
        view = QPdfView(self)
        view.setDocument(pages)
        view.setPageMode(QPdfView.PageMode.MultiPage)
        view.setZoomMode(QPdfView.ZoomMode.FitToWidth)
        return view

    def _open_attachment(self) -> None:
        if self._folder is None:
            # gone with the window: patient data does not stay behind
            self._folder = tempfile.TemporaryDirectory(prefix="medview-")
        path = Path(self._folder.name) / f"document{self._document.suffix}"
        path.write_bytes(self._document.attachment)
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))


def as_html(document: Document, links: Mapping[ImageRef, tuple[str, Text]] = MappingProxyType({})) -> str:
    """The document as rich text.

    Args:
        document: What it says.
        links: The images that can be shown: what their link is, and what they are called.
    """
    theme = current_theme()
    parts = ["<table cellspacing='0' cellpadding='2'>"]
    for name, value in document.about:
        label = html.escape(render(name))
        parts.append(f"<tr><td style='color:{theme.quiet}'>{label}&nbsp;&nbsp;</td><td>{_escaped(value)}</td></tr>")
    parts.append("</table><hr/>" if document.lines else "</table>")
    for line in document.lines:
        about = render(line.name) if isinstance(line.name, Text) else line.name
        heading, value = _escaped(about), _escaped(line.value)
        known = [links[image] for image in line.images if image in links]
        if known and len(known) == len(line.images):
            value = ", ".join(
                f"<a href='{link}' style='color:{theme.accent}'>{_escaped(render(place))}</a>" for link, place in known
            )
        if heading and value:
            words = f"<span style='color:{theme.quiet}'>{heading}:</span> {value}"
        else:
            words = value or f"<b>{heading}</b>"
        parts.append(f"<p style='margin:2px 0 2px {_INDENT_PX * min(line.level, 12)}px'>{words}</p>")
    return "".join(parts)


def _escaped(text: str) -> str:
    return html.escape(text).replace("\n", "<br/>")
