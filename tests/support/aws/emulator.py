"""MiniStack with the parts of the Distributed Map that it lacks; run by MiniStack's own Python.

It adds ItemBatcher, ResultWriter, fields that end in Path, tolerance by items, a map run that stops
where the real one does, and RedriveExecution. What it does not add: readers of MANIFEST and
PARQUET, child executions of type EXPRESS, and how the real one treats what it aborts.
"""

from __future__ import annotations

import contextvars
import copy
import importlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Json = Any

sfn: Any = importlib.import_module("ministack.services.stepfunctions")
s3: Any = importlib.import_module("ministack.services.s3")

NUMBERS = (
    "MaxConcurrency",
    "ToleratedFailurePercentage",
    "ToleratedFailureCount",
    "MaxItemsPerBatch",
    "MaxInputBytesPerBatch",
)
LARGEST_INPUT_BYTES = 256 * 1024
THREADS = 8


class Trail:
    """Where a run of states is: the state that it entered last, with its input."""

    def __init__(self, name: str, data: Json) -> None:
        self.name, self.data = name, data


def run_states(
    states: Json, trail: Trail, execution: Json, ctx: Json, is_wanted: Callable[[], bool]
) -> Json:
    """Run states from where *trail* is, and leave it where they fail."""
    handlers = {
        "Task": sfn._execute_task,
        "Parallel": sfn._execute_parallel,
        "Map": sfn._execute_map,
        "Pass": sfn._execute_pass,
        "Choice": sfn._execute_choice,
        "Wait": sfn._execute_wait,
    }
    ctx["Execution"].setdefault("RedriveCount", execution.get("redriveCount", 0))
    while True:
        if not is_wanted():
            raise sfn._ExecutionError("States.Aborted", "the parent was stopped")
        name, data = trail.name, trail.data
        state = states[name]
        ctx["State"] = {"Name": name, "EnteredTime": sfn.now_iso(), "RetryCount": 0}
        kind = state["Type"]
        if kind == "Succeed":
            data = sfn._apply_input_path(state, data, ctx)
            return sfn._apply_output_path(state, data, ctx)
        if kind == "Fail":
            raise sfn._ExecutionError(*sfn._fail_state_error(state, data, ctx))
        given = (state, data, execution, ctx) if kind in ("Task", "Parallel", "Map") else None
        data, following = handlers[kind](*(given or (state, data, ctx)))
        if not is_wanted():
            continue  # somebody else may go on from here
        if following is None:
            return data
        trail.name, trail.data = following, data


# ------------------------------------------------------------------ executions

trails: dict[str, Trail] = {}
"""Of executions, by ARN."""


def run_execution(arn: str) -> None:
    """Run an execution, or go on with one that was redriven."""
    execution = sfn._executions[arn]
    machine = sfn._state_machines[execution["stateMachineArn"]]
    definition = json.loads(machine["definition"])
    given = json.loads(execution["input"])
    trail = trails.setdefault(arn, Trail(definition["StartAt"], given))
    ctx = {
        "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
        "Execution": {
            "Id": arn,
            "Input": given,
            "Name": execution["name"],
            "StartTime": execution["startDate"],
        },
        "StateMachine": {"Id": execution["stateMachineArn"], "Name": machine["name"]},
        "variables": {},
    }

    redrives = execution.get("redriveCount", 0)

    def is_wanted() -> bool:
        is_same = execution.get("redriveCount", 0) == redrives
        return bool(is_same and execution["status"] == "RUNNING")

    ctx["_is_wanted"] = is_wanted
    try:
        output = json.dumps(run_states(definition["States"], trail, execution, ctx, is_wanted))
    except sfn._ExecutionError as exc:
        if is_wanted():
            sfn._fail_execution(execution, exc.error, exc.cause)
        return
    except Exception as exc:  # noqa: BLE001 - as the real one would say
        if is_wanted():
            sfn._fail_execution(execution, "States.Runtime", f"{type(exc).__name__}: {exc}")
        return
    if is_wanted():
        execution.update(status="SUCCEEDED", output=output, stopDate=sfn.now_iso())
        sfn._emit_execution_status_event(execution)


