"""``easycluster --install`` and ``--uninstall``: the server as a service of the system."""

from __future__ import annotations

import argparse
import os
from typing import Dict, List, Sequence

from easycluster_server._standalone.config.editing import edit, make_template
from easycluster_server._standalone.config.file import read_config_file
from easycluster_server._standalone.config.kinds import Setting
from easycluster_server._standalone.config.settings import Settings
from easycluster_server._standalone.config.table import OPTIONS
from easycluster_server._standalone.service_manager import ServiceManager
from easycluster_server._standalone.services.service import Service
from easycluster_server._standalone.services.steps import Step, WriteKey, perform_all

from .errors import UsageError
from .service_verbs import find_service, say, start_service
from .serving import read_keys

#: What a service does unless it is told otherwise: it logs connections, and no calls.
_DEFAULTS: Dict[str, Setting] = {"class": "QuietServer", "verbose": 1}

#: The settings that an installation does not take → the reason.
_NOT_OF_SERVICES = {
    "config": "a service has a file of its own",
    "daemonize": "the system runs a service in the background anyway",
}

_KEY_FILE = "server.key"


def install(options: argparse.Namespace, settings: Settings) -> int:
    """Install the service, or bring an installed one to these settings, and return the exit status.

    Raises:
        UsageError: it cannot be had with these options.
        KeyFileError: the key cannot be used.
        OSError: a step failed.
    """
    for name, reason in _NOT_OF_SERVICES.items():
        if getattr(options, name):
            raise UsageError(f"--{name} is not for --install: {reason}")
    service = find_service(options)
    text, whole = _merge(service, settings)
    # What only another machine can tell, as the names of its users, is no problem of a dry run for it.
    problem = service.find_problem(whole) if service.is_here() else service.find_foreign(whole)
    if problem and not options.dry_run:
        raise UsageError(problem)
    steps = service.install(whole, text, _plan_key(service, options, settings))
    if options.dry_run:
        notes = [f"without --dry-run this is refused: {problem}"] if problem else service.advise(whole)
        _describe(service, [*steps, *(service.start() if options.start else ())], notes)
        return 0
    changed = perform_all(steps, say)
    if not changed:
        say("everything is installed so already")
    say(f"settings: {service.config_path}, key: {service.key_path}, log: {service.log_hint}")
    _say_all(service.advise(whole))
    if options.start:
        return start_service(service, again=changed)
    if not service.is_running():
        say("it starts on the next boot; to start it now: easycluster --start")
    elif changed:
        say("it runs with its old settings; to start it again: easycluster --install --start")
    return 0


def _merge(service: Service, settings: Settings) -> tuple[str, Settings]:
    """Return the text of the configuration file, and all settings of the service."""
    if os.path.exists(service.config_path):
        before = read_config_file(service.config_path)
        with open(service.config_path, encoding="utf-8-sig") as file:
            text = file.read()
        wanted: Dict[str, Setting] = {}
    else:
        before, text, wanted = Settings({}), make_template(), dict(_DEFAULTS)
    for option in OPTIONS:
        if option.in_file and option.name in settings.given:
            # A path on the command line starts in the working folder, which is not that of the service.
            wanted[option.name] = option.kind.start_at(os.getcwd(), settings.given[option.name])
    wanted.pop("keyfile", None)
    changes = {name: value for name, value in wanted.items() if before.given.get(name) != value}
    if not before.has("keyfile") or settings.has("keyfile") or settings.has("key"):
        changes["keyfile"] = [_KEY_FILE]
    whole = Settings(wanted).over(before)
    return edit(text, changes), Settings({"keyfile": [service.key_path]}).over(whole)


def _plan_key(service: Service, options: argparse.Namespace, settings: Settings) -> WriteKey:
    if settings.has("keyfile") or settings.has("key"):
        source, *more = settings.texts("keyfile") or ["-K"]
        if more:
            raise UsageError(
                f"--install copies one key: leave out -k {more[0]}, and name further files in the"
                " configuration file, as keyfile = server.key, other.key"
            )
        return WriteKey(service.key_path, read_keys(settings, ServiceManager({}))[0], source)
    return WriteKey(service.key_path, overwrite=options.overwrite)


def uninstall(options: argparse.Namespace) -> int:
    """Remove the service, all but its key, and return the exit status.

    Raises:
        UsageError: there is no way of services here.
        OSError: a step failed.
    """
    service = find_service(options)
    steps = service.uninstall()
    if options.dry_run:
        _describe(service, steps)
        return 0
    if not perform_all(steps, say):
        say("nothing was installed")
    if os.path.exists(service.key_path):
        say(f"left: the key, {service.key_path}")
    for path in service.left_over():
        say(f"left: {path}, which is not empty")
    return 0


def _describe(service: Service, steps: Sequence[Step], advice: Sequence[str] = ()) -> None:
    """Print what would be done."""
    whose = "of one user" if service.per_user else "of the machine"
    lines: List[str] = [f"# {service.system}, a service {whose}; {service.tested}"]
    lines += [step.describe() for step in steps]
    lines += [f"# {line}" for line in advice]
    _say_all(lines)


def _say_all(lines: Sequence[str]) -> None:
    for line in lines:
        say(line)
