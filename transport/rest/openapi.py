"""The REST face described: OpenAPI 3.1, whose inputs and outputs are those of the schema."""

from __future__ import annotations

from typing import Any, Final

from graphql import GraphQLSchema

from engine.webhooks import DELIVERY, SIGNATURE
from transport.rest.json_schemas import JsonSchemas
from transport.rest.problems import MEDIA_TYPE

_JSON: Final = "application/json"
_PROBLEM: Final[dict[str, Any]] = {
    "description": "What is wrong (RFC 9457).",
    "type": "object",
    "required": ["title", "status", "detail", "code", "retryable"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "For people; branch on code."},
        "code": {"type": "string"},
        "retryable": {
            "type": "boolean",
            "description": "True when the same call may succeed later unchanged.",
        },
        "issues": {"type": "array", "items": {"$ref": "#/components/schemas/InputIssue"}},
        "path": {"type": ["array", "null"], "items": {"type": "string"}},
        "location": {"type": ["string", "null"]},
        "state": {"$ref": "#/components/schemas/JobState"},
        "existingJobId": {"type": "string"},
        "retryAfterSeconds": {"type": ["number", "null"]},
    },
}
_PROBLEMS: Final = {
    "400": "The body is not a JSON object.",
    "401": "Nobody knows who calls.",
    "403": "The caller may not do this.",
    "404": "There is no such job, or it is another tenant's.",
    "409": "The job's state, or an earlier use of the idempotency key, is in the way.",
    "410": "The result has been erased.",
    "413": "The body is too large.",
    "415": "The body is not application/json.",
    "422": "The input is wrong; issues has every problem.",
    "429": "The tenant has, or does, too much.",
    "503": "A part that we depend on does not answer.",
}


def openapi_document(schema: GraphQLSchema, *, version: str, max_wait_ms: int) -> dict[str, Any]:
    """Return the document.

    Args:
        schema: Has the types of inputs and outputs.
        version: Of the service.
        max_wait_ms: Longest that one request may wait.
    """
    schemas = JsonSchemas(schema)
    status = schemas.reference("JobStatus")
    wait = _parameter(
        "waitMs",
        "query",
        "Wait this long for the job to end; with If-None-Match, for another version.",
        {"type": "integer", "minimum": 0, "maximum": max_wait_ms, "default": 0},
    )
    job = _parameter("id", "path", "The job.", {"type": "string"})
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Fanfold", "version": version},
        "security": [{"bearer": []}, {}],
        "paths": {
            "/jobs": {"post": _submit(schemas, status)},
            "/jobs/{id}": {
                "parameters": [job],
                "get": _read(status, wait),
                "delete": _cancel(status),
            },
            "/jobs/{id}/result": {"parameters": [job], "get": _result(status, wait)},
            "/jobs/{id}/result/files": {
                "parameters": [job],
                "get": _files(schemas, status, wait),
            },
            "/jobs/{id}/webhook": {"parameters": [job], "get": _delivery(schemas)},
        },
        "webhooks": {"jobEnded": {"post": _webhook(status)}},
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Problem": _PROBLEM},
        },
    }
    schemas.reference("InputIssue")
    document["components"]["schemas"] |= dict(sorted(schemas.found.items()))
    return document


def _submit(schemas: JsonSchemas, status: dict[str, Any]) -> dict[str, Any]:
    place = {"description": "The job.", "schema": {"type": "string"}}
    key = _parameter("Idempotency-Key", "header", "The same as idempotencyKey.", {"type": "string"})
    return {
        "operationId": "submitJob",
        "summary": "Accept a job, or wait up to waitUpToMs for a small one to finish.",
        "parameters": [key],
        "requestBody": {
            "required": True,
            "content": {_JSON: {"schema": schemas.reference("SubmitJobInput")}},
        },
        "responses": {
            "200": _answer("The job has ended.", status, Location=place),
            "202": _answer("The job was accepted.", status, Location=place, **_retry_after()),
            **_problems("400", "401", "403", "409", "413", "415", "422", "429", "503"),
        },
    }


