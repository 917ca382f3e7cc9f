"""Who follows what, in DynamoDB.

Under ``SOCKET#<connection>`` is what a connection follows: ``JOB#<job>``, or ``TENANT`` for all
jobs of its tenant. The same is kept under ``JOB#<job>`` and ``TENANT#<tenant>``, as
``SOCKET#<connection>``, for who has news of the job.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from adapters.dynamodb.items import job_pk
from adapters.dynamodb.table import TTL_ATTRIBUTE, DynamoTable
from adapters.dynamodb.values import Item
from adapters.dynamodb.writes import ItemKey, Put
from engine.errors import QuotaExceededError
from engine.followers import MAX_FOLLOWED, ConnectionId, Following
from engine.job import JobId

_SOCKET: Final = "SOCKET#"
_ALL: Final = "TENANT"


class DynamoFollowers:
    """Implements ``engine.followers.Followers``."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def add(self, following: Following) -> None:
        """Keep that a connection follows something; see ``Followers``."""
        own = _SOCKET + following.connection
        topic = _ALL if following.job is None else job_pk(following.job)
        followed = {item["sk"] for item in self._table.query(own, attributes=("sk",))}
        if len(followed - {topic}) >= MAX_FOLLOWED:
            raise QuotaExceededError(
                f"a connection may follow {MAX_FOLLOWED} jobs, and follows as many",
                retry_after_s=0.0,
            )
        fields = {
            "connection": following.connection,
            "tenant": following.tenant,
            "job": following.job,
            "tag": following.tag,
            "until": following.until_s,
            TTL_ATTRIBUTE: int(following.until_s),
        }
        pk, sk = _followed_key(following)
        self._table.transact(
            Put({"pk": own, "sk": topic, **fields}), Put({"pk": pk, "sk": sk, **fields})
        )

    def leave(self, connection: ConnectionId) -> None:
        """Forget what a connection follows; see ``Followers``."""
        items = list(self._table.query(_SOCKET + connection))
        keys = chain.from_iterable(_keys(item) for item in items)
        self._table.delete_all(keys)

    def of(self, tenant: str, job: JobId) -> list[Following]:
        """Return who follows a job; see ``Followers``."""
        found = chain(
            self._table.query(job_pk(job), prefix=_SOCKET),
            self._table.query(f"TENANT#{tenant}", prefix=_SOCKET),
        )
        return [_read(item) for item in found]

    def ended(self, job: JobId) -> None:
        """Forget who follows a job; see ``Followers``."""
        items = list(self._table.query(job_pk(job), prefix=_SOCKET))
        self._table.delete_all(chain.from_iterable(_keys(item) for item in items))


def _followed_key(following: Following) -> ItemKey:
    job, tenant = following.job, following.tenant
    pk = f"TENANT#{tenant}" if job is None else job_pk(job)
    return pk, _SOCKET + following.connection


def _keys(item: Item) -> Iterator[ItemKey]:
    """Yield the keys of both items that say what this one says."""
    following = _read(item)
    topic = _ALL if following.job is None else job_pk(following.job)
    yield _SOCKET + following.connection, topic
    yield _followed_key(following)


def _read(item: Item) -> Following:
    job = item.get("job")
    return Following(
        connection=ConnectionId(item["connection"]),
        tenant=item["tenant"],
        job=None if job is None else JobId(job),
        tag=item.get("tag"),
        until_s=float(item["until"]),
    )
