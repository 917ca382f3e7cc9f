"""Whatever is another tenant's is not there: neither named, nor counted, nor told by the time."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from graphql import build_schema
from redis.asyncio import Redis

from adapters.redis.jobs import RedisJobs
from engine.cursor import encode_cursor
from engine.quotas import Quotas
from resolvers.access.caller import Caller, Scope
from schema.sdl import served_sdl
from tests.support.schema_walk import Place, document_of, places_of, roots_of, sample_of
from tests.support.tenants_world import (
    ADA,
    EVE,
    TenantsWorld,
    median_ms,
    tenants_world,
    unknown_like,
)

pytestmark = pytest.mark.anyio

SCHEMA = build_schema(served_sdl())
PLACES = list(places_of(SCHEMA))
FIELDS = [(kind, name) for kind, root in roots_of(SCHEMA) for name in root.fields]
NAMES_NOTHING = {
    "programs",
    "program",
    "viewer",
    "service",
    "createUpload",
    "jobFeed",
}
"""Fields without a place where a thing of a tenant could be named; see what each shows below."""
FOR_ALL = {"viewer", "service"}
"""What every caller may ask, whatever their scopes."""
TIMED = ("job.id", "cancelJob.id", "deleteJob.id", "jobStatus.id")


@pytest.fixture
async def world(redis: Redis, redis_server: str, tmp_path: Path) -> AsyncIterator[TenantsWorld]:
    async with tenants_world(redis, redis_server, tmp_path) as world:
        yield world


async def thing_for(world: TenantsWorld, place: Place, tenant: str, *, ended: bool) -> str:
    """Make what can be named at *place*, and return its name."""
    if "upload" in place.path:
        return world.upload(tenant)
    return await (world.ended_job(tenant) if ended else world.live_job(tenant))


def name_at(place: Place, thing: str) -> str:
    return encode_cursor(thing) if place.path[-1] == "after" else thing


@pytest.mark.parametrize("ended", [False, True], ids=["live", "ended"])
@pytest.mark.parametrize("place", PLACES, ids=str)
async def test_a_foreign_name_is_answered_as_an_unknown_one(
    world: TenantsWorld, place: Place, ended: bool
) -> None:
    foreign = await thing_for(world, place, EVE.tenant, ended=ended)
    own = await thing_for(world, place, ADA.tenant, ended=ended)
    before = await world.ask(EVE, "{ jobs { edges { node { id status { version } } } } }")

    to_foreign = await world.answer_to(ADA, place, name_at(place, foreign))
    to_unknown = await world.answer_to(ADA, place, name_at(place, unknown_like(foreign)))
    to_own = await world.answer_to(ADA, place, name_at(place, own))

    assert to_foreign == to_unknown
    assert to_own != to_unknown, "the operation tells nothing apart"
    after = await world.ask(EVE, "{ jobs { edges { node { id status { version } } } } }")
    assert after == before


@pytest.mark.parametrize("place", PLACES, ids=str)
async def test_what_a_viewer_token_does_not_name_is_not_there(
    world: TenantsWorld, place: Place
) -> None:
    seen, hidden = [await world.ended_job(ADA.tenant) for _ in range(2)]
    viewer = Caller("ada", ADA.tenant, frozenset({Scope.READ}), frozenset({seen}))
    if "upload" in place.path:
        hidden = world.upload(ADA.tenant)  # type: ignore[assignment]

    to_hidden = await world.answer_to(viewer, place, name_at(place, hidden))
    to_unknown = await world.answer_to(viewer, place, name_at(place, unknown_like(hidden)))

    assert to_hidden == to_unknown


def test_every_field_names_something_or_is_known_to_name_nothing() -> None:
    named = {place.field for place in PLACES}

    assert {name for _, name in FIELDS} == named | NAMES_NOTHING
    assert not named & NAMES_NOTHING


@pytest.mark.parametrize(("kind", "name"), FIELDS)
async def test_without_a_scope_every_field_is_forbidden(
    world: TenantsWorld, kind: str, name: str
) -> None:
    nobody = Caller("nobody", ADA.tenant, frozenset())
    field = dict(roots_of(SCHEMA))[kind].fields[name]
    used = [arg for arg, given in field.args.items() if "!" in str(given.type)]
    document = document_of(kind, name, field, used)

    answer = await world.ask(nobody, document, **sample_of(field, used))

    text = json.dumps(answer)
    assert ("FORBIDDEN" in text) == (name not in FOR_ALL), text
    assert ("errors" in answer) or name in FOR_ALL or '"ForbiddenError"' in text


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        (Scope.READ, {"job", "jobs", "programs", "program", "jobStatus", "createViewerToken"}),
        (Scope.SUBMIT, {"planJob", "submitJob", "createUpload"}),
        (Scope.MANAGE, {"cancelJob", "updateJob", "redriveJob", "deleteJob"}),
        (Scope.ADMIN, {name for _, name in FIELDS} - FOR_ALL - {"jobFeed"}),
    ],
    ids=lambda value: value.value if isinstance(value, Scope) else "",
)
async def test_a_scope_allows_what_it_says_and_no_more(
    world: TenantsWorld, scope: Scope, allowed: set[str]
) -> None:
    caller = Caller("ada", ADA.tenant, frozenset({scope}))
    found = set()
    for kind, name in FIELDS:
        field = dict(roots_of(SCHEMA))[kind].fields[name]
        if name in FOR_ALL or name == "jobFeed":  # which says nothing until there is a job
            continue
        used = [arg for arg, given in field.args.items() if "!" in str(given.type)]
        document = document_of(kind, name, field, used)
        answer = await world.ask(caller, document, **sample_of(field, used))
        # Deeper down, what was submitted can be read by readers alone.
        refused = {
            error["extensions"]["code"]
            for error in answer.get("errors", ())
            if len(error.get("path", [])) < 2
        }
        if "FORBIDDEN" not in refused and '"ForbiddenError"' not in json.dumps(answer):
            found.add(name)

    assert found == allowed


async def test_who_only_submits_gets_the_state_of_the_job_and_no_rows(world: TenantsWorld) -> None:
    submitter = Caller("loader", ADA.tenant, frozenset({Scope.SUBMIT}))
    submit = """mutation($input: SubmitJobInput!) { submitJob(input: $input) {
      ... on SubmitJobSuccess { job {
        id allowedActions status { state result } result { rowCount } tasks { totalCount }
        counters { name } failures { totalCount }
      } } } }"""

    answer = await world.ask(
        submitter, submit, input={"program": "wordcount", "source": {"inline": ["a"]}}
    )

    codes = {error["path"][2]: error["extensions"]["code"] for error in answer["errors"]}
    assert set(codes.values()) == {"FORBIDDEN"}
    state = """mutation($input: SubmitJobInput!) { submitJob(input: $input) {
      ... on SubmitJobSuccess { job { id allowedActions status { state } } } } }"""
    answer = await world.ask(
        submitter, state, input={"program": "wordcount", "source": {"inline": ["a"]}}
    )
    job = answer["data"]["submitJob"]["job"]
    assert (job["status"]["state"], job["allowedActions"]) == ("QUEUED", [])


async def test_lists_hold_what_is_the_caller_s_own(world: TenantsWorld) -> None:
    jobs = "query($filter: JobFilter) { jobs(filter: $filter) { edges { node { id } } } }"
    await world.live_job(EVE.tenant)
    own, other = await world.live_job(ADA.tenant), await world.ended_job(ADA.tenant)
    viewer = Caller("ada", ADA.tenant, frozenset({Scope.READ}), frozenset({own}))

    listed = await world.ask(ADA, jobs)
    seen = await world.ask(viewer, jobs)
    ended = await world.ask(viewer, jobs, filter={"states": ["SUCCEEDED"]})

    assert [edge["node"]["id"] for edge in listed["data"]["jobs"]["edges"]] == [other, own]
    assert [edge["node"]["id"] for edge in seen["data"]["jobs"]["edges"]] == [own]
    assert ended["data"]["jobs"]["edges"] == []


async def test_the_pages_of_a_viewer_hold_each_job_once(world: TenantsWorld) -> None:
    page = """query($after: String) { jobs(first: 2, after: $after) {
      edges { node { id } } pageInfo { hasNextPage endCursor } } }"""
    jobs = [await world.live_job(ADA.tenant) for _ in range(5)]
    viewer = Caller("ada", ADA.tenant, frozenset({Scope.READ}), frozenset(jobs))
    found, after = [], None
    while True:
        listed = (await world.ask(viewer, page, after=after))["data"]["jobs"]
        found += [edge["node"]["id"] for edge in listed["edges"]]
        after = listed["pageInfo"]["endCursor"]
        if not listed["pageInfo"]["hasNextPage"]:
            break

    assert sorted(found) == sorted(jobs)


async def test_a_feed_shows_what_is_the_caller_s_own(world: TenantsWorld) -> None:
    feed = "subscription { jobFeed { id } }"
    await world.live_job(EVE.tenant)
    own = await world.live_job(ADA.tenant)
    others = [await world.live_job(ADA.tenant) for _ in range(3)]
    viewer = Caller("ada", ADA.tenant, frozenset({Scope.READ}), frozenset({others[-1]}))

    assert (await world.ask(ADA, feed))["data"]["jobFeed"]["id"] in {own, *others}
    assert (await world.ask(viewer, feed))["data"]["jobFeed"]["id"] == others[-1]


async def test_a_redrive_beyond_the_quota_tells_when_to_try_again(
    world: TenantsWorld, redis: Redis
) -> None:
    redrive = "mutation($input: RedriveJobInput!) { redriveJob(input: $input) { __typename } }"
    job = await world.live_job(ADA.tenant)
    await world.services.control.cancel(ADA.tenant, job, reason=None)
    await world.live_job(ADA.tenant)
    full = RedisJobs(redis, quotas=Quotas(live_jobs=1))
    world.services = replace(world.services, jobs=full, control=full)

    answer = await world.ask(ADA, redrive, input={"id": job})

    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "QUOTA_EXCEEDED"
    assert error["extensions"]["retryAfterSeconds"] > 0


async def test_idempotency_keys_are_each_tenant_s_own(world: TenantsWorld) -> None:
    submit = """mutation($input: SubmitJobInput!) { submitJob(input: $input) {
      ... on SubmitJobSuccess { created job { id } } } }"""
    given = {"program": "wordcount", "source": {"inline": ["a"]}, "idempotencyKey": "k:jobs"}

    first = await world.ask(EVE, submit, input=given)
    second = await world.ask(ADA, submit, input=given)

    assert second["data"]["submitJob"]["created"] is True
    assert second["data"]["submitJob"]["job"] != first["data"]["submitJob"]["job"]


async def test_a_result_that_redis_has_lost_comes_back_to_its_own_tenant_alone(
    world: TenantsWorld, redis: Redis
) -> None:
    job = "query($id: ID!) { job(id: $id) { id } }"
    lost = await world.ended_job(EVE.tenant)
    await redis.flushall()

    assert (await world.ask(ADA, job, id=lost))["data"]["job"] is None
    assert (await world.ask(EVE, job, id=lost))["data"]["job"] == {"id": lost}


@pytest.mark.parametrize("ended", [False, True], ids=["live", "ended"])
@pytest.mark.parametrize("place", [p for p in PLACES if str(p) in TIMED], ids=str)
async def test_the_time_does_not_tell_a_foreign_job_from_an_unknown_one(
    world: TenantsWorld, place: Place, ended: bool
) -> None:
    foreign = await thing_for(world, place, EVE.tenant, ended=ended)
    took_s: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(60):
        is_foreign = turn % 2 == 0
        name = foreign if is_foreign else unknown_like(foreign)
        since = time.perf_counter()
        await world.ask(ADA, place.document, **place.naming(name))
        took_s[is_foreign].append(time.perf_counter() - since)

    # Generous: what a read of one more blob or a walk through a result would take shows beyond it.
    assert abs(median_ms(took_s[True]) - median_ms(took_s[False])) < 20
