"""The served schema keeps the promise: what is served is in the contract, word for word."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    Undefined,
    build_schema,
)

from schema.sdl import served_sdl

CONTRACT = Path(__file__).parents[1] / "support" / "contract.graphql"
ADDITIONS = frozenset(
    {
        "Job.report",
        "Job.webhook",
        "JobResult.listings",
        "RunReport",
        "RunReport.listings",
        "RunReport.manifest",
        "Task.log",
        "Viewer.webhookSecret",
        "WebhookDelivery",
        "WebhookDelivery.attempts",
        "WebhookDelivery.host",
        "WebhookDelivery.lastAttemptAt",
        "WebhookDelivery.lastStatusCode",
        "WebhookDelivery.nextAttemptAt",
        "WebhookDelivery.state",
        "WebhookState",
        "WebhookState.DELIVERED",
        "WebhookState.FAILED",
        "WebhookState.PENDING",
        "WebhookState.WAITING",
    }
)
"""What is served beyond the contract."""


@pytest.fixture(scope="module")
def served() -> GraphQLSchema:
    return build_schema(served_sdl())


@pytest.fixture(scope="module")
def contract() -> GraphQLSchema:
    return build_schema(CONTRACT.read_text())


def types_of(schema: GraphQLSchema) -> dict[str, str]:
    """Every name of a schema with what is promised of it: kind, type, default."""
    found = {}
    for name, type_ in schema.type_map.items():
        if name.startswith("__"):
            continue
        found[name] = type(type_).__name__
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            for field_name, field in type_.fields.items():
                found[f"{name}.{field_name}"] = str(field.type)
                for arg_name, arg in field.args.items():
                    place = f"{name}.{field_name}({arg_name})"
                    found[place] = f"{arg.type} = {default_of(arg.ast_node)}"
            for interface in type_.interfaces:
                found[f"{name} implements {interface.name}"] = ""
        elif isinstance(type_, GraphQLInputObjectType):
            found[name] += f" oneOf={type_.is_one_of}"
            for field_name, input_field in type_.fields.items():
                place = f"{name}.{field_name}"
                found[place] = f"{input_field.type} = {default_of(input_field.ast_node)}"
        elif isinstance(type_, GraphQLEnumType):
            found |= {f"{name}.{value}": "" for value in type_.values}
        elif isinstance(type_, GraphQLUnionType):
            found |= {f"{name} | {member.name}": "" for member in type_.types}
    return found


def default_of(node: object) -> object:
    default = getattr(node, "default_value", None)
    return Undefined if default is None else getattr(default, "value", default)


def descriptions_of(schema: GraphQLSchema) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name, type_ in schema.type_map.items():
        found[name] = type_.description
        if isinstance(type_, GraphQLEnumType):
            for value_name, value in type_.values.items():
                found[f"{name}.{value_name}"] = value.description
        elif isinstance(type_, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field_name, field in type_.fields.items():
                found[f"{name}.{field_name}"] = field.description
    return found


def test_whatever_is_served_is_in_the_contract_with_the_same_type_and_default(
    served: GraphQLSchema, contract: GraphQLSchema
) -> None:
    promised = types_of(contract)
    wrong = {
        name: f"served {kind!r}, promised {promised.get(name)!r}"
        for name, kind in types_of(served).items()
        if name not in ADDITIONS and promised.get(name) != kind
    }

    assert wrong == {}


def test_descriptions_are_those_of_the_contract(
    served: GraphQLSchema, contract: GraphQLSchema
) -> None:
    promised = descriptions_of(contract)
    wrong = {
        name: text
        for name, text in descriptions_of(served).items()
        if promised.get(name) and text != promised[name]
    }

    assert wrong == {}


def test_what_this_version_is_for_is_served(served: GraphQLSchema) -> None:
    names = types_of(served)

    assert {
        "Query.job",
        "Query.jobs",
        "Query.programs",
        "Query.program",
        "Query.planJob",
        "Query.service",
        "Query.viewer",
        "Viewer.scopes",
        "Mutation.submitJob",
        "Mutation.cancelJob",
        "Mutation.createUpload",
        "Mutation.createViewerToken",
        "Mutation.deleteJob",
        "Mutation.redriveJob",
        "Mutation.updateJob",
        "Job.expiresAt",
        "Job.failures",
        "JobStatus.partial",
        "JobStatus.coverage",
        "JobResult.exact",
        "JobResult.files",
        "SubmitJobInput.sql",
        "FailurePolicyInput.toleratedFailureCount",
        "FailurePolicyInput.toleratedFailurePercentage",
        "FailurePolicyInput.badItems",
        "Subscription.jobStatus",
        "Subscription.jobFeed",
    } <= names.keys()


def test_the_only_scalars_of_our_own_are_those_with_a_twin_on_appsync(
    served: GraphQLSchema,
) -> None:
    scalars = {name for name, kind in types_of(served).items() if kind == "GraphQLScalarType"}

    assert scalars - {"Boolean", "Float", "ID", "Int", "String"} <= {"DateTime", "JSON", "URL"}


def test_no_default_is_null() -> None:
    assert "= null" not in served_sdl()
