"""The template makes the table that the code works with."""

from __future__ import annotations

from pathlib import Path

from cfnlint.decode import cfn_yaml  # type: ignore[import-untyped]

from adapters.dynamodb.table import DEFINITION, TTL_ATTRIBUTE

TEMPLATE = Path(__file__).parents[2] / "deploy" / "aws" / "template.yaml"


def test_the_template_defines_the_table_as_the_code_does() -> None:
    resources = cfn_yaml.load(str(TEMPLATE))["Resources"].values()
    [table] = [
        each["Properties"]
        for each in resources
        if isinstance(each, dict) and each["Type"] == "AWS::DynamoDB::Table"
    ]

    streams = dict(DEFINITION["StreamSpecification"])
    assert streams.pop("StreamEnabled")  # which templates do not say
    assert {name: table[name] for name in DEFINITION} == {
        **DEFINITION,
        "StreamSpecification": streams,
    }
    assert table["TimeToLiveSpecification"] == {"Enabled": True, "AttributeName": TTL_ATTRIBUTE}
