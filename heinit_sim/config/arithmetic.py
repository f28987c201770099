"""Numbers that a config writes as arithmetic, e.g. "1/sqrt(2*depth)": parsed, never run as code."""

from __future__ import annotations

import ast
import cmath
import functools
import math
import operator
import re
from collections.abc import Callable, Mapping

from heinit_sim.experiment.spelling import correction

NAMES = ("depth", "width", "fan_in")
"""Numbers of the network that arithmetic may name: K, D_{k+1} or its channels, and the fan_in."""
_MAX_LENGTH = 200
_TOKENS = re.compile(r"(?:[\s+*/()-]|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[^\W\d]\w*)*")
_BINARY: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


class NotArithmeticError(ValueError):
    """A text is no arithmetic, or its value no number: why, as the beginning of a message."""


def is_arithmetic(value: object) -> bool:
    """Whether a text is meant as arithmetic: a name or an operation is in it, well-formed or not.

    A number in quotes or of a form that is none, e.g. "0.02", "1e-400" or "0x10", is not.
    """
    if not isinstance(value, str):
        return False
    bare = value.strip().lstrip("+-")
    return bare[:1].isalpha() or bool(re.search(r"[*/^()]|(?<![eE])[-+]", bare))


def names_in(text: str) -> frozenset[str]:
    """The names of numbers in arithmetic.

    Raises:
        NotArithmeticError: It is none.
    """
    tree = ast.walk(_parsed(text))
    return frozenset(node.id for node in tree if isinstance(node, ast.Name)) - {"sqrt"}


def value_of(text: str, numbers: Mapping[str, float]) -> float:
    """The number that arithmetic is.

    Args:
        text: Numbers and names with + - * / ** sqrt() and parentheses.
        numbers: The value of each name that it may have.

    Raises:
        NotArithmeticError: It is none, or no finite real number.
    """
    tree = _parsed(text)
    try:
        value = _value(tree, numbers)
    except ZeroDivisionError:
        raise NotArithmeticError(f"a division by zero ({_quoted(text)})") from None
    except (OverflowError, ValueError):
        raise NotArithmeticError(f"beyond the range of a float ({_quoted(text)})") from None
    if isinstance(value, complex):
        raise NotArithmeticError(f"a root of a negative number ({_quoted(text)})")
    if not math.isfinite(value):
        raise NotArithmeticError(f"beyond the range of a float ({_quoted(text)})")
    return value


def _value(node: ast.expr, numbers: Mapping[str, float]) -> float:
    match node:
        case ast.BinOp(left, operation, right):
            return _BINARY[type(operation)](_value(left, numbers), _value(right, numbers))
        case ast.UnaryOp(operation, operand):
            value = _value(operand, numbers)
            return -value if isinstance(operation, ast.USub) else value
        case ast.Call(_, [argument]):
            root = cmath.sqrt(_value(argument, numbers))
            return root.real if root.imag == 0 else root  # type: ignore[return-value]  # refused later
        case ast.Name(name):
            return float(numbers[name])
        case ast.Constant(value):
            return float(value)
    raise AssertionError(node)


@functools.lru_cache(maxsize=1000)
def _parsed(text: str) -> ast.expr:
    """The tree of arithmetic, of nothing but what `_value` knows."""
    if len(text) > _MAX_LENGTH:
        raise NotArithmeticError(
            f"too long ({_quoted(text)}), must be at most {_MAX_LENGTH} characters"
        )
    end = _TOKENS.match(text)
    assert end is not None  # an empty text matches
    if end.end() < len(text):
        wrong = text[end.end()]
        hint = "; a power is written **" if wrong == "^" else ""
        raise NotArithmeticError(f"{wrong!r} is no arithmetic ({_quoted(text)}){hint}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, MemoryError, RecursionError):
        raise NotArithmeticError(f"not well-formed arithmetic ({_quoted(text)})") from None
    functions = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(ast.Name("sqrt") as function, [_], []):
                functions.add(id(function))
            case ast.Name(name) if name in NAMES or id(node) in functions:
                pass
            case ast.Name(name):
                meant = correction(name, (*NAMES, "sqrt"))
                hint = f"; did you mean {meant!r}?" if meant else ""
                text = f"unknown name ({name}), must be one of {', '.join(NAMES)}, sqrt()"
                raise NotArithmeticError(f"{text}{hint}")
            case ast.Constant(value) if type(value) in (int, float):
                pass
            case ast.BinOp(_, operation, _) if type(operation) in _BINARY:
                pass
            case ast.UnaryOp(ast.USub() | ast.UAdd()) | ast.operator() | ast.unaryop() | ast.Load():
                pass
            case _:
                raise NotArithmeticError(f"not well-formed arithmetic ({_quoted(text)})")
    return tree


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
