"""The main job of EasyCluster in one minute: calls on other processes or hosts, as if they were local.

python examples/demo.py                             two server processes on this machine
python examples/demo.py user@host1 host2:kf=secret.key    the same on hosts of yours
"""

import sys

import easycluster
from easycluster import Client, call_multi, define_common

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


def connect(specs: list[str]) -> list[Client]:
    if specs:
        say(f"Connecting to {', '.join(specs)}")
        return [Client.from_spec(spec) for spec in specs]
    say("No hosts were given: starting two server processes on this machine")
    return [easycluster.server.spawn_local() for _ in range(2)]


def show_calls(client: Client) -> None:
    say("A function that is defined here runs there, and so does any module of the host's own Python")
    print(f"   whereami()                     {client.whereami()}")
    print(f"   os.path.exists('/tmp')         {client.os.path.exists('/tmp')}")
    print(f"   eval('2 ** 100')               {client.eval('2 ** 100')}")


def show_exception(client: Client) -> None:
    say("An exception there is raised here, with the line of the definition that raised it")
    try:
        client.divide(1, 0, origexc="quiet")
    except ZeroDivisionError as error:
        print(f"   caught {error!r}, whose cause says:")
        print("   | " + str(error.__cause__).replace("\n", "\n   | "))


def show_parallel(clients: list[Client]) -> None:
    say("Calls run on all hosts at once")
    step = 60_000
    responses = [
        client.count_primes(index * step, (index + 1) * step, nonblocking=True)
        for index, client in enumerate(clients)
    ]
    counts = [response.wait() for response in responses]
    print(f"   primes below {step * len(clients):,}: {' + '.join(map(str, counts))} = {sum(counts)}")
    print(f"   the same call everywhere: {call_multi(clients, 'divide', 22, 7)}")


def show_array(client: Client) -> None:
    say("NumPy arrays travel without being copied into a pickle")
    try:
        import numpy as np
    except ImportError:
        print("   left out: NumPy is not installed here (pip install numpy)")
        return
    if not client.eval("__import__('importlib.util').util.find_spec('numpy') is not None"):
        print(f"   left out: NumPy is not installed on {client.peername}")
        return
    array = np.arange(4_000_000, dtype=np.float64)
    result = client.scale(array, 0.5)
    print(
        f"   {array.nbytes / 1e6:.0f} MB there and back: the sum is {result.sum():.6g}, halved as it should be"
    )


def main(specs: list[str]) -> int:
    try:
        clients = connect(specs)
    except (easycluster.EasyClusterError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    try:
        show_calls(clients[0])
        show_exception(clients[0])
        show_parallel(clients)
        show_array(clients[0])
    finally:
        for client in clients:
            client.close()
    say("Done: the connections are closed and nothing is left running")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
