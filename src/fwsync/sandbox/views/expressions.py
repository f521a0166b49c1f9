"""The `expr` of a column: arithmetic over `x`, the column's value, such as `x / 31557600`.

Numbers, `x`, parentheses, `+ - * / // % **` and the signs; nothing else. What it may be is checked when a view is
queued; a value on which it fails (text, division by zero, too large) is an error of its row.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from fwsync.sandbox.errors import invalid

_LONGEST = 200
_LARGEST_POWER = 64
_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
_UNARY: dict[type, Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}


def parse(text: Any, where: str) -> Callable[[float], float]:
    """A function of `x`; 422 that names `where` if it is none. The function raises ValueError on a value it can't."""
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST:
        raise invalid(f"{where}: must be an expression over x of at most {_LONGEST} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise invalid(f"{where}: {text!r} is no arithmetic expression over x") from error
    _check(tree, where)

    def apply(value: float) -> float:
        try:
            result = _value(tree, value)
            return result if isinstance(result, int) and abs(result) < 2**53 else float(result)
        except (ArithmeticError, TypeError) as error:
            raise ValueError(f"{text} can't be computed for {value}") from error

    return apply


def _check(tree: ast.AST, where: str) -> None:
    match tree:
        case ast.BinOp(left, operation, right) if type(operation) in _BINARY or isinstance(operation, ast.Pow):
            _check(left, where)
            _check(right, where)
        case ast.UnaryOp(operation, operand) if type(operation) in _UNARY:
            _check(operand, where)
        case ast.Name("x"):
            pass
        case ast.Constant(value) if isinstance(value, (int, float)) and not isinstance(value, bool):
            pass
        case _:
            raise invalid(f"{where}: only numbers, x and + - * / // % ** ( ) are understood")


def _value(tree: ast.AST, x: float) -> Any:
    match tree:
        case ast.Name():
            return x
        case ast.Constant(value):
            return value
        case ast.UnaryOp(operation, operand):
            return _UNARY[type(operation)](_value(operand, x))
        case ast.BinOp(left, ast.Pow(), right):
            base, power = float(_value(left, x)), float(_value(right, x))
            if abs(power) > _LARGEST_POWER or (base < 0 and power != int(power)):
                raise OverflowError
            return base**power
        case ast.BinOp(left, operation, right):
            return _BINARY[type(operation)](_value(left, x), _value(right, x))
    raise TypeError
