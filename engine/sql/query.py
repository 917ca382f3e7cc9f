"""What a caller may ask in SQL: exactly one SELECT that reads nothing but the table ``input``.

Two readers judge every text: sqlglot here, DuckDB's own parser in ``serialized.py``. Both go by
lists of what is allowed, so that what one of them misreads still has to pass the other. Neither
runs anything, and neither replaces the sandbox in which queries run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import duckdb
import sqlglot
from sqlglot import Token, TokenType, exp
from sqlglot.errors import SqlglotError

from engine.errors import InputError, Issue
from engine.sql import ast
from engine.sql.functions import TABLE_FUNCTIONS, is_forbidden
from engine.sql.refusal import (
    BARE_WORDS,
    INPUT,
    MAX_TEXT_BYTES,
    ONE_SELECT,
    SQL_PATH,
    RefusedError,
    at_byte,
    at_character,
)

MAX_NESTING: Final = 60
MAX_TOKENS: Final = 20_000
_OPENING: Final = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSING: Final = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})
_DEEPENING: Final = frozenset({TokenType.CASE, TokenType.NOT, TokenType.DASH, TokenType.TILDE})
_STATEMENTS: Final = (
    exp.Command,
    exp.Create,
    exp.Copy,
    exp.Delete,
    exp.Describe,
    exp.Drop,
    exp.Insert,
    exp.Into,
    exp.Merge,
    exp.Pivot,
    exp.Pragma,
    exp.Set,
    exp.Show,
    exp.Summarize,
    exp.Update,
    exp.Use,
    exp.Values,
)


@dataclass(frozen=True)
class Query:
    """A query that was found harmless.

    Attributes:
        text: As it was written.
        tree: What sqlglot makes of it.
        parameters: Names of its ``$name`` parameters, each once, in order of appearance.
    """

    text: str
    tree: exp.Query
    parameters: tuple[str, ...]


def parse_query(text: str, *path: str) -> Query:
    """Read and check a query.

    Args:
        text: One SELECT in DuckDB's dialect, at most 64 KiB.
        path: Where the text comes from, for the issue; by default ``input.sql``.

    Raises:
        InputError: It is anything else, or could reach beyond ``input``; the message begins with
            the line and column of the fault where they are known.
    """
    where = path or SQL_PATH
    try:
        tokens = _tokens(text)
        _require_sane(text, tokens)
        statements = sqlglot.parse(text, read="duckdb")
        tree = _only(statements)
        for part in tree.walk():
            _require_allowed(text, part)
    except RefusedError as exc:
        raise InputError(Issue(where, str(exc))) from exc
    except SqlglotError as exc:
        raise InputError(Issue(where, _fault_of(text, exc))) from exc
    except RecursionError as exc:
        raise InputError(Issue(where, "the query is nested too deeply")) from exc
    return Query(text=text, tree=tree, parameters=_parameters(tokens))


def parameters_of(sql: str) -> tuple[str, ...]:
    """Return the names of the parameters that *sql* has, each once, in order of appearance."""
    try:
        return ast.parameter_names(ast.parse(sql))
    except ast.SyntaxProblem:
        return _parameters(sqlglot.tokenize(sql, read="duckdb"))


def _tokens(text: str) -> list[Token]:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as exc:
        raise RefusedError("the query is not Unicode text") from exc
    if size > MAX_TEXT_BYTES:
        raise RefusedError(f"the query is longer than {MAX_TEXT_BYTES} bytes")
    if "\0" in text:
        raise RefusedError("the query has a NUL character")
    tokens = sqlglot.tokenize(text, read="duckdb")
    if not tokens:
        raise RefusedError(ONE_SELECT)
    return tokens


def _require_sane(text: str, tokens: list[Token]) -> None:
    if len(tokens) > MAX_TOKENS:
        raise RefusedError(f"the query has more than {MAX_TOKENS} words")
    depth, run = 0, 0
    for at, token in enumerate(tokens):
        kind = token.token_type
        depth += (kind in _OPENING) - (kind in _CLOSING)
        run = run + 1 if kind in _DEEPENING else 0
        if depth > MAX_NESTING or run > MAX_NESTING:
            raise _refused(text, token, f"nested deeper than {MAX_NESTING}")
        if kind == TokenType.PLACEHOLDER:
            raise RefusedError(
                at_character(text, token.start, "parameters need names, such as $day")
            )
        if _is_quoted_text(kind):
            continue
        word = _word(token)
        after = tokens[at + 1] if at + 1 < len(tokens) else None
        if after and after.token_type == TokenType.L_PAREN and is_forbidden(word):
            raise RefusedError(
                at_character(text, token.start, f"the function {word} is not allowed")
            )
        if word in BARE_WORDS and kind != TokenType.IDENTIFIER:
            raise _refused(text, token, f"{word} is not allowed")


def _refused(text: str, token: Token, message: str) -> RefusedError:
    return RefusedError(at_character(text, token.start, message))


def _is_quoted_text(kind: TokenType) -> bool:
    return kind in {TokenType.STRING, TokenType.NUMBER, TokenType.HEREDOC_STRING}


def _word(token: Token) -> str:
    return token.text.strip('"').lower()


def _only(statements: list[exp.Expr | None]) -> exp.Query:
    found = [s for s in statements if s is not None and not isinstance(s, exp.Semicolon)]
    if len(found) != 1:
        raise RefusedError(ONE_SELECT)
    tree = found[0]
    if not isinstance(tree, (exp.Select, exp.SetOperation, exp.Subquery)):
        raise RefusedError(ONE_SELECT)
    return tree


def _require_allowed(text: str, part: exp.Expr) -> None:
    if isinstance(part, _STATEMENTS):
        raise RefusedError(f"{part.key.upper()} is not allowed; {ONE_SELECT}")
    if isinstance(part, exp.CTE) and part.alias.lower() == INPUT:
        raise RefusedError("no part of WITH can be named input")
    if isinstance(part, (exp.Parameter, exp.Placeholder)) and not part.name.isidentifier():
        raise RefusedError("parameters need names, such as $day")
    if isinstance(part, (exp.ReadCSV, exp.ReadParquet)):
        raise RefusedError(f"the function {part.sql_name().lower()} is not allowed")
    if isinstance(part, exp.Func) and is_forbidden(_function_name(part)):
        raise RefusedError(f"the function {_function_name(part)} is not allowed")
    if isinstance(part, exp.Table):
        _require_table(text, part)


def _function_name(part: exp.Func) -> str:
    name = part.name if isinstance(part, exp.Anonymous) else part.sql_name()
    return str(name).lower()


def _require_table(text: str, part: exp.Table) -> None:
    this = part.this
    if isinstance(this, exp.Func):
        name = _function_name(this)
        names = {"explode": "unnest", "generateseries": "generate_series"}
        if names.get(name, name) not in TABLE_FUNCTIONS or part.args.get("db"):
            raise RefusedError(f"the table function {name} is not allowed")
        return
    dotted = ".".join(node.name for node in part.parts)
    if not isinstance(this, exp.Identifier) or part.args.get("db") or part.args.get("catalog"):
        raise RefusedError(_place(text, this, f"the table {dotted} is not allowed; only input is"))
    if this.name.lower() != INPUT and this.name.lower() not in set(_visible(part)):
        raise RefusedError(_place(text, this, f"there is no table {dotted}; only input is read"))


def _visible(part: exp.Expr) -> Iterator[str]:
    """Yield the names of WITH that *part* may mean, in lower case."""
    child: exp.Expr = part
    parent = part.parent
    while parent is not None:
        own = parent.args.get("with_") or parent.args.get("with")
        if isinstance(parent, exp.With):
            # Inside of one part of WITH: only earlier ones, and itself if it is recursive.
            for cte in parent.expressions:
                if cte is child and not parent.args.get("recursive"):
                    break
                yield cte.alias.lower()
                if cte is child:
                    break
        elif isinstance(own, exp.With) and own is not child:
            yield from (cte.alias.lower() for cte in own.expressions)
        child, parent = parent, parent.parent


def _parameters(tokens: list[Token]) -> tuple[str, ...]:
    names = (
        after.text
        for token, after in pairwise(tokens)
        if token.token_type == TokenType.PARAMETER and token.text == "$"
    )
    return tuple(dict.fromkeys(names))


def _fault_of(text: str, error: SqlglotError) -> str:
    """Return where and why *text* is no query: in DuckDB's words, as sqlglot tells of itself."""
    try:
        ast.parse(text)
    except ast.SyntaxProblem as exc:
        return at_byte(text, exc.position, str(exc))
    except (duckdb.Error, RecursionError):
        pass
    problems = getattr(error, "errors", None) or []
    if not problems:
        return "it cannot be parsed"
    word = str(problems[0]["highlight"])
    column = max(1, problems[0]["col"] - len(word) + 1)
    return f"line {problems[0]['line']}, column {column}: it cannot be parsed at or near {word!r}"


def _place(text: str, part: exp.Expr, message: str) -> str:
    start = part.meta.get("start")
    return message if start is None else at_character(text, int(start), message)
