"""Colours, type and icons of the window, dark and light."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtGui import QColor, QFont, QIcon, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from medview.core.folders import resources_folder
from medview.ui.signs import sign_icon
from medview.workstation.view_state import ViewName

TEXT_PX = 13
NUMBER_PX = 15
STEP_PX = 4
"""Spacing comes in steps of this."""

PLANE_COLORS = {
    ViewName.AXIAL: "#e0504a",
    ViewName.SAGITTAL: "#e8c53a",
    ViewName.CORONAL: "#4cba5c",
    ViewName.VOLUME: "#6f9bd8",
}
"""Axial red, sagittal yellow, coronal green, as in every workstation; the 3D view is blue."""


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of one look, as "#rrggbb". Text on its ground has a contrast of 4.5:1 or more."""

    name: str
    window: str
    panel: str
    field: str
    line: str
    hover: str
    text: str
    quiet: str
    accent: str
    on_accent: str
    warning: str
    danger: str
    good: str


DARK = Theme(
    name="dark",
    window="#1b1d21",
    panel="#23262b",
    field="#1b1d21",
    line="#33373e",
    hover="#2d3138",
    text="#e6e8eb",
    quiet="#9aa3ad",
    accent="#4aa3ff",
    on_accent="#0b1016",
    warning="#f2b84b",
    danger="#ff6b5e",
    good="#5fcf80",
)
LIGHT = Theme(
    name="light",
    window="#e9ebee",
    panel="#f7f8f9",
    field="#ffffff",
    line="#cdd2d8",
    hover="#e3e7ec",
    text="#1b1d21",
    quiet="#55606b",
    accent="#0a5fc0",
    on_accent="#ffffff",
    warning="#855400",
    danger="#b3261e",
    good="#1a6e35",
)


def theme_named(name: str) -> Theme:
    """The theme with this name; dark when there is none."""
    return LIGHT if name == LIGHT.name else DARK


def current_theme() -> Theme:
    """The theme that the program wears."""
    return DARK if QApplication.palette().color(QPalette.ColorRole.Window) == QColor(DARK.window) else LIGHT


def apply_theme(app: QApplication, theme: Theme) -> None:
    """Dress the whole program."""
    font = QFont(app.font())
    font.setPixelSize(TEXT_PX)
    app.setFont(font)
    app.setPalette(_palette(theme))
    app.setStyleSheet(_style(theme))


def number_font(font: QFont, px: int = NUMBER_PX) -> QFont:
    """The font for numbers that matter: larger, and every figure equally wide."""
    numbers = QFont(font)
    numbers.setPixelSize(px)
    numbers.setFeature(QFont.Tag("tnum"), 1)
    return numbers


def icon(name: str, color: str = "") -> QIcon:
    """An icon of the Material Design family, in the colour of the text.

    Args:
        name: As "folder-open".
        color: Another colour, "#rrggbb".
    """
    theme = current_theme()
    return sign_icon(name, color or theme.text, theme.line)


def set_role(widget: QWidget, role: str) -> None:
    """Give a widget one of the looks of the style sheet: "quiet", "title", "danger", "primary", ..."""
    if widget.property("role") != role:
        widget.setProperty("role", role)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def _palette(theme: Theme) -> QPalette:
    palette = QPalette()
    roles = {
        QPalette.ColorRole.Window: theme.window,
        QPalette.ColorRole.WindowText: theme.text,
        QPalette.ColorRole.Base: theme.field,
        QPalette.ColorRole.AlternateBase: theme.panel,
        QPalette.ColorRole.Text: theme.text,
        QPalette.ColorRole.Button: theme.panel,
        QPalette.ColorRole.ButtonText: theme.text,
        QPalette.ColorRole.BrightText: theme.text,
        QPalette.ColorRole.ToolTipBase: theme.panel,
        QPalette.ColorRole.ToolTipText: theme.text,
        QPalette.ColorRole.PlaceholderText: theme.quiet,
        QPalette.ColorRole.Highlight: theme.accent,
        QPalette.ColorRole.HighlightedText: theme.on_accent,
        QPalette.ColorRole.Accent: theme.accent,
        QPalette.ColorRole.Link: theme.accent,
        QPalette.ColorRole.Light: theme.line,
        QPalette.ColorRole.Midlight: theme.line,
        QPalette.ColorRole.Mid: theme.line,
        QPalette.ColorRole.Dark: theme.line,
    }
    for role, color in roles.items():
        palette.setColor(role, QColor(color))
    for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(theme.quiet))
    return palette


