"""Contract templates for the common families: a programme and an agreement in one file each."""

from __future__ import annotations

from importlib.resources import files

from services.core.contracts.wording import nearest

_ENDING = ".yaml"


def names() -> tuple[str, ...]:
    """The names of all templates, in order."""
    found = (one.name for one in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(_ENDING) for name in found if name.endswith(_ENDING)))


def text(name: str) -> str:
    """A template as it is handed out. Raises ValueError for a name that is none."""
    if name not in names():
        close = nearest(name, names())
        remedy = f"did you mean {close}?" if close else f"write one of {', '.join(names())}"
        raise ValueError(f"there is no template '{name}'; {remedy}")
    return (files(__name__) / f"{name}{_ENDING}").read_text(encoding="utf-8")


def about(name: str) -> str:
    """What a template is for, in one line: its first comment."""
    return text(name).split("\n", 1)[0].removeprefix("# ")
