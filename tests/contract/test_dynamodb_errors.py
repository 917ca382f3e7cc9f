"""Every way in which botocore fails is translated, or deliberately passed on."""

from __future__ import annotations

import inspect

import botocore.exceptions
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from adapters.dynamodb.table import DynamoTable, connect, translated
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
