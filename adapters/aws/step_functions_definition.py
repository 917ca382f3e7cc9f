"""The state machines that run jobs, as data: what a deployment is given, and what tests run.

``STANDARD`` hands map tasks out by a Distributed Map, from the plan's references or from a listing
of S3; ``EXPRESS`` is for small jobs, which end within five minutes. Each state calls a step of the
same function (``app/aws/steps.py``); what is done and what is tried again is the ledger's to say.

What is to be repeated by a redrive must have failed: so no state leads to a Fail state, which would
fail again, and no Map has a Catch, after which it would count as done. A task that has failed for
good ends in GiveUp, which fails until a redrive wants the task again. A step that opens a phase
answers which one is next, so a redrive also leads back to a phase that Step Functions takes for
done.
"""

from __future__ import annotations

from typing import Any, Final

State = dict[str, Any]

FUNCTION: Final = "${StepsFunctionArn}"
"""Replaced when it is deployed, by ``DefinitionSubstitutions``."""
STEP_TIMEOUT_S: Final = 905
"""A little longer than a Lambda may run."""
_RETRY: Final[list[State]] = [
    {
        "ErrorEquals": ["Lambda.TooManyRequestsException"],  # as many run as may, by no fault
        "IntervalSeconds": 1,
        "MaxAttempts": 60,
        "BackoffRate": 2,
        "MaxDelaySeconds": 60,
        "JitterStrategy": "FULL",
    },
    {
        "ErrorEquals": [
            "Lambda.ServiceException",
            "Lambda.AWSLambdaException",
            "Lambda.SdkClientException",
        ],
        "IntervalSeconds": 1,
        "MaxAttempts": 8,
        "BackoffRate": 2,
        "MaxDelaySeconds": 60,
        "JitterStrategy": "FULL",
    },
    {"ErrorEquals": ["UnavailableError"], "IntervalSeconds": 2, "MaxAttempts": 5},
]
_RETRY_BARRIER: Final[list[State]] = [
    {"ErrorEquals": ["RunOverError"], "MaxAttempts": 0},
    *_RETRY,
    {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 2},
]


def standard() -> State:
    """Return the state machine for jobs of any size."""
    return {
        "Comment": "A job: plan, map, shuffle, reduce, finish. Redrive it to repeat what failed.",
        "StartAt": "Plan",
        "States": {
            **_plan(),
            "PlanAnswer": _choice(
                "$.plan.next",
                {"again": "PlanWait", "failed": "PlanGiveUp", "listing": "MapListing"},
                default="Map",
            ),
            **_distributed(
                "Map",
                reader=_reader("getObject", {"Bucket.$": "$.plan.bucket", "Key.$": "$.plan.tasks"}),
                batch_input={"job.$": "$.job", "batches.$": "$.plan.batches"},
                result="$.mapped",
                following="Shuffle",
            ),
            **_distributed(
                "MapListing",
                reader=_reader(
                    "listObjectsV2", {"Bucket.$": "$.plan.source", "Prefix.$": "$.plan.prefix"}
                ),
                selector={
                    "index.$": "$$.Map.Item.Index",
                    "key.$": "$$.Map.Item.Value.Key",
                    "size.$": "$$.Map.Item.Value.Size",
                    "etag.$": "$$.Map.Item.Value.Etag",
                    "modified.$": "$$.Map.Item.Value.LastModified",
                },
                batch_input={
                    "job.$": "$.job",
                    "source.$": "$.plan.source",
                    "prefix.$": "$.plan.prefix",
                    "perChild.$": "$.plan.perChild",
                },
                result="$.mapped",
                following="Shuffle",
            ),
            "Shuffle": _barrier("shuffle", following="ShuffleAnswer"),
            "ShuffleAnswer": _choice(
                "$.shuffle.next",
                {"reduce": "Reduce", "finish": "Finish", "listing": "MapListing"},
                default="Map",
            ),
            **_distributed(
                "Reduce",
                items="$.shuffle.tasks",
                batch_input={"job.$": "$.job", "index.$": "$.shuffle.index"},
                result="$.reduced",
                following="Finish",
            ),
            **_finish(),
            "FinishAnswer": _finish_answer(),
            "Done": {"Type": "Succeed"},
        },
    }