def redrive_execution(data: Json) -> Json:
    """Answer RedriveExecution."""
    arn = data["executionArn"]
    execution = sfn._executions.get(arn)
    if execution is None:
        return sfn.error_response_json("ExecutionDoesNotExist", f"no execution {arn}", 400)
    if execution["status"] not in ("FAILED", "ABORTED", "TIMED_OUT"):
        reason = f"Execution is {execution['status']}"
        return sfn.error_response_json("ExecutionNotRedrivable", reason, 400)
    for name in ("error", "cause", "output", "stopDate"):
        execution[name] = None
    execution.update(status="RUNNING", redriveCount=execution.get("redriveCount", 0) + 1)
    run = contextvars.copy_context().run
    threading.Thread(target=run, args=(run_execution, arn), daemon=True).start()
    return sfn.json_response({"redriveDate": sfn.now_iso()})


# ------------------------------------------------------------------ maps

unfinished: dict[tuple[str, str], MapRun] = {}
"""By execution and state; what is left there when the execution has ended failed."""


def resolved(fields: Json, effective: Json, ctx: Json) -> Json:
    """Return *fields* with the numbers that they name by a path."""
    found = dict(fields)
    for name in NUMBERS:
        if f"{name}Path" in found:
            found[name] = sfn._resolve_path_or_ctx(found.pop(f"{name}Path"), effective, ctx)
    return found


def run_map(state: Json, raw_input: Json, execution: Json, ctx: Json) -> Json:
    """Run a map of either kind with its paths resolved."""
    effective = sfn._apply_input_path(state, raw_input, ctx)
    return plain_map(resolved(state, effective, ctx), raw_input, execution, ctx)


class Child:
    """A child execution, and how many items it stands for."""

    def __init__(self, given: Json, items: int, machine: str, map_run: str) -> None:
        self.items = items
        name = sfn.new_uuid()
        self.execution: Json = {
            "executionArn": f"{machine.replace(':stateMachine:', ':execution:')}:{name}",
            "stateMachineArn": machine,
            "name": name,
            "status": "PENDING",
            "startDate": None,
            "stopDate": None,
            "input": json.dumps(given),
            "inputDetails": {"included": True},
            "output": None,
            "outputDetails": {"included": True},
            "mapRunArn": map_run,
            "events": [],
            "mockAttempts": {},
        }
        self.trail: Trail | None = None

    @property
    def is_done(self) -> bool:
        return bool(self.execution["status"] == "SUCCEEDED")


