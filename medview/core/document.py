"""Reports and other words that come with a study, as something to read."""

from __future__ import annotations

from dataclasses import dataclass

from medview.core.text import Text


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image that a document names.

    Attributes:
        uid: Of the instance.
        frame: Its number in the instance, from 1; None for the instance as a whole.
    """

    uid: str
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a document.

    Attributes:
        level: How deep it lies in the document's tree; 0 for what stands at its top.
        name: What it is about, as "Volume"; empty for plain text. The document's own words, or a text of ours.
        value: What is said, as "12.3 ml"; empty for a heading.
        images: The images that it is about.
    """

    level: int
    name: str | Text
    value: str = ""
    images: tuple[ImageRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a study.

    Attributes:
        kind: What it is, as "a report".
        title: Its own title.
        about: Facts of the document as a whole: name and value.
        lines: What it says, from top to bottom.
        attachment: A whole file inside it, as a PDF; empty where there is none.
        suffix: How the name of such a file ends, as ".pdf".
    """

    kind: Text
    title: str
    about: tuple[tuple[Text, str], ...] = ()
    lines: tuple[Line, ...] = ()
    attachment: bytes = b""
    suffix: str = ""
