"""Our code over ssh: at first no more than every session needs, and the rest with the first call."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from easycluster import Client, define_common
from easycluster_client._api import connection
from easycluster_client._ssh import shipment
from helpers.pythons import every_python, find_pythons
from helpers.sshd import Sshd

pytestmark = pytest.mark.needs_sshd

#: The expression must not name the package, which would be a use of it.
IMPORTED = "{name for name in __import__('sys').modules if name.startswith(('easyc', 'cloudpickle'))}"

#: What the guardian imports, which is another process.
ELSEWHERE = {
    "easycluster_server._system.posix.guardian",
    "easycluster_server._system.posix.output_relay",
    "easycluster_server._system.posix.reports",
    "easycluster_server._system.posix.worker_end",
    "easycluster_server._system.posix.proc",
}

#: Python reports what it opens.
WATCH = """
import os, sys
opened = []
def watch(event, args):
    if event in ("open", "os.mkdir", "os.rename"):
        opened.append((event, str(args[0])))
sys.addaudithook(watch)
"""


@pytest.fixture
def bare(sshd: Sshd, no_leaks: None) -> Iterator[Callable[[], Client]]:
    """Makes clients of a host that has nothing of ours."""
    clients: list[Client] = []

    def connect() -> Client:
        clients.append(Client(host="h", ssh=True, rpython=sys.executable, extra_args=sshd.options))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


def later_modules() -> list[str]:
    """The names of what comes later; importing the command line's module runs nothing."""
    return sorted(set(shipment.collect_sources()) - shipment.STARTUP_MODULES)


def test_the_startup_bundle_is_minimal(bare: Callable[[], Client]) -> None:
    """After one call every module of the startup bundle was imported, and of the calls bundle those that each call needs."""
    imported = set(bare().eval(f"' '.join({IMPORTED})").split())

    assert imported >= shipment.STARTUP_MODULES - ELSEWHERE
    assert imported - shipment.STARTUP_MODULES == {
        "easycluster.remote_code",
        "easycluster_bootstrap",
        "easycluster_protocol._definitions",
        "easycluster_protocol._definitions.exec_return",
        "easycluster_protocol._definitions.modules",
        "easycluster_protocol._definitions.names",
        "easycluster_protocol._definitions.sources",
        "easycluster_protocol._values",
        "easycluster_protocol._values.pathlib_local",
        "easycluster_protocol._values.serialize",
        "easycluster_server._serving.calls",
        "easycluster_server._serving.executor",
        "easycluster_server._serving.follower",
        "easycluster_server._serving.fork_guard",
        "easycluster_server._serving.job",
        "easycluster_server._serving.lazy",
        "easycluster_server._serving.session",
        "easycluster_server._serving.exec_guard",
        "easycluster_server._serving.operations",
        "easycluster_server._serving.spawned_children",
    }


@pytest.mark.parametrize(
    ("use", "module"),
    [
        ("[]", "easycluster_server._objects"),
        ("ServerObject.__name__", "easycluster_protocol._objects.exports"),
        ("globals()['read_key_file'].__name__", "easycluster_protocol.keys"),
    ],
)
def test_what_few_sessions_need(bare: Callable[[], Client], use: str, module: str) -> None:
    """What server objects and the names of definitions modules take is imported with the first use of them."""
    client = bare()
    before = client.eval(f"{module!r} in __import__('sys').modules")
    client.eval(use)

    assert not before
    assert client.eval(f"{module!r} in __import__('sys').modules")


def test_later_modules_can_be_imported(bare: Callable[[], Client]) -> None:
    """Each module that comes later can be imported in the very first call of a session, and from any thread."""
    client = bare()
    responses = [
        client.import_module(name, nonblocking=True, threadid=number % 4)
        for number, name in enumerate(later_modules())
    ]
    for response in responses:
        response.wait()

    assert set(later_modules()) <= client.eval(IMPORTED)
    for name in set(later_modules()) - {"easycluster.remote_code"}:  # which puts another in its place
        tail = "/__init__.py" if shipment.collect_sources()[name][1] else ".py"
        file = f"easycluster-bundle/{name.replace('.', '/')}{tail}"
        assert client.eval(f"__import__('sys').modules[{name!r}].__file__") == file


def test_first_call_that_fails(bare: Callable[[], Client]) -> None:
    """An exception in the first call, for which a module has to come, is the one that was raised."""
    with pytest.raises(ZeroDivisionError) as caught:
        bare().eval("1 / 0", origexc="quiet")

    assert "ZeroDivisionError" in str(caught.value.__cause__)


