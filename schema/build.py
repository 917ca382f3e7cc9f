"""The executable schema."""

from __future__ import annotations

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from schema.limits import extensions
from schema.masking import for_client
from schema.mutation import Mutation
from schema.query import Query
from schema.scalars import SCALARS
from schema.subscription import Subscription


class Schema(strawberry.Schema):
    """A schema that shows clients only the errors they may see.

    ``process_errors`` is the one place that every error passes, also those raised where no
    extension is in force any more.
    """

    def process_errors(
        self,
        errors: list[GraphQLError],
        execution_context: ExecutionContext | None = None,
    ) -> None:
        """Replace the errors, in place, by what the client may see of them."""
        errors[:] = [for_client(error) for error in errors]


def build_schema() -> Schema:
    """Build the schema; its operations need a ``schema.context.Context``."""
    return Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        extensions=extensions(),
        config=StrawberryConfig(auto_camel_case=True, scalar_map=SCALARS),
    )
