"""A task process and its worker, with small real programs as children."""

from __future__ import annotations

import asyncio
import math
import os
import socket
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from adapters.obstore.blobs import ObstoreBlobs
from engine.attempt import Attempt, Outcome, Piece
from engine.batch import Batch
from engine.catalog import Catalog
from engine.context import Context
from engine.job import JobId, TaskId
from engine.output.destination import Destinations
from engine.program import Program
from engine.source.sources import Sources
from engine.spec import parse_spec
from engine.steps import Steps
from tests.support.waiting import eventually_async
from workers.frames import READY, frame, read_frame, receive
from workers.serve import serve_at_once, serve_in_turn
from workers.task_process import LOADS_WITHIN_S, AttemptFailed, AttemptLost, TaskProcess

ROOT = Path(__file__).parents[2]

CHILD = """
import os, signal, socket, sys, threading, time
from pathlib import Path
from engine.attempt import Outcome
from workers.frames import READY, frame, receive

connection = socket.socket(fileno=int(sys.argv[2]))
if os.path.exists(f"{sys.argv[0]}.gate"):
    with open(f"{sys.argv[0]}.loading", "a") as log:
        log.write(f"{os.getpid()}\\n")
    with open(f"{sys.argv[0]}.gate") as gate:
        gate.read()
scratch = Path(sys.argv[1])
connection.sendall(frame({"id": READY}))

def answer(message, **more):
    outcome = Outcome(items=1, counters={"pid": os.getpid()}).to_json() | more
    connection.sendall(frame({"id": message["id"], "outcome": outcome}))

held = {}
while True:
    try:
        message = receive(connection)
    except EOFError:
        break
    if "cancel" in message:
        with open(f"{sys.argv[0]}.cancelled", "a") as log:
            log.write(f"{message['cancel']}\\n")
        error = {"code": "TASK_FAILED", "message": "was told to stop", "retryable": True}
        connection.sendall(frame({"id": message["cancel"], "error": error, "log": []}))
        continue
    params = message["attempt"]["spec"] if "attempt" in message else message
    match params["do"]:
        case "answer":
            answer(message)
        case "hold":
            with open(f"{sys.argv[0]}.held", "a") as log:
                log.write(f"{message['id']}\\n")
            if params.get("block"):
                time.sleep(600)
        case "exit":
            os._exit(params["status"])
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang up":
            connection.close()
            time.sleep(600)
        case "fork and exit":
            if os.fork() == 0:
                time.sleep(600)
            os._exit(3)
        case "error":
            error = {"code": "USER_CODE", "message": "no", "retryable": True}
            connection.sendall(frame({"id": message["id"], "error": error, "log": ["a line"]}))
        case "scratch":
            (scratch / "left").mkdir()
            (scratch / "left" / "over").write_text("bytes")
            connection.sendall(frame({"id": message["id"], "scratch": str(scratch)}))
        case "plan":
            for items in params["found"]:
                batches = [{"items": [item], "first": 0} for item in items]
                connection.sendall(frame({"id": message["id"], "batches": batches}))
            answer(message, plan_batches=3)
        case "echo":
            text = message["attempt"]["batch"]["items"][0]
            answer(message, piece={"name": text, "rows": 0, "size_bytes": len(text), "sha256": "",
                                   "cuts": [], "columns": []})
"""


class House:
    """A task process of each kind, over the same child program."""

    def __init__(self, folder: Path) -> None:
        self.script = folder / "child.py"
        self.script.write_text(CHILD)
        self.scratch = folder / "scratch"
        self._processes: list[TaskProcess] = []

    def process(
        self,
        *,
        one_at_a_time: bool = True,
        loads_within_s: float = LOADS_WITHIN_S,
        longest_s: float | None = None,
    ) -> TaskProcess:
        # -c would hide the script's name, beside which the child leaves its notes.
        process = TaskProcess(
            [sys.executable, str(self.script)],
            environment={"PYTHONPATH": str(ROOT)},
            scratch=self.scratch,
            one_at_a_time=one_at_a_time,
            loads_within_s=loads_within_s,
            longest_s=longest_s,
        )
        self._processes.append(process)
        return process

    def notes(self, kind: str) -> list[str]:
        path = self.script.with_name(f"child.py.{kind}")
        return path.read_text().split() if path.exists() else []

    def shut_gate(self) -> Path:
        """Have processes load until somebody has opened the gate for writing."""
        gate = self.script.with_name("child.py.gate")
        os.mkfifo(gate)
        return gate

    async def stop(self) -> None:
        for process in self._processes:
            await process.stop()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    yield house
    await house.stop()


