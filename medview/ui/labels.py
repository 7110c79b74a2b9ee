"""Labels for sentences."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from medview.ui.theme import set_role


def wrapped(role: str = "") -> QLabel:
    """A label for plain text that goes on in the next line; `role` is its look, as for `set_role`."""
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    if role:
        set_role(label, role)
    return label
