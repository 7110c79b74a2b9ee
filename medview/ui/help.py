"""The Help: how the work goes, the tools that correct, what the mouse does, every key, and the licences."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import QEvent, QUrl
from PySide6.QtGui import QKeySequence, QTextDocument
from PySide6.QtWidgets import QDialog, QTabWidget, QTextBrowser, QVBoxLayout, QWidget

from medview import __version__
from medview.core.text import Text
from medview.ui.actions import TABLE, Group
from medview.ui.editing_desk import EDIT_ACTIONS
from medview.ui.theme import STEP_PX, current_theme, icon
from medview.ui.translation import render
from medview.views.gestures import GESTURES
from medview.workstation.edit_tools import TOOL_WORDS
from medview.workstation.view_state import Mode

_STEPS = (
    (
        Text("Open"),
        Text(
            "Drop a DICOM folder, or files, on the window. The largest volume opens by itself; the others are listed "
            "on the left. A red mark means that a series cannot be opened; click it to read why."
        ),
    ),
    (
        Text("Look"),
        Text(
            "Turn the wheel to scroll, drag with the left button to window, with the right one to zoom, with the "
            "middle one to pan. A click puts the crosshair in all views. Double click makes a view large."
        ),
    ),
    (
        Text("Measure"),
        Text(
            "Press D for a length, A for an angle, O or R for the values inside a region; drag, or click the points. "
            "What is drawn can be moved and deleted, is listed on the left, and comes back with its series. A number "
            "with a warning sign was taken where lengths cannot be trusted; point at it to read why."
        ),
    ),
    (
        Text("Analyse"),
        Text(
            "On the right, under Analyse, are the plugins that suit the series. Run one; you can go on reading "
            "meanwhile. What a classifier says stands under Findings: accept it, reject it, or say what it is. It "
            "counts only once you accept it. The magnifier asks the model where it looked, and draws that over the "
            "image: it is not where the disease is."
        ),
    ),
    (
        Text("Correct"),
        Text(
            "Press E. Paint with the left button, erase with the right one, change the radius with Shift and the "
            "wheel. The other tools are on the page beside this one; what they may paint over is chosen beneath them. "
            "Under Whole segment a segment is smoothed, grown, freed of small parts and holes, or split. "
            "With Scribble and click (Q) you say what is inside and what is outside, and a model, or a tool without "
            "one, finds the rest: it is hatched until Enter takes it. "
            "Ctrl+Z takes back. Every finished step is on disk at once: if the program ends, the work is offered "
            "again."
        ),
    ),
    (
        Text("Check"),
        Text(
            "Shift+G turns all views between your masks, those of the model and the difference: what was added, "
            "removed or given to another segment. Ctrl+PgDown and Ctrl+PgUp go from one changed slice to the next; "
            "under Changes they are listed, with the millilitres of each segment. A click under History goes back to "
            "any step, or forth again. "
            "N goes to the next place worth a second look: separate parts, holes, sudden changes of the area, leaks "
            "behind edges, unusual volumes, and where the model was not sure; Where to look lists them."
        ),
    ),
    (
        Text("Review"),
        Text(
            "The round sign in a segment's row says how far it is: not started, in progress, done or flagged. Under "
            "Review the whole is accepted, accepted as corrected, or rejected with a reason; Ctrl+Return accepts. "
            "Shift+C puts a comment at the crosshair; it stands there as a pin, and a click in the list goes to it. "
            "Who said what, when and after how much work is kept, and goes into the training example. Ctrl+Shift+N "
            "shows the next open case."
        ),
    ),
    (
        Text("Save"),
        Text(
            "Ctrl+Shift+S saves the masks as DICOM SEG, RTSTRUCT, report, NIfTI, NRRD or STL. Every file is read back "
            "in another way; a green line says that it is proved, a red one what differs."
        ),
    ),
    (
        Text("Teach"),
        Text(
            "Save as training example keeps the image, your masks and what was changed. Saving again makes a new "
            "revision. Exports are read back and compared before they count as saved."
        ),
    ),
)
_MODES = {Mode.VIEW: Text("View"), Mode.EDIT: Text("Edit"), None: Text("Both")}
_GROUPS = {
    Group.FILE: Text("Files"),
    Group.READ: Text("Reading"),
    Group.MEASURE: Text("Measuring"),
    Group.CORRECT: Text("Correcting"),
    Group.WINDOW: Text("Window"),
}
_PICTURE_PX = 32
_TOOL_ENTRIES = {tool: next(entry for entry in TABLE if entry.id == id) for tool, id in EDIT_ACTIONS}
_LICENCES = (
    ("PySide6, Qt", "LGPL-3.0"),
    ("VTK", "BSD-3-Clause"),
    ("pydicom, highdicom", "MIT"),
    ("SimpleITK", "Apache-2.0"),
    ("PyTorch", "BSD-3-Clause"),
    ("MONAI", "Apache-2.0"),
    ("imagecodecs (libjpeg-turbo), pyjpegls (CharLS), OpenJPEG", "BSD-3-Clause, BSD-2-Clause"),
    ("NumPy, pydantic, typer, rich, qtawesome", "BSD-3-Clause, MIT"),
    ("Material Design Icons", "Apache-2.0"),
)


class Help(QDialog):
    """Shown beside the window; never in its way."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.resize(720, 640)
        self._tabs = QTabWidget()
        self._pages = [QTextBrowser() for _ in range(5)]
        for page in self._pages:
            page.setOpenExternalLinks(False)
            self._tabs.addTab(page, "")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * STEP_PX, 2 * STEP_PX, 2 * STEP_PX, 2 * STEP_PX)
        layout.addWidget(self._tabs)
        self.write()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange) and hasattr(self, "_pages"):
            self.write()

    def write(self) -> None:
        """Put everything into the present language."""
        self.setWindowTitle(self.tr("MedView Help"))
        titles = (self.tr("The work"), self.tr("Tools"), self.tr("Mouse"), self.tr("Keys"), self.tr("About"))
        bodies = (self._work(), _tools(), _mouse(), _keys(), self._about())
        self._draw_tools(self._pages[1].document())
        for number, (title, body) in enumerate(zip(titles, bodies, strict=True)):
            self._tabs.setTabText(number, title)
            self._pages[number].setHtml(_style() + body)

    def _work(self) -> str:
        return "".join(f"<h3>{_text(title)}</h3><p>{_text(body)}</p>" for title, body in _STEPS)

    def _draw_tools(self, page: QTextDocument) -> None:
        """Give the page the pictures that its text names."""
        pixels = round(_PICTURE_PX * self.devicePixelRatioF())
        for entry in _TOOL_ENTRIES.values():
            picture = icon(entry.icon).pixmap(pixels, pixels)
            page.addResource(QTextDocument.ResourceType.ImageResource, QUrl(f"tool:{entry.icon}"), picture)

    def _about(self) -> str:
        rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(licence)}</td></tr>" for name, licence in _LICENCES)
        return (
            f"<h3>MedView {__version__}</h3>"
            f"<p>{escape(self.tr('Apache-2.0. For research; not a medical device, not for clinical decisions.'))}</p>"
            f"<p>{escape(self.tr('Patient data stay on this machine.'))}</p><table>{rows}</table>"
        )