class MapRun:
    """The child executions of a Map state, which outlive a failure until they are redriven."""

    def __init__(self, state: Json, effective: Json, execution: Json, ctx: Json) -> None:
        start, machine = execution["stateMachineArn"], state.get("Label") or sfn.new_uuid()
        self.arn = f"{start.replace(':stateMachine:', ':mapRun:')}/{machine}:{sfn.new_uuid()}"
        self.machine = f"{start}/{machine}"
        self.lock = threading.Lock()
        self.children = [
            Child(given, items, self.machine, self.arn)
            for given, items in batches_of(state, items_of(state, effective, ctx), effective, ctx)
        ]
        self.view: Json = {
            "mapRunArn": self.arn,
            "executionArn": execution["executionArn"],
            "startDate": sfn.now_iso(),
            "redriveCount": -1,
            "_stateMachineArn": self.machine,
        }
        sfn._map_runs[self.arn] = self.view

    def run(self, state: Json, ctx: Json) -> None:
        """Run what is not done; stop when more items have failed than may."""
        percentage = state.get("ToleratedFailurePercentage")
        count = state.get("ToleratedFailureCount")
        self.view.update(
            status="RUNNING",
            maxConcurrency=int(state.get("MaxConcurrency") or 0),
            toleratedFailurePercentage=float(percentage or 0),
            toleratedFailureCount=int(count or 0),
            redriveCount=self.view["redriveCount"] + 1,
        )
        left = [child for child in self.children if not child.is_done]
        for child in left:
            child.execution["status"] = "PENDING"
        self.count()
        threads = min(self.view["maxConcurrency"] or THREADS, THREADS)
        with ThreadPoolExecutor(max_workers=threads) as pool:
            for child in left:
                pool.submit(contextvars.copy_context().run, self.run_child, state, child, ctx)
        if not ctx["_is_wanted"]():
            raise sfn._ExecutionError("States.Aborted", "the execution was stopped")
        if self.is_exceeded:
            self.end("FAILED")
            message = "The specified tolerated failure threshold was exceeded"
            raise sfn._ExecutionError("States.ExceedToleratedFailureThreshold", message)
        self.end("SUCCEEDED")

    @property
    def is_exceeded(self) -> bool:
        failed, total = self.items("FAILED"), sum(child.items for child in self.children)
        if not failed:
            return False
        most, percentage = (
            self.view["toleratedFailureCount"],
            self.view["toleratedFailurePercentage"],
        )
        limits = [failed > most] if most else []
        limits += [failed * 100 > percentage * total] if percentage else []
        return any(limits) if limits else True

    def items(self, *states: str) -> int:
        return sum(child.items for child in self.children if child.execution["status"] in states)

    def run_child(self, state: Json, child: Child, ctx: Json) -> None:
        execution, processor = child.execution, state.get("ItemProcessor") or state["Iterator"]
        is_parent_wanted = ctx["_is_wanted"]

        def is_wanted() -> bool:
            return is_parent_wanted() and not self.is_exceeded

        if not is_wanted():
            return
        sfn._executions[execution["executionArn"]] = execution
        own = copy.deepcopy(ctx)
        own["Execution"].pop("RedriveCount", None)
        execution.update(status="RUNNING", startDate=execution["startDate"] or sfn.now_iso())
        self.count()
        if child.trail is None:
            child.trail = Trail(processor["StartAt"], json.loads(execution["input"]))
        else:
            execution["redriveCount"] = execution.get("redriveCount", 0) + 1
        found: Json
        try:
            output = run_states(processor["States"], child.trail, execution, own, is_wanted)
            found = {"status": "SUCCEEDED", "output": json.dumps(output)}
        except sfn._ExecutionError as exc:
            status = "ABORTED" if exc.error == "States.Aborted" else "FAILED"
            found = {"status": status, "error": exc.error, "cause": exc.cause}
        except Exception as exc:  # noqa: BLE001 - as the real one would say
            found = {"status": "FAILED", "error": "States.Runtime", "cause": str(exc)}
        if is_parent_wanted():
            execution.update(found, stopDate=sfn.now_iso())
            self.count()

    def count(self) -> None:
        states = ("pending", "running", "succeeded", "failed", "aborted")
        with self.lock:
            for name, weigh in (("itemCounts", self.items), ("executionCounts", self.executions)):
                counts = {state: weigh(state.upper()) for state in states}
                self.view[name] = counts | {
                    "total": sum(counts.values()),
                    "timedOut": 0,
                    "resultsWritten": 0,
                }

    def executions(self, *states: str) -> int:
        return sum(child.execution["status"] in states for child in self.children)

    def end(self, status: str) -> None:
        self.count()
        self.view.update(status=status, stopDate=sfn.now_iso())


def run_distributed_map(
    state: Json, raw_input: Json, effective: Json, _: Json, execution: Json, ctx: Json
) -> Json:
    """Run a Distributed Map, or what a redrive repeats of it."""
    place = (execution["executionArn"], ctx["State"]["Name"])
    run = unfinished.pop(place, None) or MapRun(state, effective, execution, ctx)
    unfinished[place] = run
    try:
        run.run(state, ctx)
    finally:
        result = written(state, run, effective, ctx)
    del unfinished[place]
    result = sfn._apply_result_selector(state, result)
    output = sfn._apply_result_path(state, raw_input, result)
    return sfn._apply_output_path(state, output, ctx), sfn._next_or_end(state)


def items_of(state: Json, effective: Json, ctx: Json) -> list[Json]:
    """Return what a map maps, each as ItemSelector makes it."""
    reader = state.get("ItemReader")
    if reader is None:
        items = sfn._resolve_path_or_ctx(state.get("ItemsPath", "$"), effective, ctx)
    else:
        kind = (reader.get("ReaderConfig") or {}).get("InputType")
        if kind in ("MANIFEST", "PARQUET"):
            raise sfn._ExecutionError("States.ItemReaderFailed", f"{kind} is not emulated")
        items = sfn._read_map_items(reader, effective, ctx)
    selector = state.get("ItemSelector")
    if selector is None:
        return list(items)
    found = []
    for index, value in enumerate(items):
        own = {**ctx, "Map": {"Item": {"Index": index, "Value": value}}}
        found.append(sfn._resolve_params_obj(selector, effective, own))
    return found


