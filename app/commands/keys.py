"""Secrets: API keys of tenants, and what webhooks are signed with."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from app.client.errors import REFUSED
from app.commands.configured import configured
from app.commands.ending import tell


def create_key(
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Whose jobs its bearer will see.")],
    scope: Annotated[
        str,
        typer.Option(metavar="SCOPE,…", help="Of read, submit, manage, admin."),
    ] = "read,submit,manage",
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="For people; shown as who submitted.  [the tenant's]"),
    ] = None,
    expires: Annotated[
        float | None, typer.Option(min=0.0, metavar="DAYS", help="After which it ends.")
    ] = None,
) -> int:
    """Make a key and print it, this once.

    Needs a running 'fanfold up' on FANFOLD_DATA_DIR, FANFOLD_REDIS_URL, or FANFOLD_AWS_TABLE.
    """
    import asyncio

    from app.keys import create_key as create

    scopes = [part for part in map(str.strip, scope.split(",")) if part]

    def make() -> None:
        made = create(tenant=tenant, scopes=scopes, name=name, expires_days=expires)
        try:
            secret = asyncio.run(made)
        except ValueError as exc:
            raise typer.TyperException(str(exc)) from exc
        typer.echo(str(secret))
        if sys.stdout.isatty():
            tell(["this is the only time that the key is shown; FANFOLD_TOKEN takes it"])

    return configured(make)


def list_keys(
    tenant: Annotated[str | None, typer.Option(metavar="NAME", help="Only its keys.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each key.")] = False,
) -> int:
    """List the keys that are valid, without their secrets."""
    import asyncio

    from app.key_table import print_keys
    from app.keys import list_keys as listed

    return configured(lambda: print_keys(asyncio.run(listed(tenant)), as_json=as_json))


def revoke_key(key_id: Annotated[str, typer.Argument(metavar="ID", help="The key.")]) -> int:
    """Revoke a key: it is refused at once.

    What is open with it ends within seconds.
    """
    import asyncio

    from app.keys import revoke_key as revoke

    def end() -> int:
        if asyncio.run(revoke(key_id)):
            return 0
        tell([f"no key {key_id[:40]!r}: 'fanfold key list' lists them"])
        return REFUSED

    return configured(end)


def webhook_secret(
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Whose webhooks.")] = "local",
) -> int:
    """Print what webhooks are signed with.

    It is made from FANFOLD_SIGNING_KEY or, without that, the key in FANFOLD_DATA_DIR, and differs
    for each tenant.
    """

    def show() -> None:
        from app.keys import require_tenant
        from app.runtime import signer_of, signing_key_file
        from app.settings import load_settings
        from engine.errors import ConfigError
        from engine.webhooks import webhook_secret as secret_of

        try:
            require_tenant(tenant)
        except ValueError as exc:
            raise typer.TyperException(str(exc)) from exc
        settings = load_settings(os.environ)
        if settings.signing_key is None and not signing_key_file(settings).exists():
            # One that is made here would sign nothing.
            raise ConfigError(
                f"no service has signed anything in {settings.data_dir}: set FANFOLD_DATA_DIR or "
                "FANFOLD_SIGNING_KEY to the service's"
            )
        typer.echo(secret_of(signer_of(settings), tenant))

    return configured(show)
