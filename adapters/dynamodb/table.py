"""One table in DynamoDB: its definition, reads and writes in few words, its errors translated.

Everything that is kept is in items of this table, found by ``pk`` and ``sk``; jobs of a tenant are
listed by ``gsi1pk`` and ``gsi1sk``. Reads of the table are strongly consistent, those of the index
are not. Every method blocks.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from boto3.dynamodb.conditions import ConditionBase, Key
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from adapters.aws.clients import endpoint_of, patience, session_of
from adapters.dynamodb.values import Item, read_item, write_item
from adapters.dynamodb.writes import (
    Change,
    ItemKey,
    Write,
    condition_words,
    delete_words,
    key_of,
    key_words,
    put_words,
    transact_words,
    update_words,
)
from engine.errors import UnavailableError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

INDEX: Final = "gsi1"
TTL_ATTRIBUTE: Final = "ttl"
DEFINITION: Final[dict[str, Any]] = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "gsi1pk", "gsi1sk")
    ],
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": INDEX,
            "KeySchema": [
                {"AttributeName": "gsi1pk", "KeyType": "HASH"},
                {"AttributeName": "gsi1sk", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
}
"""What ``CreateTable`` is told but for the name; the template says the same."""

COMMAND_TIMEOUT_S: Final = 5.0
MAX_CONNECTIONS: Final = 32
MAX_ATTEMPTS: Final = 8
KEYS_A_READ: Final = 100
ITEMS_A_WRITE: Final = 25
MAX_CONFLICTS: Final = 14
_FIRST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 1.0
_MISTAKES: Final = frozenset({"ValidationException", "SerializationException"})
_FAILED: Final = "ConditionalCheckFailed"
_CONFLICT: Final = "TransactionConflictException"
_CANCELLED: Final = "TransactionCanceledException"


def connect(environ: Mapping[str, str], *, attempts: int = MAX_ATTEMPTS) -> DynamoDBClient:
    """Return a client; nothing is sent yet. It is safe to use from many threads.

    A command is tried again, with growing pauses, when it is throttled or the connection fails.

    Args:
        environ: Where the standard AWS variables are, ``AWS_ENDPOINT_URL`` among them; boto3 finds
            roles of the machine by itself.
        attempts: How often a command is tried at most.
    """
    return session_of(environ).client(
        "dynamodb",
        endpoint_url=endpoint_of(environ, "DYNAMODB"),
        config=patience(
            timeout_s=COMMAND_TIMEOUT_S, attempts=attempts, connections=MAX_CONNECTIONS
        ),
    )


@contextmanager
def translated() -> Iterator[None]:
    """Turn what botocore raises into ``UnavailableError``, but for mistakes of our own.

    Throttling is no other case: it has been tried again already for as long as is sensible.
    """
    try:
        yield
    except ClientError as exc:
        if _code(exc) in _MISTAKES:
            raise
        raise UnavailableError(f"DynamoDB refuses: {exc}") from exc
    except ParamValidationError:
        raise
    except BotoCoreError as exc:
        raise UnavailableError(f"DynamoDB does not answer: {exc}") from exc


def pause(conflicts: int) -> None:
    """Wait longer after each conflict in a row, up to a second."""
    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**conflicts)
    time.sleep(longest * random.uniform(0.5, 1))  # noqa: S311 - keeps rivals apart


class DynamoTable:
    """Items of one table; attributes are str, int, float, bool and bytes.

    Raises ``UnavailableError`` when DynamoDB does not answer; a write may then have happened.

    Args:
        client: From ``connect``.
        name: The table's.
        pause: Waits before a command is given again, after so many tries.
    """

    def __init__(
        self, client: DynamoDBClient, name: str, *, pause: Callable[[int], None] = pause
    ) -> None:
        self._client = client
        self._pause = pause
        self.name = name

    def get(self, key: ItemKey) -> Item | None:
        """Return an item; None if there is none."""
        found = self._patiently(
            lambda: self._client.get_item(
                TableName=self.name, Key=key_words(key), ConsistentRead=True
            )
        )
        item = found.get("Item")
        return None if item is None else read_item(item)

    def get_many(self, keys: Iterable[ItemKey]) -> dict[ItemKey, Item]:
        """Return those items that there are, in one round trip for each hundred."""
        found: dict[ItemKey, Item] = {}
        wanted = list(dict.fromkeys(keys))
        pauses = 0
        while wanted:
            request: Any = {
                "Keys": [key_words(key) for key in wanted[:KEYS_A_READ]],
                "ConsistentRead": True,
            }
            answer = self._patiently(
                partial(self._client.batch_get_item, RequestItems={self.name: request})
            )
            for stored in answer["Responses"].get(self.name, ()):
                item = read_item(stored)
                found[item["pk"], item["sk"]] = item
            left = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
            if left:
                pauses = self._paused(pauses)
            wanted = [key_of(key) for key in left] + wanted[KEYS_A_READ:]
        return found

    def put(self, item: Item) -> None:
        """Write an item, whatever was there."""
        words = put_words(self.name, item, None)
        self._patiently(lambda: self._client.put_item(**words))

    def update(
        self, key: ItemKey, change: Change, *, condition: ConditionBase | None = None
    ) -> Item | None:
        """Change an item and return it as it is then; None when the condition does not hold."""
        words = {**update_words(self.name, key, change, condition), "ReturnValues": "ALL_NEW"}
        answer = self._conditionally(lambda: self._client.update_item(**words))
        return None if answer is None else read_item(answer["Attributes"])

    def delete(self, key: ItemKey, *, condition: ConditionBase | None = None) -> bool:
        """Remove an item; return False when the condition does not hold."""
        words = delete_words(self.name, key, condition)
        return self._conditionally(lambda: self._client.delete_item(**words)) is not None

    def put_all(self, items: Iterable[Item]) -> None:
        """Write many items, not in one step."""
        self._write_all({"PutRequest": {"Item": write_item(item)}} for item in items)

    def delete_all(self, keys: Iterable[ItemKey]) -> None:
        """Remove many items, not in one step."""
        self._write_all({"DeleteRequest": {"Key": key_words(key)}} for key in keys)

    def query(
        self,
        pk: str,
        *,
        prefix: str = "",
        below: str | None = None,
        above: str | None = None,
        index: bool = False,
        newest_first: bool = False,
        attributes: Sequence[str] = (),
        limit: int | None = None,
    ) -> Iterator[Item]:
        """Yield items of a partition, ordered by ``sk``; pages of a megabyte are read as needed.

        Args:
            pk: The partition, of the index where *index* says so; so are the others.
            prefix: Of ``sk``; not together with *below* and *above*.
            below: ``sk`` is smaller.
            above: ``sk`` is larger.
            index: Whether to read the index, which has keys alone.
            newest_first: Whether to begin at the end.
            attributes: Those to read; none for all.
            limit: How many at most.
        """
        if below is not None and above is not None and below <= above:
            return
        hash_name, range_name = ("gsi1pk", "gsi1sk") if index else ("pk", "sk")
        condition: ConditionBase = Key(hash_name).eq(pk)
        if prefix:
            condition &= Key(range_name).begins_with(prefix)
        elif below is not None and above is not None:
            condition &= Key(range_name).between(above, below)
        elif below is not None:
            condition &= Key(range_name).lt(below)
        elif above is not None:
            condition &= Key(range_name).gt(above)
        words = condition_words("KeyConditionExpression", condition, is_key=True)
        words |= {"TableName": self.name, "ScanIndexForward": not newest_first}
        words |= {"IndexName": INDEX} if index else {"ConsistentRead": True}
        if attributes:
            names = {f"#p{at}": name for at, name in enumerate(attributes)}
            words["ProjectionExpression"] = ", ".join(names)
            words["ExpressionAttributeNames"] = {**words["ExpressionAttributeNames"], **names}
        if limit is not None:
            words["Limit"] = limit
        ends = (below, above)
        found = (
            item for item in self._pages(words, self._client.query) if item[range_name] not in ends
        )
        yield from islice(found, limit)

    def scan(self) -> Iterator[Item]:
        """Yield all items of the table, in no order."""
        words: dict[str, Any] = {"TableName": self.name, "ConsistentRead": True}
        yield from self._pages(words, self._client.scan)

    def transact(self, *writes: Write) -> int | None:
        """Make up to 100 writes in one step, or none of them.

        Returns:
            None when they are made, else the position of the first whose condition does not hold.
        """
        words = [transact_words(self.name, write) for write in writes]
        for conflicts in range(MAX_CONFLICTS):
            try:
                self._client.transact_write_items(TransactItems=words)  # type: ignore[arg-type]
            except ClientError as exc:
                codes = _reasons(exc)
                if _FAILED in codes:
                    return codes.index(_FAILED)
                if _code(exc) != _CANCELLED or "ValidationError" in codes:
                    with translated():
                        raise
                self._pause(conflicts)
            except BotoCoreError:
                with translated():
                    raise
            else:
                return None
        raise UnavailableError("DynamoDB: others keep changing the same items")

    def _pages(self, words: dict[str, Any], read: Callable[..., Any]) -> Iterator[Item]:
        while True:
            answer = self._patiently(partial(read, **words))
            yield from map(read_item, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            words = {**words, "ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _write_all(self, requests: Iterable[dict[str, Any]]) -> None:
        waiting = iter(requests)
        batch = list(islice(waiting, ITEMS_A_WRITE))
        pauses = 0
        while batch:
            words: Any = {self.name: batch}
            answer = self._patiently(partial(self._client.batch_write_item, RequestItems=words))
            left: list[Any] = list(answer.get("UnprocessedItems", {}).get(self.name, []))
            if left:
                pauses = self._paused(pauses)
            batch = left + list(islice(waiting, ITEMS_A_WRITE - len(left)))

    def _conditionally(self, call: Callable[[], Any]) -> Any:
        try:
            return self._patiently(call)
        except ClientError as exc:
            if _code(exc) == "ConditionalCheckFailedException":
                return None
            with translated():
                raise

    def _patiently(self, call: Callable[[], Any]) -> Any:
        """Call, and again while a transaction holds the item."""
        for conflicts in range(MAX_CONFLICTS):
            try:
                return call()
            except ClientError as exc:
                code = _code(exc)
                if code == "ConditionalCheckFailedException":
                    raise
                if code != _CONFLICT:
                    with translated():
                        raise
                self._pause(conflicts)
            except BotoCoreError:
                with translated():
                    raise
        raise UnavailableError("DynamoDB: others keep changing the same item")

    def _paused(self, pauses: int) -> int:
        """Pause where less was done than asked; return how many pauses that makes."""
        if pauses == MAX_CONFLICTS:
            raise UnavailableError("DynamoDB does less than it is asked")
        self._pause(pauses)
        return pauses + 1


def _code(exc: ClientError) -> str:
    return str(exc.response.get("Error", {}).get("Code", ""))


def _reasons(exc: ClientError) -> list[str]:
    reasons: Any = exc.response.get("CancellationReasons", ())
    return [reason.get("Code", "") for reason in reasons]