def _style(theme: Theme) -> str:
    t = theme
    check = (resources_folder() / "icons" / "check.svg").as_posix()
    return f"""
    QMainWindow, QDialog {{ background: {t.window}; }}
    QToolTip {{ background: {t.panel}; color: {t.text}; border: 1px solid {t.line}; padding: 4px; }}
    QSplitter::handle {{ background: {t.window}; }}
    QSplitter::handle:hover {{ background: {t.accent}; }}

    QFrame[role="panel"] {{ background: {t.panel}; }}
    QScrollArea, QScrollArea > QWidget > QWidget {{ background: transparent; border: none; }}
    QLabel[role="quiet"] {{ color: {t.quiet}; }}
    QLabel[role="title"] {{ font-weight: 600; }}
    QLabel[role="heading"] {{ color: {t.quiet}; font-weight: 600; padding-top: 4px; }}
    QLabel[role="hero"] {{ font-size: 22px; }}
    QLabel[role="good"] {{ color: {t.good}; }}
    QLabel[role="warning"] {{ color: {t.warning}; }}
    QLabel[role="danger"] {{ color: {t.danger}; }}
    QFrame[role="line"] {{ background: {t.line}; border: none; max-height: 1px; min-height: 1px; }}
    QFrame[role="card"] {{ background: {t.hover}; border: 1px solid {t.line}; border-radius: 4px; }}
    QFrame[role="error"] {{ background: {t.panel}; border: 1px solid {t.danger}; border-radius: 4px; }}
    QFrame[role="offer"] {{ background: {t.panel}; border: 1px solid {t.accent}; border-radius: 4px; }}
    QFrame[role="done"] {{ background: {t.panel}; border: 1px solid {t.good}; border-radius: 4px; }}

    QToolBar {{ background: {t.panel}; border: none; border-bottom: 1px solid {t.line}; padding: 4px; spacing: 4px; }}
    QToolBar::separator {{ background: {t.line}; width: 1px; margin: 4px 4px; }}
    QStatusBar {{ background: {t.panel}; border-top: 1px solid {t.line}; }}
    QStatusBar::item {{ border: none; }}

    QToolButton {{ border: 1px solid transparent; border-radius: 4px; padding: 4px 8px; color: {t.text}; }}
    QToolButton:hover {{ background: {t.hover}; }}
    QToolButton:pressed {{ background: {t.line}; }}
    QToolButton:checked {{ background: {t.hover}; border-color: {t.accent}; }}
    QToolButton:disabled {{ color: {t.quiet}; }}
    QToolButton:focus {{ border-color: {t.accent}; }}
    QToolButton[popupMode="1"] {{ padding-right: 20px; }}
    QToolButton[popupMode="2"] {{ padding-right: 18px; }}
    QToolButton::menu-indicator {{ subcontrol-position: right center; right: 4px; }}
    QToolButton::menu-button {{ border: none; width: 16px; }}
    QToolButton[role="flat"] {{ padding: 2px; }}
    QToolButton[role="mode"] {{ border: 1px solid {t.line}; padding: 4px 12px; }}
    QToolButton[role="mode"]:checked {{ background: {t.accent}; color: {t.on_accent}; border-color: {t.accent}; }}

    QPushButton {{ background: {t.hover}; border: 1px solid {t.line}; border-radius: 4px; padding: 4px 12px; }}
    QPushButton:hover {{ border-color: {t.quiet}; }}
    QPushButton:pressed {{ background: {t.line}; }}
    QPushButton:focus {{ border-color: {t.accent}; }}
    QPushButton:disabled {{ color: {t.quiet}; background: transparent; }}
    QPushButton[role="primary"] {{ background: {t.accent}; color: {t.on_accent}; border-color: {t.accent}; }}
    QPushButton[role="primary"]:hover {{ border-color: {t.text}; }}
    QPushButton[role="primary"]:disabled {{ background: transparent; color: {t.quiet}; border-color: {t.line}; }}
    QPushButton[role="link"] {{ background: transparent; border-color: transparent; color: {t.accent}; padding: 2px; }}
    QPushButton[role="link"]:hover {{ text-decoration: underline; }}
    QPushButton[role="link"]:focus {{ border-color: {t.accent}; }}

    QCheckBox {{ spacing: 8px; }}
    QCheckBox::indicator {{
        width: 14px; height: 14px; border: 1px solid {t.quiet}; border-radius: 3px; background: {t.field}; }}
    QCheckBox::indicator:hover {{ border-color: {t.accent}; }}
    QCheckBox::indicator:checked {{ background: {t.accent}; border-color: {t.accent}; image: url("{check}"); }}
    QListWidget::item:selected {{ background: {t.line}; color: {t.text}; }}

    QLineEdit, QPlainTextEdit, QTextBrowser, QAbstractSpinBox, QComboBox {{
        background: {t.field}; border: 1px solid {t.line}; border-radius: 4px; padding: 4px; color: {t.text};
        selection-background-color: {t.accent}; selection-color: {t.on_accent}; }}
    QLineEdit:focus, QPlainTextEdit:focus, QAbstractSpinBox:focus, QComboBox:focus {{ border-color: {t.accent}; }}
    QComboBox QAbstractItemView {{ background: {t.panel}; border: 1px solid {t.line}; }}
    QMenu {{ background: {t.panel}; border: 1px solid {t.line}; padding: 4px; }}
    QMenu::item {{ padding: 4px 24px 4px 24px; border-radius: 4px; }}
    QMenu::item:selected {{ background: {t.hover}; }}
    QMenu::item:disabled {{ color: {t.quiet}; }}
    QMenu::separator {{ background: {t.line}; height: 1px; margin: 4px; }}

    QTreeWidget, QTreeView, QTableWidget, QListWidget {{ background: {t.panel}; border: none; outline: none; }}
    QTreeWidget::item {{ padding: 2px 0px; border-radius: 4px; }}
    QTreeWidget::item:hover, QTreeView::item:hover {{ background: {t.hover}; }}
    QTreeWidget::item:selected, QTreeView::item:selected {{ background: {t.line}; color: {t.text}; }}
    QHeaderView::section {{ background: {t.panel}; color: {t.quiet}; border: none; padding: 4px; }}
    QTabWidget::pane {{ border: none; }}
    QTabBar {{ background: {t.panel}; }}
    QTabBar::tab {{ padding: 8px 16px; color: {t.quiet}; border-bottom: 2px solid transparent; }}
    QTabBar::tab:hover {{ color: {t.text}; }}
    QTabBar::tab:selected {{ color: {t.text}; border-bottom-color: {t.accent}; }}

    QProgressBar {{ background: {t.line}; border: none; border-radius: 2px; max-height: 4px; min-height: 4px; }}
    QProgressBar::chunk {{ background: {t.accent}; border-radius: 2px; }}
    QSlider::groove:horizontal {{ background: {t.line}; height: 4px; border-radius: 2px; }}
    QSlider::sub-page:horizontal {{ background: {t.accent}; border-radius: 2px; }}
    QSlider::handle:horizontal {{
        background: {t.text}; width: 12px; height: 12px; margin: -4px 0; border-radius: 6px; }}
    QScrollBar:vertical {{ background: transparent; width: 8px; margin: 0; }}
    QScrollBar:horizontal {{ background: transparent; height: 8px; margin: 0; }}
    QScrollBar::handle {{ background: {t.line}; border-radius: 4px; min-height: 24px; min-width: 24px; }}
    QScrollBar::handle:hover {{ background: {t.quiet}; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
    QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
    """
