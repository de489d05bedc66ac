"""The roles of API keys: what whoever sends or asks is there for."""

from __future__ import annotations

from typing import Literal, get_args

Role = Literal["vendor", "procurement", "finance", "admin", "probe"]
ROLES: tuple[Role, ...] = get_args(Role)
