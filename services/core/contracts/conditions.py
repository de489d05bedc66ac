"""Conditions in CEL: what is written is checked for its types, what holds is left to the library.

CEL knows no decimals. A condition only compares, so every number goes to the library as its rank
among all numbers of the condition: small integers that compare as the exact numbers do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from re import compile as pattern
from typing import Literal

from schemas.base import exact
from schemas.condition import GIVEN, Condition
from services.core.contracts.wording import nearest

Type = Literal["number", "text", "yes_no"]
Value = Fraction | str | bool
MOST_DEPTH = 20

_TOKEN = pattern(
    r"(?P<space>[ \t\r\n]+)|(?P<number>-?[0-9]{1,24}(?:\.[0-9]{1,18})?(?![0-9A-Za-z_.]))"
    r"|(?P<text>'[^'\"\\\r\n]*'|\"[^'\"\\\r\n]*\")|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign>&&|\|\||==|!=|<=|>=|[!<>()\[\],])"
)
_ORDERED = ("<", "<=", ">", ">=")
_COMPARED = (*_ORDERED, "==", "!=")
_TYPES: Mapping[str, Type] = {
    "figure": "number",
    "circumstance": "number",
    "stated": "yes_no",
    "text": "text",
}
_WORDS: Mapping[Type, str] = {"number": "a number", "text": "a word", "yes_no": "a yes or no"}


class Unfit(ValueError):
    """The expression is no condition. ``line`` and ``column`` in the expression, from 1."""

    def __init__(self, text: str, at: int, reason: str, remedy: str) -> None:
        before = text[:at]
        self.line = before.count("\n") + 1
        self.column = at - (before.rfind("\n") + 1) + 1
        self.reason = f"line {self.line}, column {self.column} of the condition: {reason}"
        self.remedy = remedy
        super().__init__(self.reason)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the expression. ``at``: where it begins."""

    kind: str
    text: str
    at: int


def checked(condition: Condition) -> tuple[Token, ...]:
    """The pieces of a condition that says yes or no. Raises Unfit with the place."""
    tokens = _tokens(condition.holds)
    names: dict[str, Type] = {**GIVEN, **{one.name: _TYPES[one.kind] for one in condition.reads}}
    _ConditionParser(condition.holds, tokens, names).whole()
    return tokens


def unread(condition: Condition) -> list[str]:
    """Names that the condition declares and never uses."""
    used = {token.text for token in _tokens(condition.holds) if token.kind == "word"}
    return [read.name for read in condition.reads if read.name not in used]


def reads_calendar(condition: Condition) -> list[str]:
    """Which of ``year`` and ``month`` the expression looks at."""
    used = {token.text for token in _tokens(condition.holds) if token.kind == "word"}
    return sorted(used & {"year", "month"})


def _tokens(text: str) -> tuple[Token, ...]:
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            remedy = "write names, numbers, words in quotes, && || ! == != < <= > >= in ( ) only"
            raise Unfit(text, at, f"'{text[at]}' cannot be read here", remedy)
        if match.lastgroup != "space":
            found.append(Token(str(match.lastgroup), match[0], at))
        at = match.end()
    return tuple(found)