def _read(status: dict[str, Any], wait: dict[str, Any]) -> dict[str, Any]:
    etag = {"description": "The version.", "schema": {"type": "string"}}
    known = _parameter("If-None-Match", "header", "ETags of versions, or *.", {"type": "string"})
    return {
        "operationId": "readJob",
        "summary": "The state of a job.",
        "parameters": [wait, known],
        "responses": {
            "200": _answer("The job has ended.", status, ETag=etag),
            "202": _answer("The job runs.", status, ETag=etag, **_retry_after()),
            "304": {"description": "There is no other version."},
            **_problems("401", "403", "404", "422", "503"),
        },
    }


def _cancel(status: dict[str, Any]) -> dict[str, Any]:
    reason = _parameter("reason", "query", "For people.", {"type": "string"})
    return {
        "operationId": "cancelJob",
        "summary": "Stop a job; one that has ended stays as it is.",
        "parameters": [reason],
        "responses": {
            "200": _answer("The job has ended.", status),
            "202": _answer("The job is being cancelled.", status, **_retry_after()),
            **_problems("401", "403", "404", "503"),
        },
    }


def _result(status: dict[str, Any], wait: dict[str, Any]) -> dict[str, Any]:
    rows = {"type": "array", "items": {}}
    place = {"description": "Where it is.", "schema": {"type": "string", "format": "uri-reference"}}
    return {
        "operationId": "readResult",
        "summary": "The rows of a result where they are few, else where its one file is, or the"
        " list of its files.",
        "parameters": [wait],
        "responses": {
            "200": _answer("All rows.", rows),
            "202": _answer("The job runs.", status, **_retry_after()),
            "303": {"description": "The result is in a file.", "headers": {"Location": place}},
            **_problems("401", "403", "404", "409", "410", "422", "503"),
        },
    }


def _files(schemas: JsonSchemas, status: dict[str, Any], wait: dict[str, Any]) -> dict[str, Any]:
    file = schemas.reference("ResultFile")
    files = {"type": "array", "items": file}
    listed = {
        "type": "object",
        "required": ["rowCount", "byteSize", "files", "listings", "manifest"],
        "properties": {
            "rowCount": {"type": "number"},
            "byteSize": {"type": "number"},
            "files": {**files, "description": "In the order of their rows."},
            "listings": files,
            "manifest": file,
        },
    }
    return {
        "operationId": "listResultFiles",
        "summary": "The result's files with presigned URLs, made afresh for every request.",
        "parameters": [wait],
        "responses": {
            "200": _answer("The files.", listed),
            "202": _answer("The job runs.", status, **_retry_after()),
            **_problems("401", "403", "404", "409", "410", "422", "503"),
        },
    }


def _delivery(schemas: JsonSchemas) -> dict[str, Any]:
    return {
        "operationId": "readWebhookDelivery",
        "summary": "Whether the job's webhook has been told of the end; 404 where it has none.",
        "responses": {
            "200": _answer("What is known.", schemas.reference("WebhookDelivery")),
            **_problems("401", "403", "404", "503"),
        },
    }


def _webhook(status: dict[str, Any]) -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "summary": "A job has ended.",
        "parameters": [
            _parameter(SIGNATURE, "header", "t=<unix s>,v1=<hex HMAC-SHA256 of t.body>", text),
            _parameter(DELIVERY, "header", "The same for each try.", text),
        ],
        "requestBody": {"required": True, "content": {_JSON: {"schema": status}}},
        "responses": {
            "2XX": {"description": "It was taken."},
            "410": {"description": "It is not wanted; it is not sent again."},
        },
    }


def _parameter(name: str, place: str, about: str, schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "in": place, "description": about, "schema": schema}
    if place == "path":
        found["required"] = True
    return found


def _answer(about: str, schema: dict[str, Any], **headers: Any) -> dict[str, Any]:
    found = {"description": about, "content": {_JSON: {"schema": schema}}}
    if headers:
        found["headers"] = {name.replace("_", "-"): header for name, header in headers.items()}
    return found


def _retry_after() -> dict[str, Any]:
    return {"Retry_After": {"description": "In seconds.", "schema": {"type": "integer"}}}


def _problems(*statuses: str) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _PROBLEMS[status], "content": content} for status in statuses}
