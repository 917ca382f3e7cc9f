"""Submitting, planning, reading and cancelling: what is refused, with what, and what is not."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.attempt import Piece
from engine.cursor import encode_cursor
from engine.errors import (
    IdempotencyConflictError,
    InputError,
    InvalidStateError,
    Issue,
    NotFoundError,
    SourceError,
    UnavailableError,
)
from engine.job import JobState
from engine.jsonvalue import encode
from engine.result import Manifest
from resolvers.cancel import cancel_job
from resolvers.check import MAX_INLINE_BYTES
from resolvers.delete import delete_job
from resolvers.plan import plan_job
from resolvers.read import get_job, list_jobs, list_tasks
from resolvers.results import ResultReader
from resolvers.row_budget import RowBudget
from resolvers.submit import Submitted, submit_job
from tests.support.memory import ADA, EVE, MemoryBlobs, World, checked_sql, job_of, make_world
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio
INLINE: dict[str, Any] = {"program": "wordcount", "source": {"inline": ["a b", "b"]}}
SQL: dict[str, Any] = {"sql": "SELECT count(*) FROM source", "source": INLINE["source"]}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "a.txt").write_text("one two\nthree\n")
    world = make_world(roots=[tmp_path])
    async with asyncio.timeout(10), world.hub:
        yield world


async def submit(world: World, data: dict[str, Any], *, wait_up_to_ms: int = 0) -> Submitted:
    return await submit_job(
        world.services, hub=world.hub, caller=ADA, data=data, wait_up_to_ms=wait_up_to_ms
    )


async def problems(world: World, data: dict[str, Any], *, wait_up_to_ms: int = 0) -> set[str]:
    with pytest.raises(InputError) as caught:
        await submit(world, data, wait_up_to_ms=wait_up_to_ms)
    assert world.jobs.jobs == {}
    return {".".join(issue.path) for issue in caught.value.issues}


def files(*uris: str, **more: Any) -> dict[str, Any]:
    return {"program": "wordcount", "source": {"files": {"uris": list(uris)}}, **more}


class TestSubmitting:
    async def test_an_accepted_job_is_returned_at_once(self, world: World) -> None:
        submitted = await submit(world, INLINE)

        assert submitted.created
        assert submitted.job.status.state is JobState.QUEUED
        assert (submitted.job.tenant, submitted.job.submitted_by) == ("acme", "ada")

    async def test_every_problem_is_told_at_once(self, world: World) -> None:
        data = {
            "program": "wordcoumt",
            "source": {},
            "tags": ["ok", ""],
            "batching": {"maxItems": 0},
            "surprise": 1,
        }

        assert await problems(world, data, wait_up_to_ms=25_001) == {
            "input.program",
            "input.source",
            "input.tags",
            "input.batching.maxItems",
            "input.surprise",
            "input.waitUpToMs",
        }

    async def test_wrong_params_are_told_with_the_rest(self, world: World) -> None:
        data = {"program": "wordcount", "params": {"top": 0, "bottom": 1}, "source": {}}

        assert await problems(world, data) == {
            "input.params.top",
            "input.params.bottom",
            "input.source",
        }

    async def test_a_missing_program_is_a_problem_of_the_input(self, world: World) -> None:
        with pytest.raises(InputError, match="give exactly one of program and sql"):
            await submit(world, {"source": INLINE["source"]})
        assert world.jobs.jobs == {}

    async def test_program_and_sql_together_are_a_problem(self, world: World) -> None:
        with pytest.raises(InputError, match="give exactly one of program and sql"):
            await submit(world, {**INLINE, "sql": "SELECT 1"})
        assert world.sql.requests == []

    async def test_sql_is_checked_before_the_job_is_accepted(self, world: World) -> None:
        world.sql.answer = InputError(Issue(("input", "sql"), "no column named x"))

        assert await problems(world, SQL) == {"input.sql"}
        assert [request.spec["sql"] for request in world.sql.requests] == [SQL["sql"]]

    async def test_sql_that_is_off_is_refused_unchecked(self, tmp_path: Path) -> None:
        world = make_world(sql_enabled=False)
        async with world.hub:
            assert await problems(world, SQL) == {"input.sql"}
        assert world.sql.requests == []

    async def test_a_place_that_may_not_be_written_to_is_refused(
        self, world: World, tmp_path: Path
    ) -> None:
        data = {**INLINE, "output": {"uri": str(tmp_path / "elsewhere")}}

        assert await problems(world, data) == {"input.output.uri"}

    async def test_the_result_of_another_job_is_a_source(self, world: World) -> None:
        job = world.jobs.put(job_of("j-1", state=JobState.SUCCEEDED))
        store_result(world, job.id, [b'{"n":1}\n'])

        submitted = await submit(world, {"program": "wordcount", "source": {"job": "j-1"}})

        assert submitted.job.spec["source"]["job"] == "j-1"

    @pytest.mark.parametrize(
        ("state", "problem"),
        [
            (JobState.RUNNING, "j-1 is RUNNING"),
            (JobState.FAILED, "j-1 is FAILED"),
            (JobState.SUCCEEDED, "has been erased"),
        ],
    )
    async def test_a_job_without_a_result_is_no_source(
        self, world: World, state: JobState, problem: str
    ) -> None:
        world.jobs.put(job_of("j-1", state=state))

        with pytest.raises(InputError, match=f"input.source.job: .*{problem}"):
            await submit(world, {"program": "wordcount", "source": {"job": "j-1"}})

    async def test_a_job_of_another_tenant_is_no_source(self, world: World) -> None:
        world.jobs.put(job_of("j-1", tenant=EVE.tenant, state=JobState.SUCCEEDED))

        with pytest.raises(InputError, match="no job 'j-1'"):
            await submit(world, {"program": "wordcount", "source": {"job": "j-1"}})

    async def test_the_nearest_program_is_named(self, world: World) -> None:
        with pytest.raises(InputError, match="did you mean 'wordcount'"):
            await submit(world, {**INLINE, "program": "wordcoumt"})

    async def test_a_great_many_problems_are_cut_short(self, world: World) -> None:
        with pytest.raises(InputError) as caught:
            await submit(world, {"program": "wordcount", "source": {"inline": [1] * 500}})

        assert len(caught.value.issues) <= 100

    async def test_too_many_bytes_of_inline_items_are_refused_with_both_numbers(
        self, world: World
    ) -> None:
        data = {"program": "wordcount", "source": {"inline": ["x" * MAX_INLINE_BYTES]}}

        with pytest.raises(InputError, match=r"1048580 bytes.*limit is 1048576"):
            await submit(world, data)

    async def test_inline_items_up_to_the_limit_are_taken(self, world: World) -> None:
        text = "x" * (MAX_INLINE_BYTES - len('[""]'))

        assert (await submit(world, {**INLINE, "source": {"inline": [text]}})).created

    @pytest.mark.parametrize(
        ("data", "path"),
        [
            ({**INLINE, "source": {"inline": [{"n": float("nan")}]}}, "input.source.inline"),
            ({**INLINE, "source": {"inline": [{"n": 2**70}]}}, "input.source.inline"),
            ({**INLINE, "source": {"inline": ["\ud800"]}}, "input.source.inline"),
            ({**INLINE, "name": "\ud800"}, "input"),
        ],
    )
    async def test_what_json_cannot_hold_is_refused(
        self, world: World, data: dict[str, Any], path: str
    ) -> None:
        found = await problems(world, data)
        assert any(name.startswith(path) for name in found)

    @pytest.mark.parametrize("wait_up_to_ms", [-1, 25_001])
    async def test_a_wait_out_of_range_is_refused_with_the_limit(
        self, world: World, wait_up_to_ms: int
    ) -> None:
        with pytest.raises(InputError, match="waitUpToMs: must be 0 to 25000"):
            await submit(world, INLINE, wait_up_to_ms=wait_up_to_ms)

    async def test_a_job_over_files_that_exist_is_accepted_without_a_plan(
        self, world: World
    ) -> None:
        assert (await submit(world, files("*.txt"))).created

    @pytest.mark.parametrize("uri", ["none.txt", "../etc/passwd", "/etc/passwd"])
    async def test_a_uri_that_leads_nowhere_is_a_source_error_at_its_place(
        self, world: World, uri: str
    ) -> None:
        with pytest.raises(SourceError) as caught:
            await submit(world, files(uri))

        assert caught.value.path is not None
        assert caught.value.path[:4] == ("input", "source", "files", "uris")
        assert world.jobs.jobs == {}

    async def test_the_same_key_and_input_give_the_same_job(self, world: World) -> None:
        data = {**INLINE, "idempotencyKey": "k"}
        first, second = await submit(world, data), await submit(world, data)

        assert (first.created, second.created) == (True, False)
        assert first.job.id == second.job.id

    async def test_the_same_key_and_another_input_conflict(self, world: World) -> None:
        first = await submit(world, {**INLINE, "idempotencyKey": "k"})

        with pytest.raises(IdempotencyConflictError) as caught:
            await submit(world, {**INLINE, "idempotencyKey": "k", "name": "other"})
        assert caught.value.existing_job_id == first.job.id


class TestWaiting:
    async def test_a_job_that_ends_in_time_is_returned_ended(self, world: World) -> None:
        waiting = asyncio.create_task(submit(world, INLINE, wait_up_to_ms=20_000))
        await eventually_async(lambda: world.bell.listeners)
        (job,) = world.jobs.jobs
        world.jobs.change(job, state=JobState.RUNNING)
        world.jobs.change(job, state=JobState.SUCCEEDED)

        assert (await waiting).job.status.state is JobState.SUCCEEDED
        await eventually_async(lambda: not world.bell.listeners)

    async def test_a_job_that_does_not_is_returned_as_it_stands(self, world: World) -> None:
        submitted = await submit(world, INLINE, wait_up_to_ms=20)

        assert submitted.job.status.state is JobState.QUEUED
        assert world.hub.listeners == 0

    async def test_a_caller_who_goes_away_leaves_nothing_behind(self, world: World) -> None:
        waiting = asyncio.create_task(submit(world, INLINE, wait_up_to_ms=20_000))
        await eventually_async(lambda: world.bell.listeners)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        await eventually_async(lambda: not world.bell.listeners)


class TestPlanning:
    async def test_the_steps_name_the_programs_functions(self, world: World) -> None:
        plan = await plan_job(world.services, caller=ADA, data=INLINE)

        assert plan.map_step == "map_batch count_words, combine total"
        assert plan.reduce_step == "reduce total"
        assert plan.finish_step == "finish keep_top"
        assert (plan.items, plan.map_tasks, plan.reduce_tasks) == (2, 1, 1)
        assert plan.warnings == ()

    async def test_a_map_only_program_has_no_reduce(self, world: World) -> None:
        data = {**INLINE, "program": "grep", "params": {"pattern": "a"}}
        plan = await plan_job(world.services, caller=ADA, data=data)

        assert (plan.map_step, plan.reduce_step, plan.finish_step) == (
            "map matching_lines",
            None,
            None,
        )
        assert plan.reduce_tasks == 0

    async def test_files_are_cut_as_submitting_would(self, world: World) -> None:
        plan = await plan_job(world.services, caller=ADA, data=files("a.txt"))

        assert (plan.items, plan.size_bytes, plan.map_tasks) == (None, 14, 1)
        assert world.jobs.jobs == {}

    async def test_an_empty_source_is_warned_of(self, world: World) -> None:
        plan = await plan_job(world.services, caller=ADA, data={**INLINE, "source": {"inline": []}})

        assert "the source is empty" in plan.warnings[0]

    async def test_a_compressed_file_is_one_task(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"one line\n" * 100_000))
        batching = {"batching": {"maxBytes": 100}}

        plan = await plan_job(world.services, caller=ADA, data=files("a.txt.gz", **batching))

        assert (plan.map_tasks, plan.warnings) == (1, ())

    async def test_the_steps_of_a_query_are_told(self, world: World) -> None:
        plan = await plan_job(world.services, caller=ADA, data=SQL)

        assert (plan.map_step, plan.reduce_step, plan.finish_step) == ("SELECT 1", "SELECT 2", None)

    async def test_a_query_that_cannot_be_reduced_in_parts_is_warned_of(self, world: World) -> None:
        world.sql.answer = checked_sql(has_one_reducer=True)
        data = {**SQL, "batching": {"maxItems": 1}, "reducers": 4}

        plan = await plan_job(world.services, caller=ADA, data=data)

        assert (plan.map_tasks, plan.reduce_tasks) == (2, 1)
        assert "cannot be reduced in parts" in plan.warnings[0]

    async def test_wanting_answers_so_far_in_vain_is_warned_of(self, world: World) -> None:
        world.sql.answer = checked_sql(supports_partial=False)

        plan = await plan_job(world.services, caller=ADA, data={**SQL, "partialEveryMs": 100})

        assert "partialEveryMs has no effect" in plan.warnings[0]

    async def test_few_uris_may_have_wildcards(self, world: World) -> None:
        few = [f"**/a[.{number}]txt" for number in range(100)]
        plan = await plan_job(world.services, caller=ADA, data=files(*few, "a.txt"))
        assert plan.map_tasks == 1

        with pytest.raises(InputError) as caught:
            await plan_job(world.services, caller=ADA, data=files(*few, "*.txt"))

        (issue,) = caught.value.issues
        assert issue.path == ("input", "source", "files", "uris")
        assert issue.message.startswith("101 URIs have wildcards, the limit is 100; ")

    async def test_problems_are_those_of_submitting(self, world: World) -> None:
        with pytest.raises(InputError):
            await plan_job(world.services, caller=ADA, data={})
        with pytest.raises(SourceError):
            await plan_job(world.services, caller=ADA, data=files("none.txt"))


class WatchedBlobs(MemoryBlobs):
    """Blobs that remember what was listed."""

    def __init__(self) -> None:
        super().__init__()
        self.listed: list[str] = []

    def list(self, prefix: str) -> Iterable[str]:
        self.listed.append(prefix)
        return super().list(prefix)


class TestReading:
    async def test_a_page_of_jobs_is_one_read(self, world: World) -> None:
        for i in range(250):
            world.jobs.put(job_of(f"j-{i:03}"))

        page = await list_jobs(world.services, caller=ADA, first=1_000)

        assert len(page.edges) == 200
        assert (page.has_next, page.has_previous) == (True, False)
        assert (world.jobs.pages, world.jobs.reads) == (1, [])

    async def test_pages_follow_each_other_without_gap(self, world: World) -> None:
        for i in range(5):
            world.jobs.put(job_of(f"j-{i}"))
        seen, after = [], None
        while True:
            page = await list_jobs(world.services, caller=ADA, first=2, after=after)
            seen += [edge.node.id for edge in page.edges]
            after = page.edges[-1].cursor
            if not page.has_next:
                break

        assert seen == ["j-4", "j-3", "j-2", "j-1", "j-0"]

    @pytest.mark.parametrize("cursor", ["", "?", "ü", "\ud800", "aGVsbG8gd29ybGQ=", "a"])
    async def test_a_made_up_cursor_is_refused(self, world: World, cursor: str) -> None:
        with pytest.raises(InputError, match="after"):
            await list_jobs(world.services, caller=ADA, first=2, after=cursor)
        with pytest.raises(InputError, match="after"):
            await list_tasks(world.services, job=job_of("j-1"), first=2, after=cursor)

    async def test_a_negative_page_is_refused(self, world: World) -> None:
        with pytest.raises(InputError, match="first"):
            await list_jobs(world.services, caller=ADA, first=-1)

    async def test_another_tenants_job_does_not_exist(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))

        assert await get_job(world.services, caller=ADA, job_id="j-1") is not None
        assert await get_job(world.services, caller=EVE, job_id="j-1") is None

    async def test_nothing_of_anothers_job_is_looked_at(self, world: World) -> None:
        world.jobs.put(job_of("j-1", state=JobState.SUCCEEDED, tenant=EVE.tenant))
        store_result(world, "j-1", [b'{"n":1}\n'])
        blobs = WatchedBlobs()
        services = replace(world.services, blobs=blobs)

        assert await get_job(services, caller=ADA, job_id="j-1") is None

        # As for an id that nobody knows, something is listed; but not what there is.
        assert len(blobs.listed) == 1
        assert "j-1" not in blobs.listed[0]

    async def test_rows_are_paged_through_all_files(self, world: World) -> None:
        job = job_of("j-1", state=JobState.SUCCEEDED)
        store_result(world, job.id, [b'{"n":1}\n{"n":2}\n', b'{"n":3}\n'])
        reader = ResultReader(world.services, job)

        first = await reader.rows(first=2)
        second = await reader.rows(first=2, after=first.edges[-1].cursor)

        assert encode([edge.node for edge in (*first.edges, *second.edges)]) == (
            b'[{"n":1},{"n":2},{"n":3}]'
        )
        assert (first.has_next, second.has_next) == (True, False)
        assert await reader.columns() == (("n", "integer"),)

    async def test_pages_of_one_operation_are_short_together(self, world: World) -> None:
        job = job_of("j-1", state=JobState.SUCCEEDED)
        store_result(world, job.id, [b'{"n":1}\n{"n":2}\n{"n":3}\n'])
        reader, budget = ResultReader(world.services, job), RowBudget(left_bytes=20)

        first = await reader.rows(first=10, budget=budget)
        second = await reader.rows(first=10, budget=budget)

        assert [(len(page.edges), page.has_next) for page in (first, second)] == [
            (2, True),
            (1, True),
        ]

    @pytest.mark.parametrize("place", ["-1:0", "0:-5", "0", "²:0"])
    async def test_a_made_up_place_among_the_rows_is_refused(
        self, world: World, place: str
    ) -> None:
        reader = ResultReader(world.services, job_of("j-1", state=JobState.SUCCEEDED))

        with pytest.raises(InputError, match="after"):
            await reader.rows(first=1, after=encode_cursor(place))

    async def test_an_erased_result_is_not_found(self, world: World) -> None:
        reader = ResultReader(world.services, job_of("j-1", state=JobState.SUCCEEDED))

        with pytest.raises(NotFoundError):
            await reader.columns()


class TestCancelling:
    async def test_a_live_job_is_stopped(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))

        job = await cancel_job(world.services, caller=ADA, job_id="j-1", reason="enough \ud800")

        assert job.status.state is JobState.CANCELLED
        assert job.status.message == "enough ?"

    async def test_an_ended_job_is_returned_unchanged(self, world: World) -> None:
        before = world.jobs.put(job_of("j-1", state=JobState.FAILED))

        assert await cancel_job(world.services, caller=ADA, job_id="j-1") == before

    @pytest.mark.parametrize("id", ["j-2", "j 1", ""])
    async def test_an_unknown_job_is_not_found(self, world: World, id: str) -> None:
        with pytest.raises(NotFoundError):
            await cancel_job(world.services, caller=ADA, job_id=id)

    async def test_another_tenants_job_is_not_found(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))

        with pytest.raises(NotFoundError):
            await cancel_job(world.services, caller=EVE, job_id="j-1")

    async def test_a_store_that_is_down_is_said_to_be(self, world: World) -> None:
        world.jobs.is_down = True

        with pytest.raises(UnavailableError):
            await cancel_job(world.services, caller=ADA, job_id="j-1")


class TestDeleting:
    async def test_an_ended_job_goes_with_its_blobs(self, world: World) -> None:
        world.jobs.put(job_of("j-1", state=JobState.SUCCEEDED))
        world.jobs.put(job_of("j-12", state=JobState.SUCCEEDED))
        for name in ("jobs/j-1/result/a", "jobs/j-1/shuffle/b", "jobs/j-12/result/c"):
            world.blobs.put(name, b"")

        assert await delete_job(world.services, caller=ADA, job_id="j-1") == "j-1"

        assert list(world.blobs.blobs) == ["jobs/j-12/result/c"]
        assert world.jobs.erased == ["j-1"]
        assert await get_job(world.services, caller=ADA, job_id="j-1") is None

    async def test_a_live_job_is_not_deleted(self, world: World) -> None:
        world.jobs.put(job_of("j-1", state=JobState.RUNNING))

        with pytest.raises(InvalidStateError, match="RUNNING"):
            await delete_job(world.services, caller=ADA, job_id="j-1")
        assert world.jobs.erased == []

    @pytest.mark.parametrize("id", ["j-2", "j 1", ""])
    async def test_an_unknown_job_is_not_found(self, world: World, id: str) -> None:
        with pytest.raises(NotFoundError):
            await delete_job(world.services, caller=ADA, job_id=id)

    async def test_another_tenants_job_is_not_found(self, world: World) -> None:
        world.jobs.put(job_of("j-1", state=JobState.SUCCEEDED))

        with pytest.raises(NotFoundError):
            await delete_job(world.services, caller=EVE, job_id="j-1")


def store_result(world: World, job: str, files: list[bytes]) -> None:
    pieces = tuple(
        Piece(
            name=f"part-{i}",
            rows=data.count(b"\n"),
            size_bytes=len(data),
            columns=(("n", "integer"),),
        )
        for i, data in enumerate(files)
    )
    for piece, data in zip(pieces, files, strict=True):
        world.blobs.put(piece.name, data)
    manifest = Manifest(job=job, files=pieces, exact=True, facts={})
    world.blobs.put("manifest", manifest.to_bytes())
    world.jobs.manifests[job_of(job).id] = "manifest"
