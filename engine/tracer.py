"""The port to traces: what a job did where, from its submission to the push."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol


class Tracer(Protocol):
    """Opens spans. Not promised: that anybody looks at them; a trace may be sampled away."""

    def span(
        self, name: str, *, parent: str | None = None, **attributes: str | int
    ) -> AbstractContextManager[None]:
        """Have a span of this task of the event loop while the context is open.

        An exception that leaves the context is noted with the span.

        Args:
            name: Of a kind of work, such as ``map``; what is particular goes into attributes.
            parent: Where its trace began, as ``traceparent`` gave it; otherwise the span that is
                open here, or none.
            attributes: What is particular; no secrets, nothing that callers gave as data.
        """
        ...

    def under(self, parent: str | None) -> AbstractContextManager[None]:
        """Have spans that are opened in the context belong to *parent*, a span of somebody else."""
        ...

    def end(self, outcome: str, *, error: str = "") -> None:
        """Note how the work of the open span ended, and the code of its error if it is one."""
        ...

    def traceparent(self) -> str | None:
        """Return the open span in the form of W3C Trace Context; None without one."""
        ...


class Untraced:
    """No traces."""

    def span(
        self, name: str, *, parent: str | None = None, **attributes: str | int
    ) -> AbstractContextManager[None]:
        """Return a context in which nothing is noted."""
        return nullcontext()

    def under(self, parent: str | None) -> AbstractContextManager[None]:
        """Return a context that changes nothing."""
        return nullcontext()

    def end(self, outcome: str, *, error: str = "") -> None:
        """Do nothing."""

    def traceparent(self) -> str | None:
        """Return None."""
        return None


UNTRACED: Final = Untraced()
