"""Programs in SQL, in both forms: a query that Fanfold splits, and steps that are given."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from engine import SqlProgram


class RevenueParams(BaseModel):
    model_config = ConfigDict(extra="forbid")

    since: str = Field(default="0001-01-01", description="First day that counts.")


revenue = SqlProgram(
    name="revenue",
    description="Orders and revenue by country, from one query.",
    query="""
        SELECT country, count(*) AS orders, sum(amount) AS revenue
        FROM input WHERE ordered_on >= $since::DATE
        GROUP BY country ORDER BY revenue DESC
    """,
    params=RevenueParams,
)


class BestCustomersParams(BaseModel):
    model_config = ConfigDict(extra="forbid")

    top: int = Field(default=3, ge=1, le=1_000, description="How many customers.")


# Each step is a SELECT over what the step before it gave. What has the same partition_by meets in
# one reduce task.
best_customers = SqlProgram(
    name="best_customers",
    description="Who has spent the most, in steps.",
    map="SELECT customer, sum(amount) AS part, count(*) AS n FROM input GROUP BY customer",
    partition_by=["customer"],
    reduce="""
        SELECT customer, sum(part) AS spent, sum(n)::BIGINT AS orders FROM input GROUP BY customer
    """,
    finish="SELECT * FROM input ORDER BY spent DESC, customer LIMIT $top",
    params=BestCustomersParams,
)