def _tools() -> str:
    rows = "".join(
        f"<tr><td><img src='tool:{entry.icon}' width={_PICTURE_PX} height={_PICTURE_PX}></td>"
        f"<td><b>{_text(TOOL_WORDS[tool].name)}</b></td><td>{escape(_key_names(entry.keys))}</td>"
        f"<td>{_text(TOOL_WORDS[tool].help)}</td></tr>"
        for tool, entry in _TOOL_ENTRIES.items()
    )
    return f"<table>{rows}</table>"


def _mouse() -> str:
    rows = "".join(
        f"<tr><td>{_text(_MODES[one.mode])}</td><td><b>{_text(one.gesture)}</b></td><td>{_text(one.action)}</td></tr>"
        for one in GESTURES
    )
    return f"<table>{rows}</table>"


def _keys() -> str:
    parts = []
    for group in Group:
        rows = "".join(
            f"<tr><td><b>{escape(_key_names(entry.keys))}</b></td><td>{_text(entry.text)}</td></tr>"
            for entry in TABLE
            if entry.group is group and entry.keys
        )
        parts.append(f"<h3>{_text(_GROUPS[group])}</h3><table>{rows}</table>")
    return "".join(parts)


def _key_names(keys: tuple[str, ...]) -> str:
    return ",  ".join(QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText) for key in keys)


def _text(text: Text) -> str:
    return escape(render(text))


def _style() -> str:
    theme = current_theme()
    return f"<style>td {{ padding: 3px 14px 3px 0; }} h3 {{ color: {theme.accent}; }}</style>"
