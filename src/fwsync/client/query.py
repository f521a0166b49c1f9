"""Filter strings for list endpoints, built so that no value can break out of its clause or change its kind.

The platform's language: clauses `field OP value`, comma-joined; `\\,` is a literal comma; `"..."` is text. A bare value
is cast (24 hex characters to an id, dates, null, true, false, numbers), so a label is quoted unless it is plain.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from fwsync.errors import UsageError
from fwsync.selection import Selection, is_pattern

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_ /:()+.-]*[A-Za-z0-9_)]\Z|[A-Za-z_]\Z")
_WORDS = frozenset({"null", "true", "false", "nan", "inf", "infinity"})
_HEX24 = re.compile(r"[0-9a-fA-F]{24}\Z")


def where(field: str, operator: str, value: str) -> str:
    """One clause comparing a field with a text value."""
    return f"{field}{operator}{quoted(value)}"


def quoted(value: str) -> str:
    """A text value so that it stays exactly this text: bare where that is safe, else in quotes, commas escaped.

    Raises UsageError for a value that the language has no way to write (one that holds a double quote); callers
    list and compare instead, see `expressible`.
    """
    if _PLAIN.match(value) and value.lower() not in _WORDS and not _HEX24.match(value):
        return value
    if not expressible(value):
        raise UsageError(f"{value!r} can't be written in a filter (double quote or backslash)")
    return '"' + value.replace(",", "\\,") + '"'


def expressible(value: str) -> bool:
    """Whether a text can be written as a filter value at all."""
    return '"' not in value and "\\" not in value


def any_of(field: str, values: Iterable[str], *, padded: bool = False) -> str:
    """A clause that holds for every one of the values, by the regular expression operator.

    Every character that means something to a pattern or to the filter language is written as `.`: the clause may let
    a few others through, and callers compare exactly afterwards. `padded` lets numbers through with zeros before them.
    """
    written = (
        ("0*" if padded and value.isdigit() and value.isascii() else "") + re.sub(r"[^A-Za-z0-9_-]", ".", value)
        for value in values
    )
    return f"{field}=~^({'|'.join(written)})$"


def one_of(field: str, idents: Iterable[str]) -> str:
    """A clause that holds for every one of the ids, by the list operator; not every site has it (`Noun.has_lists`)."""
    return f"{field}=|[{','.join(idents)}]"


def narrowed(selection: Selection, level: str) -> str:
    """The conditions of a selection on a level (or on `file`), as its listing takes them: the site decides these."""
    return all_of(*(one.clause for one in selection.conditions(level)))


def fewer_files(selection: Selection) -> str:
    """Clauses by which a listing of files may leave out what `plan.selecting` would leave out too."""
    if selection.versions == "all":
        return ""  # an older version may be of another type than the newest
    wishes = (("type", selection.types), ("modality", selection.modalities))
    return all_of(
        *(
            where(field, "=", wanted[0])
            for field, wanted in wishes
            if len(wanted) == 1 and not is_pattern(wanted[0]) and expressible(wanted[0])
        )
    )


def all_of(*clauses: str) -> str:
    """Clauses that must all hold; empty ones are left out."""
    return ",".join(clause for clause in clauses if clause)
