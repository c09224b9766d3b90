"""Makes the command for the host, and the short line of Python in it.

The command passes through the login shell of the host, which may be any of sh, bash, dash, ksh, zsh, csh,
tcsh and fish. Single quotes mean the same to all of them as long as there is in them no single quote,
no ``!`` (history of csh), no backslash (fish) and no line break. Old shells refuse words of 1024 bytes. And
Python 2.7 must be able to parse the line, so that it can say that it is too old.
"""

from __future__ import annotations

import re
from typing import Optional

from easycluster_bootstrap._framing import HEADER_LENGTH, LENGTH_AT

# In this order: `python` is most often Python 2 where it is not the only one, and RHEL 8 without the package
# python3 still has one for its own tools.
_CANDIDATES = "python3 /usr/libexec/platform-python python"

# Arguments: the short line, then the Pythons to try. PYTHONSAFEPATH, which 3.11 and newer know, keeps them
# from searching the current folder while they start: 3.13 imports linecache, hence re, types and more, before
# it runs the line. The importer removes it again, unless the host itself had set it.
_SCRIPT = (
    "l=$1; shift; "
    "PYTHONSAFEPATH=${PYTHONSAFEPATH-easycluster}; export PYTHONSAFEPATH; "
    'for p in "$@"; do command -v "$p" >/dev/null 2>&1 && exec "$p" -c "$l"; done; '
    'echo "EasyCluster found no Python on the host; it looked for: $*" >&2; '
    "exit 127"
)

# su reads a password from its standard input where no terminal is, unless root calls it.
_SU = (
    '[ "$(id -u)" = 0 ] && exec "$@"; '
    'echo "EasyCluster: su would take the code on its standard input for a password" >&2; '
    "exit 1"
)

# The importer removes the names that these leave in __main__.
_STATEMENTS = [
    "import sys",
    "V=sys.version_info",
    (
        'V<(3,6)and sys.exit("EasyCluster needs Python 3.6 or newer on the host;'
        ' %s is Python %d.%d.%d"%((sys.executable,)+V[:3]))'
    ),
    "B=bytearray()",
    # From here until the importer runs, every error becomes one line and exit status 1. %c is the line feed.
    "H=sys.excepthook",
    (
        'sys.excepthook=lambda t,e,b:sys.stderr.write("EasyCluster could not start: its code did not arrive'
        ' whole on stdin (%d bytes did; %s: %s)%c"%(len(B),t.__name__,e,10))'
    ),
    # The current folder must not be searched: it may hold a file named os.py.
    "P=sys.path[:]",
    "sys.path[:]=[x for x in P if x]",
    "import os",
    # PYTHONPATH=/somewhere: (with that colon, which is common) adds that folder by its full name. It may have
    # been removed.
    "E,S=os.path.exists,os.path.samefile",
    'sys.path[:]=[x for x in sys.path if not(E(x)and E(".")and S(x,"."))]',
    'os.isatty(0)and sys.exit("EasyCluster got a terminal as its standard input")',
    "import zlib",
    # R reads until B is n bytes long, never more; at the end of the file the index raises.
    'R=lambda n:([B.extend(c)for c in iter(lambda:os.read(0,n-len(B)),b"")],B[n-1])',
    # F reads and decompresses the frame that begins at index s, of which B has nothing yet.
    (
        f"F=lambda s:R(s+{HEADER_LENGTH})and R(s+{HEADER_LENGTH}+int(B[s+{LENGTH_AT}:]))"
        f"and zlib.decompress(B[s+{HEADER_LENGTH}:])"
    ),
    "D=F(0).split(bytes(1))",
    "G={}",
    'exec(compile(D[0],"easycluster-bundle/easycluster_bootstrap/_on_host/stage.py","exec"),G)',
    'G["load"](D,F(len(B)),P,H)',
]
_LINE = ";".join(_STATEMENTS)


def start_line() -> str:
    """Return the line of Python that `remote_command` runs, for those who start Python without a shell."""
    return _LINE


def remote_command(python: Optional[str] = None) -> str:
    """Return the shell command that waits for a bundle on its stdin.

    Args:
        python: the command that starts Python on the host, passed to the host's shell as it is written, so
            that it may have arguments (``sudo -n python3``). ``su`` is run only where the login is root's. If
            None, the command searches for a Python. A command with arguments cannot protect Python 3.13 and
            newer from a current folder with files such as ``re.py``: its own start fails there, unless one of
            the arguments is ``-P``.

    Returns:
        One line, for the login shell of the host or for ``sh -c``.

    Raises:
        ValueError: `python` is blank, has a line break or a NUL, or begins with a dash, which ssh would
            read as one of its own options.
    """
    if python is None:
        python = _CANDIDATES
    elif not python.strip() or any(character in python for character in "\n\r\0"):
        raise ValueError(f"the command for the remote Python must be one line and not blank, not {python!r}")
    elif python.lstrip().startswith("-"):
        raise ValueError(f"the command for the remote Python must not begin with a dash: {python!r}")
    elif re.match(r"\s*(\S*/)?su\s", python):
        return f"sh -c '{_SU}' easycluster {python.strip()} -c '{_LINE}'"
    elif re.fullmatch(r"[A-Za-z0-9_./~+-]+", python) is None:
        return f"{python} -c '{_LINE}'"
    return f"sh -c '{_SCRIPT}' easycluster '{_LINE}' {python}"
