"""Sentences for people, kept apart from their language.

Below `ui` there is no Qt, so a sentence is a record: the English template and the values that go into it. `str()` gives
English; `Text.render` puts the same values into another language's template. The templates of the whole program are the
keys of the catalogues in `resources/translations/`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Text:
    """An English template with its values, as in `Text.of("{count} slices are missing.", count=3)`.

    A value may itself be a `Text`; it is rendered in the same language.
    """

    template: str
    values: tuple[tuple[str, Any], ...] = field(default=())

    @classmethod
    def of(cls, template: str, /, **values: Any) -> Text:
        """A template with named values."""
        return cls(template, tuple(values.items()))

    def render(self, translate: Callable[[str], str]) -> str:
        """The sentence in the language of `translate`, which maps an English template to another."""
        if not self.template:
            return ""
        values = {name: value.render(translate) if isinstance(value, Text) else value for name, value in self.values}
        template = translate(self.template)
        return template.format(**values) if values else template

    def __str__(self) -> str:
        return self.render(lambda template: template)

    def __bool__(self) -> bool:
        return bool(self.template)
