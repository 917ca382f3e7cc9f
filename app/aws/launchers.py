"""The systems that run jobs for this deployment, made from the settings."""

from __future__ import annotations

import os
from collections.abc import Mapping

from adapters.aws import emr_serverless, step_functions
from adapters.aws.emr_serverless import EmrServerless
from adapters.aws.step_functions import StepFunctions
from adapters.local_spark import LocalSpark
from app.aws.settings import AwsSettings
from app.runtime import module_command
from app.settings import PREFIX, Settings
from engine.failed_runs import RunWatcher
from engine.job import JobId
from engine.runner import Launcher, Runner


def launchers_of(
    aws: AwsSettings, *, environ: Mapping[str, str] = os.environ
) -> dict[Runner, Launcher]:
    """Return what dispatches the tasks of each runner that there is; the usual one first.

    Args:
        aws: The settings.
        environ: Where they come from; processes elsewhere are given the same.
    """
    found: dict[Runner, Launcher] = {}
    if aws.state_machine is not None:
        found[Runner.STEP_FUNCTIONS] = StepFunctions(
            step_functions.connect(environ),
            standard=aws.state_machine,
            express=aws.express_state_machine,
        )
    if aws.emr_application and aws.emr_role and aws.emr_entry_point:
        found[Runner.SPARK] = EmrServerless(
            emr_serverless.connect(environ),
            application=aws.emr_application,
            role=aws.emr_role,
            entry_point=aws.emr_entry_point,
            environ=_without_secrets(environ),
            parameters=aws.emr_spark_parameters,
            timeout_minutes=aws.emr_timeout_minutes,
        )
    elif aws.spark is not None:
        found[Runner.SPARK] = LocalSpark(_spark_command, environ=environ)
    return found


def watchers_of(launchers: Mapping[Runner, Launcher]) -> list[RunWatcher]:
    """Return those that have to be asked which runs they have given up."""
    return [each for each in launchers.values() if isinstance(each, EmrServerless | LocalSpark)]


def _spark_command(job: JobId, run: int) -> list[str]:
    return module_command("app.aws.spark", job, str(run))


def _without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return our settings and the region, for a process that answers nobody."""
    hidden = {
        PREFIX + name.upper() for name, field in Settings.model_fields.items() if not field.repr
    }
    return {
        name: value
        for name, value in environ.items()
        if (name.startswith(PREFIX) and name not in hidden) or name == "AWS_REGION"
    }
