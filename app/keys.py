"""API keys as an operator handles them: made, listed, revoked, straight where they are kept.

That is Redis, or DynamoDB where ``FANFOLD_AWS_TABLE`` names a table. Needs no running API, and no
key: whoever can write there can do all that any key can.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from adapters.redis.client import connect
from adapters.redis.keys import RedisKeys
from app.local.embedded_redis import address_of
from app.settings import PREFIX, Settings, load_settings
from engine.api_keys import ApiKey, ApiKeyId, ApiKeys, Secret, digest_of
from engine.errors import ConfigError, UnavailableError
from resolvers.access.bearer import MAX_SUBJECT_LENGTH, TENANT
from resolvers.access.caller import Scope

AWS_TABLE: Final = f"{PREFIX}AWS_TABLE"


async def create_key(
    *, tenant: str, scopes: Sequence[str], name: str | None, expires_days: float | None
) -> Secret:
    """Make a key and return it; it cannot be shown again.

    Args:
        tenant: Whose jobs its bearer will see.
        scopes: What they may do.
        name: For people; also shown as who submitted. By default the tenant's.
        expires_days: After how many days it ends; None for never.

    Raises:
        ConfigError: There is neither Redis nor the table.
        ValueError: The tenant, a scope, the name or the end is none.
    """
    require_tenant(tenant)
    shown = tenant if name is None else name
    if not (0 < len(shown) <= MAX_SUBJECT_LENGTH and shown.isprintable()):
        raise ValueError(f"a name has 1 to {MAX_SUBJECT_LENGTH} characters that can be printed")
    if not scopes:
        raise ValueError(f"a key needs a scope, of {', '.join(Scope)}")
    if unknown := sorted(set(scopes) - set(Scope)):
        raise ValueError(f"{unknown[0]!r} is no scope: there are {', '.join(Scope)}")
    secret, now = Secret.make(), datetime.now(UTC)
    key = ApiKey(
        id=secret.id,
        digest=digest_of(secret.secret),
        tenant=tenant,
        scopes=tuple(scope for scope in Scope if scope in scopes),
        name=shown,
        created_at=now,
        expires_at=None if expires_days is None else _after(now, expires_days),
    )
    async with _keys() as keys:
        await keys.add(key)
    return secret


def require_tenant(name: str) -> None:
    """Check that there may be a tenant of that name.

    Raises:
        ValueError: There may not.
    """
    if not TENANT.fullmatch(name):
        raise ValueError(
            f"{name!r} is no name of a tenant: it has 1 to 64 letters, digits, '.', '_', '-' "
            "and '@', the first a letter or a digit"
        )


async def list_keys(tenant: str | None) -> list[ApiKey]:
    """Return the keys of a tenant, or all.

    Raises:
        ConfigError: There is neither Redis nor the table.
    """
    async with _keys() as keys:
        return await keys.of(tenant)


async def revoke_key(id: str) -> bool:
    """Revoke a key, by its id or by its whole text; return whether there was one.

    Raises:
        ConfigError: There is neither Redis nor the table.
    """
    whole = Secret.parse(id)
    async with _keys() as keys:
        return await keys.revoke(ApiKeyId(id) if whole is None else whole.id)


def _after(now: datetime, days: float) -> datetime:
    try:
        return now + timedelta(days=days)
    except (OverflowError, ValueError) as exc:  # such as for nan
        raise ValueError(f"--expires: no calendar goes on for {days:.10g} days") from exc


@asynccontextmanager
async def _keys() -> AsyncIterator[ApiKeys]:
    if os.environ.get(AWS_TABLE):
        with _dynamo_keys() as keys:
            yield keys
        return
    settings = load_settings(os.environ)
    redis = connect(_redis_url(settings))
    try:
        yield RedisKeys(redis)
    except UnavailableError as exc:
        raise ConfigError(f"{exc.message}; is the service running?") from exc
    finally:
        await redis.aclose()


@contextmanager
def _dynamo_keys() -> Iterator[ApiKeys]:
    try:
        from adapters.dynamodb.keys import DynamoKeys  # only here: boto3 is in the extra "aws"
        from app.aws.settings import load_deployment
        from app.aws.table import table_of
    except ModuleNotFoundError as exc:
        raise ConfigError(f'{AWS_TABLE} needs the extra "aws": {exc}') from exc
    deployment = load_deployment(os.environ)
    try:
        yield DynamoKeys(table_of(deployment.aws))
    except UnavailableError as exc:
        raise ConfigError(exc.message) from exc


def _redis_url(settings: Settings) -> str:
    url = settings.redis_url or address_of(settings.data_dir)
    if url is None:
        raise ConfigError(
            f"no service runs on {settings.data_dir}: start one with 'fanfold up', or set "
            "FANFOLD_DATA_DIR or FANFOLD_REDIS_URL to the one that is meant"
        )
    return url
