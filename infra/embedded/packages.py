"""The packages that the embedded servers come from; an installation need not have them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec


class NotInstalled(RuntimeError):
    """A package that an embedded server comes from is not installed."""


def need(server: str, packages: Iterable[str], variable: str) -> None:
    """Raise NotInstalled where one of the packages, by their names in imports, is not there.

    ``variable``: the setting that names a running server instead. Nothing is imported.
    """
    lacking = [package for package in packages if find_spec(package) is None]
    if lacking:
        raise NotInstalled(
            f"{server} cannot be started here: {', '.join(lacking)} is not installed; install "
            f"earnback[embedded], or set {variable} to a running server"
        )
