"""The AppSync variant is the served schema but for the rules in ``schema/appsync.py``."""

from __future__ import annotations

import pytest
from graphql import (
    GraphQLSchema,
    InputValueDefinitionNode,
    ObjectTypeDefinitionNode,
    build_schema,
    parse,
    validate_schema,
)

from schema.appsync import SCALARS, SIGN_IN_MODES, appsync_sdl
from schema.sdl import served_sdl
from tests.unit.test_schema_contract import descriptions_of, types_of

APPSYNC = """
scalar AWSDateTime
scalar AWSJSON
scalar AWSURL
directive @aws_api_key on OBJECT | FIELD_DEFINITION
directive @aws_lambda on OBJECT | FIELD_DEFINITION
directive @aws_iam on OBJECT | FIELD_DEFINITION
directive @aws_oidc on OBJECT | FIELD_DEFINITION
directive @aws_subscribe(mutations: [String!]!) on FIELD_DEFINITION
"""
SMALL = """
directive @specifiedBy(url: String!) on SCALAR
scalar URL @specifiedBy(url: "https://example.org")
type Query { a(x: Int! = 1, y: [Int!]! = [2]): URL! }
input Pick @oneOf { a: Int b: Int! = 3 }
type Mutation { b(pick: Pick!): Int }
type Subscription { jobStatus(id: ID!): JobStatus! }
"Where it stands."
type JobStatus { id: ID! at: URL inner: [Inner!]! }
type Inner { deeper: Deeper same: JobStatus }
type Deeper { x: Int! }
"""
FILTERED = {"JobStatus.tenant", "JobStatus.tags"}
MIRRORS = {"PublishJobStatusInput", "ItemCountsInput", "TaskCountsInput", "JobErrorInput"}


@pytest.fixture(scope="module")
def derived() -> GraphQLSchema:
    return build_schema(APPSYNC + appsync_sdl(served_sdl()))


def directives_of(sdl: str) -> dict[str, set[str]]:
    return {
        node.name.value: {directive.name.value for directive in node.directives or ()}
        for node in parse(sdl).definitions
        if isinstance(node, ObjectTypeDefinitionNode)
    }


def test_it_is_valid_where_appsyncs_own_definitions_exist(derived: GraphQLSchema) -> None:
    assert validate_schema(derived) == []


def test_types_and_fields_are_the_same_but_for_the_rules(derived: GraphQLSchema) -> None:
    served = types_of(build_schema(served_sdl()))
    found = types_of(derived)
    expected = {}
    for name, kind in served.items():
        for scalar, twin in SCALARS.items():
            kind = kind.replace(scalar, twin)
        kind = kind.replace("oneOf=True", "oneOf=False")
        if " = " in kind:
            kind = f"{kind.partition(' = ')[0]} = Undefined"
        if name in ("Subscription.jobStatus", "Subscription.jobFeed"):
            kind = kind.removesuffix("!")
        if name not in SCALARS:
            expected[name] = kind
    added = {
        name: kind
        for name, kind in found.items()
        if name not in expected and not name.startswith("AWS")
    }

    assert {name: found.get(name) for name in expected} == expected
    assert {name for name in added if name.startswith("JobStatus")} == FILTERED
    assert {name.partition(".")[0] for name in added} - {"Mutation", "JobStatus"} == MIRRORS
    assert [name for name in added if name.startswith("Mutation")] == [
        "Mutation.publishJobStatus",
        "Mutation.publishJobStatus(input)",
    ]
    assert added["Mutation.publishJobStatus"] == "JobStatus"


def test_descriptions_stay(derived: GraphQLSchema) -> None:
    served, found = descriptions_of(build_schema(served_sdl())), descriptions_of(derived)

    lost = {name for name, text in served.items() if text and found.get(name) != text}
    assert {name for name in lost if name not in SCALARS} == set()


def test_what_is_published_mirrors_the_status_field_by_field(derived: GraphQLSchema) -> None:
    found = types_of(derived)
    pairs = {
        "JobStatus": "PublishJobStatusInput",
        "ItemCounts": "ItemCountsInput",
        "TaskCounts": "TaskCountsInput",
        "JobError": "JobErrorInput",
    }
    for output, mirror in pairs.items():
        for name, kind in found.items():
            owner, _, field = name.partition(".")
            if owner == output and field and "(" not in field:
                for inner in pairs:
                    kind = kind.replace(inner, pairs[inner])
                assert found[f"{mirror}.{field}"] == f"{kind} = Undefined"


def test_every_type_carries_every_mode() -> None:
    found = directives_of(appsync_sdl(served_sdl()))

    assert "Query" in found
    assert set(map(frozenset, found.values())) == {frozenset(SIGN_IN_MODES)}


def test_both_subscriptions_are_fed_by_what_workers_publish() -> None:
    sdl = appsync_sdl(served_sdl())

    assert sdl.count(': JobStatus @aws_subscribe(mutations: ["publishJobStatus"])') == 2
    assert "publishJobStatus(input: PublishJobStatusInput!): JobStatus @aws_iam" in sdl


class TestRules:
    sdl = appsync_sdl(SMALL, modes=("aws_iam", "aws_oidc"))

    def test_the_result_is_valid(self) -> None:
        assert validate_schema(build_schema(APPSYNC + self.sdl)) == []

    def test_what_was_required_with_a_default_becomes_nullable_without(self) -> None:
        assert "a(x: Int, y: [Int!]): AWSURL!" in self.sdl
        assert "b: Int\n" in self.sdl

    def test_what_was_required_without_a_default_stays_so(self) -> None:
        assert "b(pick: Pick!): Int" in self.sdl

    def test_nothing_is_left_that_appsync_refuses(self) -> None:
        nodes = parse(self.sdl).definitions
        assert {node.kind for node in nodes} == {
            "object_type_definition",
            "input_object_type_definition",
        }
        assert "@oneOf" not in self.sdl
        assert not any(
            isinstance(node, InputValueDefinitionNode) and node.default_value for node in nodes
        )

    def test_types_reached_through_lists_and_types_are_found_and_cycles_end(self) -> None:
        both = {"aws_iam", "aws_oidc"}
        found = directives_of(self.sdl)

        assert [found[name] for name in ("JobStatus", "Inner", "Deeper")] == [both] * 3
        assert "inner: [InnerInput!]!" in self.sdl
        assert "same: PublishJobStatusInput" in self.sdl
