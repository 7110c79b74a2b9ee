from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medview.catalog.expressions import NotPlainError, evaluate, parse

ENTRIES: dict[str, Any] = {"size": [96, 96, 96], "flag": True, "n": 3, "a#b": 0.25, "labels": {"liver": 1}, "name": "x"}


def _value(text: str) -> Any:
    return evaluate(parse(text), lambda id: ENTRIES[id], lambda name: f"<{name}>")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$1 + 2 * 3 ** 2", 19),
        ("$-(7 // 2) % 5", 2),
        ("$[1.5, 1.5, 2.0]", [1.5, 1.5, 2.0]),
        ("$(1, 'a', None, True)", (1, "a", None, True)),
        ("${'k': [1]}", {"k": [1]}),
        ("$len(@size)", 3),
        ("$[1.5] * 3 if @flag else [3.0] * 3", [1.5, 1.5, 1.5]),
        ("$not @flag or @n >= 3", True),
        ("$1 < @n < 3", False),
        ("$@a#b * 2 + @a::b", 0.75),
        ("$@labels['liver'] + @size[-1]", 97),
        ("$'/models/' + @name + '.pt'", "/models/x.pt"),
        ("$list(range(2, 5)) + [max(@size), min(1, 2), round(2.6), int('4')]", [2, 3, 4, 96, 1, 3, 4]),
        ("$tuple(sorted([3, 1]))", (1, 3)),
        ("$'liver' in @labels", True),
        ("$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')", "<torch.device>"),
        ("$torch.float32", "<torch.float32>"),
        ("$monai.utils.CommonKeys.PRED", "pred"),
        ("$'mail@size'", "mail@size"),
        ("$@size", [96, 96, 96]),
    ],
)
def test_what_bundles_write_has_the_value_that_python_gives_it(text: str, value: Any) -> None:
    assert _value(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "$__import__('os').system('true')",
        "$import os",
        "$open('/etc/passwd').read()",
        "$@network_def.to(@device)",
        "$().__class__.__bases__[0].__subclasses__()",
        "$''.join(['a'])",
        "$'{0.__class__}'.format(1)",
        "$f'{@size}'",
        "$lambda x: x",
        "$[x for x in @size]",
        "$(y := 1)",
        "$getattr(@size, 'append')",
        "$eval('1')",
        "$torch.load('x')",
        "$torch.os.system",
        "$torch.float32.__class__",
        "$torch.device(__import__('os'))",
        "$print(1)",
        "$size",
        "$_medview_reference_0",
        "$max(*@size)",
        "${**@labels}",
        "$max([1], key=len)",
        "$b'bytes'",
        "$1j",
        "$...",
        "$1 @ 2",
        "$1 << 400",
        "$await x",
        "$" + "[" * 200 + "1" + "]" * 200,
        "$" + "-" * 100 + "1",
        "$" + "1+" * 2000 + "1",
        "$\x00",
        "$",
    ],
)
def test_everything_else_is_refused_before_anything_is_worked_out(text: str) -> None:
    with pytest.raises(NotPlainError):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "$10 ** 10 ** 10",
        "$2 ** 64 ** 2",
        "$[0] * 10 ** 9",
        "$'a' * 99999 * 99999",
        "$list(range(10 ** 12))",
        "$'%s' % 'x'",
        "$9 ** 17 * 9 ** 17",
        "$1 / 0",
        "$@size[7]",
        "$@labels['spleen']",
        "$len(5)",
        "$1 + 'a'",
        "$@missing",
        "$int('x')",
        "$torch.float32 + 1",
        "$float('9' * 50)",
    ],
)
def test_what_has_no_value_or_a_huge_one_is_refused(text: str) -> None:
    with pytest.raises(NotPlainError):
        _value(text)


def test_an_object_is_handed_on_and_never_worked_with() -> None:
    class Trap:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(name)

    trap = Trap()
    assert evaluate(parse("$[@x, 1]"), lambda _: trap, str)[0] is trap
    for text in ("$@x + 1", "$@x == 1", "$len(@x)", "$@x[0]", "$not @x", "$1 if @x else 2"):
        with pytest.raises(NotPlainError):
            evaluate(parse(text), lambda _: trap, str)


@given(st.text(alphabet="()[]{}@$'\"abtorch.devi_1290+-*/%<>=,: lenmx\\\n", max_size=60))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    try:
        _value(text)
    except NotPlainError:
        return
