"""A registered program."""

from __future__ import annotations

from typing import Self

import strawberry

from engine import program as engine_program
from schema.scalars import JSON


@strawberry.type(description="A registered program. Callers name one; they never send code.")
class Program:
    """GraphQL ``Program``."""

    name: str
    description: str | None
    params_schema: JSON = strawberry.field(description="JSON Schema of params.")

    @classmethod
    def of(cls, program: engine_program.Registered) -> Self:
        """Translate a program of either kind."""
        return cls(
            name=program.name,
            description=program.description,
            params_schema=JSON(program.params_schema),
        )