def test_definitions_that_fail(bare: Callable[[], Client]) -> None:
    """So is one in the definitions, which are sent before the user's first call."""
    define_common("raise KeyError('on purpose')", local=False)
    with pytest.raises(Exception, match="failed, line 1: KeyError"):
        bare()


def test_by_value_in_the_first_call(bare: Callable[[], Client]) -> None:
    """A function by value may be the first call, give a class by value back, and fail so."""

    class Wrong(Exception):
        pass

    def fail() -> None:
        raise Wrong("on purpose")

    with pytest.raises(Wrong, match="on purpose"):
        bare().call(fail, origexc="quiet")
    assert type(bare().call(lambda: Wrong("back"))) is Wrong


def test_first_calls_of_several_threads(bare: Callable[[], Client]) -> None:
    """Threads that make the first calls at once may all need what comes later."""
    client, start, found = bare(), threading.Barrier(5), []

    def call(number: int) -> None:
        start.wait()
        try:
            client.eval(f"{{}}[{number}]", threadid=number, origexc="quiet")
        except BaseException as error:
            found.append(repr(error))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found) == [f"KeyError({number})" for number in range(5)]


def test_first_call_that_is_interrupted(bare: Callable[[], Client], monkeypatch: pytest.MonkeyPatch) -> None:
    """When Ctrl-C comes before the calls bundle is sent, it goes ahead of the next call."""
    interrupts = [KeyboardInterrupt()]

    def calls_bundle() -> bytes:
        if interrupts:
            raise interrupts.pop()
        return shipment.calls_bundle()

    monkeypatch.setattr(connection, "calls_bundle", calls_bundle)
    client = bare()
    with pytest.raises(KeyboardInterrupt):
        client.eval("1")

    assert client.eval("6 * 7") == 42
    with pytest.raises(ZeroDivisionError):
        client.eval("1 / 0", origexc="quiet")


def test_what_is_never_sent(bare: Callable[[], Client]) -> None:
    """A module of ours that belongs to masters is not taken from the host, and the error says so."""
    client = bare()
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="'easycluster_client' \\(it was not sent to this host"):
            client.import_module("easycluster_client", origexc="quiet")
    with pytest.raises(ModuleNotFoundError, match="not sent"):
        client.import_module("easycluster_protocol.no_such_module", origexc="quiet")


def test_nothing_is_looked_for_on_disk(bare: Callable[[], Client]) -> None:
    """Modules that come later, and cloudpickle, are neither read from files nor written to any."""
    client = bare()
    client.execblock(WATCH)
    client.execblock("import sys; assert sys.dont_write_bytecode is False")
    client.import_modules(later_modules())
    assert client.call(lambda x: x + 1, 1) == 2
    opened = client.eval("opened")

    assert [each for each in opened if "easycluster" in each[1] or "cloudpickle" in each[1]] == []
    client.execblock("open(os.devnull).close()")
    assert ("open", "/dev/null") in client.eval("opened")


def test_tracebacks_show_our_source(bare: Callable[[], Client]) -> None:
    """A traceback through a module that came later shows its lines."""
    with pytest.raises(FileNotFoundError) as caught:
        bare().execblock(
            "from easycluster_protocol import keys\nkeys.read_key_file('/no/such/file')", origexc="quiet"
        )
    trace = str(caught.value.__cause__)

    assert 'File "exec[1]", line 2, in <module>' in trace
    assert 'File "easycluster-bundle/easycluster_protocol/keys.py", line ' in trace
    assert ", in read_key_text\n    with open(" in trace


@every_python(since="3.8")  # the threading of older ones imports traceback
def test_no_standard_module_is_imported_in_vain(version: str, sshd: Sshd, no_leaks: None) -> None:
    """What takes long to import nobody imports before it is needed, but for what this Python imports itself."""
    slow = {"enum", "importlib.util", "linecache", "pickle", "re", "signal", "socket", "traceback", "typing"}
    python = find_pythons()[version]
    list_modules = [python, "-S", "-c", "import sys; print(*sys.modules)"]
    at_start = subprocess.run(list_modules, capture_output=True, text=True, check=True).stdout.split()
    define_common("import sys\ndef imported():\n    return set(sys.modules)\n")
    with Client(host="h", ssh=True, rpython=f"{python} -S", extra_args=sshd.options) as client:
        imported = client.imported()

    assert imported & slow <= set(at_start)
