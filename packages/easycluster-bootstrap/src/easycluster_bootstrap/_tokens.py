"""Reads the tokens of Python source, finds and edits them, and makes source of them again.

Each token stays on its line, and there are no more blanks than Python needs.
"""

from __future__ import annotations

import ast
import tokenize
from bisect import bisect_left
from io import StringIO
from typing import Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Union

Token = tokenize.TokenInfo
_Node = Union[ast.stmt, ast.expr, ast.arg, ast.ExceptHandler]

_SKIPPED = {tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER}
_IN_NAMES = {tokenize.NAME, tokenize.NUMBER, tokenize.ERRORTOKEN}
_LEVELS = {tokenize.INDENT: 1, tokenize.DEDENT: -1}
_DEPTHS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
# Python 3.12 and newer give the pieces of f-strings as tokens, 3.14 and newer those of t-strings, too.
_PIECES: Dict[int, int] = {
    getattr(tokenize, f"{letter}STRING_{name}", -1): nesting
    for letter in "FT"
    for name, nesting in (("START", 1), ("MIDDLE", 0), ("END", -1))
}


class Edit(NamedTuple):
    """Replaces some tokens by a text.

    Attributes:
        end: the index behind the last token that is replaced.
        text: the text, which may be empty.
    """

    end: int
    text: str


def read_tokens(source: str) -> List[Token]:
    """Return the tokens without comments and without line ends inside statements; an f-string is one token.

    Args:
        source: valid Python without carriage returns.

    Raises:
        SyntaxError: it is not valid.
    """
    tokens: List[Token] = []
    start: Optional[Token] = None
    nesting = 0
    try:
        for token in tokenize.generate_tokens(StringIO(source).readline):
            if token.type in _PIECES:
                start = start or token
                nesting += _PIECES[token.type]
                if not nesting:
                    tokens.append(_join_pieces(source, start, token))
                    start = None
            elif not nesting and token.type not in _SKIPPED:
                _append(tokens, token)
    except tokenize.TokenError as error:
        message, (row, column) = error.args
        raise SyntaxError(message, ("<unknown>", row, column, None)) from error
    return tokens


def _join_pieces(source: str, first: Token, last: Token) -> Token:
    lines = source.split("\n")[first.start[0] - 1 : last.end[0]]
    lines[-1] = lines[-1][: last.end[1]]
    lines[0] = lines[0][first.start[1] :]
    return Token(tokenize.STRING, "\n".join(lines), first.start, last.end, first.line)


def _append(tokens: List[Token], token: Token) -> None:
    kind, text = token.type, token.string
    if kind == tokenize.ERRORTOKEN and text.isspace():
        return
    if kind in _IN_NAMES and tokens and tokens[-1].end == token.start:
        # Before Python 3.12 tokenize splits an identifier at letters that are not in \w.
        before = tokens[-1]
        if before.type in (tokenize.NAME, tokenize.ERRORTOKEN):
            tokens[-1] = Token(tokenize.NAME, before.string + text, before.start, token.end, token.line)
            return
    tokens.append(token)


class TokenIndex:
    """Finds the tokens of nodes of the syntax tree.

    Args:
        source: the source that both the tree and the tokens were read from.
        tokens: from `read_tokens`. Each method returns the index of one of them.
    """

    def __init__(self, source: str, tokens: List[Token]) -> None:
        self._tokens = tokens
        self._starts = [token.start for token in tokens]
        # Nodes count columns in bytes of UTF-8, tokens count them in characters.
        self._lines = None if source.isascii() else [line.encode("utf-8") for line in source.split("\n")]

    def start(self, node: _Node) -> int:
        """Find the first token of a node."""
        index = self._index(node.lineno, node.col_offset)
        while self._tokens[index].type in _LEVELS:
            index += 1
        return index

    def end(self, node: _Node) -> int:
        """Find the token behind a node."""
        return self._index(node.end_lineno or 0, node.end_col_offset or 0)

    def find(self, text: str, index: int) -> int:
        """Find the first token that has this text, from an index on."""
        while self._tokens[index].string != text:
            index += 1
        return index

    def _index(self, row: int, column: int) -> int:
        if self._lines is not None:
            column = len(self._lines[row - 1][:column].decode("utf-8"))
        return bisect_left(self._starts, (row, column))


def apply_edits(tokens: List[Token], edits: Mapping[int, Edit]) -> Iterator[Token]:
    """Yield the tokens with the edits made.

    Args:
        tokens: from `read_tokens`.
        edits: index of the first token that is replaced -> edit; they do not overlap.
    """
    position = 0
    for index in sorted(edits):
        yield from tokens[position:index]
        position, text = edits[index]
        if text:
            start = tokens[index].start
            yield Token(tokenize.NAME, text, start, start, "")
        for token in tokens[index:position]:
            if token.type in _LEVELS:
                yield token
    yield from tokens[position:]


def lay_out(tokens: Iterable[Token]) -> str:
    """Return the source that the tokens make, with each of them on its line."""
    pieces: List[str] = []
    row, depth, level = 1, 0, 0
    line_begins = True
    last: Optional[Token] = None
    for token in tokens:
        kind, text, (start_row, _), (end_row, _), _ = token
        if kind == tokenize.NEWLINE:
            line_begins = True
        elif kind in _LEVELS:
            level += _LEVELS[kind]
        else:
            if line_begins:
                pieces.append("\n" * (start_row - row) + " " * level)
                line_begins = False
            elif start_row > row:
                pieces.append(("\n" if depth else "\\\n") * (start_row - row))
            elif last is not None and _needs_blank(last, token):
                pieces.append(" ")
            pieces.append(text)
            row, last = end_row, token
            depth += _DEPTHS.get(text, 0)
    return "".join([*pieces, "\n"]) if pieces else ""


def _needs_blank(left: Token, right: Token) -> bool:
    before, after = left.string[-1], right.string[0]
    if left.type == tokenize.NUMBER:
        return after == "." or _is_wordy(after)  # Python does not need one in `1if`, but warns
    if before in "'\"":
        return before == after
    return _is_wordy(before) and _is_wordy(after)


def _is_wordy(character: str) -> bool:
    return character.isalnum() or character == "_" or character > "\x7f"
