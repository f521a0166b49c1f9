"""Filters on labels that SQL's `=` can't express, decided on an index alone, before any document is read."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable

from fwsync.sandbox.query.filters import Clause

_CHUNK = 400
_PLAIN = re.compile(r"(?:[^\\.^$*+?{}\[\]|()]|\\[^A-Za-z0-9])*", re.DOTALL)
_CHOICE = re.compile(rf"\^(?:({_PLAIN.pattern})|\((?:\?:)?({_PLAIN.pattern}(?:\|{_PLAIN.pattern})*)\))\$", re.DOTALL)


def decides(clause: Clause) -> bool:
    """Whether a clause is one for this file."""
    if clause.field != "label":
        return False
    texts = clause.operator == "=|" and all(isinstance(value, str) for value in clause.value)
    return clause.operator == "=~" or texts


def matching(conn: sqlite3.Connection, where: str, values: list[str], clauses: list[Clause]) -> list[str]:
    """The ids, in order, of the documents that `where` (an SQL condition) leaves and whose labels pass all clauses."""
    named = next((texts for clause in clauses if (texts := named_by(clause)) is not None), None)
    found: list[tuple[str, str]]
    test, *others = [_test(clause) for clause in clauses]
    cursor = conn.cursor()
    cursor.row_factory = None  # plain tuples: a quarter of the time over 100,000 labels
    text = f"select id, label from nodes where {where} and label is not null"  # noqa: S608
    if named is None:
        cursor.execute(text, values)
        found = [(ident, label) for ident, label in cursor if test(label)]
    else:
        found = []
        for start in range(0, len(named), _CHUNK):
            some = named[start : start + _CHUNK]
            cursor.execute(f"{text} and label in ({','.join('?' * len(some))})", [*values, *some])
            found += [(ident, label) for ident, label in cursor if test(label)]
    return sorted(ident for ident, label in found if all(other(label) for other in others))


def named_by(clause: Clause) -> list[str] | None:
    """The only labels that can match, where the clause names them: `=|`, or a pattern such as `^(a|b)$`."""
    if clause.operator == "=|":
        return sorted(set(clause.value))
    found = _CHOICE.fullmatch(clause.value.pattern)
    if found is None:
        return None
    single, several = found.groups()
    written = [single] if several is None else re.findall(rf"(?:^|(?<=\|)){_PLAIN.pattern}", several)
    labels = {re.sub(r"\\(.)", r"\1", one, flags=re.DOTALL) for one in written}
    # `$` also matches before a line break at the end.
    return sorted(labels | {label + "\n" for label in labels})


def _test(clause: Clause) -> Callable[[str], object]:
    return set(clause.value).__contains__ if clause.operator == "=|" else clause.value.search
