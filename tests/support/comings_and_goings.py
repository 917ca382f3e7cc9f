"""A cluster whose API comes and goes at one address, while Redis and a worker stay."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.own_redis import own_redis_in
from tests.support.roles import running_api, running_role
from tests.support.running import STOPS_WITHIN_S, RunningService, free_port, url_of


class ComingAndGoingApi:
    """The API of a cluster.

    Args:
        data_dir: Its data folder.
        settings: Of the cluster.

    Attributes:
        url: Its base address, whether it runs or not.
    """

    def __init__(self, data_dir: Path, settings: Mapping[str, str]) -> None:
        self._data_dir = data_dir
        self._settings = settings
        self._port = free_port()
        self._running = ExitStack()
        self._service: RunningService | None = None
        self.url = url_of(self._port)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        api = running_api(self._data_dir, port=self._port, settings=self._settings)
        self._service = self._running.enter_context(api)

    def end(self, how: signal.Signals) -> None:
        """End it by a signal, and wait until it is gone."""
        assert self._service is not None
        self._service.process.send_signal(how)
        self._service.process.wait(STOPS_WITHIN_S)
        self._running.close()

    def leave(self) -> None:
        self._running.close()


@contextmanager
def cluster_in(folder: Path) -> Iterator[ComingAndGoingApi]:
    """Run Redis, a worker and, from when the block is entered, the API."""
    with ExitStack() as stack:
        short = stack.enter_context(tempfile.TemporaryDirectory())
        redis = stack.enter_context(own_redis_in(Path(short), keeps=True))
        redis.start()
        settings = {"FANFOLD_REDIS_URL": redis.url}
        stack.enter_context(running_role("worker", folder / "data", settings=settings))
        api = ComingAndGoingApi(folder / "data", settings)
        stack.callback(api.leave)
        api.start()
        yield api
