"""The webhook that a job is submitted with, looked at; and how its owner knows our calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.errors import InputError, Issue
from engine.spec import is_webhook
from engine.webhooks import webhook_secret
from resolvers.access.caller import Caller, Scope
from resolvers.services import Services


async def webhook_issues(
    services: Services, data: Mapping[str, Any], *, caller: Caller
) -> tuple[Issue, ...]:
    """Return what is wrong with where the webhook of *data* leads; how it reads is its spec's.

    Raises:
        UnavailableError: Nobody can tell for now.
    """
    url = data.get("webhook")
    if not isinstance(url, str) or not is_webhook(url):
        return ()
    try:
        await services.webhooks.check(url, tenant=caller.tenant)
    except InputError as exc:
        return exc.issues
    return ()


def webhook_secret_of(services: Services, *, caller: Caller) -> str | None:
    """Return what the webhooks of the caller's tenant are signed with.

    None for those who may not manage its jobs.
    """
    if not caller.has(Scope.MANAGE):
        return None
    return webhook_secret(services.signer, caller.tenant)