class _ConditionParser:
    """Follows CEL's grammar over the tokens and works out the type of each part."""

    def __init__(self, text: str, tokens: Sequence[Token], names: Mapping[str, Type]) -> None:
        self._text, self._tokens, self._names = text, tokens, names
        self._next = self._depth = 0

    def whole(self) -> None:
        """Read all of it; it must be a yes or no."""
        self._wants("yes_no", self._either(), 0)
        if self._next < len(self._tokens):
            raise self._unfit(f"'{self._peek()}' is not expected here", "correct the condition")

    def _peek(self) -> str:
        return self._tokens[self._next].text if self._next < len(self._tokens) else ""

    def _take(self, *signs: str) -> str | None:
        if self._next < len(self._tokens):
            token = self._tokens[self._next]
            if token.kind in ("sign", "word") and token.text in signs:
                self._next += 1
                return token.text
        return None

    def _place(self) -> int:
        if self._next < len(self._tokens):
            return self._tokens[self._next].at
        return len(self._text)

    def _unfit(self, reason: str, remedy: str, at: int | None = None) -> Unfit:
        return Unfit(self._text, self._place() if at is None else at, reason, remedy)

    def _wants(self, wanted: Type, found: Type, at: int) -> None:
        if found != wanted:
            reason = f"{_WORDS[wanted]} is wanted, and this is {_WORDS[found]}"
            raise self._unfit(reason, "compare it with something, or correct the name", at)

    def _either(self) -> Type:
        return self._joined("||", lambda: self._joined("&&", self._comparison))

    def _joined(self, sign: str, part: Callable[[], Type]) -> Type:
        at = self._place()
        found = part()
        while self._take(sign):
            self._wants("yes_no", found, at)
            at = self._place()
            self._wants("yes_no", part(), at)
        return found

    def _comparison(self) -> Type:
        left = self._denied()
        if self._take("in"):
            self._list(left)
            return "yes_no"
        at = self._place()
        sign = self._take(*_COMPARED)
        if sign is None:
            return left
        if sign in _ORDERED and left != "number":
            reason = f"'{sign}' compares numbers, and this is {_WORDS[left]}"
            raise self._unfit(reason, "write == or !=", at)
        at = self._place()
        self._wants(left, self._denied(), at)
        return "yes_no"

    def _list(self, left: Type) -> None:
        if not self._take("["):
            raise self._unfit("a list is wanted after 'in'", "write in ['one', 'other']")
        while True:
            at = self._place()
            self._wants(left, self._part(), at)
            if not self._take(","):
                break
        if not self._take("]"):
            raise self._unfit("the list does not end", "write ]")

    def _denied(self) -> Type:
        if not self._take("!"):
            return self._part()
        at = self._place()
        with _Deeper(self):
            self._wants("yes_no", self._denied(), at)
        return "yes_no"

    def _part(self) -> Type:
        if self._take("("):
            with _Deeper(self):
                found = self._either()
            if not self._take(")"):
                raise self._unfit("the bracket does not end", "write )")
            return found
        if self._next >= len(self._tokens) or self._tokens[self._next].kind == "sign":
            raise self._unfit("something is missing here", "write a name, a number or a word")
        token = self._tokens[self._next]
        self._next += 1
        if token.kind == "word":
            return self._named(token)
        return "number" if token.kind == "number" else "text"

    def _named(self, token: Token) -> Type:
        if token.text in ("true", "false"):
            return "yes_no"
        if token.text not in self._names:
            close = nearest(token.text, self._names)
            remedy = f"did you mean '{close}'?" if close else "declare it under 'reads'"
            raise self._unfit(f"'{token.text}' is not declared", remedy, token.at)
        return self._names[token.text]

    def deeper(self, by: int) -> None:
        """Count the depth; what is nested too deep is refused before it is read."""
        self._depth += by
        if self._depth > MOST_DEPTH:
            raise self._unfit("this is nested too deep", f"at most {MOST_DEPTH} deep")


class _Deeper:
    def __init__(self, reader: _ConditionParser) -> None:
        self._reader = reader

    def __enter__(self) -> None:
        self._reader.deeper(1)

    def __exit__(self, *_: object) -> None:
        self._reader.deeper(-1)


def holds(condition: Condition, values: Mapping[str, Value]) -> bool:
    """Whether a condition holds. ``values``: one for every name that it uses, exact.

    Raises Unfit where the expression is none that the contract check lets through.
    """
    from cel import evaluate  # its package loads a command line; only who has conditions waits

    tokens = checked(condition)
    numbers = {exact(token.text) for token in tokens if token.kind == "number"}
    numbers |= {value for value in values.values() if isinstance(value, Fraction)}
    rank = {number: place for place, number in enumerate(sorted(numbers))}
    text = " ".join(
        str(rank[exact(token.text)]) if token.kind == "number" else token.text for token in tokens
    )
    names = {
        name: rank[value] if isinstance(value, Fraction) else value
        for name, value in values.items()
    }
    found = evaluate(text, names)
    assert isinstance(found, bool), f"{condition.holds} is no condition: {found!r}"
    return found


def used(condition: Condition) -> list[str]:
    """The names that a condition uses, each once, in order."""
    words = [token.text for token in checked(condition) if token.kind == "word"]
    return [one for one in dict.fromkeys(words) if one not in ("true", "false", "in")]
