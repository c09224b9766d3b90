"""Every feature of EasyCluster, one short section each. Each section checks what it shows.

python examples/easycluster_demo.py                       server processes on this machine
python examples/easycluster_demo.py user@host             a host by SSH; any connection spec will do
python examples/easycluster_demo.py host:kf=secret.key    a standalone server
"""

# ruff: noqa: F403, F405 -- scripts use the star import, so the demo does too

import argparse
import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

import easycluster
from easycluster import *

# These definitions exist on both ends. The code is executed in a module of its own, so it imports the modules it uses.
define_common("""
import threading

def addvals(a, b):
    return a + b

def divide(a, b):
    return a / b

def in_main_thread():
    return threading.current_thread() is threading.main_thread()

events = [threading.Event() for _ in range(3)]
def wait_for(number):
    return events[number].wait(60)

def release(number):
    events[number].set()
""")


def show(code: str, value: object, expected: object) -> None:
    """Print a line of code and its value; end the demo if the value is wrong."""
    print(f"   {code:<58} {value!r}")
    if value != expected:
        sys.exit(f"easycluster_demo: {code} gave {value!r} where {expected!r} was expected")


def fails(code: str, call: Callable[[], Any], kind: type[Exception]) -> Any:
    """Print a line of code and the error that it raises; end the demo if the error is wrong. Return the error."""
    try:
        call()
    except kind as error:
        print(f"   {code:<58} {type(error).__name__}: {str(error).splitlines()[-1]:.90}")
        return error
    sys.exit(f"easycluster_demo: {code} did not raise {kind.__name__}")


class Demo:
    """The connections that the sections use: ``a`` and ``b``, two processes on the same host."""

    def __init__(self, spec: str | None, key: bytes) -> None:
        self.spec, self.key = spec, key
        self.a, self.b = self.connect(), self.connect()

    def connect(self, clientclass: Any = Client) -> Any:
        """Return a new client."""
        if self.spec is not None:
            return clientclass.from_spec(self.spec, default_key=self.key)
        return easycluster.server.spawn_local(clientclass)

    def update_definitions(self) -> None:
        """Send the definitions that were made since `a` and `b` were connected."""
        self.a.update_definitions()
        self.b.update_definitions()

    def close(self) -> None:
        """Close both connections."""
        self.a.close()
        self.b.close()


def connecting(demo: Demo) -> None:
    """Connections: each has its own process; a spec names the host, [user@]host[:port][:option=value]."""
    a, b = demo.a, demo.b
    print(f"   connected to {a.peername}, which runs EasyCluster {a.server_version}")
    show("a.os.getpid() == b.os.getpid()", a.os.getpid() == b.os.getpid(), False)
    params = parse_connection_spec("[2001:db8::2]:9999:key=s3cret")
    show("params = parse_connection_spec('[2001:db8::2]:9999:key=...')", params["host"], "2001:db8::2")
    show("params['key'] == decode_key('s3cret')", params["key"] == decode_key("s3cret"), True)
    with demo.connect() as third:
        show("with ... as third: third.eval('6 * 7')", third.eval("6 * 7"), 42)


def calls(demo: Demo) -> None:
    """Calls: definitions, any module of the host's Python, builtins."""
    a = demo.a
    show("a.addvals(3, 4)", a.addvals(3, 4), 7)
    show("a.addvals(a='x', b='y')", a.addvals(a="x", b="y"), "xy")
    show("a.os.path.basename('/x/y')", a.os.path.basename("/x/y"), "y")
    python = a.sys.executable.value
    show("a.subprocess.call([python, '-c', 'pass'])", a.subprocess.call([python, "-c", "pass"]), 0)
    show("a.sorted([3, 1, 2])", a.sorted([3, 1, 2]), [1, 2, 3])
    show("a.raw_call('dict', (), {'threadid': 1})", a.raw_call("dict", (), {"threadid": 1}), {"threadid": 1})


def definitions(demo: Demo) -> None:
    """Definitions: the same here and there; update_definitions() sends later ones."""
    from easycluster.remote_code import addvals

    show("addvals(1, 2), imported here", addvals(1, 2), 3)
    define_common("def subvals(a, b):\n    return a - b\n")
    demo.update_definitions()
    show("a.subvals(15, 4)", demo.a.subvals(15, 4), 11)
    show("easycluster.get_global('subvals')(15, 4), here", easycluster.get_global("subvals")(15, 4), 11)