def express() -> State:
    """Return the state machine for small jobs, which cannot be redriven: it tells of its end."""
    caught = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Tell"}]
    return {
        "Comment": "A small job: the same steps within five minutes.",
        "StartAt": "Plan",
        "TimeoutSeconds": 300,
        "States": {
            **_plan(lost_catch=caught, is_inline=True),
            "PlanAnswer": _choice(
                "$.plan.next", {"again": "PlanWait", "failed": "PlanGiveUp"}, default="Map"
            ),
            **_inline(
                "Map",
                items="items",
                place="$.plan",
                batch_input={"job.$": "$.job", "batches.$": "$.plan.batches"},
                following="Shuffle",
                catch=caught,
            ),
            "Shuffle": _barrier("shuffle", following="ShuffleAnswer") | {"Catch": caught},
            "ShuffleAnswer": _choice(
                "$.shuffle.next", {"reduce": "Reduce", "finish": "Finish"}, default="Map"
            ),
            **_inline(
                "Reduce",
                items="tasks",
                place="$.shuffle",
                batch_input={"job.$": "$.job", "index.$": "$.shuffle.index"},
                following="Finish",
                catch=caught,
            ),
            **_finish(lost_catch=caught),
            "FinishAnswer": _finish_answer(),
            "Tell": {
                **_step("failed", {"job.$": "$.job", "run.$": "$.run", "error.$": "$.error"}),
                "Retry": _RETRY,
                "ResultPath": None,
                "Next": "Failed",
            },
            "Failed": {"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "$.error.Cause"},
            "Done": {"Type": "Succeed"},
        },
    }


def _plan(*, lost_catch: list[State] | None = None, is_inline: bool = False) -> dict[str, State]:
    payload = {"job.$": "$.job", "inline": is_inline}
    return _task("plan", payload, lost_catch=lost_catch)


def _finish(*, lost_catch: list[State] | None = None) -> dict[str, State]:
    return _task("finish", {"job.$": "$.job"}, lost_catch=lost_catch)


def _finish_answer() -> State:
    following = {"done": "Done", "again": "FinishWait", "failed": "FinishGiveUp"}
    return _choice("$.finish.next", {**following, "reduce": "Reduce"}, default="Shuffle")


def _task(step: str, payload: State, *, lost_catch: list[State] | None) -> dict[str, State]:
    """Return a task that is alone in its phase, with what follows when its process dies."""
    name, place = step.capitalize(), f"$.{step}"
    tasks = {"job.$": "$.job", "tasks": [{"task": f"{step}-0"}]}
    states = _lost(tasks, place, name=name, following=name)
    if lost_catch is not None:
        for state in (f"{name}Lost", f"{name}GiveUp"):
            states[state]["Catch"] = lost_catch
    return {
        name: {
            **_step(step, payload),
            "Retry": _RETRY,
            "Catch": [_caught(f"{name}Lost")],
            "ResultPath": place,
            "Next": f"{name}Answer",
        },
        **states,
    }


def _lost(tasks: State, place: str, *, name: str, following: str) -> dict[str, State]:
    """Return what is done when a process has died or failed: wait and go on, or give up."""
    return {
        f"{name}Lost": {
            **_step("lost", {**tasks, "error.$": "$.error"}),
            "Retry": _RETRY,
            "ResultPath": place,
            "Next": f"{name}LostAnswer",
        },
        f"{name}LostAnswer": _which(place, {"again": f"{name}Wait"}, default=f"{name}GiveUp"),
        f"{name}GiveUp": {
            **_step("give_up", tasks),
            "Retry": _RETRY,
            "ResultPath": place,
            "Next": f"{name}Wait",
        },
        f"{name}Wait": {
            "Type": "Wait",
            "SecondsPath": f"{place}.afterSeconds",
            "Next": following,
        },
    }


def _barrier(step: str, *, following: str) -> State:
    return {
        **_step(step, {"job.$": "$.job", "form.$": "$.plan.next"}),
        "Retry": _RETRY_BARRIER,
        "ResultPath": f"$.{step}",
        "Next": following,
    }


def _distributed(
    name: str,
    *,
    batch_input: State,
    result: str,
    following: str,
    reader: State | None = None,
    items: str | None = None,
    selector: State | None = None,
) -> dict[str, State]:
    """Return a map whose tasks run in executions of their own."""
    place = "$.plan" if items is None else "$.shuffle"
    state = {
        "Type": "Map",
        "Label": name,
        **({"ItemsPath": items} if reader is None else {"ItemReader": reader}),
        **({} if selector is None else {"ItemSelector": selector}),
        "ItemBatcher": {
            "MaxItemsPerBatchPath": f"{place}.perChild",
            "BatchInput": batch_input,
        },
        "MaxConcurrencyPath": f"{place}.concurrency",
        "ToleratedFailurePercentagePath": f"{place}.tolerated",
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            **_child(name, batch_input),
        },
        "ResultWriter": {
            "Resource": "arn:aws:states:::s3:putObject",
            "Parameters": {"Bucket.$": "$.plan.bucket", "Prefix.$": "$.plan.reports"},
        },
        "ResultPath": result,
        "Next": following,
    }
    return {name: state}


