"""Webhooks: an address that is told when a job has ended, and how it knows that we told it.

Owns the signature, the secret, the pace of retries and the ports. A delivery is sent at least once
for the end of each run; one that is sent again has the same id.
"""

from __future__ import annotations

import hmac
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from engine.errors import InputError, Issue
from engine.job import JobId
from engine.signing import Signer
from engine.webhook_delivery import WebhookState

SIGNATURE: Final = "Fanfold-Signature"
DELIVERY: Final = "Fanfold-Delivery"
GIVE_UP_AFTER_S: Final = 86_400.0
LOOKS_AT: Final = 1_000
"""Deliveries that a claim looks at, to find those of tenants who have not their share yet."""
PASSED_PAUSE_S: Final = 2.0
"""Rest of those that were passed over, where others may be behind them."""
PATH: Final = ("input", "webhook")

_FIRST_PAUSE_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One end of a job that somebody is to be told of.

    Attributes:
        job: The job.
        run: Which of its runs has ended.
        tenant: Whose job it is.
        url: Where to tell it.
        tries: How often that has been tried, this time included.
        ended_ms: When the run ended, in milliseconds since 1970.
    """

    job: JobId
    run: int
    tenant: str
    url: str
    tries: int
    ended_ms: int

    @property
    def id(self) -> str:
        """Names the delivery; the same over all of its tries."""
        return f"{self.job}.{self.run}"


class WebhookQueue(Protocol):
    """Deliveries that are due; fed in the step that ends a run, so that none is lost.

    Not promised: that nobody else has a delivery whose lease has ended. Raises
    ``UnavailableError`` when the store does not answer.
    """

    async def claim(
        self, limit: int, *, share: int | None = None, held: Mapping[str, int] | None = None
    ) -> Sequence[Delivery]:
        """Take deliveries that are due; they come up again unless they are ended in time.

        What concerns a job that was erased, or that runs again, is dropped instead.

        Args:
            limit: How many at most.
            share: How many of one tenant at most, with those of *held*; None for any number. What
                is beyond is passed over, and counts as no try.
            held: How many of each tenant the caller has not ended yet.
        """
        ...

    async def end(
        self,
        delivery: Delivery,
        *,
        state: WebhookState | None = None,
        status_code: int | None = None,
    ) -> None:
        """Forget a delivery: it was made, or never will be.

        The job is noted to be in *state* since, by the answer *status_code*; None notes nothing.
        """
        ...

    async def put_back(
        self,
        delivery: Delivery,
        *,
        pause_s: float,
        is_tried: bool = True,
        status_code: int | None = None,
    ) -> None:
        """Let a delivery come up again after *pause_s*; without a try unless *is_tried*.

        A try is noted with the job, with the answer *status_code* or None for none.
        """
        ...


class WebhookSender(Protocol):
    """Sends one request."""

    async def send(self, url: str, *, tenant: str, headers: Mapping[str, str], body: bytes) -> int:
        """Send *body* by POST and return the answer's status; redirects are not followed.

        Tenants do not wait for each other's names to be looked up.

        Raises:
            UnavailableError: There is no answer within 10 s, or the address may not be asked.
        """
        ...


class WebhookAddresses(Protocol):
    """Tells which addresses may be given as webhooks."""

    async def check(self, url: str, *, tenant: str) -> None:
        """Look at an address that a caller gives.

        Raises:
            InputError: It may not be told anything, or its name is told not to exist.
            UnavailableError: Its name could not be looked up in time; trying again may help.
        """
        ...


class NoWebhooks:
    """``WebhookAddresses`` where nobody would deliver anything."""

    async def check(self, url: str, *, tenant: str) -> None:
        """Refuse *url*.

        Raises:
            InputError: Always.
        """
        raise InputError(Issue(PATH, "this deployment sends no webhooks"))


def webhook_secret(signer: Signer, tenant: str) -> str:
    """Return what the webhooks of *tenant* are signed with; *signer* is the deployment's."""
    return "whsec_" + signer.secret(f"webhooks of {tenant}")


def key_name(signer: Signer) -> str:
    """Return what tells the deployment's key from another, without telling anything of it."""
    return signer.secret("name of this key")[:16]


def signature(secret: str, body: bytes, *, at_s: int) -> str:
    """Return the value of ``Fanfold-Signature`` for *body*, sent at *at_s* seconds since 1970."""
    signed = b"%d.%b" % (at_s, body)
    return f"t={at_s},v1={hmac.digest(secret.encode(), signed, 'sha256').hex()}"


def pause_after(tries: int) -> float:
    """Return how long to wait after the *tries*-th try, in seconds.

    2 s, doubling up to an hour, of which 50 to 100 % at random.
    """
    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(tries - 1, 20))
    return longest * random.uniform(0.5, 1)  # noqa: S311 - spreads retries, guards nothing