def names(demo: Demo) -> None:
    """Names: .value reads and sets the value of a dotted name on the server."""
    a = demo.a
    show("a.math.pi.value", a.math.pi.value, 3.141592653589793)
    a.counter.value = 5
    show("a.counter.value = 5; a.counter.value", a.counter.value, 5)
    show("a.eval('counter + 1')", a.eval("counter + 1"), 6)
    a.import_module("json")
    show("a.import_module('json'); a.eval('json.dumps([1])')", a.eval("json.dumps([1])"), "[1]")


def blocks(demo: Demo) -> None:
    """Blocks of statements: their value is the argument of exec_return."""
    value = demo.a.execblock("total = sum(range(10))\nexec_return(total)\nraise SystemError('not reached')")
    show("a.execblock('...')", value, 45)
    show("a.total.value", demo.a.total.value, 45)
    show("a.get_root().eval('total + 1'), by the server itself", demo.a.get_root().eval("total + 1"), 46)


class Reporting(Client):
    """Prints remote stack traces in its own way; `Client` writes them to standard error."""

    def report_exception(self, exc: RemoteException) -> None:
        """Print the last line."""
        print(f"   report_exception() got: {exc.text[-1].rstrip()}")


def exceptions(demo: Demo) -> None:
    """Exceptions: raised here as they were raised there."""
    a = demo.a
    with demo.connect(Reporting) as client:
        fails("client.divide(1, 0)", lambda: client.divide(1, 0), ZeroDivisionError)
    error = fails("a.divide(1, 0, origexc='quiet')", lambda: a.divide(1, 0, origexc="quiet"), ArithmeticError)
    show("'return a / b' in str(error.__cause__)", "return a / b" in str(error.__cause__), True)
    error = fails("a.divide(1, 0, origexc=False)", lambda: a.divide(1, 0, origexc=False), RemoteException)
    show("type(error.orig).__name__", type(error.orig).__name__, "ZeroDivisionError")


def server_objects(demo: Demo) -> None:
    """Server objects: they stay on the server, and proxies represent them here."""
    define_common("""
class Counter(ServerObject):
    def __init__(self, value):
        self.value = value
    def increase(self, by=1):
        self.value += by
        return self.value
    def __add__(self, number):
        return Counter(self.value + number)

def values(counters):
    return [counter.value for counter in counters]
""")
    demo.update_definitions()
    first = demo.a.Counter(100)
    print(f"   a.Counter(100) is {first!r}")
    show("first.increase(by=5)", first.increase(by=5), 105)
    second = first + 10
    show("second = first + 10; second.value", second.value, 115)
    second.value = 7
    show("second.value = 7; a.values([first, second])", demo.a.values([first, second]), [105, 7])
    show("a.min([first]) is first", demo.a.min([first]) is first, True)
    fails("b.values([first]), on another connection", lambda: demo.b.values([first]), TypeError)


def exports(demo: Demo) -> None:
    """Exports: the methods and attributes that proxies may use."""
    define_common("""
class Sensor(ServerObject):
    export_methods, export_attrs, export_attrs_cache = ('read',), ('gain',), ('serial',)
    def __init__(self):
        self.gain, self.serial = 2, 'A-17'
    def read(self):
        return self.gain * 20
    def calibrate(self):
        self.gain = 1
""")
    demo.update_definitions()
    sensor = demo.a.Sensor()
    sensor.gain = 3
    show("sensor.gain = 3; sensor.read()", sensor.read(), 60)
    show("sensor.serial, asked for once", sensor.serial, "A-17")
    fails("sensor.calibrate()", lambda: sensor.calibrate(), AttributeError)  # noqa: PLW0108 -- the look-up fails


