"""The Lambda function that the table's stream wakes: it tells those who follow how jobs stand.

A stream gives the changes of an item in their order, and again until they are taken, so nobody
misses the end; of several changes in one batch only the newest is told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from botocore.session import Session

from adapters.aws.apigateway_connections import ApiGatewayConnections
from adapters.aws.apigateway_connections import connect as connect_gateway
from adapters.aws.appsync_publisher import AppSyncPublisher
from adapters.dynamodb.followers import DynamoFollowers
from adapters.dynamodb.items import META
from adapters.dynamodb.jobs import status_of, tags_of
from adapters.dynamodb.values import Item, read_item
from app.aws.process import Process
from app.aws.settings import Deployment
from app.aws.table import table_of
from engine.errors import UnavailableError
from engine.job import JobStatus
from schema.appsync import publish_document
from schema.build import build_schema
from transport.appsync.publication import publication_of
from transport.gateway import tell_followers


@dataclass(frozen=True, slots=True)
class News:
    """How a job stands, and who may hear of it."""

    status: JobStatus
    tenant: str
    tags: Sequence[str]

    @classmethod
    def of(cls, meta: Item) -> News:
        """Read the item of a job."""
        return cls(status_of(meta), meta["tenant"], tags_of(meta))


Publish = Callable[[News], None]


@asynccontextmanager
async def publishers_of(deployment: Deployment) -> AsyncIterator[list[Publish]]:
    """Make what tells of news, which ends with the context: none, one or two of them."""
    aws = deployment.aws
    found: list[Publish] = []
    with ExitStack() as stack:
        if aws.appsync_url is not None:
            document = publish_document(build_schema().graphql)
            appsync = AppSyncPublisher(aws.appsync_url, document, Session())
            found.append(partial(_publish, stack.enter_context(appsync)))
        if aws.socket_url is not None:
            followers = DynamoFollowers(table_of(aws))
            gateway = ApiGatewayConnections(connect_gateway(aws.socket_url))
            found.append(partial(_tell, followers, gateway))
        yield found


@cache
def _process() -> Process[list[Publish]]:
    return Process(publishers_of)


def handler(event: Mapping[str, Any], _context: object) -> None:
    """Tell what a batch of the stream's records says; a fault brings the batch again."""
    tell(map(News.of, newest_of(event["Records"])), _process().made)


def tell(news: Iterable[News], publishers: Sequence[Publish]) -> None:
    """Hand everything to every publisher, whatever others fail at.

    Raises:
        ExceptionGroup: Of ``UnavailableError``; somebody could not be told.
    """
    faults = []
    for each in news:
        for publish in publishers:
            try:
                publish(each)
            except UnavailableError as exc:
                faults.append(exc)
    if faults:
        raise ExceptionGroup("not everybody could be told", faults)


def newest_of(records: Sequence[Mapping[str, Any]]) -> Iterator[Item]:
    """Yield the newest state of each job that *records* of the table's stream tell of."""
    found: dict[str, Item] = {}
    for record in records:
        image = record["dynamodb"].get("NewImage")
        if image is not None and image["sk"]["S"] == META:
            found[image["pk"]["S"]] = read_item(image)
    yield from (meta for meta in found.values() if "tenant" in meta)  # else it was deleted


def _publish(appsync: AppSyncPublisher, news: News) -> None:
    state = publication_of(news.status, tenant=news.tenant, tags=news.tags)
    appsync.publish({"input": state})


def _tell(followers: DynamoFollowers, gateway: ApiGatewayConnections, news: News) -> None:
    tell_followers(
        news.status, tenant=news.tenant, tags=news.tags, followers=followers, gateway=gateway
    )
