"""`earnback holidays`: the public holidays of a country or region, as a contract lists them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated

import typer

from services.cli.commands.common import REFUSED, fail
from services.cli.terminal import echo


def holidays(
    country: Annotated[str, typer.Argument(help="ISO 3166-1, two letters, such as DE.")],
    years: Annotated[list[int], typer.Argument(help="Which years.")],
    region: Annotated[
        str | None, typer.Option("--region", help="ISO 3166-2 without the country, such as BY.")
    ] = None,
) -> None:
    """Print public holidays as the `holidays` of business hours. Read them before you agree."""
    try:
        found = public_holidays(country, region, years)
    except ValueError as error:
        fail(f"{error}; look up the code in ISO 3166, or write the dates by hand", REFUSED)
        return
    echo("holidays:")
    for day, name in found:
        echo(f"  - {day.isoformat()}  # {name}")


def public_holidays(
    country: str, region: str | None, years: Sequence[int]
) -> list[tuple[date, str]]:
    """Day and name of each public holiday, in order of the calendar.

    Raises ValueError for a country, region or year of which none is known.
    """
    from holidays import country_holidays

    try:
        found = country_holidays(country.upper(), subdiv=region, years=years)
    except NotImplementedError as error:
        raise ValueError(str(error)) from error
    for year in sorted(set(years)):
        if not any(day.year == year for day in found):
            raise ValueError(f"no public holiday of {country.upper()} is known in {year}")
    return sorted(found.items())