def proxy_classes(demo: Demo) -> None:
    """Proxy classes: methods that run here, and bases for isinstance."""
    define_common("""
class Movable(object):
    pass

class StageProxy(RemoteProxy, Movable):
    proxy_methods, proxy_attrs = ('move',), ('position',)
    def home(self):
        return self.move(-self.position)

class Stage(ServerObject):
    proxy_class = StageProxy
    position = 0
    def move(self, steps):
        self.position += steps
        return self.position
""")
    from easycluster.remote_code import Movable

    demo.update_definitions()
    stage = demo.a.Stage()
    show("isinstance(stage, Movable)", isinstance(stage, Movable), True)
    show("stage.move(7), stage.home()", (stage.move(7), stage.home()), (7, 0))


def other_classes(demo: Demo) -> None:
    """make_server_class and make_singleton: for objects that know nothing of EasyCluster."""
    define_common("""
import array
make_server_class(array.array)
settings = make_singleton({'speed': 3}, export_methods=('__getitem__', '__setitem__'))
""")
    demo.update_definitions()
    numbers = demo.a.array.array("B", b"abc")
    numbers.append(33)
    show("numbers.append(33); len(numbers), numbers[3]", (len(numbers), numbers[3]), (4, 33))
    settings = demo.a.settings.value
    settings["speed"] = 4
    show("settings['speed'] = 4; a.eval(\"settings['speed']\")", demo.a.eval("settings['speed']"), 4)


def generators_and_files(demo: Demo) -> None:
    """Generators, files and modules: they stay on the server without any declaration."""
    define_common("def squares(count):\n    for number in range(count):\n        yield number * number\n")
    demo.update_definitions()
    show("list(a.squares(5))", list(demo.a.squares(5)), [0, 1, 4, 9, 16])
    with demo.a.tempfile.TemporaryFile("w+") as file:
        print("written there", file=file)
        file.seek(0)
        show("file.read(), a file on the server", file.read(), "written there\n")
    show("a.math.value.sqrt(16), a module", demo.a.math.value.sqrt(16), 4.0)


def nonblocking(demo: Demo) -> None:
    """Nonblocking calls: on both hosts at once; wait, as_completed, await."""
    r1 = demo.a.addvals(5, 8, nonblocking=True)
    r2 = demo.b.addvals(14, 18, nonblocking=True)
    show("r1.wait(), r2.wait()", (r1.wait(), r2.wait()), (13, 32))
    show("r1.done(), r1.result(timeout=5), as a Future", (r1.done(), r1.result(timeout=5)), (True, 13))
    slow = demo.a.wait_for(2, nonblocking=True, threadid=3)
    fast = demo.b.addvals(1, 1, nonblocking=True)
    show(
        "next(as_completed([slow, fast])) is fast", next(easycluster.as_completed([slow, fast])) is fast, True
    )
    demo.a.release(2)
    done, _ = easycluster.wait([slow, fast], timeout=60)
    show("len(done) of easycluster.wait([slow, fast])", len(done), 2)

    async def gather() -> list[Any]:
        return await asyncio.gather(*(each.addvals(20, 22, nonblocking=True) for each in (demo.a, demo.b)))

    show("asyncio.gather of two calls", asyncio.run(gather()), [42, 42])


def multi(demo: Demo) -> None:
    """The same call on many hosts."""
    both = [demo.a, demo.b]
    show("call_multi(both, 'addvals', 2, 3)", call_multi(both, "addvals", 2, 3), [5, 5])
    show("eval_multi(both, '6 * 7')", eval_multi(both, "6 * 7"), [42, 42])
    show("execblock_multi(both, 'exec_return(1)')", execblock_multi(both, "exec_return(1)"), [1, 1])
    counters = [each.Counter(1) for each in both]
    show("call_method_multi(counters, 'increase')", call_method_multi(counters, "increase"), [2, 2])


def completion_functions(demo: Demo) -> None:
    """Completion functions: called with the value, or the error."""
    told: list[Any] = []
    demo.a.addvals(1, 2, oncomplete=told.append)
    demo.b.addvals(3, 4, oncomplete=(lambda value, text: told.append((value, text)), "more"))
    demo.b.divide(1, 0, oncomplete=told.append, onerror=lambda error: told.append(type(error.orig).__name__))
    show("ClientGroup([a, b]).read_responses()", ClientGroup([demo.a, demo.b]).read_responses(), 3)
    show("sorted(told, key=str)", sorted(told, key=str), [(7, "more"), 3, "ZeroDivisionError"])


