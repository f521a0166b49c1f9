"""The language of structured queries, read by a parser written by hand.

    query     = all *( "OR" all )
    all       = one *( "AND" one )
    one       = "NOT" one | "(" query ")" | condition
    condition = field compare value | field [ "NOT" ] "IN" "[" value *( "," value ) "]" | field "EXISTS"
    compare   = "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=" | "=~" | "!~"
              | [ "NOT" ] ( "CONTAINS" | "LIKE" )
    field     = container *( "." name )             container: group project subject session acquisition analysis
                                                    file collection; a name with blanks is quoted: file.info."Echo Time"
    value     = quoted | bare                       quoted: "..." or '...', with a backslash before the quote
    bare      = a run of characters without blanks; a ")" or, in a list, a "," or "]" ends it, unless it was opened
                within; items of a list may hold blanks

Words are upper case. `CONTAINS`, `=~` and `!~` search with a regular expression (one that is none but has a `*`, such
as `*SBRef*`, is a wildcard); in `LIKE` the whole text must match, `%` is any run of characters and `_` any one.
`!=`, `NOT IN` and the other negations also hold where the field is missing. `= null` means missing or null.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fwsync.sandbox.query.conditions import CONTAINERS, All, Any_, Condition, Not, Query, Value
from fwsync.sandbox.query.patterns import CostlyError, SafePattern, compiled, wildcard

LONGEST = 20_000
_DEEPEST = 100
_COMPARE = re.compile(r"<=|>=|==|!=|<>|=~|!~|=|<|>")
_WORD = re.compile(r"[A-Z]+(?![\w.])")
_SEGMENT = re.compile(r"[^\s.=<>!~()\[\]\"',]+")
_BLANK = re.compile(r"\s*")


@dataclass
class QueryError(ValueError):
    """A query that can't be read: what is wrong, and at which character (from 0)."""

    message: str
    offset: int
    text: str

    def __post_init__(self) -> None:
        super().__init__(f"{self.message} (line {self.line}, column {self.column})")

    @property
    def line(self) -> int:
        """The line, from 1."""
        return self.text.count("\n", 0, self.offset) + 1

    @property
    def column(self) -> int:
        """The place in its line, from 1."""
        return self.offset - self.text.rfind("\n", 0, self.offset)


def parse(text: str) -> Query:
    """The tree of a query; an empty one always holds. QueryError where it can't be read."""
    if len(text) > LONGEST:
        raise QueryError(f"the query is longer than {LONGEST:,} characters", LONGEST, text)
    return _Parser(text).whole()


