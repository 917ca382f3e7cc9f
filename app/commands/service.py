"""The service: all of it on one machine, or one role for a cluster."""

from __future__ import annotations

import os
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from app.commands.configured import configured, in_uvloop, logged, serve
from app.commands.options import Host, Port


class SignIn(StrEnum):
    """Ways to sign in at AppSync, by the names of their directives."""

    API_KEY = "aws_api_key"
    COGNITO = "aws_cognito_user_pools"
    IAM = "aws_iam"
    LAMBDA = "aws_lambda"
    OIDC = "aws_oidc"


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the service running.")] = False,
) -> int:
    """See it work: count the words of Python's own library."""
    from app.local.demo import run_demo

    return configured(lambda: in_uvloop(run_demo(keep=keep)))


def up(
    host: Host = None,
    port: Port = None,
    workers: Annotated[
        str | None, typer.Option(metavar="N", help="Worker processes.  [FANFOLD_WORKERS]")
    ] = None,
) -> int:
    """Run the whole service on this machine.

    That is the API, workers and, unless FANFOLD_REDIS_URL is set, a private Redis.
    """
    from app.local.up import up as run

    return serve(run, host=host, port=port, workers=workers)


def api(
    host: Host = None,
    port: Port = None,
    processes: Annotated[
        str | None,
        typer.Option(metavar="N", help="Processes that share the port.  [FANFOLD_API_PROCESSES]"),
    ] = None,
    shared: Annotated[
        bool, typer.Option("--shared", hidden=True, help="Share the port with other processes.")
    ] = False,
) -> int:
    """Run the API alone, for a cluster."""
    from app.serving.api import serve_api

    run = partial(serve_api, is_shared=shared)
    return serve(run, host=host, port=port, api_processes=processes)


def worker() -> int:
    """Run one worker, for a cluster."""
    from app.settings import load_settings
    from app.worker import run_worker

    return configured(lambda: logged(lambda: run_worker(load_settings(os.environ))))


def schema(
    appsync: Annotated[
        bool, typer.Option("--appsync", help="The variant for AWS AppSync.")
    ] = False,
    sign_in: Annotated[
        list[SignIn] | None,
        typer.Option(
            "--sign-in",
            metavar="MODE",
            help="With --appsync: how callers sign in there, instead of by IAM, API key and "
            f"Lambda; may come again. One of {', '.join(SignIn)}.",
        ),
    ] = None,
) -> None:
    """Print the schema that is served."""
    from schema.appsync import PUBLISHER_MODE, SIGN_IN_MODES, appsync_sdl
    from schema.sdl import served_sdl

    if sign_in and not appsync:
        raise typer.BadParameter("is for --appsync", param_hint="--sign-in")
    # Who publishes signs in by IAM, and what it selects must be open to it.
    modes = dict.fromkeys((PUBLISHER_MODE, *sign_in)) if sign_in else SIGN_IN_MODES
    sdl = served_sdl()
    typer.echo((appsync_sdl(sdl, modes=tuple(modes)) if appsync else sdl).rstrip("\n"))
