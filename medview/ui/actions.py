"""Everything that can be done with a key or a button of the tool bar: one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget

from medview.core.text import Text
from medview.ui.theme import icon
from medview.ui.translation import render


class Group(StrEnum):
    """Where the Help lists an action."""

    FILE = "Files"
    READ = "Reading"
    MEASURE = "Measuring"
    CORRECT = "Correcting"
    WINDOW = "Window"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table.

    Attributes:
        id: Its name in the program.
        text: What it does.
        keys: Its keys; the first one is shown in tips.
        group: Where the Help lists it.
        icon: Name of its icon; empty for none.
        checkable: Whether it is on or off.
        in_views: Whether its keys count only while a view has the keyboard: they mean something else in lists.
    """

    id: str
    text: Text
    keys: tuple[str, ...]
    group: Group
    icon: str = ""
    checkable: bool = False
    in_views: bool = False


_R, _M, _C, _W, _F = Group.READ, Group.MEASURE, Group.CORRECT, Group.WINDOW, Group.FILE
TABLE = (
    Entry("open-folder", Text("Open a folder ..."), ("Ctrl+O",), _F, "folder-open-outline"),
    Entry("open-files", Text("Open files ..."), ("Ctrl+Shift+O",), _F),
    Entry("archive", Text("Search an archive (PACS) ..."), ("Ctrl+Shift+A",), _F),
    Entry("sample", Text("Open the sample study"), (), _F),
    Entry("save-example", Text("Save as training example"), ("Ctrl+S",), _F),
    Entry("save-masks", Text("Save masks as files ..."), ("Ctrl+Shift+S",), _F, "content-save-outline"),
    Entry("close-case", Text("Close the case"), ("Ctrl+W",), _F),
    Entry("quit", Text("Quit"), ("Ctrl+Q",), _F),
    Entry("view", Text("View: read the images"), ("V",), _R, checkable=True),
    Entry("edit", Text("Edit: correct the masks"), ("E",), _C, checkable=True),
    Entry("up", Text("Slice up"), ("Up",), _R, in_views=True),
    Entry("down", Text("Slice down"), ("Down",), _R, in_views=True),
    Entry("up-ten", Text("Ten slices up"), ("Shift+Up",), _R, in_views=True),
    Entry("down-ten", Text("Ten slices down"), ("Shift+Down",), _R, in_views=True),
    Entry("first", Text("First slice"), ("Home",), _R, in_views=True),
    Entry("last", Text("Last slice"), ("End",), _R, in_views=True),
    Entry("previous-series", Text("Previous series"), ("PgUp",), _R, in_views=True),
    Entry("next-series", Text("Next series"), ("PgDown",), _R, in_views=True),
    Entry("play", Text("Play phases or pictures, or stop"), ("C",), _R),
    Entry("next-phase", Text("Next phase or picture"), ("]",), _R),
    Entry("previous-phase", Text("Previous phase or picture"), ("[",), _R),
    Entry("next-view", Text("Next view"), ("Tab",), _R, in_views=True),
    Entry("maximise", Text("One view large, or all four"), ("Return", "Enter"), _R, in_views=True),
    Entry("reset", Text("Reset zoom, position and window"), ("Esc",), _R, "backup-restore"),
    Entry("stored-window", Text("Window as stored in the file"), ("0",), _R),
    Entry("invert", Text("Exchange black and white"), ("Shift+I",), _R, "invert-colors", checkable=True),
    Entry("voxels", Text("True voxels, not smoothed"), ("P",), _R, checkable=True),
    Entry("masks", Text("Show the masks"), ("G",), _R, "layers-outline", checkable=True),
    Entry("annotations", Text("Show text and crosshair"), ("I",), _R, "format-text", checkable=True),
    Entry("measure-length", Text("Length"), ("D",), _M, "ruler", checkable=True),
    Entry("measure-angle", Text("Angle"), ("A",), _M, "angle-acute", checkable=True),
    Entry(
        "measure-two-lines", Text("Angle between two lines (Cobb)"), ("Shift+A",), _M, "angle-obtuse", checkable=True
    ),
    Entry("measure-ellipse", Text("Ellipse: area and values inside"), ("O",), _M, "ellipse-outline", checkable=True),
    Entry("measure-rectangle", Text("Rectangle: area and values inside"), ("R",), _M, "square-outline", checkable=True),
    Entry(
        "measure-polygon", Text("Polygon: area and values inside"), ("Shift+R",), _M, "vector-polygon", checkable=True
    ),
    Entry("measure-point", Text("Value at a point"), ("H",), _M, "crosshairs", checkable=True),
    Entry(
        "delete-measurement",
        Text("Delete the selected measurement"),
        ("Del",),
        _M,
        "delete-outline",
        in_views=True,
    ),
    Entry("copy-measurements", Text("Copy all measurements"), ("Ctrl+Shift+C",), _M, "content-copy"),
    Entry("edit-brush", Text("Brush"), ("B",), _C, "brush", checkable=True),
    Entry("edit-eraser", Text("Eraser"), ("X",), _C, "eraser", checkable=True),
    Entry("edit-outline", Text("Outline"), ("L",), _C, "lasso", checkable=True),
    Entry("edit-wire", Text("Live wire"), ("M",), _C, "magnet", checkable=True),
    Entry("edit-level", Text("Level tracing"), ("K",), _C, "waves", checkable=True),
    Entry("edit-grow", Text("Region"), ("W",), _C, "auto-fix", checkable=True),
    Entry("edit-threshold", Text("Threshold"), ("T",), _C, "tune-vertical", checkable=True),
    Entry("edit-seeds", Text("Grow from seeds"), ("Shift+W",), _C, "seed-outline", checkable=True),
    Entry("edit-scissors", Text("Scissors"), ("S",), _C, "content-cut", checkable=True),
    Entry("edit-island", Text("Islands"), ("J",), _C, "chart-bubble", checkable=True),
    Entry("edit-hint", Text("Scribble and click"), ("Q",), _C, "gesture-tap", checkable=True),
    Entry("pick-values", Text("Paint only values like those under the brush"), ("Shift+T",), _C),
    Entry("other-tool", Text("Brush or eraser, the other one"), ("Space",), _C, in_views=True),
    Entry(
        "step-back",
        Text("Take the last corner back; while reading, delete the selected measurement"),
        ("Backspace",),
        _C,
        in_views=True,
    ),
    Entry("smaller", Text("Smaller brush"), ("-",), _C),
    Entry("larger", Text("Larger brush"), ("=", "+"), _C),
    Entry("copy-up", Text("Copy the segment to the slice above, and go there"), ("Ctrl+Up",), _C, in_views=True),
    Entry("copy-down", Text("Copy the segment to the slice below, and go there"), ("Ctrl+Down",), _C, in_views=True),
    Entry("next-segment", Text("Next segment"), (".",), _C),
    Entry("previous-segment", Text("Previous segment"), (",",), _C),
    Entry("compare", Text("My masks, the model's, or the difference"), ("Shift+G",), _C),
    Entry("next-change", Text("Next changed slice"), ("Ctrl+PgDown",), _C),
    Entry("previous-change", Text("Previous changed slice"), ("Ctrl+PgUp",), _C),
    Entry("next-doubt", Text("Next doubtful place"), ("N",), _C),
    Entry("previous-doubt", Text("Previous doubtful place"), ("Shift+N",), _C),
    Entry("accept", Text("Accept the segmentation"), ("Ctrl+Return",), _C),
    Entry("comment", Text("Comment at the crosshair"), ("Shift+C",), _C),
    Entry("next-case", Text("Next open case"), ("Ctrl+Shift+N",), _R),
    Entry("previous-case", Text("Previous open case"), ("Ctrl+Shift+P",), _R),
    Entry("undo", Text("Undo"), ("Ctrl+Z",), _C, "undo"),
    Entry("redo", Text("Redo"), ("Ctrl+Y", "Ctrl+Shift+Z"), _C, "redo"),
    Entry("panels", Text("Fold the panels away, or show them"), ("F",), _W),
    Entry("full-screen", Text("Full screen"), ("F11",), _W, checkable=True),
    Entry("settings", Text("Settings"), ("Ctrl+,",), _W, "cog-outline"),
    Entry("help", Text("Help, with all keys"), ("?", "F1"), _W, "help-circle-outline"),
    *(Entry(f"digit-{n}", Text.of("Window preset {n}, or segment {n}", n=n), (str(n),), _R) for n in range(1, 10)),
)


