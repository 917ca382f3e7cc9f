"""The template, deployed into MiniStack: packed by the AWS CLI, created by CloudFormation.

MiniStack runs images in Docker only, so functions become such whose code is this checkout. Nothing
else of the template is changed but addresses, which are MiniStack's. It checks signatures, and what
each function's role allows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from adapters.dynamodb.table import DynamoTable
from tests.support.appsync import Resolver
from tests.support.aws.cloud import FAST, archive, client_of
from tests.support.dynamo import dynamo_client
from tests.support.ministack import ENVIRON, MiniStack, ministack_python, running_ministack
from tests.support.running import PROGRAMS, ROOT
from tests.support.waiting import eventually

TEMPLATE: Final = ROOT / "deploy" / "aws" / "template.yaml"
NAME: Final = "fanfold"
ARTIFACTS: Final = "artifacts"
CODE: Final = "code.zip"
SOURCES: Final = "sources"
LACKING_OUTPUTS: Final = ("RealtimeUrl",)
"""What MiniStack cannot tell of a resource."""
API_KEY_SCOPES: Final = "read,submit,manage"
TYPES_WITH_RESOLVERS: Final = ("Query", "Mutation", "Subscription", "Job", "JobResult")
_SOCKET_HOST: Final = "https://${SocketApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}"
_APPSYNC_URL: Final = "FANFOLD_AWS_APPSYNC_URL"


@dataclass(frozen=True)
class Deployment:
    """A stack that is there.

    Attributes:
        stack: MiniStack.
    """

    stack: MiniStack

    def client(self, service: str) -> Any:
        """A client of one of MiniStack's services."""
        return client_of(self.stack, service)

    @cached_property
    def template(self) -> dict[str, Any]:
        """The template after its transforms."""
        found = self.client("cloudformation").get_template(
            StackName=NAME, TemplateStage="Processed"
        )["TemplateBody"]
        return dict(json.loads(found) if isinstance(found, str) else found)

    @property
    def resources(self) -> dict[str, Any]:
        """The resources of the template after its transforms, by name."""
        return dict(self.template["Resources"])

    @cached_property
    def ids(self) -> dict[str, str]:
        """The physical id of each resource that there is, by its name in the template."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        return {
            found["LogicalResourceId"]: found["PhysicalResourceId"]
            for page in pages.paginate(StackName=NAME)
            for found in page["StackResourceSummaries"]
        }

    @property
    def resolvers(self) -> list[Resolver]:
        """What AppSync has for resolvers."""
        appsync, api = self.client("appsync"), self.ids["Api"]
        return [
            Resolver(
                type=found["typeName"],
                field=found["fieldName"],
                source=found["dataSourceName"],
                code=found["code"],
            )
            for name in TYPES_WITH_RESOLVERS
            for found in appsync.list_resolvers(apiId=api, typeName=name)["resolvers"]
        ]

    @property
    def table(self) -> DynamoTable:
        """The table of jobs."""
        return DynamoTable(dynamo_client(self.stack.endpoint), self.ids["Table"])

    @property
    def rest_url(self) -> str:
        """Where the REST face is."""
        return f"{self.stack.endpoint}/_aws/execute-api/{self.ids['RestApi']}/$default"

    @property
    def socket_url(self) -> str:
        """Where the WebSocket API is."""
        place = self.stack.endpoint.replace("http", "ws", 1)
        return f"{place}/_aws/execute-api/{self.ids['SocketApi']}/live"

    def blobs_of(self, job: str) -> list[str]:
        """The names of a job's objects."""
        listed = self.client("s3").list_objects_v2(
            Bucket=self.ids["Bucket"], Prefix=f"fanfold/jobs/{job}/"
        )
        return [found["Key"] for found in listed.get("Contents", ())]

    def call(self, function: str, event: object = None) -> Any:
        """Call a function and return its answer."""
        answer = self.client("lambda").invoke(
            FunctionName=self.ids[function], Payload=json.dumps(event or {})
        )
        said = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, said
        return said

    def fanfold(self, *words: str) -> str:
        """What our command line says, with the table for its keys."""
        command = [sys.executable, "-m", "app.cli", *words]
        environ = {"FANFOLD_AWS_TABLE": self.ids["Table"], **_environ(self.stack)}
        ran = subprocess.run(
            command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()


@contextmanager
def running_deployment(folder: Path, *, appsync_url: str = "") -> Iterator[Deployment]:
    """Yield a stack with no jobs.

    Args:
        folder: For what is kept on disk.
        appsync_url: Where AppSync is simulated; nothing is published without one.
    """
    emulator = Path(__file__).with_name("emulator.py")
    with running_ministack(folder, program=emulator, settings={**FAST, "AUTH": "true"}) as stack:
        stack.create_bucket(ARTIFACTS)
        stack.create_bucket(SOURCES)
        stack.put(ARTIFACTS, CODE, archive())
        template = folder / "template.json"
        template.write_text(json.dumps(_fitted(_packed(stack, folder), stack, folder, appsync_url)))
        stack.put(ARTIFACTS, template.name, template.read_bytes())
        _create(stack, template.name)
        yield Deployment(stack)


def _packed(stack: MiniStack, folder: Path) -> dict[str, Any]:
    """Return the template with its files in S3."""
    packed = folder / "packed.json"
    command = [str(ministack_python()), "-m", "awscli", "cloudformation", "package", "--use-json"]
    command += ["--template-file", str(TEMPLATE), "--s3-bucket", ARTIFACTS]
    command += ["--output-template-file", str(packed)]
    ran = subprocess.run(command, env=_environ(stack), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return dict(json.loads(packed.read_text()))


def _fitted(
    template: dict[str, Any], stack: MiniStack, folder: Path, appsync_url: str
) -> dict[str, Any]:
    """Return a template whose functions run here, and know MiniStack's addresses."""
    functions = [
        resource["Properties"]
        for resource in template["Resources"].values()
        if isinstance(resource, dict) and resource["Type"] == "AWS::Serverless::Function"
    ]
    for function in functions:
        assert function.pop("PackageType") == "Image"
        del function["ImageUri"]
        function["Handler"] = function.pop("ImageConfig")["Command"][0]
        function |= {"Runtime": "python3.11", "CodeUri": f"s3://{ARTIFACTS}/{CODE}"}
        own = function.get("Environment", {"Variables": {}})["Variables"]
        if _APPSYNC_URL in own:
            own[_APPSYNC_URL] = appsync_url
    libraries = sysconfig.get_path("purelib")
    template["Globals"]["Function"]["Environment"]["Variables"] |= {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{libraries}",
        "FANFOLD_DATA_DIR": str(folder / "data"),
        "FANFOLD_S3_ENDPOINT": stack.endpoint,
        "AWS_ENDPOINT_URL": stack.endpoint,
    }
    del template["Resources"]["BucketPolicy"]  # refuses whoever comes without TLS
    for name in LACKING_OUTPUTS:
        del template["Outputs"][name]
    text = json.dumps(template)
    sockets = f"{stack.endpoint}/_aws/execute-api/${{SocketApi}}"
    return dict(json.loads(text.replace(_SOCKET_HOST, sockets)))


def _create(stack: MiniStack, template: str) -> None:
    cloudformation = client_of(stack, "cloudformation")
    given = {
        "ImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/fanfold:test",
        "ApiKeyScopes": API_KEY_SCOPES,
        "Programs": str(PROGRAMS),
        "SourceBuckets": f"arn:aws:s3:::{SOURCES}",
        "OutputBuckets": f"arn:aws:s3:::{SOURCES}",
    }
    cloudformation.create_stack(
        StackName=NAME,
        TemplateURL=f"{stack.endpoint}/{ARTIFACTS}/{template}",
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value} for name, value in given.items()
        ],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )

    def end() -> str:
        [found] = cloudformation.describe_stacks(StackName=NAME)["Stacks"]
        status = str(found["StackStatus"])
        return "" if status.endswith("IN_PROGRESS") else status

    if eventually(end, within_s=60) != "CREATE_COMPLETE":
        events = cloudformation.describe_stack_events(StackName=NAME)["StackEvents"]
        said = [(event["LogicalResourceId"], event.get("ResourceStatusReason")) for event in events]
        raise AssertionError([(name, reason) for name, reason in said if reason])


def _environ(stack: MiniStack) -> dict[str, str]:
    ours = {"AWS_ENDPOINT_URL": stack.endpoint, "AWS_DEFAULT_REGION": ENVIRON["AWS_REGION"]}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "FANFOLD_"))}
    return {**inherited, **ENVIRON, **ours}
