"""Lists as high as their rows, up to a limit."""

from __future__ import annotations

from PySide6.QtWidgets import QListView


def fit_to_rows(rows: QListView, most_px: int) -> None:
    """Make a list of even rows as high as these, and no higher than `most_px`; it scrolls then."""
    model = rows.model()
    count = model.rowCount()
    row_px = rows.sizeHintForRow(0) if count else 0
    rows.setFixedHeight(min(max(count, 1) * row_px + 2 * rows.frameWidth(), most_px))
