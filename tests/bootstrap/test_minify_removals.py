"""The parts that the minifier removes, and the parts that it must leave."""

from __future__ import annotations

import sys
from typing import Any, get_type_hints

import pytest

from easycluster_bootstrap._minify import minify

FUTURE = "from __future__ import annotations\n"

GONE = {
    "comments": ("# a\nx = 1  # b\n# c\n", "\nx=1\n"),
    "docstrings": ('"""a"""\ndef f():\n    """b\n    """\n    return 1\n', "\ndef f():\n\n\n return 1\n"),
    "only docstring": ("def f():\n    'a'\nclass A: 'b'\n", "def f():\n 0\nclass A:0\n"),
    "string after an assignment": ("x = 1\n'a'\ny = 2; 'b'; z = 3\n", "x=1\n\ny=2;z=3\n"),
    "string in each branch": ("if x: 'a'\nelif y:\n 'b'; 'c'\nelse: 'd'; y\n", "if x:0\nelif y:\n 0\nelse:y\n"),
    "signature": ("def f(a: int=1, *b: 'x', c: x[1, 2], **d: {1: 2}) -> x: a\n", "def f(a=1,*b,c,**d):a\n"),
    "lambda in an annotation": ("def f(a: (lambda b, c: 0) = 1): a\n", "def f(a=1):a\n"),
    "return over lines": ("def f() -> x[\n  1,\n]: a\n", "def f()\\\n\\\n:a\n"),
    "variables": ("x: int = 1\nx.y: int = 1\ndef f():\n  x: int = yield\n", "x=1\nx.y=1\ndef f():\n x=yield\n"),
    "variable over lines": ("x: a[\n  1\n] = 2\n", "x\\\n\\\n=2\n"),
    "variables without value": ("x: int\ndef f():\n  x: x.y\n  x.y: int\n", "x:0\ndef f():\n x:0\n x.y:0\n"),
    "future": ("'doc'\nfrom __future__ import annotations, division; x\n", "\nx\n"),
    "future over lines": ("from __future__ import (\n  annotations,\n  division)\nx\n", "\n\n\nx\n"),
    "flag set to false": ("TYPE_CHECKING = False\nif TYPE_CHECKING:\n  import a\n  b\nx\n", "\n\n\n\nx\n"),
    "flag from typing": ("from typing import TYPE_CHECKING\nif TYPE_CHECKING: import a; b;\nx\n", "\n\nx\n"),
    "flag in a class": ("TYPE_CHECKING = False\nclass A:\n  if TYPE_CHECKING:\n    a\n", "\nclass A:\n 0\n"),
    "indentation in brackets": ("x = [\n  1,\n\n  2]\n", "x=[\n1,\n\n2]\n"),
    "unused from typing": ("from typing import Any, Dict as D, List\nx: D[Any] = List\n", "from typing import List\nx=List\n"),
    "all of typing": ("from typing import (\n  Any,\n  Dict,\n)\nx: Dict[Any] = 1\n", "\n\n\n\nx=1\n"),
    "plain class": ("class A:\n  x: int = 1\n  y: int\n", "class A:\n x=1\n y:0\n"),
    "exception": ("class A(KeyError):\n  x: int = 1\nclass B(A):\n  y: int = 1\n", "class A(KeyError):\n x=1\nclass B(A):\n y=1\n"),
    "method of any class": ("@a\nclass A(b):\n  def f(self, x: int) -> int: y: int = 1\n", "@a\nclass A(b):\n def f(self,x):y=1\n"),
}  # fmt: skip

