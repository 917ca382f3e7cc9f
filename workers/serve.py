"""The inside of a task process: take attempts, run them, answer. Knows no queue and no ledger.

``serve_in_turn`` runs one attempt at a time and may be killed in the middle of any;
``serve_at_once`` runs ``async def`` maps side by side and cancels single ones. It answers every
attempt and every cancel, so that its worker can tell a process that hangs, which it then ends with
all attempts in it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from engine.attempt import Attempt, Outcome
from engine.batch import Batch
from engine.errors import FanfoldError, TaskError, UnavailableError
from engine.sql.checker import CheckedSql, SqlCheck
from engine.steps import Steps
from engine.task import EmitBatches
from workers.checker import refused
from workers.failure import error_of, log_of
from workers.frames import READY, frame, read_frame, receive
from workers.memory import give_back_memory

Check = Callable[[SqlCheck], CheckedSql]


def serve_in_turn(connection: socket.socket, steps: Steps, check: Check | None = None) -> None:
    """Run attempts one after another until the worker hangs up.

    Args:
        connection: To the worker.
        steps: What runs them.
        check: Checks queries, in a process that runs SQL.
    """
    connection.sendall(frame({"id": READY}))
    while True:
        try:
            message = receive(connection)
        except (EOFError, ConnectionError):
            return
        if "check" in message:
            connection.sendall(_checked(message["id"], check, message["check"]))
            continue

        def emit(batches: Sequence[Batch], id_: int = message["id"]) -> None:
            found = [batch.to_json() for batch in batches]
            connection.sendall(frame({"id": id_, "batches": found}))

        connection.sendall(_answer(message["id"], steps, message["attempt"], emit))
        give_back_memory()


async def serve_at_once(connection: socket.socket, steps: Steps) -> None:
    """Run attempts side by side until the worker hangs up."""
    reader, writer = await asyncio.open_connection(sock=connection)
    writer.write(frame({"id": READY}))
    running: dict[int, asyncio.Task[bytes]] = {}

    def send_answer(id_: int, task: asyncio.Task[bytes]) -> None:
        # Not a part of the task: one that is cancelled before its first turn never runs.
        del running[id_]
        writer.write(_stopped(id_) if task.cancelled() else task.result())

    while True:
        try:
            message = await read_frame(reader)
        except (EOFError, ConnectionError):
            writer.close()
            return
        if "cancel" in message:
            if task := running.get(message["cancel"]):
                task.cancel()
            else:
                writer.write(_stopped(message["cancel"]))
            continue
        id_ = message["id"]
        running[id_] = asyncio.create_task(_answer_async(id_, steps, message["attempt"]))
        running[id_].add_done_callback(partial(send_answer, id_))


def _checked(id_: int, check: Check | None, request: dict[str, Any]) -> bytes:
    try:
        if check is None:
            raise FanfoldError("this process checks no SQL")
        return frame({"id": id_, "checked": check(SqlCheck(**request)).to_json()})
    except FanfoldError as exc:
        return frame({"id": id_, "refused": refused(exc)})
    except Exception as exc:  # noqa: BLE001 - nothing that a query does may end the process
        error = UnavailableError(f"the query cannot be checked: {type(exc).__name__}: {exc}")
        return frame({"id": id_, "refused": refused(error)})


def _answer(id_: int, steps: Steps, attempt: dict[str, Any], emit: EmitBatches) -> bytes:
    try:
        return _outcome(id_, steps.run(Attempt.from_json(attempt), emit))
    except Exception as exc:  # noqa: BLE001 - nothing that a program does may end the process
        return _error(id_, exc)


async def _answer_async(id_: int, steps: Steps, attempt: dict[str, Any]) -> bytes:
    try:
        return _outcome(id_, await steps.run_async(Attempt.from_json(attempt)))
    except Exception as exc:  # noqa: BLE001 - as above
        return _error(id_, exc)


def _outcome(id_: int, outcome: Outcome) -> bytes:
    # Raises OutputError for what JSON cannot hold, such as a counter that is NaN.
    return frame({"id": id_, "outcome": outcome.to_json()})


def _stopped(id_: int) -> bytes:
    return _error(id_, TaskError("was told to stop"))


def _error(id_: int, exc: Exception) -> bytes:
    return frame({"id": id_, "error": asdict(error_of(exc)), "log": list(log_of(exc))})
