"""A document in its window: words, and the pages of a PDF."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QMarginsF, QSizeF, QUrl
from PySide6.QtGui import QPageLayout, QPageSize, QPainter, QPdfWriter
from PySide6.QtPdf import QPdfDocument
from pytestqt.qtbot import QtBot

from medview.core.case import Patient, Series, Study
from medview.core.document import Document, ImageRef, Line
from medview.core.text import Text
from medview.core.volume import Modality
from medview.ui.document_view import DocumentView
from medview.workstation.named_images import ImagePlace

pytestmark = pytest.mark.gui


def pdf_of(path: Path, pages: int) -> bytes:
    """A PDF in red, written by Qt."""
    writer = QPdfWriter(str(path))
    writer.setPageLayout(
        QPageLayout(QPageSize(QSizeF(100, 100), QPageSize.Unit.Point), QPageLayout.Orientation.Portrait, QMarginsF())
    )
    painter = QPainter(writer)
    for number in range(pages):
        if number:
            writer.newPage()
        painter.fillRect(0, 0, writer.width(), writer.height(), "red")
    painter.end()
    return path.read_bytes()


def test_the_pages_of_a_pdf_are_shown(qtbot: QtBot, tmp_path: Path) -> None:
    content = pdf_of(tmp_path / "a.pdf", 3)
    view = DocumentView(Document(Text("a PDF document"), "Letter", (), (), content, ".pdf"))
    view.show()
    assert view.pages is not None
    pages = view.pages.document()
    assert isinstance(pages, QPdfDocument)
    assert pages.pageCount() == 3

    def is_red() -> bool:
        assert view.pages is not None
        shot = view.pages.viewport().grab().toImage()
        color = shot.pixelColor(shot.width() // 2, shot.height() // 3)
        return color.red() > 200 and color.green() < 60

    qtbot.waitUntil(is_red)
    view.close()


def test_a_damaged_pdf_can_still_be_given_to_another_program(qtbot: QtBot) -> None:
    view = DocumentView(Document(Text("a PDF document"), "Letter", (), (), b"%PDF-1.4 cut off", ".pdf"))
    view.show()
    assert view.pages is None
    assert view.open_button.isVisible()
    view.close()


def test_words_are_shown_by_level(qtbot: QtBot) -> None:
    lines = (Line(0, "Findings"), Line(1, "Volume", "12.3 ml"), Line(1, "", "No <mass>."))
    view = DocumentView(Document(Text("a report"), "Report", ((Text("Patient"), "Doe"),), lines))
    view.show()
    words = view.text.toPlainText()
    assert [part in words for part in ("Patient", "Doe", "Findings", "Volume: 12.3 ml", "No <mass>.")] == [True] * 5
    assert not view.open_button.isVisible()
    view.close()


def test_a_click_on_an_image_asks_for_it(qtbot: QtBot) -> None:
    one, other = ImageRef("1.2.3"), ImageRef("1.2.4", 7)
    lines = (Line(0, "Source", "MR Image ...3", (one,)), Line(0, "Source", "MR Image ...4", (other,)))
    study = Study("1", Patient("p", "Doe"), "", "", "")
    place = ImagePlace(Series("9", study, Modality.MR, "Brain", 1, "", (), 1, None), 0, 3, 12)
    view = DocumentView(Document(Text("a selection of key images"), "", (), lines), places={one: place})
    asked: list[object] = []
    view.image_asked.connect(asked.append)
    view.show()
    assert "Brain, image 12" in view.text.toPlainText()
    assert "MR Image ...4" in view.text.toPlainText()  # which is not here
    view.text.anchorClicked.emit(QUrl("image:0"))
    assert asked == [place]
    view.close()
