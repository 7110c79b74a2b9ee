"""The words of a clinical document (HL7 CDA, release 2): its title, and the narrative of its sections.

Only what people are meant to read is taken: the elements `title` and `text`, in their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

from medview.core.document import Line

_MOST_BYTES = 16 << 20
_MOST_LINES = 20_000
_BLOCKS = frozenset({"paragraph", "item", "tr", "br", "caption", "list", "table"})


def lines_of(content: bytes) -> tuple[Line, ...]:
    """Headings and paragraphs of a document; none of one that is damaged, too large, or defines entities."""
    if len(content) > _MOST_BYTES or b"<!" in content.replace(b"<!--", b""):
        return ()  # entities can make gigabytes of some hundred bytes, and no clinical document needs them
    try:
        root = ElementTree.fromstring(content.rstrip(b"\0"))
    except (ElementTree.ParseError, LookupError, ValueError):
        return ()
    lines: list[Line] = []
    for line in _lines(root):
        lines.append(line)
        if len(lines) >= _MOST_LINES:
            break
    return tuple(lines)


def _lines(root: ElementTree.Element) -> Iterator[Line]:
    """Depth first, without recursion."""
    waiting = [(0, root)]
    while waiting:
        level, element = waiting.pop()
        name = _name(element)
        if name == "title":
            yield Line(max(level - 1, 0), " ".join("".join(element.itertext()).split()))
        elif name == "text":
            for paragraph in _paragraphs(element):
                yield Line(level, "", paragraph)
        else:
            inner = level + (name == "section")
            waiting.extend((inner, one) for one in reversed(element))


def _paragraphs(text: ElementTree.Element) -> Iterator[str]:
    """The paragraphs of a narrative, in one line each; cells of a table are set apart."""
    words: list[str] = []
    for event, element in _walked(text):
        name = _name(element)
        if name in _BLOCKS:
            yield from _joined(words)
            words = []
        if name in ("td", "th") and event == "start" and words:
            words.append("  ")
        words.append((element.text if event == "start" else element.tail if element is not text else "") or "")
    yield from _joined(words)


def _walked(root: ElementTree.Element) -> Iterator[tuple[str, ElementTree.Element]]:
    """Every element twice: before and after what is in it."""
    waiting = [("end", root), ("start", root)]
    while waiting:
        event, element = waiting.pop()
        yield event, element
        if event == "start":
            for one in reversed(element):
                waiting += [("end", one), ("start", one)]


def _joined(words: list[str]) -> Iterator[str]:
    text = "  ".join(" ".join(part.split()) for part in "".join(words).split("  ") if part.strip())
    if text:
        yield text


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
