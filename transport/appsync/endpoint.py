"""Answers to AppSync's events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from graphql import GraphQLSchema

from engine.errors import FanfoldError
from resolvers.access.caller import Caller
from schema.context import Context
from schema.masking import INTERNAL
from transport.appsync.fields import JOB_ID, Field, fields_of
from transport.appsync.identity import Tenancy, caller_of
from transport.operations import Operations, RequestError


class AppSyncEndpoint:
    """Answers one field after the other.

    An answer is ``{"data": …}`` or ``{"error": {"message": …, "code": …}}``; what AppSync's callers
    see is made of it by ``deploy/aws/resolvers/python.js``. JSON values are native on both sides:
    AppSync writes them as text.

    Args:
        operations: Run what is asked for.
        schema: Theirs.
        context_of: Makes the context of a caller.
        tenancy: Of callers who bring no tenant.
    """

    def __init__(
        self,
        operations: Operations,
        *,
        schema: GraphQLSchema,
        context_of: Callable[[Caller], Context],
        tenancy: Tenancy,
    ) -> None:
        self._operations = operations
        self._context_of = context_of
        self._tenancy = tenancy
        self._fields = fields_of(schema)

    async def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Answer an event.

        Args:
            event: ``parent`` and ``field`` name the field; ``arguments``, ``identity`` and
                ``source`` are as AppSync has them.
        """
        try:
            field = self._fields[f"{event['parent']}.{event['field']}"]
            context = self._context_of(caller_of(event.get("identity"), self._tenancy))
            operation = self._operations.prepare(field.document)
            payload = await self._operations.run(operation, _variables(field, event), context)
        except RequestError as exc:
            return _refused(exc.errors[0])
        except FanfoldError as exc:
            return {"error": {"message": exc.message, "code": exc.code}}
        return _answer(field, orjson.loads(payload))


def _variables(field: Field, event: Mapping[str, Any]) -> dict[str, Any]:
    given = event.get("arguments") or {}
    variables = {name: value for name, value in given.items() if name in field.arguments}
    if field.is_of_job:
        variables["id"] = field.job_of(event["source"])
    return variables


def _answer(field: Field, response: dict[str, Any]) -> dict[str, Any]:
    if response.get("errors"):
        return _refused(response["errors"][0])
    found: Any = response
    for name in ("data", *field.path):
        if found is None:  # the job is gone
            break
        found = found[name]
    if field.name == "Job.result" and found is not None:
        found[JOB_ID] = response["data"]["job"]["id"]
    return {"data": found}


def _refused(error: Mapping[str, Any]) -> dict[str, Any]:
    extensions = error.get("extensions") or {}
    refusal = {"message": error["message"], "code": extensions.get("code", INTERNAL)}
    if "retryAfterSeconds" in extensions:
        refusal["retryAfterSeconds"] = extensions["retryAfterSeconds"]
    return {"error": refusal}