def batches_of(
    state: Json, items: list[Json], effective: Json, ctx: Json
) -> list[tuple[Json, int]]:
    """Return the input of each child, and how many items are in it."""
    if "ItemBatcher" not in state:
        return [(item, 1) for item in items]
    batcher = resolved(state["ItemBatcher"], effective, ctx)
    shared = batcher.get("BatchInput")
    given = (
        {} if shared is None else {"BatchInput": sfn._resolve_params_obj(shared, effective, ctx)}
    )
    most = int(batcher.get("MaxItemsPerBatch") or len(items) or 1)
    most_bytes = min(
        int(batcher.get("MaxInputBytesPerBatch") or LARGEST_INPUT_BYTES), LARGEST_INPUT_BYTES
    )
    empty_bytes = len(json.dumps({**given, "Items": []}))
    found: list[list[Json]] = []
    size_bytes = 0
    for item in items:
        length = len(json.dumps(item)) + 2
        if not found or len(found[-1]) >= most or size_bytes + length > most_bytes:
            found.append([])
            size_bytes = empty_bytes
        found[-1].append(item)
        size_bytes += length
    return [({**given, "Items": batch}, len(batch)) for batch in found]


def written(state: Json, run: MapRun, effective: Json, ctx: Json) -> Json:
    """Write what became of the children, as ResultWriter does, and return the result."""
    writer = state.get("ResultWriter")
    if writer is None:
        return [json.loads(child.execution["output"] or "null") for child in run.children]
    where = sfn._resolve_params_obj(writer["Parameters"], effective, ctx)
    folder = "/".join(filter(None, [where.get("Prefix", "").rstrip("/"), run.arn.split(":")[-1]]))
    files: dict[str, list[Json]] = {"FAILED": [], "PENDING": [], "SUCCEEDED": []}
    for status, listed in files.items():
        rows = [row_of(child) for child in run.children if child.execution["status"] == status]
        if rows:
            key = f"{folder}/{status}_0.json"
            listed.append({"Key": key, "Size": put(where["Bucket"], key, rows)})
    manifest = {"DestinationBucket": where["Bucket"], "MapRunArn": run.arn, "ResultFiles": files}
    key = f"{folder}/manifest.json"
    put(where["Bucket"], key, manifest)
    details = {"Bucket": where["Bucket"], "Key": key}
    return {"MapRunArn": run.arn, "ResultWriterDetails": details}


def row_of(child: Child) -> Json:
    names = {
        "ExecutionArn": "executionArn",
        "Input": "input",
        "Name": "name",
        "Output": "output",
        "StartDate": "startDate",
        "StateMachineArn": "stateMachineArn",
        "Status": "status",
        "StopDate": "stopDate",
        "Error": "error",
        "Cause": "cause",
    }
    found = {name: child.execution.get(field) for name, field in names.items()}
    return {name: value for name, value in found.items() if value is not None}


def put(bucket: str, key: str, data: Json) -> int:
    body = json.dumps(data).encode()
    status, _, answer = s3._put_object(bucket, key, body, {})
    if status >= 300:
        raise sfn._ExecutionError("States.ResultWriterFailed", str(answer)[:200])
    return len(body)


async def handle_request(
    method: str, path: str, headers: Json, body: bytes, query_params: Json
) -> Json:
    """Answer what MiniStack knows, and RedriveExecution."""
    if headers.get("x-amz-target", "").endswith(".RedriveExecution"):
        return sfn._finalize_response(redrive_execution(json.loads(body)))
    return await plain_request(method, path, headers, body, query_params)


plain_map, plain_request = sfn._run_map_items, sfn.handle_request

if __name__ == "__main__":
    sfn._run_map_items = run_map
    sfn._run_distributed_map = run_distributed_map
    sfn._run_execution = run_execution
    sfn.handle_request = handle_request
    importlib.import_module("ministack.app").main()
