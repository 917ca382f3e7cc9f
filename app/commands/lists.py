"""What the service has: jobs and programs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.commands.completion import complete_program
from app.commands.defaults import DEFAULT_URL
from app.commands.options import State, Token, Url


def jobs(
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Jobs at most.")] = 25,
    state: Annotated[
        list[State] | None,
        typer.Option(
            "--state", metavar="STATE", help="Only jobs in it, such as running; may come again."
        ),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="Only jobs with it; may come again."),
    ] = None,
    program: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only jobs of it.", autocompletion=complete_program),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each job.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List jobs, newest first."""
    import asyncio

    from app.client import requests
    from app.client.address import Address

    wanted: dict[str, Any] = {
        "states": [each.name for each in state or []],
        "tags": tag,
        "program": program,
    }
    wanted = {key: value for key, value in wanted.items() if value}
    at = Address.parse(url, token)
    asyncio.run(requests.print_jobs(at, limit=limit, wanted=wanted, as_json=as_json))


def programs(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="A program, to see its parameters.",
            show_default=False,
            autocompletion=complete_program,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A line of JSON for each program.")
    ] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List the programs that jobs may run."""
    import asyncio

    from app.client import requests
    from app.client.address import Address

    asyncio.run(requests.print_programs(Address.parse(url, token), name, as_json=as_json))