def attempt(do: str, *, timeout_s: float | None = None, text: str = "", **spec: Any) -> Attempt:
    return Attempt(
        job=JobId("j-1"),
        task=TaskId("map-0"),
        number=1,
        spec={"do": do, **spec},
        batch=Batch(items=(text,)),
        timeout_s=timeout_s,
    )


def pid_of(outcome: Outcome) -> int:
    return int(outcome.counters["pid"])


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.anyio
async def test_an_attempt_is_answered_and_the_process_is_used_again(house: House) -> None:
    process = house.process()

    first = await process.run(attempt("answer"))
    second = await process.run(attempt("answer"))

    assert first.items == 1
    assert pid_of(first) == pid_of(second)


@pytest.mark.anyio
async def test_messages_of_several_megabytes_come_through(house: House) -> None:
    text = "é" * 4_000_000

    outcome = await house.process().run(attempt("echo", text=text))

    assert outcome.piece == Piece(name=text, rows=0, size_bytes=len(text))


@pytest.mark.anyio
async def test_an_error_is_passed_on_with_the_log(house: House) -> None:
    with pytest.raises(AttemptFailed) as caught:
        await house.process().run(attempt("error"))

    assert (caught.value.error.code, caught.value.error.message) == ("USER_CODE", "no")
    assert caught.value.error.retryable
    assert list(caught.value.log) == ["a line"]


@pytest.mark.parametrize("one_at_a_time", [True, False])
@pytest.mark.parametrize(
    ("do", "reason"),
    [
        ("exit", "exited with 3"),
        ("die", "was killed by signal 9"),
        ("fork and exit", "exited with 3"),
        ("hang up", "was killed by signal 9"),
    ],
)
@pytest.mark.anyio
async def test_a_process_that_dies_fails_its_attempt_and_is_replaced(
    house: House, one_at_a_time: bool, do: str, reason: str
) -> None:
    process = house.process(one_at_a_time=one_at_a_time)

    async with asyncio.timeout(10):
        with pytest.raises(AttemptFailed) as caught:
            await process.run(attempt(do, status=3))
        again = await process.run(attempt("answer"))

    assert caught.value.error.code == "TASK_CRASHED"
    assert caught.value.error.retryable
    assert reason in caught.value.error.message
    assert again.items == 1


@pytest.mark.anyio
async def test_all_attempts_of_a_process_that_dies_are_told(house: House) -> None:
    process = house.process(one_at_a_time=False)
    held = [asyncio.create_task(process.run(attempt("hold"))) for _ in range(3)]
    await eventually_async(lambda: len(house.notes("held")) == 3)

    with pytest.raises(AttemptFailed, match="exited with 1"):
        await process.run(attempt("exit", status=1))

    async with asyncio.timeout(5):
        for task in held:
            with pytest.raises(AttemptFailed, match="exited with 1"):
                await task


@pytest.mark.anyio
async def test_an_attempt_that_takes_too_long_is_killed_and_its_process_replaced(
    house: House,
) -> None:
    process = house.process()
    before = pid_of(await process.run(attempt("answer")))

    with pytest.raises(AttemptFailed, match=r"map-0 ran longer than 0\.1 s") as caught:
        await process.run(attempt("hold", block=True, timeout_s=0.1))

    after = pid_of(await process.run(attempt("answer")))
    assert caught.value.error.code == "TASK_TIMEOUT"
    assert after != before
    assert is_gone(before)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("wanted_s", "longest_s", "told"),
    [(None, 0.1, "0.1 s"), (600.0, 0.1, "0.1 s"), (0.1, 600.0, "0.1 s")],
)
@pytest.mark.parametrize("one_at_a_time", [True, False])
async def test_an_attempt_takes_no_longer_than_any_may(
    house: House, wanted_s: float | None, longest_s: float, told: str, one_at_a_time: bool
) -> None:
    process = house.process(one_at_a_time=one_at_a_time, longest_s=longest_s)

    with pytest.raises(AttemptFailed, match=f"map-0 ran longer than {told}") as caught:
        await process.run(attempt("hold", timeout_s=wanted_s))

    assert caught.value.error.code == "TASK_TIMEOUT"


