"""The main features of EasyCluster in one minute. Each line of output shows a line of code and its result.

python examples/demo.py                                   two server processes on this machine
python examples/demo.py user@host1 host2:kf=secret.key    the same on your hosts
"""

import sys

import easycluster
from easycluster import Client, ConnectError, ConnectionLost, call_multi, define_common

# The code in this text is executed on each host, in a module of its own, so it imports the modules that it uses.
define_common("""
import os
import platform

def whereami():
    return "%s, process %d, Python %s" % (platform.node(), os.getpid(), platform.python_version())

def divide(a, b):
    return a / b

def count_primes(start, stop):
    return sum(all(n % d for d in range(2, int(n ** 0.5) + 1)) for n in range(max(2, start), stop))

def scale(array, factor):
    return array * factor
""")


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def show(code: str, result: object) -> None:
    print(f"   {code:<58} {result}", flush=True)


def quote(text: object) -> None:
    print("   | " + str(text).replace("\n", "\n   | "))


def connect(spec: str | None) -> Client:
    if spec is None:
        return easycluster.server.spawn_local()
    return Client.from_spec(spec)


def show_calls(a: Client) -> None:
    say("A function that is defined here runs there, and so does any module of the host's own Python")
    show("a = hosts[0]; a.whereami()", a.whereami())
    show("a.os.path.exists('/tmp')", a.os.path.exists("/tmp"))
    show("a.sys.byteorder.value", a.sys.byteorder.value)
    show("a.eval('2 ** 100')", a.eval("2 ** 100"))


def show_parallel(hosts: list[Client]) -> None:
    say("Calls run on all hosts at once")
    step = 60_000
    responses = [
        host.count_primes(index * step, (index + 1) * step, nonblocking=True)
        for index, host in enumerate(hosts)
    ]
    show("responses = [host.count_primes(..., nonblocking=True) ...]", "return at once")
    counts = [response.wait() for response in responses]
    show("counts = [response.wait() for response in responses]", counts)
    show("sum(counts)", sum(counts))
    show("call_multi(hosts, 'divide', 22, 7)", call_multi(hosts, "divide", 22, 7))


def show_exception(a: Client) -> None:
    say("An exception there is raised here. Its cause is the stack trace of the host")
    try:
        a.divide(1, 0, origexc="quiet")  # without "quiet", the stack trace is also printed to standard error
    except ZeroDivisionError as error:
        show("a.divide(1, 0, origexc='quiet')", f"raises {error!r}")
        show("print(error.__cause__)", "prints the stack trace:")
        quote(error.__cause__)


def show_failing_hosts(hosts: list[Client], spec: str | None) -> None:
    say("A host that cannot be reached is an error that names it")
    try:
        Client.from_spec("localhost:1:key=none listens there")
    except ConnectError as error:
        show("Client.from_spec('localhost:1:key=...')", f"raises {type(error).__name__}:")
        quote(error)

    say("A host that is lost is an error of its own calls. The others go on")
    lost = connect(spec)
    responses = [host.count_primes(0, 30_000, nonblocking=True) for host in hosts]
    show("responses = [host.count_primes(..., nonblocking=True) ...]", "return at once")
    try:
        lost.os._exit(1)
    except ConnectionLost as error:
        show("lost.os._exit(1)", f"raises {type(error).__name__}: {error}")
    show("lost.connected", lost.connected)
    show("[response.wait() for response in responses]", [response.wait() for response in responses])
    lost.close()


def show_array(a: Client) -> None:
    say("NumPy arrays travel without being copied into a pickle")
    try:
        import numpy as np
    except ImportError:
        print("   left out: NumPy is not installed here (pip install numpy)")
        return
    if not a.eval("__import__('importlib.util').util.find_spec('numpy') is not None"):
        print(f"   left out: NumPy is not installed on {a.peername}")
        return
    array = np.arange(4_000_000, dtype=np.float64)
    show(
        "array = np.arange(4_000_000, dtype=np.float64)",
        f"{array.nbytes / 1e6:.0f} MB, its sum is {array.sum():.6g}",
    )
    result = a.scale(array, 0.5)
    show("result = a.scale(array, 0.5)", f"{result.nbytes / 1e6:.0f} MB back, its sum is {result.sum():.6g}")


def main(specs: list[str]) -> int:
    hosts: list[Client] = []
    if specs:
        say(f"Connecting to {', '.join(specs)}")
    else:
        say("You have named no hosts, so two server processes on this machine take their place")
    places = specs or [None, None]
    try:
        for spec in places:
            hosts.append(connect(spec))
            code = "easycluster.server.spawn_local()" if spec is None else f"Client.from_spec({spec!r})"
            show(f"hosts.append({code})", f"connects to {hosts[-1].peername}")
        show_calls(hosts[0])
        show_parallel(hosts)
        show_exception(hosts[0])
        show_failing_hosts(hosts, places[0])
        show_array(hosts[0])
    except (easycluster.EasyClusterError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    finally:
        for host in hosts:
            host.close()
    say("Done: the connections are closed and nothing is left running")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
