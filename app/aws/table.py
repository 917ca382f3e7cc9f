"""The table of a deployment."""

from __future__ import annotations

import os

from adapters.dynamodb.table import DynamoTable, connect
from app.aws.settings import AwsSettings


def table_of(aws: AwsSettings) -> DynamoTable:
    """Return where jobs and keys are; nothing is sent yet."""
    return DynamoTable(connect(os.environ), aws.table)
