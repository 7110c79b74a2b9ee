from __future__ import annotations

import gc

from medview.core.events import Connection, Event
from medview.core.text import Text


class Listener:
    def __init__(self) -> None:
        self.heard: list[int] = []

    def hear(self, value: int) -> None:
        self.heard.append(value)


def test_a_bound_method_is_held_weakly() -> None:
    event: Event[int] = Event()
    listener = Listener()
    event.connect(listener.hear)
    event.emit(1)
    assert listener.heard == [1]
    heard = listener.heard
    del listener
    gc.collect()
    event.emit(2)
    assert heard == [1]


def test_a_closed_connection_is_silent() -> None:
    event: Event[int] = Event()
    heard: list[int] = []
    connection = event.connect(heard.append)
    connection.close()
    connection.close()
    event.emit(1)
    assert heard == []


def test_a_listener_may_leave_while_others_hear() -> None:
    event: Event[int] = Event()
    heard: list[str] = []
    connections: list[Connection] = []

    def first(_: int) -> None:
        heard.append("first")
        connections[1].close()

    connections.append(event.connect(first))
    connections.append(event.connect(lambda _: heard.append("second")))
    event.emit(1)
    assert heard == ["first"]


def test_text_renders_in_another_language_with_its_values() -> None:
    text = Text.of("{what} has {count} slices.", what=Text("This series"), count=3)
    catalogue = {"{what} has {count} slices.": "{what}有 {count} 层。", "This series": "此序列"}
    assert str(text) == "This series has 3 slices."
    assert text.render(lambda template: catalogue[template]) == "此序列有 3 层。"
    assert not Text("")
