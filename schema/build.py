"""The executable schema."""

from __future__ import annotations

import strawberry
from graphql import GraphQLSchema
from strawberry.schema.config import StrawberryConfig

from schema.mutation import Mutation
from schema.query import Query
from schema.scalars import SCALARS
from schema.subscription import Subscription


class Schema(strawberry.Schema):
    """The types as Strawberry has them; what is asked of them is run by graphql-core."""

    @property
    def graphql(self) -> GraphQLSchema:
        """What graphql-core validates against and executes."""
        return self._schema


def build_schema() -> Schema:
    """Build the schema; its operations need a ``schema.context.Context``."""
    return Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(auto_camel_case=True, scalar_map=SCALARS),
    )
