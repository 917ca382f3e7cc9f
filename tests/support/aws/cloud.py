"""A deployment on MiniStack: table, bucket, state machines, and the function that runs steps.

The function's code is this checkout, run by MiniStack's Python with our libraries before its own.
"""

from __future__ import annotations

import io
import json
import os
import sysconfig
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from anyio import to_thread
from boto3.session import Session

from adapters.aws.step_functions import StepFunctions, connect
from adapters.aws.step_functions_definition import FUNCTION
from adapters.dynamodb.items import meta_key
from adapters.dynamodb.jobs import DynamoJobs, status_of
from adapters.dynamodb.table import DynamoTable
from adapters.obstore.blobs import ObstoreBlobs
from adapters.obstore.sources import ObstoreSources
from app.aws.state_machines import files
from engine.catalog import load_catalog
from engine.job import Job, JobId, JobStatus, Task, TaskKind, new_job_id
from engine.jobs import NewJob, TaskFilter
from engine.plan import plan_inline
from engine.program import Program
from engine.result import Manifest
from engine.runner import Runner
from engine.source.sources import Sources
from engine.spec import parse_spec
from engine.sql.checker import SqlCheck
from engine.sql.runtime import SqlRuntime
from tests.support.dynamo import new_table
from tests.support.jobs import TENANT
from tests.support.ministack import ENVIRON, MiniStack, running_ministack
from tests.support.running import PROGRAMS, ROOT
from tests.support.waiting import eventually

BUCKET: Final = "results"
SOURCES: Final = "sources"
STEPS: Final = "fanfold-steps"
ROLE: Final = "arn:aws:iam::000000000000:role/fanfold"
ENDS_WITHIN_S: Final = 60.0
ALL_PROGRAMS: Final = [str(PROGRAMS), str(Path(__file__).with_name("programs.py"))]
FAST: Final = {"SFN_WAIT_SCALE": "0.01", "LAMBDA_WARM_TTL_SECONDS": "600"}


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution of a state machine.

    Attributes:
        machine: The name of the state machine.
    """

    arn: str
    machine: str
    status: str


@dataclass(frozen=True, slots=True)
class Cloud:
    """What is deployed.

    Attributes:
        stack: MiniStack.
        table: Of jobs.
        blobs: Of results.
        jobs: The store, which starts and stops executions.
        executions: The launcher.
        scratch: A folder for tests.
    """

    stack: MiniStack
    table: DynamoTable
    blobs: ObstoreBlobs
    jobs: DynamoJobs
    executions: StepFunctions
    scratch: Path

    def client(self, service: str) -> Any:
        """A client of one of MiniStack's services."""
        return client_of(self.stack, service)

    def put(self, folder: str, **files: str) -> str:
        """Write objects that jobs may read, and return the address of their folder."""
        for name, text in files.items():
            self.stack.put(SOURCES, f"{folder}/{name}", text.encode())
        return f"s3://{SOURCES}/{folder}/"

    async def submit(self, **spec: Any) -> JobId:
        """Accept a job; its run begins."""
        return (await self.jobs.accept(self.new_job(**spec))).id

    def new_job(self, **spec: Any) -> NewJob:
        """A job as a resolver would hand it over."""
        parsed = parse_spec(spec)
        sql: dict[str, Any] | None = None
        has_one_reducer = is_async = False
        if parsed.sql is not None:
            checked = self._sql().check(SqlCheck(parsed.to_json()))
            sql, is_map_only = checked.job, checked.is_map_only
            has_one_reducer = checked.has_one_reducer
        else:
            program = load_catalog(ALL_PROGRAMS).require(parsed.program or "")
            assert isinstance(program, Program)
            is_map_only, is_async = program.is_map_only, program.is_async
        is_inline = parsed.source.inline is not None
        return NewJob(
            id=new_job_id(),
            tenant=TENANT,
            submitted_by="ada",
            spec=parsed,
            plan=plan_inline(parsed, is_map_only=is_map_only) if is_inline else None,
            is_async=is_async,
            is_map_only=is_map_only,
            sql=sql,
            has_one_reducer=has_one_reducer,
        )

    async def job(self, job: JobId) -> Job:
        [found] = await self.jobs.get(TENANT, [job])
        assert found is not None
        return found

    async def end_of(self, job: JobId, *, run: int = 1) -> Job:
        """A job that has ended its run, when none of its executions runs any more."""

        def has_ended() -> bool:
            meta = self.table.get(meta_key(job))
            return meta is not None and meta["run"] == run and meta["phase"] == "DONE"

        def wait() -> None:
            eventually(has_ended, within_s=ENDS_WITHIN_S)
            eventually(lambda: self.settled_executions(job), within_s=ENDS_WITHIN_S)

        await to_thread.run_sync(wait)
        return await self.job(job)

    async def rows_of(self, job: Job) -> list[Any]:
        """The rows of a result's files, which are JSONL, in their order."""
        manifest = await self.manifest_of(job)
        return [
            json.loads(line)
            for file in manifest.files
            for line in self.blobs.read(file.name).splitlines()
        ]

    async def manifest_of(self, job: Job) -> Manifest:
        details = await self.jobs.details(job.id)
        assert details.manifest is not None
        return Manifest.from_bytes(self.blobs.read(details.manifest))

    def status(self, job: JobId) -> JobStatus:
        """Where a job stands."""
        meta = self.table.get(meta_key(job))
        assert meta is not None
        return status_of(meta)

    async def tasks_of(self, job: JobId, kind: TaskKind = TaskKind.MAP) -> tuple[Task, ...]:
        page = await self.jobs.tasks(job, first=100, after=None, wanted=TaskFilter(kind=kind))
        return page.tasks

    def executions_of(self, job: JobId) -> list[Execution]:
        """The executions of a job, in no order."""
        sfn = self.client("stepfunctions")
        return [
            Execution(
                arn=found["executionArn"],
                machine=machine["name"],
                status=found["status"],
            )
            for machine in sfn.list_state_machines()["stateMachines"]
            for found in sfn.list_executions(stateMachineArn=machine["stateMachineArn"])[
                "executions"
            ]
            if found["name"].startswith(job)
        ]

    def settled_executions(self, job: JobId) -> list[Execution]:
        """The executions of a job when none of them runs any more; else nothing."""
        found = self.executions_of(job)
        return [] if any(execution.status == "RUNNING" for execution in found) else found

    def maps_of(self, job: JobId) -> list[tuple[str, int]]:
        """The Distributed Maps that ran for a job, and how often each was gone on with."""
        sfn = self.client("stepfunctions")
        return [
            (
                run["stateMachineArn"].rpartition("/")[2],
                sfn.describe_map_run(mapRunArn=run["mapRunArn"])["redriveCount"],
            )
            for execution in self.executions_of(job)
            for run in sfn.list_map_runs(executionArn=execution.arn)["mapRuns"]
        ]

    def _sql(self) -> SqlRuntime:
        s3 = ObstoreSources(endpoint=self.stack.endpoint, environ=ENVIRON)
        return SqlRuntime(
            catalog=load_catalog([]),
            sources=Sources({"s3": s3}),
            folders=(),
            scratch=self.scratch,
        )


