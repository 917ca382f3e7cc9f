"""One connection: who is at the other end, and what runs for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from engine.errors import QuotaExceededError, UnauthenticatedError, UnavailableError
from resolvers.access.authentication import Authenticator
from resolvers.access.caller import Caller
from resolvers.access.quotas import Connections
from schema.context import Context
from transport.credentials import credential_of
from transport.fan_out import FanOut
from transport.operations import Operation, Operations, RequestError
from transport.websocket import messages
from transport.websocket.closing import Close, CloseCode, cut
from transport.websocket.messages import Complete, ConnectionInit, Ping, Received, Subscribe
from transport.websocket.operations import Live, Running, Subscription
from transport.websocket.outbox import Outbox
from transport.websocket.rate import TokenBucket
from transport.websocket.sampled_log import SampledLog
from transport.websocket.wire import Wire

INIT_WITHIN_S: Final = 5.0
MAX_LIVE_OPERATIONS: Final = 100
OPERATIONS_PER_S: Final = 20
OPERATIONS_AT_ONCE: Final = 200
"""So that a client may end all it follows and follow as many others at once."""
MESSAGES_PER_S: Final = 200
MESSAGES_AT_ONCE: Final = 2_000
MAX_UNKNOWN_LENGTH: Final = 16 * 1024
"""Of a message of somebody who has not yet told who they are."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """What the connections of a process share.

    Attributes:
        operations: Prepares, and runs what has one answer.
        fan_out: Serves subscriptions.
        authenticator: Tells who calls.
        connections: Counts them by tenant.
        context_of: Makes the context of a caller who called this address.
        malformed: Where it is told of clients that break the protocol.
        outbox: What a turn of the loop has to say.
    """

    operations: Operations
    fan_out: FanOut
    authenticator: Authenticator
    connections: Connections
    context_of: Callable[[Caller, str], Context]
    malformed: SampledLog = field(default_factory=lambda: SampledLog(_log))
    outbox: Outbox = field(default_factory=Outbox)


class Connection:
    """Answers messages as they come.

    At most 100 operations are live, each counted until its last line of code has run; of those
    asked for too fast only so many are begun.

    Args:
        wire: Where answers go.
        served: Shared by all connections.
        on_acknowledged: Called once when it is known who is at the other end.
        authorization: The header of that name; None for none.
        base_url: By which address the service was called.
    """

    __slots__ = (
        "_authorization",
        "_base_url",
        "_behind",
        "_context",
        "_deadline",
        "_greeting",
        "_is_closed",
        "_leaving",
        "_live",
        "_loop",
        "_message_rate",
        "_on_acknowledged",
        "_operation_rate",
        "_running",
        "_served",
        "_wire",
    )

    def __init__(
        self,
        wire: Wire,
        served: Served,
        *,
        on_acknowledged: Callable[[], None],
        authorization: str | None,
        base_url: str,
    ) -> None:
        self._wire = wire
        self._served = served
        self._on_acknowledged = on_acknowledged
        self._authorization = authorization
        self._base_url = base_url
        self._loop = loop = asyncio.get_running_loop()
        self._operation_rate = TokenBucket(
            per_s=OPERATIONS_PER_S, burst=OPERATIONS_AT_ONCE, clock=loop.time
        )
        self._message_rate = TokenBucket(
            per_s=MESSAGES_PER_S, burst=MESSAGES_AT_ONCE, clock=loop.time
        )
        self._context: Context | None = None
        self._greeting: asyncio.Task[None] | None = None
        self._is_closed = False
        self._live: dict[str, Live] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._behind: dict[Subscription, None] = {}
        self._leaving = ExitStack()
        self._deadline: asyncio.TimerHandle | None = loop.call_later(
            INIT_WITHIN_S, self._close_late
        )
        wire.on_resumed = self._catch_up
        wire.outbox = served.outbox

    def receive(self, text: str | None) -> None:
        """Answer a message; None for a binary one."""
        if self._is_closed:
            return
        try:
            if not self._message_rate.take():
                raise Close(CloseCode.POLICY_VIOLATION, "Too many messages")
            if text is None:
                raise messages.bad("a message must be text")
            if self._context is None and len(text) > MAX_UNKNOWN_LENGTH:
                raise messages.bad(
                    f"more than {MAX_UNKNOWN_LENGTH} characters before connection_ack"
                )
            self._answer(messages.parse(text))
        except Close as close:
            self._served.malformed.warning("a WebSocket is closed: %s", close.reason)
            self.close(close.code, close.reason)
        except Exception:  # noqa: BLE001 - one message must not leave the socket half dead
            _log.exception("a WebSocket message could not be answered")
            self.close(CloseCode.INTERNAL_SERVER_ERROR, "Internal server error")

    def close(self, code: CloseCode, reason: str) -> None:
        """Close the connection and end all that runs on it."""
        if not self._is_closed:
            self._wire.close(code, cut(reason))
            self.end()

    def end(self) -> None:
        """End all that runs: the peer has gone, or is being told to."""
        self._is_closed = True
        self._stop_deadline()
        if self._greeting is not None:
            self._greeting.cancel()
        live, self._live = self._live, {}
        for operation in live.values():
            self._stop(operation)
        self._behind.clear()
        self._leaving.close()

    @property
    def is_acknowledged(self) -> bool:
        """Whether it is known who is at the other end."""
        return self._context is not None

    def _answer(self, message: Received) -> None:
        match message:
            case Subscribe():
                self._subscribe(message)
            case Complete(id):
                self._stop(self._live.pop(id, None))
            case Ping(payload):
                if not self._wire.is_paused:
                    self._wire.send_text(messages.pong(payload))
            case ConnectionInit(payload):
                self._greet(payload)
            case _:
                pass

    def _greet(self, payload: Mapping[str, Any]) -> None:
        if self._greeting is not None:
            raise Close(
                CloseCode.TOO_MANY_INITIALISATION_REQUESTS, "Too many initialisation requests"
            )
        self._stop_deadline()
        credential = _credential(payload, self._authorization)
        self._greeting = self._loop.create_task(self._acknowledge(credential))

    async def _acknowledge(self, credential: str | None) -> None:
        served = self._served
        try:
            async with asyncio.timeout(INIT_WITHIN_S):
                caller = await served.authenticator.authenticate(credential)
            self._leaving.enter_context(served.connections.hold(caller.tenant))
        except UnauthenticatedError:
            self.close(CloseCode.FORBIDDEN, "Forbidden")
        except QuotaExceededError as exc:
            self.close(CloseCode.TRY_AGAIN_LATER, exc.message)
        except (UnavailableError, TimeoutError):
            self.close(CloseCode.TRY_AGAIN_LATER, "Who calls cannot be known now")
        except Exception:  # noqa: BLE001 - nobody awaits this task
            _log.exception("a WebSocket could not be authenticated")
            self.close(CloseCode.INTERNAL_SERVER_ERROR, "Internal server error")
        else:
            self._leaving.callback(served.authenticator.watch(caller, self._close_expired))
            self._context = served.context_of(caller, self._base_url)
            self._on_acknowledged()
            self._wire.send_text(messages.ACK)

    def _subscribe(self, message: Subscribe) -> None:
        context, id = self._context, message.id
        if context is None:
            raise Close(CloseCode.UNAUTHORIZED, "Unauthorized")
        if id in self._live:
            raise Close(CloseCode.SUBSCRIBER_ALREADY_EXISTS, f"Subscriber for {id} already exists")
        try:
            self._check_limits()
            if message.long_integer is not None:
                raise RequestError.of(f"The integer {message.long_integer} has more than 64 bits.")
            operation = self._served.operations.prepare(message.query, message.operation_name)
            if operation.kind == "subscription":
                self._follow(id, operation, message.variables, context)
            else:
                self._run(id, operation, message.variables, context)
        except RequestError as exc:
            self._stop(self._live.pop(id, None))
            self._wire.send_text(messages.error(id, exc.errors))

    def _check_limits(self) -> None:
        """See that one more operation may begin.

        Raises:
            RequestError: It may not.
        """
        stopping = sum(1 for task in self._running if not task.done())
        following = sum(1 for live in self._live.values() if isinstance(live, Subscription))
        if stopping + following >= MAX_LIVE_OPERATIONS:
            problem = f"A connection may have {MAX_LIVE_OPERATIONS} operations at a time."
            raise RequestError.of(problem, code="TOO_MANY_OPERATIONS", status=429)
        if not self._operation_rate.take():
            problem = f"A connection may begin {OPERATIONS_PER_S} operations a second."
            raise RequestError.of(problem, code="RATE_LIMITED", status=429)

    def _follow(
        self, id: str, operation: Operation, variables: Mapping[str, Any] | None, context: Context
    ) -> None:
        subscription = Subscription(
            id, self._wire, on_behind=self._note_behind, on_end=self._forget
        )
        self._live[id] = subscription
        membership = self._served.fan_out.join(operation, variables, context, subscription)
        if self._live.get(id) is subscription:
            subscription.membership = membership

    def _run(
        self, id: str, operation: Operation, variables: Mapping[str, Any] | None, context: Context
    ) -> None:
        running = Running(is_mutation=operation.kind == "mutation")
        self._live[id] = running
        task = self._loop.create_task(self._answer_once(id, running, operation, variables, context))
        running.task = task
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _answer_once(
        self,
        id: str,
        running: Running,
        operation: Operation,
        variables: Mapping[str, Any] | None,
        context: Context,
    ) -> None:
        answer: bytes | None = None
        errors = None
        try:
            answer = await self._served.operations.run(operation, variables, context.afresh())
        except RequestError as exc:
            errors = exc.errors
        except Exception as exc:  # noqa: BLE001 - masked and logged
            errors = RequestError.hiding(exc).errors
        if not running.is_wanted:
            return
        await self._wire.until_writable()
        if not running.is_wanted:
            return
        del self._live[id]
        if answer is None:
            self._wire.send_text(messages.error(id, errors or ()))
        else:
            self._wire.send_next(messages.next_prefix(id), answer)
            self._wire.send_text(messages.complete(id))

    def _note_behind(self, subscription: Subscription) -> None:
        self._behind[subscription] = None

    def _catch_up(self) -> None:
        """Send the newest to all that were left out while the peer did not read."""
        behind, self._behind = self._behind, {}
        for subscription in behind:
            if subscription.membership is not None:
                subscription.membership.resume()

    def _forget(self, id: str, subscription: Subscription) -> None:
        """Note that the server has ended a subscription."""
        if self._live.get(id) is subscription:
            del self._live[id]
        self._behind.pop(subscription, None)

    def _stop(self, operation: Live | None) -> None:
        """End an operation whose id is free by now."""
        if operation is None:
            return
        operation.stop()
        if isinstance(operation, Subscription):
            self._behind.pop(operation, None)

    def _close_late(self) -> None:
        self.close(CloseCode.INITIALISATION_TIMEOUT, "Connection initialisation timeout")

    def _close_expired(self) -> None:
        self.close(CloseCode.FORBIDDEN, "Forbidden")

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _credential(payload: Mapping[str, Any], authorization: str | None) -> str | None:
    """Return what a caller shows: in the payload, else in the header.

    Raises:
        Close: It is no string.
    """
    for name in ("Authorization", "authorization", "token"):
        shown = payload.get(name)
        if shown is None:
            continue
        if not isinstance(shown, str):
            raise messages.bad(f"payload.{name} must be a string")
        return shown if name == "token" else credential_of(shown)
    return credential_of(authorization)
