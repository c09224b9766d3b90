"""Pools of `multiprocessing` in remote code, whose processes are new interpreters."""

from __future__ import annotations

from typing import Any

import pytest

from easycluster import define_common

REMOTE = """
import multiprocessing, os
from concurrent.futures import ProcessPoolExecutor

FACTOR = 3

class Pair:
    "A value of a class of the definitions."

    def __init__(self, first, second):
        self.first, self.second = first, second

def triple(pair):
    return Pair(pair.first * FACTOR, pair.second * FACTOR)

def pid(_):
    return os.getpid()

def by_pool(method):
    with multiprocessing.get_context(method).Pool(2) as pool:
        pairs = pool.map(triple, [Pair(1, 2), Pair(3, 4)])
        pool.close()
        pool.join()
    return [(pair.first, pair.second) for pair in pairs]

def by_executor(method):
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        pair = executor.submit(triple, Pair(5, 6)).result()
    return pair.first, pair.second

def nested(method, depth=2):
    "Let a new process start a new process."
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        if depth:
            return executor.submit(nested, method, depth - 1).result() + 1
        return executor.submit(len, "").result()

def ask(_):
    import easycluster.remote_code

    return easycluster.remote_code.late

def fail(_):
    raise LookupError("in a new process")

def failing(method):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as executor:
        executor.submit(fail, 0).result()
"""

METHODS = ["spawn", "forkserver", "fork"]


@pytest.fixture(autouse=True)
def remote() -> None:
    """The functions above are defined on clients that are made from now on."""
    define_common(REMOTE)


@pytest.mark.parametrize("method", METHODS)
def test_pool(client: Any, method: str) -> None:
    """The processes of a pool know the functions and classes of the definitions."""
    assert client.by_pool(method) == [(3, 6), (9, 12)]


@pytest.mark.parametrize("method", METHODS)
def test_executor(client: Any, method: str) -> None:
    """So do those of a ProcessPoolExecutor, and the exceptions that they raise arrive."""
    assert client.by_executor(method) == (15, 18)
    with pytest.raises(LookupError, match="in a new process"):
        client.failing(method, origexc="quiet")


def test_processes_of_processes(client: Any) -> None:
    """A new process can start another one."""
    assert client.nested("spawn") == 2


def test_several_modules_and_later_definitions(client: Any) -> None:
    """Definitions in other modules are known there, and those that were sent later."""
    define_common("from math import sqrt\ndef root(x): return sqrt(x)\n", "lab.tools")
    define_common(
        "from lab.tools import root\n"
        "def roots(values):\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool: return pool.map(root, values)\n"
    )
    client.update_definitions()

    assert client.roots([4, 9]) == [2, 3]


def test_no_definitions(no_definitions: None, spawn: Any) -> None:
    """Functions of importable modules need none."""
    client = spawn()
    client.import_module("multiprocessing")

    assert client.eval("multiprocessing.get_context('spawn').Pool(1).map(len, ['ab'])") == [2]


def test_imported_before(local: Any) -> None:
    """A worker that is a master itself passes on its own definitions, too."""
    local.execblock(
        "import easycluster\n"
        "easycluster.define_common('def twice(x): return 2 * x', 'lab.own')\n"
        "import lab.own, multiprocessing\n"
        "with multiprocessing.get_context('spawn').Pool(1) as pool: result = pool.map(lab.own.twice, [4])\n"
    )

    assert local.eval("result") == [8]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_function_of_no_definition(local: Any, method: str) -> None:
    """A function that no definition made is an error of its call that says so, and not a pool that waits for ever."""
    local.execblock("def late(x): return x")
    code = f"multiprocessing.get_context({method!r}).Pool(1).map(late, [1])"
    with pytest.raises(NameError, match=r"easycluster\.remote_code\.late is not known.*define_common"):
        local.eval(code, origexc="quiet")

    with pytest.raises(AttributeError):
        local.eval(f"multiprocessing.get_context({method!r}).Pool(1).map(ask, [1])", origexc="quiet")
