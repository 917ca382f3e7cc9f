"""Submit a job, follow it to its end and read its rows, with gql."""

import asyncio
import random
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportError, TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport
from websockets.exceptions import ConnectionClosed

SUBMIT = """
  mutation Submit($input: SubmitJobInput!) {
    submitJob(input: $input) {
      ... on SubmitJobSuccess { job { id } }
      ... on UserError { code message }
    }
  }
"""
FOLLOW = """
  subscription Follow($id: ID!) {
    jobStatus(id: $id) { id version state phase ratio map { succeeded total } }
  }
"""
READ = """
  query Read($id: ID!) { job(id: $id) { result { rows(first: 100) { edges { node } } } } }
"""


@dataclass
class Service:
    url: str
    token: str | None = None

    async def submit(self, job: dict[str, Any]) -> str:
        answer = (await self._ask(SUBMIT, input=job))["submitJob"]
        if "job" not in answer:
            raise ValueError(f"{answer['code']}: {answer['message']}")
        return str(answer["job"]["id"])

    async def follow(self, job: str) -> AsyncGenerator[dict[str, Any], None]:
        request = GraphQLRequest(FOLLOW, variable_values={"id": job})
        while True:
            transport = WebsocketsTransport(
                url=self.url.replace("http", "ws", 1),
                subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
                init_payload={"token": self.token},
            )
            try:
                async with Client(transport=transport) as session:
                    async for answer in session.subscribe(request):
                        yield answer["jobStatus"]
                        if answer["jobStatus"]["state"] not in ("QUEUED", "RUNNING", "CANCELLING"):
                            return
            except TransportQueryError:
                raise  # such as: there is no such job
            except (TransportError, OSError, TimeoutError) as exc:
                if is_refused(exc):
                    raise PermissionError("the token is not valid (any more)") from exc
                # The service went away; what comes first from the next one is the present.
            await asyncio.sleep(random.uniform(0.1, 1))  # noqa: S311 - no secret

    async def read(self, job: str) -> list[dict[str, Any]]:
        result = (await self._ask(READ, id=job))["job"]["result"]
        return [edge["node"] for edge in result["rows"]["edges"]]

    async def _ask(self, query: str, **variables: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        transport = HTTPXAsyncTransport(url=self.url, headers=headers, timeout=30)
        async with Client(transport=transport) as session:
            request = GraphQLRequest(query, variable_values=variables)
            data: dict[str, Any] = await session.execute(request)
        return data


def is_refused(exc: BaseException | None) -> bool:
    """Whether the service has closed the connection because of the token."""
    while exc is not None and not isinstance(exc, ConnectionClosed):
        exc = exc.__cause__ or exc.__context__
    return exc is not None and exc.rcvd is not None and exc.rcvd.code == 4403