class Actions(QObject):
    """The table as Qt actions of a window.

    Args:
        window: Keys count anywhere in it.
        views: Keys of `in_views` entries count only in here.
    """

    def __init__(self, window: QWidget, views: QWidget) -> None:
        super().__init__(window)
        self._actions: dict[str, QAction] = {}
        for entry in TABLE:
            action = QAction(window)
            action.setShortcuts([QKeySequence(key) for key in entry.keys])
            action.setCheckable(entry.checkable)
            if entry.in_views:
                action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                views.addAction(action)
            else:
                window.addAction(action)
            self._actions[entry.id] = action
        self.write()

    def __getitem__(self, id: str) -> QAction:
        return self._actions[id]

    def __iter__(self) -> Iterator[QAction]:
        return iter(self._actions.values())

    def on(self, id: str, call: Callable[[], object]) -> None:
        """Have `call` made when an action is chosen."""
        self._actions[id].triggered.connect(lambda _checked=False: call())

    def write(self) -> None:
        """Put texts, tips and icons into the present language and theme."""
        for entry in TABLE:
            action = self._actions[entry.id]
            text = render(entry.text)
            action.setText(text)
            key = QKeySequence(entry.keys[0]).toString(QKeySequence.SequenceFormat.NativeText) if entry.keys else ""
            action.setToolTip(f"{text}  ({key})" if key else text)
            if entry.icon:
                action.setIcon(icon(entry.icon))
