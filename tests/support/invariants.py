"""What must hold of the ledger at every moment, and what must be gone when nothing runs any more.

Read as a whole by one script, so a running service may be looked at as well.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from redis import Redis

from engine.result import Manifest
from tests.support.step_killer import Commit

KINDS: Final = ("plan", "map", "reduce", "finish")
LIVE: Final = ("QUEUED", "RUNNING", "CANCELLING")
# What others need for a next run is kept until they expire.
TIDIED: Final = ("SUCCEEDED", "CANCELLED")
FENCED, ACCEPTED = 0, 1
PART: Final = re.compile(r"fanfold:job:([^:]+):(.+)")
TEMPORARY: Final = re.compile(r"batches|pieces:\w+|data:\d+|flawed|parked|durations:\w+")

# Strings are left out: they are results and shelves.
_READ: Final = """
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind, value = redis.call('TYPE', key).ok, {}
  if kind == 'hash' and not string.find(key, ':pieces:') then value = redis.call('HGETALL', key)
  elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1)
  elseif kind == 'set' then value = redis.call('SMEMBERS', key)
  elseif key == 'fanfold:kept_bytes' then value = { redis.call('GET', key) } end
  found[#found + 1] = { key, kind, value }
end
return found
"""

Hash = dict[str, str]


class LedgerSeen:
    """All of the ledger at one moment."""

    def __init__(self, redis: Redis) -> None:
        self.keys: set[str] = set()
        self._members: dict[str, list[str]] = {}
        self._hashes: dict[str, Hash] = {}
        found: Any = redis.eval(_READ, 0)
        for raw_key, kind, raw in found:
            key, value = raw_key.decode(), [word.decode("utf-8", "replace") for word in raw]
            self.keys.add(key)
            if kind == b"hash":
                self._hashes[key] = dict(zip(value[::2], value[1::2], strict=True))
            else:
                self._members[key] = value

    def members(self, key: str) -> list[str]:
        return self._members.get(key, [])

    def fields(self, key: str) -> Hash:
        return self._hashes.get(key, {})

    @property
    def jobs(self) -> dict[str, Hash]:
        prefix = "fanfold:job:"
        return {
            key.removeprefix(prefix): fields
            for key, fields in self._hashes.items()
            if key.startswith(prefix) and ":" not in key.removeprefix(prefix)
        }

    def tasks(self, job: str) -> dict[str, Hash]:
        prefix = f"fanfold:job:{job}:task:"
        return {
            key.removeprefix(prefix): fields
            for key, fields in self._hashes.items()
            if key.startswith(prefix)
        }


def problems(redis: Redis) -> list[str]:
    """Return everything about the ledger that must never be."""
    seen = LedgerSeen(redis)
    found = [*_keys_without_job(seen), *_leases_without_task(seen), *_wrong_sums(seen)]
    for job, fields in seen.jobs.items():
        if "tenant" in fields:  # else it is being erased
            found += [f"job {job}: {problem}" for problem in _wrong_with(seen, job, fields)]
    return found


def leftovers(redis: Redis, blobs: Path) -> list[str]:
    """Return what is still there, besides results, of jobs that have all ended."""
    seen = LedgerSeen(redis)
    queues = [key for key in seen.keys if re.fullmatch(r"fanfold:queue:\w+", key)]
    lives = [key for key in seen.keys if re.fullmatch(r"fanfold:tenant:.+:live", key)]
    sets = ("leases", "ended", "unreported", "deadlines")
    named = [*(f"fanfold:{name}" for name in sets), *queues, *lives]
    return [
        *(f"{key} holds {member}" for key in named for member in seen.members(key)),
        *(key for key in seen.keys if key.startswith("arq:") or _is_temporary(seen, key)),
        *_stray_blobs(seen, blobs),
        *problems(redis),
    ]


def wrong_commits(commits: Iterable[Commit]) -> list[str]:
    """Return tasks of which more or less than one attempt was accepted."""
    accepted, attempts = Counter[tuple[str, str]](), defaultdict[tuple[str, str], set[int]](set)
    for commit in commits:
        task = commit.job, commit.task
        accepted[task] += commit.verdict == ACCEPTED
        if commit.verdict != FENCED:
            attempts[task].add(commit.attempt)
    return [
        f"{job} {task}: {times} commits, of attempts {sorted(attempts[job, task])}"
        for (job, task), times in accepted.items()
        if times != 1 or len(attempts[job, task]) != 1
    ]


class Rings:
    """Counts how often a bell was rung for each job, which is once with every version.

    To be made before the jobs; Redis must live as long.
    """

    def __init__(self, redis: Redis) -> None:
        self._bell = redis.pubsub()  # type: ignore[no-untyped-call]
        self._bell.psubscribe("fanfold:bell:tenant:*")

    def wrong_versions(self, redis: Redis, jobs: Iterable[str]) -> list[str]:
        """Return those of *jobs* whose version is not the number of their changes."""
        rung = Counter[str]()
        while message := self._bell.get_message(timeout=0.1):
            if message["type"] == "pmessage":
                rung[message["data"].decode()] += 1
        self._bell.close()
        seen = LedgerSeen(redis).jobs
        return [
            f"job {job}: version {seen[job]['version']} after {rung[job]} changes"
            for job in jobs
            if int(seen[job]["version"]) != rung[job]
        ]


def _is_temporary(seen: LedgerSeen, key: str) -> bool:
    """Whether only tasks needed it, of a job that has no next run."""
    part = PART.fullmatch(key)
    if part is None or not TEMPORARY.fullmatch(part[2]):
        return False
    return seen.jobs.get(part[1], {}).get("state") in TIDIED


def _keys_without_job(seen: LedgerSeen) -> Iterator[str]:
    for key in seen.keys:
        part = PART.fullmatch(key)
        if part and part[1] not in seen.jobs:
            yield f"{key}: there is no such job"
    for key in seen.keys:
        if re.fullmatch(r"fanfold:tenant:.+:(jobs|live)", key):
            for job in seen.members(key):
                if job not in seen.jobs:
                    yield f"{key}: there is no job {job}"


def _leases_without_task(seen: LedgerSeen) -> Iterator[str]:
    leased = set()
    for lease in seen.members("fanfold:leases"):
        job, task, attempt = lease.split(" ")
        leased.add((job, task))
        state = seen.jobs.get(job, {}).get("state")
        held = seen.tasks(job).get(task, {})
        if state in LIVE and not task.startswith("partial"):
            numbers = held.get("attempt"), held.get("rival")
            if held.get("state") != "RUNNING" or attempt not in numbers:
                yield f"lease {lease}: the task is {held}"
    for job, fields in seen.jobs.items():
        for task, held in seen.tasks(job).items():
            if fields.get("state") in LIVE and held.get("state") == "RUNNING":
                if (job, task) not in leased:
                    yield f"job {job}: {task} runs without a lease"


def _wrong_sums(seen: LedgerSeen) -> Iterator[str]:
    for lane in ("process", "loop"):
        for job in seen.fields(f"fanfold:queue:{lane}:turns"):
            if seen.jobs.get(job, {}).get("state") not in LIVE:
                yield f"job {job} has a turn in lane {lane}, though it has ended"
    kept = int(next(iter(seen.members("fanfold:kept_bytes")), 0))
    of_jobs = sum(int(fields.get("kept_bytes", 0)) for fields in seen.jobs.values())
    if kept != of_jobs:
        yield f"{kept} bytes are kept in all, {of_jobs} of jobs"


def _wrong_with(seen: LedgerSeen, job: str, fields: Hash) -> Iterator[str]:
    state = fields["state"]
    is_listed = job in seen.members(f"fanfold:tenant:{fields['tenant']}:live")
    if is_listed != (state in LIVE):
        yield f"is {state}, and listed as live: {is_listed}"
    for name, value in fields.items():
        if re.fullmatch(r"\w+_(total|running|succeeded|failed|retried|next)", name):
            if int(value) < 0:
                yield f"{name} is {value}"
    states = Counter(
        (task.partition("-")[0], held.get("state", "PENDING"))
        for task, held in seen.tasks(job).items()
    )
    for kind in KINDS:
        yield from _wrong_counts(kind, fields, states)


def _wrong_counts(kind: str, fields: Hash, states: Counter[tuple[str, str]]) -> Iterator[str]:
    def number(name: str) -> int:
        return int(fields.get(f"{kind}_{name}", 0))

    ended = number("succeeded") + number("failed")
    known = max(number("total"), number("known"))  # maps run while the plan is still made
    if ended + number("running") > known:
        yield f"{kind}: {ended} ended and {number('running')} running of {known}"
    if states[kind, "SUCCEEDED"] != number("succeeded"):
        yield f"{kind}: {number('succeeded')} succeeded, {states[kind, 'SUCCEEDED']} say so"
    if fields["state"] in LIVE and states[kind, "RUNNING"] != number("running"):
        yield f"{kind}: {number('running')} running, {states[kind, 'RUNNING']} say so"
    if states[kind, "FAILED"] != number("failed"):
        yield f"{kind}: {number('failed')} failed, {states[kind, 'FAILED']} say so"
    if fields["state"] == "SUCCEEDED" and number("succeeded") != number("total"):
        yield f"{kind}: the job succeeded with {number('succeeded')} of {number('total')}"
    if fields["state"] == "PARTIALLY_SUCCEEDED" and ended != number("total"):
        yield f"{kind}: the job went through with {ended} of {number('total')}"


def _stray_blobs(seen: LedgerSeen, blobs: Path) -> list[str]:
    """Return the files that no manifest names."""
    kept: set[str] = set()
    for fields in seen.jobs.values():
        if name := fields.get("manifest", fields.get("report")):
            kept |= {name, *Manifest.from_bytes((blobs / name).read_bytes()).names}
    # Folders may go meanwhile, which os.walk does not mind.
    found = {
        str(Path(folder, name).relative_to(blobs))
        for folder, _, names in os.walk(blobs)
        for name in names
    }
    return sorted(found - kept)
