"""Fields that AppSync asks for: each is answered whole, to the caller whom AppSync found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from graphql import (
    GraphQLInputObjectType,
    GraphQLObjectType,
    build_schema,
    get_named_type,
    parse,
    validate,
)

from engine.errors import UnauthenticatedError
from engine.job import JobId, JobState, JobStatus
from resolvers.access.caller import ALL_SCOPES, Caller, Scope
from schema.appsync import appsync_sdl, publish_document
from schema.build import Schema
from schema.build import build_schema as build_served
from schema.context import Context
from schema.sdl import served_sdl
from schema.selection import complete_selection
from tests.support.memory import World, job_of, make_world, status_of
from tests.unit.test_schema_appsync import APPSYNC
from transport.appsync.endpoint import AppSyncEndpoint
from transport.appsync.fields import APART, fields_of
from transport.appsync.identity import Tenancy, caller_of, context_of
from transport.appsync.publication import MAX_BYTES, publication_of
from transport.operations import Operations

pytestmark = pytest.mark.anyio

TENANCY = Tenancy(tenant="acme", scopes=frozenset({Scope.READ, Scope.SUBMIT}), tenant_claim="org")


@pytest.fixture(scope="module")
def schema() -> Schema:
    return build_served()


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.fixture
def endpoint(schema: Schema, world: World) -> AppSyncEndpoint:
    return AppSyncEndpoint(
        Operations(schema),
        schema=schema.graphql,
        context_of=lambda caller: Context(world.services, world.hub, caller),
        tenancy=TENANCY,
    )


def event(name: str, source: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    parent, _, field = name.partition(".")
    return {
        "parent": parent,
        "field": field,
        "arguments": arguments,
        "identity": None,
        "source": source,
    }


INPUT = {"program": "wordcount", "source": {"inline": ["a b a"]}, "params": {}}


class TestAnswers:
    async def test_a_job_is_submitted_and_read_with_all_its_fields(
        self, endpoint: AppSyncEndpoint
    ) -> None:
        submitted = (await endpoint.answer(event("Mutation.submitJob", input=INPUT)))["data"]
        read = (await endpoint.answer(event("Query.job", id=submitted["job"]["id"])))["data"]

        assert submitted["__typename"] == "SubmitJobSuccess"
        assert read["spec"]["program"] == "wordcount"
        assert read["status"]["state"] == "QUEUED"
        assert read["submittedBy"] == "api-key"

    async def test_a_refusal_is_told_with_its_type(self, endpoint: AppSyncEndpoint) -> None:
        wrong = {**INPUT, "program": "nothing"}
        answer = (await endpoint.answer(event("Mutation.submitJob", input=wrong)))["data"]

        assert answer["__typename"] == "ValidationError"
        assert answer["issues"][0]["path"] == ["input", "program"]

    async def test_what_is_dear_is_read_when_it_is_asked_for(
        self, endpoint: AppSyncEndpoint, world: World
    ) -> None:
        world.jobs.put(job_of("j1", tenant="acme"))

        answer = await endpoint.answer(event("Job.tasks", {"id": "j1"}, first=5))

        assert set(answer["data"]) == {"edges", "pageInfo", "totalCount"}

    async def test_a_job_without_a_result_has_none(
        self, endpoint: AppSyncEndpoint, world: World
    ) -> None:
        world.jobs.put(job_of("j1", tenant="acme"))

        assert await endpoint.answer(event("Job.result", {"id": "j1"})) == {"data": None}

    async def test_jobs_of_others_are_not_there(
        self, endpoint: AppSyncEndpoint, world: World
    ) -> None:
        world.jobs.put(job_of("j1", tenant="other"))

        assert await endpoint.answer(event("Query.job", id="j1")) == {"data": None}
        assert await endpoint.answer(event("Job.tasks", {"id": "j1"})) == {"data": None}

    async def test_a_caller_without_the_right_is_told_the_code(
        self, endpoint: AppSyncEndpoint
    ) -> None:
        authorized = {"resolverContext": context_of(Caller("ci", "acme", frozenset()))}
        answer = await endpoint.answer({**event("Query.jobs"), "identity": authorized})

        assert answer["error"]["code"] == "FORBIDDEN"

    async def test_a_variable_that_does_not_fit_is_told(self, endpoint: AppSyncEndpoint) -> None:
        answer = await endpoint.answer(event("Query.jobs", first="many"))

        assert answer["error"]["code"] == "BAD_REQUEST"


class TestFields:
    def test_every_field_of_the_roots_is_answered_but_subscriptions(self, schema: Schema) -> None:
        found = fields_of(schema.graphql)

        for root in (schema.graphql.query_type, schema.graphql.mutation_type):
            assert root is not None
            assert {f"{root.name}.{name}" for name in root.fields} <= found.keys()

    def test_every_operation_is_valid(self, schema: Schema) -> None:
        for field in fields_of(schema.graphql).values():
            assert validate(schema.graphql, parse(field.document)) == []

    def test_no_field_is_forgotten(self, schema: Schema) -> None:
        """Whatever can be selected is in a complete selection, or asked for by itself."""
        selected = " ".join(field.document for field in fields_of(schema.graphql).values())
        below = complete_selection(schema.graphql, "Job", without=APART)
        job = schema.graphql.type_map["Job"]
        assert isinstance(job, GraphQLObjectType)

        assert below in selected
        for name, field in job.fields.items():
            assert f"Job.{name}" in APART or f" {name} " in below
            assert get_named_type(field.type) is not job


class TestCallers:
    def test_an_api_key_of_appsync_names_nobody(self) -> None:
        caller = caller_of(None, TENANCY)

        assert (caller.tenant, caller.scopes) == ("acme", TENANCY.scopes)

    def test_whom_iam_knows_may_do_everything(self) -> None:
        caller = caller_of({"userArn": "arn:aws:sts::1:assumed-role/ops/ada"}, TENANCY)

        assert (caller.tenant, caller.scopes) == ("acme", ALL_SCOPES)

    def test_a_token_brings_its_tenant_and_scopes(self) -> None:
        claims = {"sub": "ada", "org": "lovelace", "scope": "read else", "exp": 9e9}
        caller = caller_of({"claims": claims}, TENANCY)

        assert (caller.subject, caller.tenant) == ("ada", "lovelace")
        assert caller.scopes == {Scope.READ}

    @pytest.mark.parametrize(
        "identity",
        [{}, {"claims": {"sub": "ada"}}, {"claims": {"sub": "ada", "org": "a:b", "scope": "read"}}],
    )
    def test_who_brings_no_tenant_is_nobody(self, identity: dict[str, Any]) -> None:
        with pytest.raises(UnauthenticatedError):
            caller_of(identity, TENANCY)

    @pytest.mark.parametrize(
        "caller",
        [
            Caller("ada", "acme", frozenset({Scope.READ}), frozenset({JobId("j1")}), "key:1", 5.5),
            Caller("ada", "acme"),
        ],
    )
    def test_what_the_authorizer_tells_comes_back(self, caller: Caller) -> None:
        context = context_of(caller)
        back = caller_of({"resolverContext": context}, TENANCY)

        assert all(isinstance(value, str) for value in context.values())
        assert back == caller
        assert (back.credential, back.expires_at) == (caller.credential, caller.expires_at)


class TestPublishing:
    def test_the_mutation_is_valid_and_selects_every_field(self, schema: Schema) -> None:
        derived = build_schema(APPSYNC + appsync_sdl(served_sdl()))
        document = publish_document(schema.graphql)
        words = document.partition("publishJobStatus(input: $input) ")[2].split()

        assert validate(derived, parse(document)) == []
        assert sorted([*complete_selection(derived, "JobStatus").split(), "}"]) == sorted(words)

    def test_a_state_is_the_mutations_input(self, schema: Schema) -> None:
        derived = build_schema(APPSYNC + appsync_sdl(served_sdl()))
        found = publication_of(status_of("j1"), tenant="acme", tags=["a"])

        wanted = derived.type_map["PublishJobStatusInput"]
        assert isinstance(wanted, GraphQLInputObjectType)
        assert found.keys() == wanted.fields.keys()

    def test_rows_are_texts_and_left_out_when_they_are_long(self) -> None:
        status = status_of("j1", state=JobState.SUCCEEDED)
        short = publication_of(_with_rows(status, 2), tenant="acme", tags=[])
        long = publication_of(_with_rows(status, 5_000), tenant="acme", tags=[])

        assert short["result"] == ['{"n":0}', '{"n":1}']
        assert long["result"] is None
        assert len(orjson.dumps(long)) <= MAX_BYTES


def _with_rows(status: JobStatus, count: int) -> JobStatus:
    return replace(status, result=[{"n": n} for n in range(count)])
