"""Who follows what over a gateway, as every store keeps it."""

from __future__ import annotations

import time

import pytest

from adapters.dynamodb.followers import DynamoFollowers
from adapters.dynamodb.table import DynamoTable
from engine.errors import QuotaExceededError
from engine.followers import MAX_FOLLOWED, ConnectionId, Followers, Following
from engine.job import JobId, new_job_id

ADA, BOB = ConnectionId("ada="), ConnectionId("bob=")


@pytest.fixture
def followers(dynamo: DynamoTable) -> Followers:
    return DynamoFollowers(dynamo)


def following(connection: ConnectionId, job: JobId | None, tag: str | None = None) -> Following:
    return Following(connection, "main", job, tag, time.time() + 60)


def test_those_who_follow_a_job_and_those_who_follow_all_are_found(followers: Followers) -> None:
    job = new_job_id()
    wanted = [following(ADA, job), following(BOB, None, "nightly")]
    for each in [*wanted, following(ADA, new_job_id())]:
        followers.add(each)

    assert sorted(followers.of("main", job), key=str) == sorted(wanted, key=str)
    assert followers.of("other", new_job_id()) == []


def test_to_follow_once_more_changes_nothing_but_the_tag(followers: Followers) -> None:
    followers.add(following(ADA, None, "old"))
    followers.add(again := following(ADA, None, "new"))

    assert followers.of("main", new_job_id()) == [again]


def test_who_leaves_follows_nothing_any_more(followers: Followers) -> None:
    job = new_job_id()
    stays = following(BOB, job)
    for each in (following(ADA, job), following(ADA, None), stays):
        followers.add(each)

    followers.leave(ADA)

    assert followers.of("main", job) == [stays]


def test_a_job_that_has_ended_is_followed_no_more_but_others_are(followers: Followers) -> None:
    job = new_job_id()
    all_jobs = following(ADA, None)
    for each in (following(ADA, job), all_jobs):
        followers.add(each)

    followers.ended(job)

    assert followers.of("main", job) == [all_jobs]


def test_one_connection_follows_only_so_much(followers: Followers) -> None:
    jobs = [new_job_id() for _ in range(MAX_FOLLOWED)]
    for job in jobs:
        followers.add(following(ADA, job))

    followers.add(following(ADA, jobs[0]))
    with pytest.raises(QuotaExceededError):
        followers.add(following(ADA, new_job_id()))