KEPT = {
    "needed feature": ("from __future__ import annotations, generator_stop as g\n", "from __future__ import generator_stop as g\n"),
    "other strings": ("f'a'; b'c'; x = 'd'\n", "f'a';b'c';x='d'\n"),
    "flag with else": ("TYPE_CHECKING = False\nif TYPE_CHECKING: a\nelse: b\n", "\nif 0:0\nelse:b\n"),
    "windows with else": ("if sys.platform == 'win32':\n a\n b\nelse:\n c\n", "if 0:\n 0\n\nelse:\n c\n"),
    "another system": ("if sys.platform == 'linux': a\n", "if sys.platform=='linux':a\n"),
    "flag in elif": ("TYPE_CHECKING = False\nif a: a\nelif TYPE_CHECKING: b\n", "TYPE_CHECKING=False\nif a:a\nelif TYPE_CHECKING:b\n"),
    "flag in a function": ("TYPE_CHECKING = False\ndef f():\n if TYPE_CHECKING: a\n", "TYPE_CHECKING=False\ndef f():\n if TYPE_CHECKING:a\n"),
    "flag set to true": ("TYPE_CHECKING = False\nTYPE_CHECKING = x\nif TYPE_CHECKING: a\n", "TYPE_CHECKING=False\nTYPE_CHECKING=x\nif TYPE_CHECKING:a\n"),
    "flag from elsewhere": ("from a import TYPE_CHECKING\nif TYPE_CHECKING: a\n", "from a import TYPE_CHECKING\nif TYPE_CHECKING:a\n"),
    "flag negated": ("TYPE_CHECKING = False\nif not TYPE_CHECKING: a\n", "TYPE_CHECKING=False\nif not TYPE_CHECKING:a\n"),
    "typing in a cast": ("from typing import Any, cast\nx = cast('Any', 1)\n", "from typing import Any,cast\nx=cast('Any',1)\n"),
    "typing in an alias": ("from typing import Any, Dict as D\nA = D[str, Any]\n", "from typing import Any,Dict as D\nA=D[str,Any]\n"),
    "typing in __all__": ("from typing import Any, Dict\n__all__ = ['Any']\n", "from typing import Any\n__all__=['Any']\n"),
    "typing by a string": ("from typing import Any, Dict\nglobals()['\\nAny']\n", "from typing import Any\nglobals()['\\nAny']\n"),
    "typing in an f-string": ("from typing import Any\nx = f'{Any}'\n", "from typing import Any\nx=f'{Any}'\n"),
    "typing from elsewhere": ("from a.typing import Any\nfrom .typing import List\n", "from a.typing import Any\nfrom.typing import List\n"),
    "typing by another letter": ("from typing import Any, Dict\nx = \uff21ny\n", "from typing import Any\nx=\uff21ny\n"),
    "typing behind a block": ("if x:\n  y\nfrom typing import Any, cast\nx = cast\n", "if x:\n y\nfrom typing import cast\nx=cast\n"),
    "all by a star": ("from typing import *\n", "from typing import*\n"),
    "decorated class": ("@a\nclass A:\n  x: int = 1\n  y: int\n", "@a\nclass A:\n x:int=1\n y:int\n"),
    "unknown base": ("class A(a.B):\n  x: int = 1\n", "class A(a.B):\n x:int=1\n"),
    "metaclass": ("class A(metaclass=a):\n  x: int = 1\n", "class A(metaclass=a):\n x:int=1\n"),
    "base that is not plain": ("class A(a): 1\nclass B(A):\n  x: int = 1\n", "class A(a):1\nclass B(A):\n x:int=1\n"),
    "base made again": ("class A: 1\nclass A(a): 1\nclass B(A):\n  x: int = 1\n", "class A:1\nclass A(a):1\nclass B(A):\n x:int=1\n"),
    "base of a function": ("def f():\n  class A: 1\nclass B(A):\n  x: int = 1\n", "def f():\n class A:1\nclass B(A):\n x:int=1\n"),
    "base that wants to know": (
        "class A:\n  def __init_subclass__(c): 1\nclass B(A):\n  x: int = 1\n",
        "class A:\n def __init_subclass__(c):1\nclass B(A):\n x:int=1\n",
    ),
    "annotations are read": ("class A:\n  x: int\n  y = __annotations__\n", "class A:\n x:int\n y=__annotations__\n"),
    "as strings": (FUTURE + "@a\nclass A:\n  x: a[ b , 'c' ] = 1\n  y: int; z = 1\n", "\n@a\nclass A:\n x:\"a[b,'c']\"=1\n y:'int';z=1\n"),
    "as strings, over lines": (FUTURE + "class A(b):\n  x: a[\n    b  # c\n  ] = 1\n", "\nclass A(b):\n x:'a[b]'\\\n\\\n=1\n"),
    "typing in a kept annotation": (FUTURE + "from typing import Any, List\n@a\nclass A:\n  x: Any\n", "\nfrom typing import Any\n@a\nclass A:\n x:'Any'\n"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "expected"), GONE.values(), ids=GONE)
def test_goes(source: str, expected: str) -> None:
    """Parts that have no effect when the module runs are removed, except for their line ends."""
    assert minify(source) == expected


@pytest.mark.parametrize(("source", "expected"), KEPT.values(), ids=KEPT)
def test_stays(source: str, expected: str) -> None:
    """Parts that may have an effect when the module runs stay."""
    assert minify(source) == expected


CLASSES = """
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, Dict, List, NamedTuple, Optional, TypedDict
Alias = Dict[str, "Any"]
@dataclass
class Data:
    a: List[
        int
    ]
    b: "Optional[str]" = None
    c: ClassVar[int] = 3
    d: Alias = field(default_factory=dict)
class Derived(Data):
    e: int = 4
@dataclass
class Again(Derived):
    f: float = 5.0
class Pair(NamedTuple):
    a: int
    b: Optional[Data] = None
class Table(TypedDict, total=False):
    a: "List[Pair]"
class Color(Enum):
    red: int = 1
"""


@pytest.mark.parametrize("head", ["", FUTURE], ids=["evaluated", "future"])
def test_classes_made_from_annotations(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dataclasses, named tuples, typed dictionaries and enums have the fields and types that they had."""
    results: list[list[Any]] = []
    for source in (head + CLASSES, minify(head + CLASSES)):
        module = type(sys)("case")
        monkeypatch.setitem(sys.modules, "case", module)
        exec(compile(source, "<case>", "exec", dont_inherit=True), module.__dict__)
        classes = [value for value in vars(module).values() if getattr(value, "__module__", "") == "case"]
        hints = [repr(get_type_hints(made, module.__dict__)) for made in classes]
        results.append([*hints, repr(module.Again([1])), repr(module.Pair(1)), repr(module.Color(1))])

    assert len(results[0]) == 6 + 3
    assert results[0] == results[1]