def _inline(
    name: str, *, items: str, place: str, batch_input: State, following: str, catch: list[State]
) -> dict[str, State]:
    """Return a map whose tasks run in the same execution; none of them fails it."""
    child = _child(name, batch_input)
    done = {**_caught(f"{name}Done"), "ResultPath": "$.answer"}
    child["States"][f"{name}GiveUp"]["Catch"] = [done]
    state = {
        "Type": "Map",
        "ItemsPath": f"{place}.{items}",
        "ItemSelector": {
            "BatchInput": batch_input,
            "Items.$": "States.Array($$.Map.Item.Value)",
        },
        "MaxConcurrencyPath": f"{place}.concurrency",
        "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, **child},
        "ResultPath": None,
        "Catch": catch,
        "Next": following,
    }
    return {name: state}


def _child(name: str, batch_input: State) -> State:
    """Return what runs some tasks: again as long as the ledger wants that."""
    given = {each: f"$.BatchInput.{each.removesuffix('.$')}" for each in batch_input}
    step = "reduce" if "index.$" in batch_input else "map"
    tasks = {**given, "tasks.$": "$.Items"}
    run, answer = f"{name}Run", f"{name}Answer"
    following = {"again": f"{name}Wait", "failed": f"{name}GiveUp"}
    return {
        "StartAt": run,
        "States": {
            run: {
                **_step(step, tasks),
                "Retry": _RETRY,
                "Catch": [_caught(f"{name}Lost")],
                "ResultPath": "$.answer",
                "Next": answer,
            },
            answer: _which("$.answer", following, default=f"{name}Done"),
            **_lost(tasks, "$.answer", name=name, following=run),
            f"{name}Done": {"Type": "Succeed", "OutputPath": "$.answer"},
        },
    }


def _step(step: str, payload: State) -> State:
    return {
        "Type": "Task",
        "Resource": FUNCTION,
        "Parameters": {"step": step, **payload},
        "TimeoutSeconds": STEP_TIMEOUT_S,
    }


def _reader(action: str, parameters: State) -> State:
    config = {"ReaderConfig": {"InputType": "JSON"}} if action == "getObject" else {}
    return {"Resource": f"arn:aws:states:::s3:{action}", **config, "Parameters": parameters}


def _choice(variable: str, following: dict[str, str], *, default: str) -> State:
    choices = [
        {"Variable": variable, "StringEquals": value, "Next": state}
        for value, state in following.items()
    ]
    return {"Type": "Choice", "Choices": choices, "Default": default}


def _which(place: str, following: dict[str, str], *, default: str) -> State:
    choices = [
        {"Variable": f"{place}.{name}", "BooleanEquals": True, "Next": state}
        for name, state in following.items()
    ]
    return {"Type": "Choice", "Choices": choices, "Default": default}


def _caught(state: str) -> State:
    return {"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": state}
