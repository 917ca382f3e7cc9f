"""Requests that are not GraphQL, or not as the schema wants it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.support.running import RunningService

JSON = {"Content-Type": "application/json"}


def post(service: RunningService, content: bytes, **headers: str) -> httpx.Response:
    with httpx.Client(trust_env=False) as client:
        return client.post(f"{service.url}/graphql", content=content, headers={**JSON, **headers})


def errors_of(answer: httpx.Response) -> list[dict[str, Any]]:
    errors: list[dict[str, Any]] = answer.json()["errors"]
    assert "Traceback" not in answer.text
    assert not answer.json().get("data")
    return errors


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"",
        b'{"query": "\xff"}',
        b"[1]",
        b"{}",
        b'{"query": 1}',
        b'{"query": "{__typename}", "variables": [1]}',
        b'{"query": "q", "variables": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda content: content[:40],
)
def test_what_is_no_request_is_refused_in_json(service: RunningService, content: bytes) -> None:
    answer = post(service, content)

    assert [error["extensions"]["code"] for error in errors_of(answer)] == ["BAD_REQUEST"]
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{ jobs(", "GRAPHQL_PARSE_FAILED"),
        ("{a" * 5000 + "}" * 5000, "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ('{ job(id: "j") }', "GRAPHQL_VALIDATION_FAILED"),
        ("{ __typename " * 50 + "}" * 50, "GRAPHQL_VALIDATION_FAILED"),
        (
            "{ " + " ".join(f"a{i}: __typename" for i in range(99)) + " }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("{ " + "__typename " * 2000 + "}", "GRAPHQL_PARSE_FAILED"),
    ],
    ids=lambda text: text[:30],
)
def test_a_document_that_is_wrong_gets_errors_with_a_code(
    service: RunningService, document: str, code: str
) -> None:
    answer = post(service, json.dumps({"query": document}).encode())

    assert {error["extensions"]["code"] for error in errors_of(answer)} == {code}


def test_a_form_is_not_accepted(service: RunningService) -> None:
    answer = post(service, b"query={__typename}", **{"Content-Type": "text/plain"})

    assert answer.status_code in (400, 415)
    assert errors_of(answer)


def test_a_get_changes_nothing(service: RunningService) -> None:
    mutation = 'mutation { cancelJob(id: "j") { __typename } }'
    with httpx.Client(trust_env=False) as client:
        answer = client.get(f"{service.url}/graphql", params={"query": mutation})

    assert 400 <= answer.status_code < 500
    assert errors_of(answer)
