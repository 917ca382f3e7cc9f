"""The systems that run jobs for this deployment, made from the settings."""

from __future__ import annotations

import os

from adapters.step_functions import StepFunctions, connect
from app.aws.settings import AwsSettings
from engine.runner import Launcher, Runner


def launchers_of(aws: AwsSettings) -> dict[Runner, Launcher]:
    """Return what dispatches the tasks of each runner that there is; the usual one first."""
    found: dict[Runner, Launcher] = {}
    if aws.state_machine is not None:
        found[Runner.STEP_FUNCTIONS] = StepFunctions(
            connect(os.environ), standard=aws.state_machine, express=aws.express_state_machine
        )
    return found
