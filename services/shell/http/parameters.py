"""Parameters of the address: those that a route does not have are refused."""

from __future__ import annotations

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from services.shell.http.problems import Fault, Problem


def refuse_unknown_parameters(request: Request) -> None:
    """Refuse a parameter that the route does not have: left aside, a misspelt filter would show
    more than was asked for. The pages for probes and scrapers take whatever these send."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or not route.include_in_schema:
        return
    known = _query_names(route.dependant)
    faults = []
    for name in sorted(request.query_params.keys()):
        if name not in known:
            among = f"use one of: {', '.join(sorted(known))}" if known else "leave it out"
            faults.append(Fault(name, "there is no such parameter here", among, "query"))
        elif len(request.query_params.getlist(name)) > 1:
            faults.append(Fault(name, "it is given more than once", "give it once", "query"))
    if faults:
        raise Problem(
            400, "bad-parameter", "A parameter of the address is not usable.", faults=faults
        )


def _query_names(wanted: Dependant) -> set[str]:
    """The parameters that a route and what it depends on take from the query."""
    return {each.alias for each in wanted.query_params}.union(
        *(_query_names(each) for each in wanted.dependencies)
    )
