"""Which variables become letters, and which names must stay."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from bootstrap.conftest import minify_only
from bootstrap.rename_check import assert_renamed
from easycluster_bootstrap import collect
from easycluster_bootstrap._minify import minify

SENT = {
    name: source
    for name, (source, _) in collect("easycluster", "easycluster_protocol", "easycluster_server").items()
}

RENAMED = {
    "in the order of the source": ("def f():\n for one in a:\n  two=one\n return two\n", "def f():\n for e in a:\n  t=e\n return t\n"),
    "around letters in use": ("def f(e):\n one=e,t\n return one\n", "def f(e):\n a=e,t\n return a\n"),
    "around letters of inner functions": ("def f():\n one=1\n def g(e):return one,e\n", "def f():\n t=1\n def g(e):return t,e\n"),
    "the same letters in each function": ("def f():\n one=1\ndef g():\n two=2\n", "def f():\n e=1\ndef g():\n e=2\n"),
    "targets": ("def f():\n with a as one,b as(two,*three):one.two=one[two]=three\n", "def f():\n with a as e,b as(t,*o):e.two=e[t]=o\n"),
    "assigned and deleted": ("def f():\n one=1;one+=1;del one\n", "def f():\n e=1;e+=1;del e\n"),
    "handlers": ("def f():\n try:1\n except(A)as one:raise one\n except A as one:0\n", "def f():\n try:1\n except(A)as e:raise e\n except A as e:0\n"),
    "closures": ("def f():\n one=1\n def g():\n  two=one\n  return lambda:two+one\n", "def f():\n e=1\n def g():\n  t=e\n  return lambda:t+e\n"),
    "one of the same name inside": ("def f():\n one=1\n def g(one):return one\n def h():one=2\n", "def f():\n e=1\n def g(one):return one\n def h():e=2\n"),
    "through a class": ("def f():\n one=1\n class A:\n  def g(self):return one\n", "def f():\n e=1\n class A:\n  def g(self):return e\n"),
    "comprehensions": ("x=[one for one in y if one for two in one]\n", "x=[e for e in y if e for t in e]\n"),
    "their first iterable": ("def f():\n one=1\n return[one for one in one],{two:one for two in one}\n", "def f():\n e=1\n return[e for e in e],{t:e for t in e}\n"),
    "keywords stay": ("def f():\n one=1\n return g(one=one)\n", "def f():\n e=1\n return g(one=e)\n"),
    "defaults and decorators": ("def f():\n one=1\n @one\n def g(two=one,*,three:one=one):0\n", "def f():\n e=1\n @e\n def g(two=e,*,three=e):0\n"),
    "annotated": ("def f():\n one:int=1\n two:int\n", "def f():\n e=1\n t:0\n"),
    "only one that is not in an f-string": ("def f():\n one=two=1\n return f'{one}',two\n", "def f():\n one=e=1\n return f'{one}',e\n"),
    "vars of an object": ("def f():\n one=vars(a);return dir(one)\n", "def f():\n e=vars(a);return dir(e)\n"),
    "beside a function that shows its own": ("def f():\n one=1;locals()\ndef g():\n one=1\n", "def f():\n one=1;locals()\ndef g():\n e=1\n"),
    "other letters": ("def f():\n ä='ü';öl=ä;return öl\n", "def f():\n ä='ü';e=ä;return e\n"),
}  # fmt: skip

KEPT = {
    "names of the module": "one=1\nfor two in one:three=two\nclass A:one=1\n",
    "names of a class in a function": "def f():\n class A:\n  one=1\n  two=one\n",
    "parameters": "def f(one,*two,three=1,**four):\n return one,two,three,four\nx=lambda one:one\n",
    "functions and classes": "def f():\n def g():0\n class A:0\n return g,A\n",
    "imports": "def f():\n import a.b,c as one\n from d import two,e as three\n return a,one,two,three\n",
    "global": "def f():\n global one\n one=1\ndef g():\n one=2\n",
    "nonlocal": "def f():\n one=1\n def g():\n  nonlocal one;one=2\n",
    "f-strings": "def f():\n one=two=three=1\n return f'{one}'f'{1:{two}}{[three for four in 1]}'\n",
    "f-string of an inner function": "def f():\n one=1\n return lambda:f'{one}'\n",
    "used in the body of a class": "def f():\n one=1\n class A:\n  two=one\n",
    "locals": "def f():\n one=1\n return locals()\n",
    "locals of an inner function": "def f():\n one=1\n def g():return one,locals()\n",
    "eval": "def f():\n one=1\n return eval('one')\n",
    "exec with a dictionary": "def f():\n one=1\n exec('one',a)\n",
    "vars": "def f():\n one=1\n return'%(one)s'%vars()\n",
    "dir": "def f():\n one=1\n return dir()\n",
    "by another name": "see=locals\ndef f():\n one=1\n return see()\n",
    "handed on": "def f():\n one=1\n return list(map(eval,['one']))\n",
    "from builtins": "import builtins\ndef f():\n one=1\n return builtins.locals()\n",
    "imported from builtins": "from builtins import locals as see\ndef f():\n one=1\n return see()\n",
    "by a frame": "def f():\n one=1\n return g().f_locals\n",
    "by the attribute of a frame": "def f():\n one=1\n return getattr(g(),'f_locals')\n",
    "names of a code object": "def f():\n one=1\n return g.__code__.co_varnames\n",
    "private names of a class": "class A:\n def f(self):\n  __one=1\n  return __one\n",
    "self": "class A:\n def __new__(cls):\n  self=object.__new__(cls)\n  self.one=1\n  return self\n",
    "the cell of a class": "class A:\n def f(self):\n  return __class__\n",
    ":= in a comprehension": "def f():\n return[one:=1 for e in a],one\n",
    ":=": "def f():\n if(one:=1):return one\n",
    "patterns": "def f(a):\n match a:\n  case[one,*two]:return one,two\n  case{1:three,**four}:return three,four\n  case int()as five:return five\n",
    "letters": "def f():\n x=y=1\n return x,y\n",
}  # fmt: skip


@pytest.mark.parametrize(("source", "expected"), RENAMED.values(), ids=RENAMED)
def test_renamed(source: str, expected: str) -> None:
    """A variable that only its function can use gets a letter that no other name in reach has."""
    assert minify(source) == expected


@pytest.mark.parametrize("source", KEPT.values(), ids=KEPT)
def test_kept(source: str) -> None:
    """A name that other code may use, be it by a text, stays."""
    assert minify(source) == source


def test_more_variables_than_letters() -> None:
    """When the letters are used up, the other variables keep their names."""
    names = [f"name{number}" for number in range(30)]
    source = f"def f():\n {'='.join(names)}=1\n return {','.join(names)}\n"

    renames = assert_renamed(source, minify(source))

    assert list(renames) == names[:26]
    assert len(set(renames.values())) == 26


CHECK = """
import json, sys
sys.path.insert(0, sys.argv[1])
from rename_check import assert_renamed
with open(sys.argv[2]) as file:
    for before, after in json.load(file):
        assert_renamed(before, after)
"""


def test_sent_modules_compile_to_the_same(python: str, tmp_path: Path) -> None:
    """On each Python, the modules that are sent compile to the same code, whatever their variables are called."""
    pairs = tmp_path / "pairs"
    pairs.write_text(json.dumps([(minify_only(source), minify(source)) for source in SENT.values()]))

    subprocess.run([python, "-c", CHECK, Path(__file__).parent, pairs], check=True)
