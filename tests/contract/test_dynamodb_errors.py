"""Every way in which botocore fails is translated, or deliberately passed on."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import botocore.exceptions
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.stub import Stubber

from adapters.dynamodb.table import MAX_CONFLICTS, DynamoTable, connect, translated
from adapters.dynamodb.writes import Change
from engine.errors import UnavailableError
from tests.support.ministack import ENVIRON

CLASSES: list[type[Exception]] = [
    found
    for _, found in inspect.getmembers(botocore.exceptions, inspect.isclass)
    if issubclass(found, BotoCoreError)
]
PASSED_ON = {"ParamValidationError"}
"""We said what nobody can send: mistakes of our own, to be seen."""


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_of_the_client_is_translated_or_passed_on_deliberately(
    kind: type[Exception],
) -> None:
    error = kind.__new__(kind)  # each takes arguments of its own
    expected = kind if kind.__name__ in PASSED_ON else UnavailableError

    with pytest.raises(expected), translated():
        raise error


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ProvisionedThroughputExceededException", UnavailableError),
        ("ThrottlingException", UnavailableError),
        ("InternalServerError", UnavailableError),
        ("ResourceNotFoundException", UnavailableError),
        ("AccessDeniedException", UnavailableError),
        ("ValidationException", ClientError),
    ],
)
def test_what_dynamodb_refuses_is_unavailable_but_for_what_is_wrong(
    code: str, expected: type[Exception]
) -> None:
    error = ClientError({"Error": {"Code": code, "Message": "no"}}, "PutItem")

    with pytest.raises(expected), translated():
        raise error


def test_a_table_that_is_not_there_is_unavailable(s3_endpoint: str) -> None:
    client = connect({**ENVIRON, "AWS_ENDPOINT_URL": s3_endpoint})
    table = DynamoTable(client, "nowhere")

    with pytest.raises(UnavailableError):
        table.get(("a", "b"))
    with pytest.raises(UnavailableError):
        table.update(("a", "b"), Change({"c": 1}))


def test_what_an_item_cannot_hold_is_our_own_mistake(dynamo: DynamoTable) -> None:
    with pytest.raises(ClientError):
        dynamo.put({"pk": "a", "sk": "b", "text": "x" * 500_000})


KEYS = [("a", "b"), ("a", "c")]


def words(key: tuple[str, str]) -> dict[str, Any]:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


@contextmanager
def answering(method: str, *answers: dict[str, Any]) -> Iterator[DynamoTable]:
    """A table of which the service answers so, one call after the other, and no more calls."""
    client = connect({**ENVIRON, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    with Stubber(client) as stubber:
        for answer in answers:
            stubber.add_response(method, answer)
        yield DynamoTable(client, "t", pause=lambda _: None)
        stubber.assert_no_pending_responses()


def test_what_a_read_leaves_out_is_asked_for_again() -> None:
    first, second = map(words, KEYS)
    some = {"Responses": {"t": [first]}, "UnprocessedKeys": {"t": {"Keys": [second]}}}
    rest = {"Responses": {"t": [second]}}

    with answering("batch_get_item", some, rest) as table:
        assert list(table.get_many(KEYS)) == KEYS


def test_what_a_write_leaves_out_is_written_again() -> None:
    second = {"PutRequest": {"Item": words(KEYS[1])}}

    with answering("batch_write_item", {"UnprocessedItems": {"t": [second]}}, {}) as table:
        table.put_all({"pk": pk, "sk": sk} for pk, sk in KEYS)


def test_a_service_that_never_does_what_it_is_asked_is_unavailable() -> None:
    left = {"Responses": {}, "UnprocessedKeys": {"t": {"Keys": [words(KEYS[0])]}}}
    answers = [left] * (MAX_CONFLICTS + 1)

    with answering("batch_get_item", *answers) as table, pytest.raises(UnavailableError):
        table.get_many(KEYS[:1])
