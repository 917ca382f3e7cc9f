"""The inside of a task process: take attempts, run them, answer. Knows no queue and no ledger.

``serve_in_turn`` runs one attempt at a time and may be killed in the middle of any;
``serve_at_once`` runs ``async def`` maps side by side and cancels single ones.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from engine.attempt import Attempt, Outcome
from engine.errors import FanfoldError, TaskError, UserCodeError
from engine.steps import Steps
from workers.frames import READY, frame, read_frame, receive


def serve_in_turn(connection: socket.socket, steps: Steps) -> None:
    """Run attempts one after another until the worker hangs up."""
    connection.sendall(frame({"id": READY}))
    while True:
        try:
            message = receive(connection)
        except (EOFError, ConnectionError):
            return
        connection.sendall(_answer(message["id"], steps, message["attempt"]))


async def serve_at_once(connection: socket.socket, steps: Steps) -> None:
    """Run attempts side by side until the worker hangs up."""
    reader, writer = await asyncio.open_connection(sock=connection)
    writer.write(frame({"id": READY}))
    running: dict[int, asyncio.Task[None]] = {}

    async def run(message: dict[str, Any]) -> None:
        try:
            writer.write(await _answer_async(message["id"], steps, message["attempt"]))
            await writer.drain()
        except asyncio.CancelledError:
            writer.write(_error(message["id"], TaskError("was told to stop")))
        finally:
            del running[message["id"]]

    while True:
        try:
            message = await read_frame(reader)
        except (EOFError, ConnectionError):
            return
        if "cancel" in message:
            if task := running.get(message["cancel"]):
                task.cancel()
            continue
        running[message["id"]] = asyncio.create_task(run(message))


def _answer(id_: int, steps: Steps, attempt: dict[str, Any]) -> bytes:
    try:
        return _outcome(id_, steps.run(Attempt.from_json(attempt)))
    except FanfoldError as exc:
        return _error(id_, exc)
    except Exception as exc:  # noqa: BLE001 - nothing that a program does may end the process
        return _error(id_, UserCodeError(f"{type(exc).__name__}: {exc}"))


async def _answer_async(id_: int, steps: Steps, attempt: dict[str, Any]) -> bytes:
    try:
        return _outcome(id_, await steps.run_async(Attempt.from_json(attempt)))
    except FanfoldError as exc:
        return _error(id_, exc)
    except Exception as exc:  # noqa: BLE001 - as above
        return _error(id_, UserCodeError(f"{type(exc).__name__}: {exc}"))


def _outcome(id_: int, outcome: Outcome) -> bytes:
    # Raises OutputError for what JSON cannot hold, such as a counter that is NaN.
    return frame({"id": id_, "outcome": outcome.to_json()})


def _error(id_: int, exc: FanfoldError) -> bytes:
    retryable = exc.retryable and (isinstance(exc, TaskError) or exc.code == "UNAVAILABLE")
    message = exc.message.encode("utf-8", "replace").decode()
    error = {"code": exc.code, "message": message, "retryable": retryable}
    log = list(exc.log) if isinstance(exc, TaskError) else []
    return frame({"id": id_, "error": error, "log": log})
