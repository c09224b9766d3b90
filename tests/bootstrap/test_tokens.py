from __future__ import annotations

import ast

import pytest

from easycluster_bootstrap._tokens import Edit, TokenIndex, apply_edits, lay_out, read_tokens


def test_read_tokens() -> None:
    """Comments and line ends inside statements are left out, and an f-string is one token, whatever is in it."""
    tokens = read_tokens("x = f'a{b}c{d:{e}}' + [  # comment\n 1]\n")

    assert [token.string for token in tokens] == ["x", "=", "f'a{b}c{d:{e}}'", "+", "[", "1", "]", "\n"]


def test_identifier_of_unusual_letters() -> None:
    """An identifier is one token also where the tokenizer of older Pythons splits it."""
    tokens = read_tokens("a·b = ℘x\n")

    assert [token.string for token in tokens[:3]] == ["a·b", "=", "℘x"]


def test_unfinished_source() -> None:
    """Source that ends inside a bracket is a SyntaxError with its line."""
    with pytest.raises(SyntaxError) as caught:
        read_tokens("\n(")

    assert caught.value.lineno in (2, 3)


@pytest.mark.parametrize("name", ["x", "äü数"])
def test_index(name: str) -> None:
    """Tokens are found by nodes, also behind characters of several bytes, and on the first line of a block."""
    source = f"if {name}:\n  '€😀{name}'; y = {name} . z\n"
    tokens = read_tokens(source)
    index = TokenIndex(source, tokens)
    (block,) = ast.parse(source).body
    assert isinstance(block, ast.If)
    string, assignment = block.body

    assert tokens[index.start(string)].string == f"'€😀{name}'"
    assert tokens[index.end(string)].string == ";"
    assert tokens[index.start(assignment)].string == "y"
    assert tokens[index.find(".", index.start(assignment))].string == "."


def test_edits() -> None:
    """Some tokens are replaced by a text, or removed, and all others stay on their lines."""
    tokens = read_tokens("a = 1\nif b:\n    c = 2\n    d = 3\n")
    starts = {token.string: index for index, token in enumerate(tokens)}
    edits = {starts["1"]: Edit(starts["1"] + 1, "one"), starts["c"]: Edit(starts["2"] + 2, "")}

    assert lay_out(apply_edits(tokens, edits)) == "a=one\nif b:\n\n d=3\n"


def test_lay_out() -> None:
    """There are blanks only between tokens that would become one token, or cause a warning, without them."""
    source = "if  x  is  not  1  :\n\n        y  =  1  if  z  else  'a'  'b'  \\\n  +  2\n"

    assert lay_out(read_tokens(source)) == "if x is not 1:\n\n y=1 if z else'a' 'b'\\\n+2\n"
