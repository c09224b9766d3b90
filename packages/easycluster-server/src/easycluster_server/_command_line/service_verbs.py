"""``easycluster --start``, ``--stop``, ``--query-installed`` and ``--status``: an installed service."""

from __future__ import annotations

import argparse
import sys
from typing import Tuple

from easycluster_protocol._constants import VERSION
from easycluster_server._standalone.services.service import Service
from easycluster_server._standalone.services.steps import perform_all, run_command
from easycluster_server._standalone.services.systems import SYSTEMS, find_system
from easycluster_server._system.error_stream import print_error, print_lines

from .errors import UsageError

#: Exit statuses of ``--status``, those of LSB's init scripts.
NOT_RUNNING = 3
NOT_INSTALLED = 4


class NoSystemError(UsageError):
    """This machine has no manager of services that is known; so no service is installed."""


def say(line: str) -> None:
    """Print a line for the user."""
    print_lines(sys.stdout, f"{line}\n")


def find_service(options: argparse.Namespace) -> Service:
    """Return the service that the options mean: that of this machine, unless another system's is to be shown.

    Raises:
        NoSystemError: this machine has no system that is known.
        UsageError: there is no such system, or it has no services per user.
    """
    known = ", ".join(SYSTEMS)
    if options.system is None:
        system = find_system()
        if system is None:
            raise NoSystemError(
                "no manager of services that is known was found on this machine (a container has none): serve"
                " with easycluster -S -k FILE, with -d in the background. --dry-run --system=NAME shows what"
                f" would be done on another machine; NAME is one of {known}"
            )
    elif options.system in SYSTEMS:
        system = SYSTEMS[options.system]
        if not options.dry_run and not system.is_here():
            raise UsageError(
                f"this machine has no {options.system}; add --dry-run to see what would be done there"
            )
    else:
        raise UsageError(f"--system: there is no {options.system!r}; there are {known}")
    if options.user and not system.has_users:
        raise UsageError(f"--user: {system.system} has no services of users")
    return system(_find_program(), options.user)


def _find_program() -> Tuple[str, ...]:
    """Return what runs this command, by this Python.

    A service works in a folder where the code of clients can write. Isolated, Python imports nothing from
    there; but then it does not see packages that were installed for one user, either.
    """
    module = ("-m", "easycluster")
    isolated = (sys.executable, "-I", *module)
    return isolated if run_command((*isolated, "--version"))[0] == 0 else (sys.executable, *module)


def start(options: argparse.Namespace) -> int:
    """Start the installed service, and return the exit status."""
    return start_service(find_service(options), dry_run=options.dry_run)


def start_service(service: Service, again: bool = False, dry_run: bool = False) -> int:
    """Start a service, and return the exit status.

    Args:
        service: the service.
        again: start one that runs again, so that it has its new settings.
        dry_run: only say what would be done.
    """
    steps = service.start(again)
    if dry_run:
        for step in steps:
            say(step.describe())
        return 0
    if not service.is_installed():
        return _fail_uninstalled()
    try:
        if not perform_all(steps, say):
            say("it runs already")
    except OSError as error:
        print_error(f"easycluster: {error}; for the reason see: {service.log_hint}\n")
        return 1
    return 0


def stop(options: argparse.Namespace) -> int:
    """Stop the installed service, and return the exit status."""
    service = find_service(options)
    if options.dry_run:
        for step in service.stop():
            say(step.describe())
        return 0
    if not service.is_installed():
        return _fail_uninstalled()
    if not perform_all(service.stop(), say):
        say("it does not run")
    return 0


def query_installed(options: argparse.Namespace) -> int:
    """Return 0 if the service is installed, or 1."""
    try:
        return 0 if find_service(options).is_installed() else 1
    except NoSystemError:
        return 1


def show_status(options: argparse.Namespace) -> int:
    """Print how the service does, and return the exit status."""
    try:
        service = find_service(options)
    except NoSystemError as error:
        say(f"easycluster {VERSION}: no service is installed; {error}")
        return NOT_INSTALLED
    whose = "of this user" if service.per_user else "of this machine"
    if not service.is_installed():
        say(f"easycluster {VERSION}: no service {whose} is installed ({service.system})")
        return NOT_INSTALLED
    running = service.is_running()
    state = "runs" if running else "does not run"
    say(f"easycluster {VERSION}: the service {whose} {state} ({service.system})")
    say(f"settings: {service.config_path}, key: {service.key_path}, log: {service.log_hint}")
    return 0 if running else NOT_RUNNING


def _fail_uninstalled() -> int:
    print_error("easycluster: no service is installed; first: easycluster --install\n")
    return 1
