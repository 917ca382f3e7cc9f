"""Which systems run the jobs of a deployment on AWS, by its settings."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.aws.emr_serverless import EmrServerless
from adapters.local_spark import LocalSpark
from app.aws.launchers import launchers_of, watchers_of
from app.aws.settings import AwsSettings
from engine.runner import Runner

EMR = {
    "emr_application": "app",
    "emr_role": "arn:aws:iam::000000000000:role/spark",
    "emr_entry_point": "s3://code/spark_main.py",
}


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, None),
        ({"spark": "local"}, LocalSpark),
        (EMR, EmrServerless),
        ({**EMR, "spark": "local"}, EmrServerless),
    ],
)
def test_spark_runs_on_emr_where_there_is_one_else_here_if_that_is_wanted(
    settings: dict[str, Any], kind: type | None
) -> None:
    found = launchers_of(AwsSettings.model_validate({"table": "jobs", **settings}), environ={})

    assert [type(each) for each in found.values()] == ([] if kind is None else [kind])
    assert len(watchers_of(found)) == len(found)


def test_emr_is_given_our_settings_but_no_secrets() -> None:
    environ = {
        "AWS_REGION": "eu-north-1",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "FANFOLD_AWS_TABLE": "jobs",
        "FANFOLD_REDIS_URL": "redis://:secret@host",
        "FANFOLD_SIGNING_KEY": "secret",
    }

    settings = AwsSettings.model_validate({"table": "jobs", **EMR})
    spark = launchers_of(settings, environ=environ)[Runner.SPARK]

    assert isinstance(spark, EmrServerless)
    assert spark.environ == {"AWS_REGION": "eu-north-1", "FANFOLD_AWS_TABLE": "jobs"}
    assert "jobs" not in repr(spark)