class _Parser:
    """One pass over the text; `at` is where it stands."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0
        self._blanks()

    def whole(self) -> Query:
        if self.at == len(self.text):
            return All(())
        found = self._any()
        if self.at < len(self.text):
            if self.text[self.at] == ")":
                raise self._error("this parenthesis was never opened")
            raise self._error(f"expected AND or OR, found {self._ahead()}")
        return found

    def _any(self) -> Query:
        parts = [self._all()]
        while self._takes("OR"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Any_(tuple(parts))

    def _all(self) -> Query:
        parts = [self._one()]
        while self._takes("AND"):
            parts.append(self._one())
        # What looks at containers far up is decided first: whatever lies below then needn't be read.
        parts.sort(key=lambda part: max((CONTAINERS.index(name) for name in part.names()), default=0))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self) -> Query:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self._error(f"nested deeper than {_DEEPEST}")
        try:
            if self._takes("NOT"):
                return Not(self._one())
            if self.text[self.at : self.at + 1] != "(":
                return self._condition()
            opened = self.at
            self._step(1)
            found = self._any()
            if self.text[self.at : self.at + 1] != ")":
                raise QueryError("this parenthesis is never closed", opened, self.text)
            self._step(1)
            return found
        finally:
            self.depth -= 1

    def _condition(self) -> Query:
        field = self._field()
        if found := _COMPARE.match(self.text, self.at):
            self._step(len(found.group()))
            return self._compared(field, found.group())
        if self._takes("EXISTS"):
            return Condition(field, "EXISTS")
        turned = self._takes("NOT")
        for word in ("CONTAINS", "LIKE", "IN"):
            if self._takes(word):
                made = self._listed(field) if word == "IN" else self._matched(field, word)
                return Not(made) if turned else made
        raise self._error(f"expected a comparison after {field}, found {self._ahead()}")

    def _compared(self, field: str, operator: str) -> Query:
        if operator in ("=~", "!~"):
            made = self._matched(field, operator)
            return Not(made) if operator == "!~" else made
        value = self._value()
        if operator in ("=", "=="):
            return Condition(field, "=", (value,))
        if operator in ("!=", "<>"):
            return Not(Condition(field, "=", (value,)))
        return Condition(field, operator, (value,))

    def _matched(self, field: str, operator: str) -> Condition:
        start = self.at
        value = self._value()
        try:
            return Condition(field, "PATTERN", (value,), _pattern(value.text, operator))
        except ValueError as error:
            raise QueryError(str(error), start, self.text) from error

    def _listed(self, field: str) -> Condition:
        if self.text[self.at : self.at + 1] != "[":
            raise self._error(f"expected [ after IN, found {self._ahead()}")
        opened = self.at
        self._step(1)
        values: list[Value] = []
        while True:
            if self.text[self.at : self.at + 1] == "]" and not values:
                break
            values.append(self._value(within=",]"))
            if self.text[self.at : self.at + 1] != ",":
                break
            self._step(1)
        if self.text[self.at : self.at + 1] != "]":
            raise QueryError("this list is never closed", opened, self.text)
        self._step(1)
        return Condition(field, "IN", tuple(values))

    def _field(self) -> str:
        start = self.at
        parts: list[str] = []
        while True:
            char = self.text[self.at : self.at + 1]
            if char in ('"', "'") and parts:
                parts.append(self._quoted(char))
            else:
                found = _SEGMENT.match(self.text, self.at)
                if found is None:
                    raise self._error(f"expected a field, found {self._ahead()}")
                parts.append(found.group())
                self.at = found.end()
            if self.text[self.at : self.at + 1] != ".":
                break
            self.at += 1
        self._blanks()
        if parts[0] not in CONTAINERS or len(parts) < 2:
            raise QueryError(
                f"{'.'.join(parts)!r} is no field: it must begin with one of {', '.join(CONTAINERS)}, and a dot",
                start, self.text,
            )  # fmt: skip
        return ".".join(parts)

    def _value(self, within: str = "") -> Value:
        char = self.text[self.at : self.at + 1]
        if char in ('"', "'") and char:
            made = Value(self._quoted(char), quoted=True)
            self._blanks()
            return made
        start, opened = self.at, 0
        ends, opens, closes = (within, "[", "]") if within else (")", "(", ")")
        while self.at < len(self.text):
            char = self.text[self.at]
            if (char in ends and not opened) or (char.isspace() and not within):
                break
            if char == "\\" and not within:
                self.at += 1
            elif char in (opens, closes):
                opened += 1 if char == opens else -1
            self.at += 1
        self.at = min(self.at, len(self.text))
        text = self.text[start : self.at].strip()
        if not text:
            raise QueryError(f"expected a value, found {self._ahead()}", self.at, self.text)
        self._blanks()
        return Value(text)

    def _quoted(self, quote: str) -> str:
        start, out = self.at, []
        self.at += 1
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "\\" and self.text[self.at + 1 : self.at + 2] in (quote, "\\"):
                out.append(self.text[self.at + 1])
                self.at += 2
                continue
            self.at += 1
            if char == quote:
                return "".join(out)
            out.append(char)
        raise QueryError("this quote is never closed", start, self.text)

    def _takes(self, word: str) -> bool:
        found = _WORD.match(self.text, self.at)
        if found is None or found.group() != word:
            return False
        self._step(len(word))
        return True

    def _step(self, length: int) -> None:
        self.at += length
        self._blanks()

    def _blanks(self) -> None:
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def _ahead(self) -> str:
        found = re.compile(r"\S{1,30}").match(self.text, self.at)
        return repr(found.group()) if found else "the end"

    def _error(self, message: str) -> QueryError:
        return QueryError(message, self.at, self.text)


def _pattern(text: str, operator: str) -> SafePattern:
    if operator == "LIKE":
        return wildcard(text, many="%", one="_")
    try:
        return compiled(text)
    except CostlyError:
        raise
    except ValueError:
        if "*" in text:
            return wildcard(text)
        raise