@contextmanager
def running_cloud(folder: Path) -> Iterator[Cloud]:
    """Yield a deployment without jobs."""
    with running_ministack(
        folder, program=Path(__file__).with_name("emulator.py"), settings=FAST
    ) as stack:
        stack.create_bucket(BUCKET)
        stack.create_bucket(SOURCES)
        table = new_table(stack.endpoint)
        create_steps(stack, table.name, data_dir=folder / "data")
        machines = create_machines(stack)
        create_rule(stack, machines["standard"])
        environ = {**ENVIRON, "AWS_ENDPOINT_URL": stack.endpoint}
        executions = StepFunctions(connect(environ), **machines)
        blobs = ObstoreBlobs.s3(f"s3://{BUCKET}/fanfold", stack.endpoint, environ=ENVIRON)
        launchers = {Runner.STEP_FUNCTIONS: executions}
        scratch = folder / "scratch"
        scratch.mkdir()
        yield Cloud(
            stack=stack,
            table=table,
            blobs=blobs,
            jobs=DynamoJobs(table, blobs, launchers=launchers),
            executions=executions,
            scratch=scratch,
        )


def create_steps(stack: MiniStack, table: str, *, data_dir: Path) -> str:
    """Create the function for steps, and return its ARN."""
    settings = {
        "FANFOLD_DATA_DIR": str(data_dir),
        "FANFOLD_RESULT_URI": f"s3://{BUCKET}/fanfold",
        "FANFOLD_S3_ENDPOINT": stack.endpoint,
        "FANFOLD_PROGRAMS": ",".join(ALL_PROGRAMS),
        "FANFOLD_AWS_TABLE": table,
    }
    return create_function(stack, STEPS, "app.aws.steps.handler", settings)


def create_function(stack: MiniStack, name: str, handler: str, settings: Mapping[str, str]) -> str:
    """Create a function of this checkout, and return its ARN."""
    libraries = sysconfig.get_path("purelib")
    created = client_of(stack, "lambda").create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role=ROLE,
        Handler=handler,
        Code={"ZipFile": archive()},
        Timeout=60,
        MemorySize=1024,
        Environment={
            "Variables": {"PYTHONPATH": f"{ROOT}{os.pathsep}{libraries}", **ENVIRON, **settings}
        },
    )
    return str(created["FunctionArn"])


def archive() -> bytes:
    """What MiniStack is given as the code of functions."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("README", "The code is in the checkout.")
    return packed.getvalue()


def create_machines(stack: MiniStack) -> dict[str, str]:
    """Create both state machines as they are committed, and return their ARNs."""
    arn = arn_of_steps(stack)
    found = {}
    for path in files():
        kind = path.name.partition(".")[0]
        created = client_of(stack, "stepfunctions").create_state_machine(
            name=f"fanfold-{kind}",
            definition=path.read_text().replace(FUNCTION, arn),
            roleArn=ROLE,
            type=kind.upper(),
        )
        found[kind] = created["stateMachineArn"]
    return found


def create_rule(stack: MiniStack, machine: str) -> None:
    """Have the function told of executions that end otherwise than well."""
    pattern = {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"status": ["FAILED", "TIMED_OUT", "ABORTED"], "stateMachineArn": [machine]},
    }
    events = client_of(stack, "events")
    events.put_rule(Name="executions", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="executions", Targets=[{"Id": "steps", "Arn": arn_of_steps(stack)}])


def arn_of_steps(stack: MiniStack) -> str:
    function = client_of(stack, "lambda").get_function(FunctionName=STEPS)
    return str(function["Configuration"]["FunctionArn"])


def client_of(stack: MiniStack, service: str) -> Any:
    session = Session(
        aws_access_key_id=ENVIRON["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=ENVIRON["AWS_SECRET_ACCESS_KEY"],
        region_name=ENVIRON["AWS_REGION"],
    )
    make: Any = session.client
    return make(service, endpoint_url=stack.endpoint)
