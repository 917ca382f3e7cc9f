"""Where a page stands in its list."""

from __future__ import annotations

from typing import Any, Self

import strawberry

from resolvers.pages import Page


@strawberry.type
class PageInfo:
    """GraphQL ``PageInfo``."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None

    @classmethod
    def of(cls, page: Page[Any]) -> Self:
        """Describe a page."""
        return cls(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=page.edges[0].cursor if page.edges else None,
            end_cursor=page.edges[-1].cursor if page.edges else None,
        )
