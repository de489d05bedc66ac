"""Runs a command as a user without privileges: Postgres refuses to run as root.

    python -m infra.embedded.unprivileged [--reach] COMMAND ARGUMENT ...

Called by root alone. Gives up root for good (user, group, supplementary groups), then becomes the
command. With --reach the command keeps one capability, to pass through folders that only root may
enter: the other way would be to open root's folders to everybody. Uses only the standard
library, and no other module of this project: it must start in a moment.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys
from pathlib import Path

_CAP_DAC_OVERRIDE = 1
_PR_SET_SECUREBITS, _NO_SETUID_FIXUP = 28, 1 << 2
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAPABILITY_VERSION_3 = 0x20080522


def account() -> pwd.struct_passwd:
    """The user that servers run as when root starts them.

    Raises `RuntimeError` where the system has no such user.
    """
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise RuntimeError(
            "user nobody: not known to this system, and Postgres refuses to run as root; "
            "run as an ordinary user, or point EARNBACK_POSTGRES at a running server"
        ) from None


def reachable(path: Path) -> bool:
    """Whether an ordinary user can pass through every folder above `path`."""
    return all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents)


def drop(reach: bool) -> None:
    """Become the unprivileged user; with `reach` keep the capability to enter closed folders."""
    user = account()
    libc = ctypes.CDLL(None, use_errno=True)
    if reach:
        # Else a change of user drops every capability, and access(2) goes on to act as if it had.
        _checked(libc.prctl(_PR_SET_SECUREBITS, _NO_SETUID_FIXUP, 0, 0, 0), "keep capabilities")
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    if reach:
        mask = 1 << _CAP_DAC_OVERRIDE
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
        _checked(libc.capset(header, sets), "set capabilities")
        _checked(
            libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0),
            "hand the capability on",
        )


def _checked(result: int, what: str) -> None:
    if result != 0:
        raise OSError(
            ctypes.get_errno(),
            f"could not {what}: run as an ordinary user, or keep the data where every user can go",
        )


def main() -> None:
    """Drop root and become the command."""
    arguments = sys.argv[1:]
    reach = arguments[0] == "--reach"
    command = arguments[1:] if reach else arguments
    drop(reach)
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
