"""Publishing to AppSync: mutations that are signed as IAM wants it."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import httpx
import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.session import Session

from engine.errors import UnavailableError

TIMEOUT_S: Final = 10.0
SERVICE: Final = "appsync"


class AppSyncPublisher:
    """Runs one mutation again and again; a context manager around its connection.

    Args:
        url: Of the API.
        document: The mutation.
        session: Knows who we are, and in which region.
    """

    def __init__(self, url: str, document: str, session: Session) -> None:
        self._url = url
        self._document = document
        self._session = session
        self._client = httpx.Client(timeout=TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def publish(self, variables: Mapping[str, Any]) -> None:
        """Run the mutation.

        Raises:
            UnavailableError: AppSync does not answer, or refuses.
        """
        body = orjson.dumps({"query": self._document, "variables": variables})
        try:
            response = self._client.post(self._url, content=body, headers=self._signed(body))
        except httpx.HTTPError as exc:
            raise UnavailableError(f"AppSync does not answer: {exc}") from exc
        problem = _problem_of(response)
        if problem is not None:
            raise UnavailableError(f"AppSync refuses what is published: {problem}")

    def _signed(self, body: bytes) -> dict[str, str]:
        request = AWSRequest("POST", self._url, {"Content-Type": "application/json"}, body)
        credentials: Credentials | None = self._session.get_credentials()
        if credentials is None:
            raise UnavailableError("nobody has told who publishes: there are no AWS credentials")
        region = self._session.get_config_variable("region")
        SigV4Auth(credentials.get_frozen_credentials(), SERVICE, region).add_auth(request)
        return dict(request.headers)


def _problem_of(response: httpx.Response) -> str | None:
    if response.status_code != httpx.codes.OK:
        return f"status {response.status_code}"
    errors = orjson.loads(response.content).get("errors")
    return str(errors[0].get("message")) if errors else None