def server_threads(demo: Demo) -> None:
    """Threads on the server: threadid, SINGLE, set_default_thread, stop_remote_thread."""
    a = demo.a
    waiting = a.wait_for(0, nonblocking=True, threadid=1)
    a.release(0)  # in the main thread, while thread 1 waits
    show("a.wait_for(0, threadid=1), while a.release(0) runs", waiting.wait(), True)
    show("a.in_main_thread()", a.in_main_thread(), True)
    show("... with threadid=easycluster.SINGLE", a.in_main_thread(threadid=easycluster.SINGLE), False)
    a.set_default_thread(1)
    show("... after a.set_default_thread(1)", a.in_main_thread(), False)
    a.set_default_thread(0)
    a.stop_remote_thread(1)


def threaded_client(demo: Demo) -> None:
    """ThreadedClient: a server thread for each thread here; completion functions are called in the background."""
    with demo.connect(ThreadedClient) as client:
        results: dict[int, Any] = {}

        def work(number: int) -> None:
            results[number] = (client.addvals(number, 100), client.in_main_thread())

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expected = [(number, (number + 100, False)) for number in range(3)]
        show("results of three threads", sorted(results.items()), expected)
        called = threading.Event()
        client.addvals(1, 2, oncomplete=lambda value: called.set())
        show("called.wait(60), set by oncomplete", called.wait(60), True)


def limits(demo: Demo) -> None:
    """Options: time limits and other options of calls."""
    quick = easycluster.options(demo.a, timeout=0.1)
    error = fails("options(a, timeout=0.1).wait_for(1)", lambda: quick.wait_for(1, threadid=2), TimeoutError)
    demo.a.release(1)
    show("error.response.wait(): the call goes on", error.response.wait(), True)
    aside = easycluster.options(demo.a, threadid=easycluster.SINGLE)
    show("options(a, threadid=SINGLE).in_main_thread()", aside.in_main_thread(), False)


def functions_by_value(demo: Demo) -> None:
    """Functions that exist only here: they are sent by value."""
    there = demo.a.platform.python_version_tuple()[:2]
    if tuple(there) != tuple(map(str, sys.version_info[:2])):
        print(f"   left out: the host has Python {'.'.join(there)}, and bytecode is for one minor version")
        return
    offset = 30
    show("a.call(lambda x: x + offset, 12)", demo.a.call(lambda x: x + offset, 12), 42)
    show("a.call(lambda f: f(1), lambda x: -x)", demo.a.call(lambda f: f(1), lambda x: -x), -1)


def the_end(demo: Demo) -> None:
    """The end of a connection: waiting calls get an error, and reconnect() starts a fresh process."""
    client = demo.connect()
    pending = client.time.sleep(60, nonblocking=True)
    client.close("closed by the demo")
    fails("client.close('closed by the demo'); pending.wait()", pending.wait, OSError)
    if demo.spec is not None:
        client.reconnect()
        show("client.reconnect(); client.addvals(1, 2)", client.addvals(1, 2), 3)
        client.close()


# fmt: off
SECTIONS = (
    connecting, calls, definitions, names, blocks, exceptions, server_objects, exports, proxy_classes,
    other_classes, generators_and_files, nonblocking, multi, completion_functions, server_threads,
    threaded_client, limits, functions_by_value, the_end,
)


def main() -> None:
    """Run all sections."""
    parser = argparse.ArgumentParser(description="Every feature of EasyCluster, one short section each.")
    add_key_options(parser)
    parser.add_argument("spec", nargs="?", help="user@host, host:kf=FILE ...; default: local processes")
    options = parser.parse_args()
    try:
        demo = Demo(options.spec, key_from_options(options))
    except (easycluster.EasyClusterError, OSError) as error:
        sys.exit(f"easycluster_demo: {error}")
    try:
        for number, section in enumerate(SECTIONS, 1):
            print(f"\n{number}. {section.__doc__}", flush=True)
            section(demo)
    finally:
        demo.close()
    print("\nDone: everything was as it should be.")


if __name__ == "__main__":
    main()
