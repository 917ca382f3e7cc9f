"""What the service keeps in S3 is no source and no destination, however it is named."""

from __future__ import annotations

import pytest

from adapters.obstore.output import ObstoreOutput
from adapters.obstore.s3_private import PrivatePrefix
from adapters.obstore.sources import ObstoreSources
from engine.errors import SourceError

OWN = "s3://kept/of/fanfold"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "of/",
        "of/fanfold/",
        "of/fanfold/jobs/j-1/result/part-0.jsonl",
        "of/fanfold/*",
        "of/*/jobs/*",
        "*/*/jobs/j-1/**",
        "**",
        "**/*.jsonl",
        "of/**/part-0.jsonl",
        "o*/fan*/x",
    ],
)
def test_a_key_that_may_lead_into_it_is_told(key: str) -> None:
    own = PrivatePrefix.of(OWN)
    assert own is not None

    assert own.is_reached("kept", key)
    assert not own.is_reached("other", key)


@pytest.mark.parametrize(
    "key",
    [
        "data/",
        "*.csv",
        "of/*.csv",
        "of/fanfold",
        "of/fanfolds/x",
        "data/**",
        "of/data/**",
        "[o]f/*/x",
    ],
)
def test_a_key_that_leads_past_it_is_not(key: str) -> None:
    own = PrivatePrefix.of(f"{OWN}/")
    assert own is not None

    assert not own.is_reached("kept", key)


def test_a_bucket_may_be_the_service_s_as_a_whole() -> None:
    own = PrivatePrefix.of("s3://kept")
    assert own is not None

    assert all(own.is_reached("kept", key) for key in ("", "x", "a/b", "*"))
    assert PrivatePrefix.of(None) is None


def test_a_job_can_neither_list_nor_open_it() -> None:
    sources = ObstoreSources(private=OWN)
    name = "s3://kept/of/fanfold/jobs/j-1/result/part-0.jsonl"

    for ask in (
        lambda: list(sources.list_files("s3://kept/**")),
        lambda: list(sources.list_files(name)),
        lambda: list(sources.list_entries("S3://kept/of/fanfold/")),
        lambda: sources.stat_file(name),
        lambda: sources.open_file(name),
    ):
        with pytest.raises(SourceError, match="what the service keeps for itself"):
            ask()


def test_a_job_cannot_write_into_it() -> None:
    output = ObstoreOutput(private=OWN)

    for uri in (OWN, f"{OWN}/jobs/", "S3://kept/of/fanfold/x"):
        with pytest.raises(ValueError, match="what the service keeps for itself"):
            output.check(uri)
    for uri in ("s3://kept/", "s3://kept/of/", "s3://kept/data/", "s3://other/of/fanfold/"):
        output.check(uri)
