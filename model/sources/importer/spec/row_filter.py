"""Which rows of a table to take: `where: board_type == "keyword" and clicks >= 3`, parsed by hand, never evaluated.

    expression  :=  term  ("or" term)*
    term        :=  factor  ("and" factor)*
    factor      :=  "not" factor  |  "(" expression ")"  |  comparison
    comparison  :=  column (== != < <= > >=) literal  |  column ["not"] "in" "[" literal ("," literal)* "]"
                 |  column "is" ["not"] "null"
    literal     :=  "text"  |  'text'  |  number  |  true  |  false
    column      :=  a name, or `any name` between backticks

A literal says how its column is read: text, number or yes/no. An empty cell equals nothing, so only `!=`, `not in`
and `is null` take it.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from model.errors import SpecError
from model.sources.importer.values.cells import BadValue, flag, number, text

Literal = str | float | bool
Columns = Mapping[str, list[Any]]  # column name -> its cells, all of one length
Keep = Callable[[Columns], list[bool | None]]  # None: a cell is no number, or no yes and no no

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
           |(?P<number>-?\d+(?:\.\d+)?(?![\w.]))
           |(?P<name>[^\W\d]\w*|`[^`]+`)
           |(?P<sign>==|!=|<=|>=|[<>()\[\],]))""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class RowFilter:
    """A parsed filter: `keep` answers for each row of the columns it names."""

    text: str
    columns: tuple[str, ...]
    keep: Keep


def parse(source: str) -> RowFilter:
    """Reads an expression.

    Raises:
        SpecError: it does not follow the grammar above; the sentence shows where.
    """
    parser = _Parser(source)
    try:
        keep = parser.expression()
    except RecursionError:
        raise SpecError("where is nested too deep; write it flatter, e.g. with `in [...]`.") from None
    if parser.token is not None:
        parser.fail("and, or, or the end")
    return RowFilter(source, tuple(dict.fromkeys(parser.columns)), keep)


def parse_mapping(wanted: Mapping[str, Any]) -> RowFilter:
    """`where: {board_type: keyword}` or `{board_type: [species, variety]}`; several columns must all fit."""
    literals = {column: value if isinstance(value, list) else [value] for column, value in wanted.items()}
    for column, values in literals.items():
        if not values or not all(isinstance(value, str | int | float) for value in values):
            raise SpecError(f"where: {column} must be a text, a number, true or false, or a list of these.")
    every = [_equals(column, values) for column, values in literals.items()]
    return RowFilter(str(dict(wanted)), tuple(literals), _all(every))


class _Parser:
    """Recursive descent, one method a grammar rule; `token` is the next one, None at the end."""

    def __init__(self, source: str) -> None:
        self.source, self.position, self.start = source, 0, 0
        self.token: str | None = None
        self.kind = ""
        self.columns: list[str] = []
        self.advance()

    def advance(self) -> str:
        """Moves to the next token and returns the one just left."""
        left, self.token, self.start = self.token or "", None, self.position
        match = TOKEN.match(self.source, self.position)
        if match:
            self.position, self.kind, self.token = match.end(), str(match.lastgroup), match[str(match.lastgroup)]
        elif self.source[self.position :].strip():
            self.fail('a column, == "text", a number, in [...] or is null')
        return left

    def fail(self, expected: str) -> None:
        rest = self.source[self.start :].strip() or "its end"
        raise SpecError(f"where {self.source!r}: expected {expected} at {rest!r}.")

    def take(self, token: str) -> bool:
        if self.token == token and self.kind != "text":
            self.advance()
            return True
        return False

    def need(self, token: str) -> None:
        if not self.take(token):
            self.fail(token)

    def expression(self) -> Keep:
        parts = [self.term()]
        while self.take("or"):
            parts.append(self.term())
        return _any(parts)

    def term(self) -> Keep:
        parts = [self.factor()]
        while self.take("and"):
            parts.append(self.factor())
        return _all(parts)

    def factor(self) -> Keep:
        if self.take("not"):
            return _not(self.factor())
        if self.take("("):
            inner = self.expression()
            self.need(")")
            return inner
        return self.comparison()

    def comparison(self) -> Keep:
        if self.token is None or self.kind != "name":
            self.fail("a column")
        column = self.advance().strip("`")
        self.columns.append(column)
        if self.take("is"):
            negated = self.take("not")
            self.need("null")
            return _not(_null(column)) if negated else _null(column)
        negated = self.take("not")
        if self.take("in"):
            return _not(_equals(column, self.literals())) if negated else _equals(column, self.literals())
        if negated or self.token not in (*COMPARE, "!="):
            self.fail("==, !=, <, <=, >, >=, in or is")
        sign = self.advance()
        return _not(_compare(column, "==", self.literal())) if sign == "!=" else _compare(column, sign, self.literal())

    def literals(self) -> list[Literal]:
        self.need("[")
        found = [self.literal()]
        while self.take(","):
            found.append(self.literal())
        self.need("]")
        return found

    def literal(self) -> Literal:
        if self.take("true"):
            return True
        if self.take("false"):
            return False
        if self.token is None or self.kind not in ("text", "number"):
            self.fail('a "text" in quotes, a number, true or false')
        if self.kind == "number":
            return float(self.advance())
        return re.sub(r"\\(.)", r"\1", self.advance()[1:-1])


def _compare(column: str, sign: str, literal: Literal) -> Keep:
    read: Callable[[Any], Any] = flag if isinstance(literal, bool) else text if isinstance(literal, str) else number
    holds = COMPARE[sign]

    def fits(cell: Any) -> bool | None:
        try:
            value = read(cell)
        except BadValue:
            return False if read is text else None  # unreadable text equals nothing
        return value is not None and holds(value, literal)

    return lambda columns: [fits(cell) for cell in columns[column]]


def _equals(column: str, literals: Iterable[Literal]) -> Keep:
    return _any([_compare(column, "==", literal) for literal in literals])


def _null(column: str) -> Keep:
    def is_null(cell: Any) -> bool:
        try:
            return text(cell) is None
        except BadValue:
            return True

    return lambda columns: [is_null(cell) for cell in columns[column]]


def _not(inner: Keep) -> Keep:
    return lambda columns: [None if kept is None else not kept for kept in inner(columns)]


def _all(parts: list[Keep]) -> Keep:
    return lambda columns: [
        False if False in row else None if None in row else True
        for row in zip(*(part(columns) for part in parts), strict=True)
    ]


def _any(parts: list[Keep]) -> Keep:
    return lambda columns: [
        True if True in row else None if None in row else False
        for row in zip(*(part(columns) for part in parts), strict=True)
    ]