@pytest.mark.anyio
async def test_starting_the_process_is_not_the_attempts_time(house: House) -> None:
    assert (await house.process().run(attempt("answer", timeout_s=0.1))).items == 1


@pytest.mark.anyio
async def test_a_cancelled_attempt_is_killed_and_its_process_replaced(house: House) -> None:
    process = house.process()
    before = pid_of(await process.run(attempt("answer")))
    running = asyncio.create_task(process.run(attempt("hold", block=True)))
    await eventually_async(lambda: house.notes("held"))

    running.cancel()
    await asyncio.wait([running])

    assert running.cancelled()
    assert is_gone(before)
    assert pid_of(await process.run(attempt("answer"))) != before


@pytest.mark.anyio
async def test_in_a_shared_process_only_the_attempt_itself_is_cancelled(house: House) -> None:
    process = house.process(one_at_a_time=False)
    before = pid_of(await process.run(attempt("answer")))
    running = asyncio.create_task(process.run(attempt("hold")))
    await eventually_async(lambda: house.notes("held"))

    running.cancel()
    await asyncio.wait([running])

    await eventually_async(lambda: house.notes("cancelled") == house.notes("held"))
    assert pid_of(await process.run(attempt("answer"))) == before


@pytest.mark.anyio
async def test_in_a_shared_process_an_attempt_out_of_time_is_cancelled(house: House) -> None:
    process = house.process(one_at_a_time=False)
    before = pid_of(await process.run(attempt("answer")))

    with pytest.raises(AttemptFailed, match="ran longer"):
        await process.run(attempt("hold", timeout_s=0.05))

    await eventually_async(lambda: house.notes("cancelled") == house.notes("held"))
    assert pid_of(await process.run(attempt("answer"))) == before


@pytest.mark.anyio
async def test_a_shared_process_that_does_not_answer_is_ended_and_the_others_in_it_are_lost(
    house: House,
) -> None:
    process = house.process(one_at_a_time=False)
    before = pid_of(await process.run(attempt("answer")))
    neighbour = asyncio.create_task(process.run(attempt("hold")))
    await eventually_async(lambda: len(house.notes("held")) == 1)
    running = asyncio.create_task(process.run(attempt("hold", block=True)))
    await eventually_async(lambda: len(house.notes("held")) == 2)

    running.cancel()
    await asyncio.wait([running, neighbour])

    assert running.cancelled()
    assert isinstance(neighbour.exception(), AttemptLost)
    assert pid_of(await process.run(attempt("answer"))) != before


@pytest.mark.parametrize("one_at_a_time", [True, False])
@pytest.mark.anyio
async def test_an_attempt_cancelled_while_programs_load_leaves_the_process_alone(
    house: House, one_at_a_time: bool
) -> None:
    gate = house.shut_gate()
    process = house.process(one_at_a_time=one_at_a_time)
    neighbour = asyncio.create_task(process.run(attempt("answer")))
    running = asyncio.create_task(process.run(attempt("hold")))
    await eventually_async(lambda: house.notes("loading"))

    running.cancel()
    await asyncio.wait([running])
    gate.write_text("")

    assert running.cancelled()
    assert [str(pid_of(await neighbour))] == house.notes("loading")


@pytest.mark.anyio
async def test_a_process_that_loads_for_too_long_is_replaced_when_an_attempt_is_cancelled(
    house: House,
) -> None:
    house.shut_gate()
    process = house.process(loads_within_s=0)
    running = asyncio.create_task(process.run(attempt("hold")))
    await eventually_async(lambda: house.notes("loading"))

    running.cancel()
    await asyncio.wait([running])

    assert is_gone(int(house.notes("loading")[0]))


