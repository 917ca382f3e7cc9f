"""Handing out what may be looked at, and nothing else."""

from __future__ import annotations

from typing import Annotated

import typer

from app.commands.completion import complete_job
from app.commands.defaults import DEFAULT_URL
from app.commands.durations import duration_s
from app.commands.options import Token, Url


def share(
    job_ids: Annotated[
        list[str],
        typer.Argument(metavar="ID...", help="The jobs.", autocompletion=complete_job),
    ],
    ttl: Annotated[
        float,
        typer.Option(
            parser=duration_s,
            metavar="DURATION",
            show_default=False,
            help="How long the links work, a day at most; by default 1h.",
        ),
    ] = 3_600.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the token with the links, as a line of JSON.")
    ] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Print links to jobs that work without a key.

    Whoever has one can watch its job and read its result in the console, and do nothing else.
    """
    import asyncio

    from app.client import requests
    from app.client.address import Address
    from app.client.inputs import whole

    at = Address.parse(url, token)
    asyncio.run(requests.print_links(at, job_ids, ttl_s=whole(ttl, 1), as_json=as_json))
