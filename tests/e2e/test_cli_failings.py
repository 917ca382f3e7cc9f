"""Whatever goes wrong around the command is told in a line or two, never as a traceback."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.support.running import (
    RunningService,
    command,
    environment,
    fanfold,
    free_port,
    running_service,
)
from tests.support.web_server import web_server

# An address of this machine that does not look like one.
ELSEWHERE: Final = "127.1"


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://127.0.0.1:99999", "http://a b/", "ftp://x", "http://", "x"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    done = fanfold("jobs", "--url", url, environ={})

    assert done.returncode == 3
    assert done.stderr.startswith(f"fanfold: {url!r} is no address of a service: ")
    assert done.stderr.count("\n") == 1


def test_a_name_that_nobody_has_is_no_service() -> None:
    done = fanfold("jobs", "--url", "http://nobody.invalid", environ={})

    assert done.returncode == 4
    assert done.stderr.startswith("fanfold: no service answers at http://nobody.invalid: ")


def test_https_where_http_is_spoken_is_told(service: RunningService) -> None:
    url = service.url.replace("http:", "https:")

    for words in (["jobs"], ["watch", "j-1"]):
        done = fanfold(*words, "--url", url, environ={})

        assert done.returncode == 3
        assert done.stderr == (
            f"fanfold: no connection to {url}: what answers there does not speak TLS; "
            "is it http instead of https?\n"
        )


def test_a_certificate_that_nobody_vouches_for_is_told(tmp_path: Path) -> None:
    with web_server(tmp_path) as site:
        done = fanfold("jobs", "--url", f"https://127.0.0.1:{site.port}", environ={})

    assert done.returncode == 3
    assert "its certificate is refused: " in done.stderr
    assert "SSL_CERT_FILE" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [["jobs"], ["watch", "j-1"], ["submit", "wordcount", "x"]])
def test_without_a_token_it_is_told_how_to_get_one(
    guarded: RunningService, words: list[str]
) -> None:
    for token in ([], ["--token", "wrong"]):
        done = guarded.fanfold(*words, *token)

        assert done.returncode == 3
        assert "FANFOLD_TOKEN" in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("guarded")
    settings = {
        "FANFOLD_AUTH": "keys",
        "FANFOLD_SQL": "off",
        "FANFOLD_ALLOWED_HOSTS": ELSEWHERE,
    }
    port = free_port()
    with running_service(folder / "data", folder, port=port, workers=1, settings=settings) as it:
        yield it


def test_a_file_that_a_service_elsewhere_does_not_have_is_sent(
    guarded: RunningService, tmp_path: Path
) -> None:
    path = tmp_path / "words.txt"
    path.write_text("to be or not to be\n")
    data = {"FANFOLD_DATA_DIR": str(guarded.data_dir)}
    key = fanfold("key", "create", "--tenant", "acme", environ=data).stdout.strip()
    elsewhere = {
        "FANFOLD_URL": guarded.url.replace("127.0.0.1", ELSEWHERE),
        "FANFOLD_TOKEN": key,
        "NO_PROXY": ELSEWHERE,
    }

    done = fanfold("submit", "wordcount", str(path), "--wait", environ=elsewhere)

    assert done.returncode == 0, done.stderr
    assert f"the service does not have {path}: sending it" in done.stderr.splitlines()


def test_a_job_that_its_key_may_not_follow_is_told_all_the_same(guarded: RunningService) -> None:
    environ = {"FANFOLD_DATA_DIR": str(guarded.data_dir), "FANFOLD_URL": guarded.url}
    submitting, reading = (
        fanfold("key", "create", "--tenant", "acme", "--scope", scope, environ=environ).stdout
        for scope in ("submit", "read")
    )
    words = ["submit", "wordcount", "-", "--wait", "--json"]

    done = fanfold(*words, environ=environ | {"FANFOLD_TOKEN": submitting.strip()}, stdin="a\n")

    assert (done.returncode, done.stdout) == (3, "")
    job, _, told = done.stderr.removeprefix("fanfold: ").partition(": ")
    assert told == "submitted; it cannot be followed: the scope 'read' is needed for this\n"
    assert job in fanfold("jobs", environ=environ | {"FANFOLD_TOKEN": reading.strip()}).stdout


@pytest.mark.parametrize("token", ["two\nlines", "schlüssel"])
def test_what_cannot_be_a_token_is_not_sent(token: str) -> None:
    done = fanfold("jobs", "--token", token, environ={})

    assert done.returncode == 3
    assert done.stderr == "fanfold: the token has characters that no token has\n"


@contextmanager
def silence() -> Iterator[tuple[str, threading.Event]]:
    """A server that takes connections and never answers; the event tells of the first one."""
    came = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            taken, _ = server.accept()
            came.set()
            taken.recv(1)
            left.wait()
            taken.close()

        left = threading.Event()
        thread = threading.Thread(target=take)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", came
        left.set()
        thread.join()


@pytest.mark.parametrize("words", [["jobs"], ["submit", "wordcount", "x"], ["result", "j-1"]])
def test_ctrl_c_ends_what_waits_for_an_answer_without_a_word(words: list[str]) -> None:
    with silence() as (url, came):
        with subprocess.Popen(
            command(*words),
            env=environment({"FANFOLD_URL": url}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as waiting:
            assert came.wait(20)
            waiting.send_signal(signal.SIGINT)
            out, _ = waiting.communicate(timeout=20)

    assert (waiting.returncode, out) == (130, "")


@pytest.mark.parametrize(
    "words", [["jobs"], ["programs"], ["schema"], ["watch"], ["result"], ["watch", "--json"]]
)
def test_a_full_disk_is_told(service: RunningService, words: list[str]) -> None:
    submitted = service.fanfold("submit", "wordcount", "fox.txt", "--wait")
    job = [submitted.stdout.split()[0]] if words[0] in ("watch", "result") else []

    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command(*words[:1], *job, *words[1:]),
            env=environment({"FANFOLD_URL": service.url}),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=50,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr == "fanfold: No space left on device\n"


@pytest.mark.parametrize("words", [["jobs"], ["schema"], ["programs"], ["--help"]])
def test_a_reader_that_leaves_early_hears_nothing(
    service: RunningService, words: list[str]
) -> None:
    with service.started(*words) as reading:
        assert reading.stdout is not None
        assert reading.stderr is not None
        reading.stdout.close()

        assert reading.stderr.read() == ""


def test_what_is_no_text_is_refused(service: RunningService) -> None:
    for words, stdin in ((["-"], b"\xd0\xff\n"), ([b"\xff"], b"")):
        done = subprocess.run(
            [*command("submit", "wordcount"), *words],
            env=environment({"FANFOLD_URL": service.url}),
            input=stdin,
            capture_output=True,
            timeout=50,
            check=False,
        )

        assert done.returncode == 3
        assert done.stderr.endswith(b" is not UTF-8\n")


def test_a_folder_is_no_file_to_save_to(service: RunningService, tmp_path: Path) -> None:
    job = service.fanfold("submit", "wordcount", "fox.txt", "--wait").stdout.split()[0]

    for path in ("/", str(tmp_path)):
        done = service.fanfold("result", job, "-o", path)

        assert done.returncode == 3
        assert done.stderr == f"fanfold: {path} cannot be written: Is a directory\n"


def test_a_secret_that_nobody_signs_with_is_not_made(tmp_path: Path) -> None:
    done = fanfold("webhook-secret", environ={"FANFOLD_DATA_DIR": str(tmp_path)})

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"fanfold: no service has signed anything in {tmp_path}: set FANFOLD_DATA_DIR or "
        "FANFOLD_SIGNING_KEY to the service's\n"
    )
    assert not (tmp_path / "signing.key").exists()


def test_a_signing_key_that_is_set_needs_no_data_folder_of_the_service(tmp_path: Path) -> None:
    key = {"FANFOLD_SIGNING_KEY": "k" * 32}
    here, there = (
        fanfold("webhook-secret", environ=key | {"FANFOLD_DATA_DIR": str(tmp_path / name)})
        for name in ("here", "there")
    )

    assert here.returncode == 0, here.stderr
    assert here.stdout == there.stdout != ""


def test_the_version_is_told() -> None:
    done = fanfold("--version", environ={})

    assert done.returncode == 0
    assert done.stdout.startswith("fanfold ")
