"""Show how busy hosts are. The script takes connection specs, and reports each host that fails.

python examples/do_stuff.py user@host1 user@host2                                       by SSH
python examples/do_stuff.py -k common.key host1 host2 oddhost:kf=key_for_oddhost.key    standalone servers
"""

import argparse
import sys

import easycluster
from easycluster import call_multi, define_common
from easycluster.parallel import Hosts, connect_all

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


def show(hosts: Hosts) -> int:
    """Ask all hosts at once, print each answer, and return how many hosts answered."""
    answered = 0
    for outcome in call_multi(easycluster.options(hosts.values(), errors="return"), "look"):
        if outcome.error is not None:
            complain(f"{outcome.host}: {outcome.error}")
        else:
            node, python, cpus, load, free = outcome.value
            print(f"{outcome.host}: {node}, Python {python}, {cpus} CPUs, load {load}, {free:.1f} GiB free")
            answered += 1
    return answered


def main() -> int:
    opts = parse_arguments()
    try:
        default_key = easycluster.key_from_options(opts)
    except (easycluster.EasyClusterError, OSError) as error:
        complain(error)
        return 2
    specs = list(dict.fromkeys(opts.specs))  # each once
    with connect_all(specs, default_key=default_key) as hosts:
        for error in hosts.errors.values():
            complain(error)  # the other hosts are connected all the same
        answered = show(hosts)
    return 0 if answered == len(specs) else 1


if __name__ == "__main__":
    sys.exit(main())
