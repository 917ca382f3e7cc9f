"""Maps a batch so that items that fail are set aside and the others count.

A per-item ``map`` runs item by item; a ``map_batch`` gets all items, then halves of those with
which it fails, until single items are left. What a failed call has yielded or counted is forgotten.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

from engine.attempt import Attempt
from engine.blame import blame
from engine.context import Context
from engine.errors import OutputError, TaskError
from engine.isolation.aside import Aside
from engine.isolation.mark import Mark
from engine.job import JobError
from engine.jsonvalue import decode, encode, encode_key
from engine.kernel import as_row, collect, combined, map_name
from engine.pairs.groups import Groups
from engine.program import Program

Positions = Sequence[int]
T = TypeVar("T")


class Isolation:
    """What sets items aside in one attempt.

    Args:
        program: What is run.
        attempt: Tells which items are not run any more, and where ranges are cut.
        context: Of the attempt.
        mark: Is told which items are under way.
        aside: Takes those that fail.
    """

    def __init__(
        self, program: Program, attempt: Attempt, context: Context, mark: Mark, aside: Aside
    ) -> None:
        self.program = program
        self.context = context
        self.mark = mark
        self.aside = aside
        self._known = dict(attempt.aside)
        self._cuts = attempt.cuts

    def ranges(self, count: int) -> Iterator[Positions]:
        """Yield the positions that may run together, of *count* items.

        Those that ended the process before are left out.
        """
        bounds = sorted({0, count, *(cut for cut in self._cuts if cut < count)})
        for start, end in pairwise(bounds):
            kept: Positions = range(start, end)
            if not self._known.keys().isdisjoint(kept):
                kept = [position for position in kept if position not in self._known]
            if kept:
                yield kept

    def known(self, count: int) -> list[tuple[int, JobError]]:
        """Return which of *count* items ended the process before, each with its error."""
        return [(at, self._known[at]) for at in sorted(self._known) if at < count]

    def set_aside(self, position: int, item: Any, error: TaskError | JobError) -> None:
        """Set an item aside."""
        self.aside.add(self.context.at(position).place, item, error)

    def tried(
        self,
        function: str,
        call: Callable[[Context], Any],
        positions: Positions,
        listed: Callable[[Any], T],
    ) -> T | TaskError:
        """Return all that *call* yields, or its error; then it has counted nothing.

        Args:
            function: What the program calls it.
            call: Calls the program.
            positions: Of the items that it is given.
            listed: Turns what it returns into what is kept.
        """
        # The mark stays when the program ends the process, by whatever means.
        self.mark.enter(positions[0], positions[-1] + 1)
        own = self.context.apart(positions[0] if function == "map" else None)
        try:
            with blame(function, self.program, own):
                found = listed(call(own))
                self.context.take_in(own.counters)
        except TaskError as exc:
            self.mark.leave()
            return exc
        self.mark.leave()
        return found

    def listed(self, found: Any) -> list[Any]:
        """Return all rows or pairs of *found*, of which the program may change nothing any more.

        Raises:
            OutputError: They are no pairs, or JSON cannot hold them.
        """
        if self.program.is_map_only:
            return [decode(encode(as_row(row))) for row in found or ()]
        pairs = found.items() if isinstance(found, Mapping) else found or ()
        return list(map(_kept_pair, pairs))


def grouped(isolation: Isolation, parts: Iterable[list[Any]]) -> Groups:
    """Collect pairs as the map of a program with a reduce does.

    Raises:
        TaskError: The program's combine raised.
    """
    groups = Groups()
    for pairs in parts:
        collect(isolation.program, pairs, groups, isolation.context)
    return combined(isolation.program, groups, isolation.context)


def produced(isolation: Isolation, items: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield the rows or pairs of the items that do not fail, in the order of the items."""
    function = isolation.program.map
    if function is None:
        yield from _produced_together(isolation, list(items))
        return
    known = dict(isolation.known(sys.maxsize))
    for position, item in enumerate(items):
        if position in known:
            isolation.set_aside(position, item, known[position])
            continue
        found = isolation.tried("map", partial(function, item), [position], isolation.listed)
        if isinstance(found, TaskError):
            isolation.set_aside(position, item, found)
        else:
            yield found


def _produced_together(isolation: Isolation, items: list[Any]) -> Iterator[list[Any]]:
    function = isolation.program.map_batch
    assert function is not None  # noqa: S101 - Program has exactly one of the two
    for position, error in isolation.known(len(items)):
        isolation.set_aside(position, items[position], error)

    def attempt(positions: Positions) -> list[Any] | TaskError:
        # The program may change its items; those of a call that fails are needed once more.
        own = deepcopy([items[position] for position in positions])
        return isolation.tried(
            map_name(isolation.program), lambda ctx: function(own, ctx), positions, isolation.listed
        )

    for positions in isolation.ranges(len(items)):
        yield from halved(
            positions, attempt, lambda at, error: isolation.set_aside(at, items[at], error)
        )


def halved(
    positions: Positions,
    attempt: Callable[[Positions], Any],
    give_up: Callable[[int, TaskError], None],
) -> Iterator[Any]:
    """Yield what *attempt* makes of *positions*, or of ever smaller parts of them, in order.

    Args:
        positions: At least one.
        attempt: Returns a TaskError where there is a guilty one among those it is given.
        give_up: Is told of each one that fails alone.
    """
    waiting = [positions]
    while waiting:
        part = waiting.pop()
        found = attempt(part)
        if not isinstance(found, TaskError):
            yield found
        elif len(part) == 1:
            give_up(part[0], found)
        else:
            middle = len(part) // 2
            waiting += [part[middle:], part[:middle]]


def _kept_pair(pair: Any) -> tuple[Any, Any]:
    try:
        key, value = pair
    except (TypeError, ValueError):
        raise OutputError(f"{str(pair)[:80]!r} is not a (key, value) pair") from None
    kept_key = encode_key(key)
    try:
        return decode(kept_key), decode(encode(value))
    except OutputError as exc:
        raise OutputError(f"the value of key {kept_key.decode()[:80]}: {exc}") from exc
