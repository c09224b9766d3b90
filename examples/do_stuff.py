"""Show how busy hosts are. The script takes connection specs, and reports each host that fails.

python examples/do_stuff.py user@host1 user@host2                                       by SSH
python examples/do_stuff.py -k common.key host1 host2 oddhost:kf=key_for_oddhost.key    standalone servers
"""

import argparse
import sys

import easycluster
from easycluster import Client, ConnectionLost, RemoteException, define_common

define_common("""
import os
import platform
import shutil

def look():
    free = shutil.disk_usage(os.getcwd()).free
    load = "%.1f" % os.getloadavg()[0] if hasattr(os, "getloadavg") else "?"
    return platform.node(), platform.python_version(), os.cpu_count(), load, free / 2 ** 30
""")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Show how busy hosts are")
    easycluster.add_key_options(parser)  # -k FILE and -K KEY: the key for each spec without one
    parser.add_argument("specs", metavar="HOST", nargs="+", help="[user@]host[:port][:option=value]...")
    return parser.parse_args()


def complain(problem: object) -> None:
    print(f"do_stuff: {problem}", file=sys.stderr)


def connect(specs: list[str], default_key: bytes) -> list[Client]:
    """Connect to every host; report the hosts that cannot be reached, and go on without them."""
    remotes = []
    for spec in specs:
        try:
            params = easycluster.parse_connection_spec(spec, default_key=default_key)
            remotes.append(Client(**params))
        except (easycluster.EasyClusterError, OSError) as error:
            complain(error)
    return remotes


def show(remotes: list[Client]) -> int:
    """Ask all hosts at once, print each answer, and return how many hosts answered."""
    answered = 0
    for rmt, response in [(rmt, rmt.look(nonblocking=True)) for rmt in remotes]:
        try:
            node, python, cpus, load, free = response.wait(origexc=False)
        except RemoteException as error:
            complain(f"{rmt.peername}: {error.orig}")
        except ConnectionLost as error:
            complain(error)
        else:
            print(f"{rmt.peername}: {node}, Python {python}, {cpus} CPUs, load {load}, {free:.1f} GiB free")
            answered += 1
    return answered


def main() -> int:
    opts = parse_arguments()
    try:
        default_key = easycluster.key_from_options(opts)
    except (easycluster.EasyClusterError, OSError) as error:
        complain(error)
        return 2
    remotes = connect(opts.specs, default_key)
    try:
        answered = show(remotes)
    finally:
        for rmt in remotes:
            rmt.close()
    return 0 if answered == len(opts.specs) else 1


if __name__ == "__main__":
    sys.exit(main())
