"""Stock Strawberry with our schema and a ``submitJob`` that keeps nothing.

``python -m bench.peers.submit_strawberry PORT``
"""

from __future__ import annotations

import itertools
import sys

import strawberry
import uvicorn
from strawberry.asgi import GraphQL
from strawberry.schema.config import StrawberryConfig

from schema.inputs import SubmitJobInput
from schema.scalars import SCALARS


@strawberry.type
class Status:
    """A job's status, as far as it is asked for."""

    id: strawberry.ID
    version: int
    state: str


@strawberry.type
class Job:
    """A job, as far as it is asked for."""

    id: strawberry.ID
    status: Status


@strawberry.type
class SubmitJobSuccess:
    """What every submit leads to."""

    created: bool
    job: Job


@strawberry.type
class Query:
    """There must be one."""

    version: str = "1"


_numbers = itertools.count()


@strawberry.type
class Mutation:
    """The one that is measured."""

    @strawberry.mutation
    async def submit_job(self, input: SubmitJobInput) -> SubmitJobSuccess:
        """Return a new job."""
        id = strawberry.ID(f"j-{next(_numbers)}")
        return SubmitJobSuccess(
            created=True, job=Job(id=id, status=Status(id=id, version=1, state="QUEUED"))
        )


if __name__ == "__main__":
    uvicorn.run(
        GraphQL(strawberry.Schema(Query, Mutation, config=StrawberryConfig(scalar_map=SCALARS))),
        port=int(sys.argv[1]),
        log_level="warning",
        access_log=False,
    )
