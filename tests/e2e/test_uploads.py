"""Files that are sent to the service and then read by jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.client import Api
from tests.support.sql_jobs import run_sql

pytestmark = pytest.mark.anyio

CREATE = """
mutation Create($name: String!) {
  createUpload(input: {fileName: $name}) {
    __typename
    ... on CreateUploadSuccess { id url expiresAt }
    ... on ValidationError { issues { path message } }
  }
}
"""
SALES = b"city,amount\nOslo,10\nRome,5\nOslo,1\n"
SOLD = [{"city": "Oslo", "sales": 2, "amount": 11}, {"city": "Rome", "sales": 1, "amount": 5}]


async def created(api: Api, name: str = "sales.csv") -> dict[str, Any]:
    upload: dict[str, Any] = (await api.ask(CREATE, name=name))["createUpload"]
    assert upload["__typename"] == "CreateUploadSuccess", upload
    return upload


async def test_a_file_that_was_sent_is_a_query_s_input(api: Api, http: httpx.AsyncClient) -> None:
    upload = await created(api)
    sent = await http.put(upload["url"], content=SALES)

    status = await run_sql(
        api,
        "SELECT city, sum(amount) AS amount FROM input GROUP BY city ORDER BY city",
        {"upload": {"id": upload["id"]}},
    )

    assert sent.status_code == 201
    assert status["result"] == [{"city": "Oslo", "amount": 11}, {"city": "Rome", "amount": 5}]


async def test_a_file_that_was_sent_is_a_program_s_input(api: Api, http: httpx.AsyncClient) -> None:
    upload = await created(api)
    await http.put(upload["url"], content=SALES)

    by_name = await api.run("sales", {"upload": {"id": upload["id"]}})
    as_told = await api.run("sales", {"upload": {"id": upload["id"], "format": "CSV"}})

    assert by_name["result"] == as_told["result"] == SOLD


async def test_a_file_without_a_telling_name_is_read_as_told(
    api: Api, http: httpx.AsyncClient
) -> None:
    upload = await created(api, "../../etc/my sales")
    sent = await http.put(upload["url"], content=b"Oslo;10\nRome;5\nOslo;1\n")
    layout = {"delimiter": ";", "header": False, "columns": ["city", "amount"]}

    source = {"upload": {"id": upload["id"], "format": "CSV", "csv": layout}}
    status = await api.run("sales", source)

    assert sent.status_code == 201
    assert status["result"] == SOLD


async def test_a_large_file_comes_whole(api: Api, http: httpx.AsyncClient) -> None:
    upload = await created(api, "many.txt")
    lines = [b"word%d\n" % (number % 1000) for number in range(500_000)]

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(lines), 10_000):
            yield b"".join(lines[start : start + 10_000])

    await http.put(upload["url"], content=pieces())
    status = await api.run("wordcount", {"upload": {"id": upload["id"]}})

    assert {row["value"] for row in status["result"]} == {500}
    assert status["resultRows"] == 1000


@pytest.mark.parametrize("kind", ["unknown", "not sent", "no id"])
async def test_what_was_not_sent_is_refused_the_same_way(
    api: Api, http: httpx.AsyncClient, kind: str
) -> None:
    upload = await created(api)
    ids = {"unknown": f"{upload['id'][:-4]}0000", "not sent": upload["id"], "no id": "../../x"}

    answer = await api.try_submit(program="sales", source={"upload": {"id": ids[kind]}})

    assert answer["__typename"] == "ValidationError", answer
    [issue] = answer["issues"]
    assert issue["path"] == ["input", "source", "upload", "id"]
    assert issue["message"].endswith("or no file was sent to it")


async def test_a_second_file_is_refused_and_the_first_one_stays(
    api: Api, http: httpx.AsyncClient
) -> None:
    upload = await created(api)
    await http.put(upload["url"], content=SALES)

    again = await http.put(upload["url"], content=b"city,amount\nBonn,1\n")

    assert again.status_code == 409
    assert (await api.run("sales", {"upload": {"id": upload["id"]}}))["result"] == SOLD


async def test_forged_addresses_are_refused(api: Api, http: httpx.AsyncClient) -> None:
    url = (await created(api))["url"]
    start, _, token = url.rpartition("/")
    middle = len(token) // 2
    forged = [
        f"{start}/x",
        f"{start}/{token[:middle]}{'A' if token[middle] != 'A' else 'B'}{token[middle + 1 :]}",
        f"{start}/{token[1:]}",
    ]

    answers = [await http.put(address, content=SALES) for address in forged]

    assert [answer.status_code for answer in answers] == [403] * 3
    assert (await http.get(url)).status_code == 405
    read = url.replace("/uploads/", "/files/")
    assert (await http.get(read)).status_code == 403


async def test_a_name_that_is_none_is_refused(api: Api) -> None:
    answer = (await api.ask(CREATE, name=""))["createUpload"]

    assert answer["__typename"] == "ValidationError"
    assert answer["issues"][0]["path"] == ["input", "fileName"]