@pytest.mark.anyio
async def test_cancelling_who_waits_for_a_new_process_does_not_silence_the_old_one(
    house: House,
) -> None:
    process = house.process(one_at_a_time=False)
    pid = pid_of(await process.run(attempt("answer")))
    # What was forked keeps the connection open, so that the old process is let go a moment later.
    dying = asyncio.create_task(process.run(attempt("fork and exit")))
    await eventually_async(lambda: not psutil.pid_exists(pid))
    waiting = asyncio.create_task(process.run(attempt("answer")))
    await asyncio.wait([waiting], timeout=0.01)

    waiting.cancel()
    await asyncio.wait([waiting])

    async with asyncio.timeout(5):
        with pytest.raises(AttemptFailed, match="exited with 3"):
            await dying


@pytest.mark.anyio
async def test_a_process_killed_between_two_attempts_fails_none_of_them(house: House) -> None:
    process = house.process()
    before = pid_of(await process.run(attempt("answer")))
    os.kill(before, 9)
    await eventually_async(lambda: is_gone(before))

    after = pid_of(await process.run(attempt("answer")))

    assert after != before


@pytest.mark.anyio
async def test_stopping_kills_the_process(house: House) -> None:
    process = house.process()
    pid = pid_of(await process.run(attempt("answer")))

    await process.stop()

    assert is_gone(pid)


@pytest.mark.anyio
async def test_batches_of_a_plan_are_taken_in_order_before_its_outcome(house: House) -> None:
    taken: list[Any] = []

    async def take(batches: Sequence[Batch]) -> None:
        await asyncio.sleep(0)
        taken.append([batch.items for batch in batches])

    outcome = await house.process().run(attempt("plan", found=[["a", "b"], ["c"]]), take)

    assert taken == [[("a",), ("b",)], [("c",)]]
    assert outcome.plan_batches == 3


@pytest.mark.anyio
async def test_a_plan_that_nobody_wants_any_more_is_lost_and_its_process_replaced(
    house: House,
) -> None:
    process = house.process()
    before = pid_of(await process.run(attempt("answer")))

    async def refuse(batches: Sequence[Batch]) -> None:
        raise AttemptLost("it is another attempt's by now")

    with pytest.raises(AttemptLost):
        await process.run(attempt("plan", found=[["a"]]), refuse)

    assert is_gone(before)
    assert pid_of(await process.run(attempt("answer"))) != before


@pytest.mark.anyio
async def test_a_plan_whose_batches_nobody_takes_in_can_be_stopped(house: House) -> None:
    process = house.process()
    before = pid_of(await process.run(attempt("answer")))
    is_taking = asyncio.Event()

    async def take(batches: Sequence[Batch]) -> None:
        is_taking.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(process.run(attempt("plan", found=[["a"]]), take))
    await is_taking.wait()
    running.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait([running])

    assert running.cancelled()
    assert is_gone(before)


@pytest.mark.anyio
async def test_what_is_asked_is_answered_by_the_process_that_runs_attempts(house: House) -> None:
    process = house.process()
    pid = pid_of(await process.run(attempt("answer")))

    answer = await process.ask({"do": "answer"}, within_s=10)

    assert answer["outcome"]["counters"] == {"pid": pid}


@pytest.mark.anyio
async def test_a_question_that_takes_too_long_ends_the_process_and_the_next_one_is_answered(
    house: House,
) -> None:
    process = house.process()
    before = pid_of(await process.run(attempt("answer")))

    with pytest.raises(TimeoutError):
        await process.ask({"do": "hold", "block": True}, within_s=0.1)

    assert is_gone(before)
    assert pid_of(await process.run(attempt("answer"))) != before


@pytest.mark.anyio
async def test_a_question_that_is_cancelled_ends_the_process(house: House) -> None:
    process = house.process()
    before = pid_of(await process.run(attempt("answer")))
    asking = asyncio.create_task(process.ask({"do": "hold", "block": True}, within_s=60))
    await eventually_async(lambda: house.notes("held"))

    asking.cancel()
    await asyncio.wait([asking])

    assert asking.cancelled()
    assert is_gone(before)


@pytest.mark.anyio
async def test_a_question_that_kills_the_process_fails_and_the_next_one_is_answered(
    house: House,
) -> None:
    process = house.process()

    with pytest.raises(AttemptFailed, match="killed by signal 9"):
        await process.ask({"do": "die"}, within_s=10)

    assert (await process.ask({"do": "answer"}, within_s=10))["outcome"]["items"] == 1


