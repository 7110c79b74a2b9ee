"""The small part of Python that a bundle's configuration may use without being trusted.

MONAI hands every value that begins with `$` to Python's `eval`. Most of what bundles write there is arithmetic on their
own entries. That much is parsed here and worked out by an interpreter of its own: literals, references (`@id`), lists,
tuples and tables, arithmetic, comparisons, a choice (`a if b else c`), items of lists and tables, a few functions of
numbers, `torch.device(...)` and the names of torch's number types. Nothing else has a meaning here, so nothing else can
happen; sizes are limited, so that no short text becomes a large value.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

DEVICE = "torch.device"
HAS_GRAPHICS_CARD = "torch.cuda.is_available"
TYPES = frozenset(
    f"torch.{name}"
    for name in (
        *("float16", "half", "bfloat16", "float32", "float", "float64", "double", "bool"),
        *("uint8", "int8", "int16", "short", "int32", "int", "int64", "long"),
    )
)
NAMES = {
    "monai.utils.CommonKeys.IMAGE": "image",
    "monai.utils.CommonKeys.LABEL": "label",
    "monai.utils.CommonKeys.PRED": "pred",
}
"""What MONAI calls some keys; bundles made from its template use these names."""
REFERENCE = re.compile(r"@\w+(?:(?:#|::)\w+)*")

_LONGEST = 2000
_DEEPEST = 30
_MOST_ITEMS = 10_000
_LARGEST = 2**53
_PLACEHOLDER = "_medview_reference_{}"
_PLAIN = (bool, int, float, str, list, tuple, dict, range, type(None))


class NotPlainError(ValueError):
    """An expression is outside of the grammar, or cannot be worked out."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression inside the grammar.

    Attributes:
        tree: Its parsed form.
        references: The ids that it refers to, with `#` between their parts, by the names that stand for them.
    """

    tree: ast.expr
    references: Mapping[str, str]


def parse(text: str) -> Expression:
    """Read an expression, with or without its `$`. Nothing is worked out.

    Raises:
        NotPlainError: It is outside of the grammar.
    """
    source = text.removeprefix("$").strip()
    if len(source) > _LONGEST:
        raise _not_plain("too long")
    if _PLACEHOLDER.format("") in source:
        raise NotPlainError(source)
    references: dict[str, str] = {}

    def named(match: re.Match[str]) -> str:
        name = _PLACEHOLDER.format(len(references))
        references[name] = match.group()[1:].replace("::", "#")
        return name

    try:
        tree = ast.parse(REFERENCE.sub(named, source), mode="eval").body
        _check(tree, references, 0)
    except (SyntaxError, RecursionError, MemoryError, ValueError) as error:
        raise NotPlainError(source) from error
    return Expression(tree, references)


def evaluate(expression: Expression, value_of: Callable[[str], Any], named: Callable[[str], Any]) -> Any:
    """Work an expression out.

    Args:
        expression: What `parse` gave.
        value_of: The value of an id.
        named: What `torch.device`, `torch.cuda.is_available` or a number type such as `torch.float32` stands for: the
            device itself, whether there is a graphics card, and the type.

    Raises:
        NotPlainError: It has no value, or one that is too large.
    """
    try:
        return _Evaluation(expression.references, value_of, named).value(expression.tree)
    except NotPlainError:
        raise
    except (TypeError, ValueError, ArithmeticError, LookupError, RecursionError, MemoryError) as error:
        raise NotPlainError(str(error)) from error


def _not_plain(why: str) -> NotPlainError:
    """For whoever reads the log; what people are told names the expression."""
    return NotPlainError(why)


def _power(base: Any, exponent: Any) -> Any:
    if abs(exponent) > 64 or abs(base) > 1e6:
        raise _not_plain("too large")
    return base**exponent


def _times(one: Any, other: Any) -> Any:
    for items, count in ((one, other), (other, one)):
        if isinstance(items, str | list | tuple) and (not isinstance(count, int) or len(items) * count > _MOST_ITEMS):
            raise _not_plain("too large")
    return one * other


def _modulo(one: Any, other: Any) -> Any:
    if not isinstance(one, int | float):
        raise _not_plain("% is for numbers")  # on text it would fill a template
    return one % other


def _range(*limits: Any) -> range:
    made = range(*limits)
    if len(made) > _MOST_ITEMS:
        raise _not_plain("too large")
    return made


def _float(value: Any = 0.0) -> float:
    if isinstance(value, str) and len(value) > 40:
        raise _not_plain("too long")
    return float(value)


def _int(value: Any = 0) -> int:
    if isinstance(value, str) and len(value) > 40:
        raise _not_plain("too long")
    return int(value)


_TWO: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: _times,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: _modulo,
    ast.Pow: _power,
}
_ONE: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "int": _int,
    "float": _float,
    "bool": bool,
    "abs": abs,
    "len": len,
    "max": max,
    "min": min,
    "sum": sum,
    "round": round,
    "range": _range,
    "list": list,
    "tuple": tuple,
    "sorted": sorted,
}
_PARTS = (ast.List, ast.Tuple, ast.BoolOp, ast.IfExp, ast.Subscript)


def _check(tree: ast.AST, references: Mapping[str, str], depth: int) -> None:
    if depth > _DEEPEST:
        raise _not_plain("nested too deeply")
    if not _is_allowed(tree, references):
        raise NotPlainError(type(tree).__name__)
    parts = ast.iter_child_nodes(tree)
    if isinstance(tree, ast.Call):
        parts = iter(tree.args)
    elif isinstance(tree, ast.Attribute):
        parts = iter(())
    for part in parts:
        if isinstance(part, ast.expr):
            _check(part, references, depth + 1)


def _is_allowed(tree: ast.AST, references: Mapping[str, str]) -> bool:
    """Whether a node has a meaning here; its parts are looked at by themselves."""
    match tree:
        case ast.Constant(value=value):
            return value is None or isinstance(value, bool | int | float | str)
        case ast.Name(id=name):
            return name in references
        case ast.Attribute():
            return _dotted(tree) in TYPES or _dotted(tree) in NAMES
        case ast.Call(func=function, keywords=[]):
            return _dotted(function) in (*_FUNCTIONS, DEVICE, HAS_GRAPHICS_CARD)
        case ast.BinOp(op=sign):
            return type(sign) in _TWO
        case ast.UnaryOp(op=sign):
            return type(sign) in _ONE
        case ast.Compare(ops=signs):
            return all(type(one) in _COMPARE for one in signs)
        case ast.Dict(keys=keys):
            return None not in keys
    return isinstance(tree, _PARTS)


def _dotted(tree: ast.expr) -> str:
    """`a.b.c` as text; empty when it is something else."""
    if isinstance(tree, ast.Name):
        return tree.id
    if isinstance(tree, ast.Attribute):
        before = _dotted(tree.value)
        return f"{before}.{tree.attr}" if before else ""
    return ""


class _Evaluation:
    def __init__(
        self, references: Mapping[str, str], value_of: Callable[[str], Any], named: Callable[[str], Any]
    ) -> None:
        self._references = references
        self._value_of = value_of
        self._named = named

    def value(self, tree: ast.expr) -> Any:
        """The value of a part; what is no plain value is handed on, never worked with."""
        if isinstance(tree, ast.Constant):
            return self._text(tree.value) if isinstance(tree.value, str) else tree.value
        if isinstance(tree, ast.Name):
            return self._value_of(self._references[tree.id])
        if isinstance(tree, ast.Attribute):
            name = _dotted(tree)
            return NAMES[name] if name in NAMES else self._named(name)
        if isinstance(tree, ast.List):
            return [self.value(one) for one in tree.elts]
        if isinstance(tree, ast.Tuple):
            return tuple(self.value(one) for one in tree.elts)
        if isinstance(tree, ast.Dict):
            pairs = zip(tree.keys, tree.values, strict=True)
            return {self._plain(key): self.value(one) for key, one in pairs if key is not None}
        if isinstance(tree, ast.IfExp):
            return self.value(tree.body if self._plain(tree.test) else tree.orelse)
        return self._worked_out(tree)

    def _worked_out(self, tree: ast.expr) -> Any:
        if isinstance(tree, ast.Call):
            return self._called(tree)
        if isinstance(tree, ast.Subscript):
            return self._item(self._plain(tree.value), self._plain(tree.slice))
        if isinstance(tree, ast.BoolOp):
            return self._either(tree)
        if isinstance(tree, ast.Compare):
            return self._compared(tree)
        if isinstance(tree, ast.UnaryOp):
            return _limited(_ONE[type(tree.op)](self._plain(tree.operand)))
        if isinstance(tree, ast.BinOp):
            return _limited(_TWO[type(tree.op)](self._plain(tree.left), self._plain(tree.right)))
        raise NotPlainError(type(tree).__name__)

    def _called(self, tree: ast.Call) -> Any:
        name = _dotted(tree.func)
        if name in (DEVICE, HAS_GRAPHICS_CARD):
            return self._named(name)  # MedView chooses the device, whatever the bundle asks for
        return _limited(_FUNCTIONS[name](*[self._plain(one) for one in tree.args]))

    def _item(self, items: Any, key: Any) -> Any:
        if not isinstance(items, list | tuple | dict):
            raise _not_plain("it has no items")
        return items[key]

    def _either(self, tree: ast.BoolOp) -> Any:
        decides = isinstance(tree.op, ast.Or)
        value: Any = None
        for one in tree.values:
            value = self._plain(one)
            if bool(value) is decides:
                break
        return value

    def _compared(self, tree: ast.Compare) -> bool:
        left = self._plain(tree.left)
        for sign, part in zip(tree.ops, tree.comparators, strict=True):
            right = self._plain(part)
            if not _COMPARE[type(sign)](left, right):
                return False
            left = right
        return True

    def _plain(self, tree: ast.expr) -> Any:
        value = self.value(tree)
        if type(value) not in _PLAIN:  # not isinstance, which would ask the object itself
            raise _not_plain("not a plain value")
        return value

    def _text(self, text: str) -> str:
        """A piece of text, with what looks like a reference in it as it was written."""
        for name, id in self._references.items():
            text = text.replace(name, "@" + id)
        return text


def _limited(value: Any) -> Any:
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise _not_plain("too large")
    if isinstance(value, str | list | tuple) and len(value) > _MOST_ITEMS:
        raise _not_plain("too large")
    return value