@pytest.mark.anyio
async def test_a_process_that_starts_finds_its_scratch_folder_empty(house: House) -> None:
    house.scratch.mkdir()
    (house.scratch / "of an earlier worker").touch()
    process = house.process()
    await process.start()
    assert list(house.scratch.iterdir()) == []
    assert house.scratch.stat().st_mode & 0o777 == 0o700
    await process.ask({"do": "scratch"}, within_s=10)
    assert [path.name for path in house.scratch.iterdir()] == ["left"]

    with pytest.raises(AttemptFailed):
        await process.run(attempt("die"))
    await process.start()

    assert list(house.scratch.iterdir()) == []


@pytest.mark.anyio
async def test_the_scratch_folder_goes_when_the_process_is_stopped(house: House) -> None:
    process = house.process()
    answer = await process.ask({"do": "scratch"}, within_s=10)
    assert answer["scratch"] == str(house.scratch)

    await process.stop()

    assert not house.scratch.exists()


@pytest.mark.anyio
async def test_a_command_that_does_not_exist_is_an_error_and_leaks_nothing(
    tmp_path: Path,
) -> None:
    process = TaskProcess(
        [str(tmp_path / "none")], environment={}, scratch=tmp_path / "own", one_at_a_time=True
    )
    before = len(os.listdir("/proc/self/fd"))

    with pytest.raises(FileNotFoundError):
        await process.run(attempt("answer"))

    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.anyio
async def test_a_command_that_ends_at_once_fails_the_attempt(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "pass"]
    process = TaskProcess(command, environment={}, scratch=tmp_path / "own", one_at_a_time=True)

    async with asyncio.timeout(5):
        with pytest.raises(AttemptFailed, match="exited with 0"):
            await process.run(attempt("answer"))


def steps_with(program: Program, folder: Path) -> Steps:
    return Steps(
        catalog=Catalog({program.name: program}),
        blobs=ObstoreBlobs.local(folder),
        sources=Sources({}),
        destinations=Destinations({}),
        scratch=folder,
        inline_result_bytes=0,
    )


def attempt_of(program: str) -> Attempt:
    spec = parse_spec({"program": program, "source": {"inline": []}}).to_json()
    return replace(attempt("answer", text="a"), spec=spec)


@pytest.mark.parametrize("counter", [math.nan, math.inf, 2**80, object()])
def test_a_counter_that_json_cannot_hold_fails_the_attempt_and_not_the_process(
    tmp_path: Path, counter: Any
) -> None:
    def count(item: Any, ctx: Context) -> list[Any]:
        ctx.counters["odd"] = counter
        return []

    steps = steps_with(Program(name="odd", map=count), tmp_path)
    odd = attempt_of("odd")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        serving = threading.Thread(target=serve_in_turn, args=(theirs, steps))
        serving.start()
        assert receive(ours) == {"id": READY}

        ours.sendall(frame({"id": 1, "attempt": odd.to_json()}))

        answer = receive(ours)
        ours.shutdown(socket.SHUT_RDWR)
        serving.join()
    assert (answer["id"], answer["error"]["code"]) == (1, "INVALID_OUTPUT")
    assert not answer["error"]["retryable"]


async def hold(item: Any, ctx: Context) -> list[Any]:
    await asyncio.Event().wait()
    return []


@pytest.mark.anyio
async def test_every_cancel_is_answered_and_the_process_lives(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    steps = steps_with(Program(name="hold", map=hold), tmp_path)
    serving = asyncio.create_task(serve_at_once(theirs, steps))
    reader, writer = await asyncio.open_connection(sock=ours)
    assert await read_frame(reader) == {"id": READY}
    start = frame({"id": 1, "attempt": attempt_of("hold").to_json()})

    async with asyncio.timeout(5):
        writer.write(start + frame({"cancel": 1}))  # read in one turn: the task has not begun
        unbegun = await read_frame(reader)
        writer.write(frame({"cancel": 1}))
        ended = await read_frame(reader)
        writer.write(start)
        writer.write(frame({"cancel": 7}))
        unknown = await read_frame(reader)
        writer.write(frame({"cancel": 1}))
        begun = await read_frame(reader)
        writer.close()
        await serving

    answers = [unbegun, ended, unknown, begun]
    assert [answer["id"] for answer in answers] == [1, 1, 7, 1]
    assert {answer["error"]["message"] for answer in answers} == {"was told to stop"}
