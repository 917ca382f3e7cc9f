"""Jobs over objects in a real S3, with the service's own storage in a folder and in S3."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import httpx
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.client import Api, pairs_of
from tests.support.ministack import ENVIRON, MiniStack
from tests.support.running import RunningService, free_port, running_service
from tests.support.s3_gateway import S3Gateway, s3_gateway
from tests.support.sql_jobs import run_sql
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

BY_CITY = "SELECT city, sum(amount) AS amount FROM input GROUP BY city ORDER BY city"
SALES = [("Oslo", 10), ("Rome", 5), ("Oslo", 1), ("Rome", 8), ("Bergen", 2)]
SOLD: list[dict[str, Any]] = [
    {"city": "Bergen", "amount": 2},
    {"city": "Oslo", "amount": 11},
    {"city": "Rome", "amount": 13},
]


@pytest.fixture(scope="module")
def stack(s3_endpoint: str) -> MiniStack:
    made = MiniStack(s3_endpoint)
    made.create_bucket("lake")
    for number in range(3):
        made.put("lake", f"csv/{number}.csv", csv_of(SALES))
        made.put("lake", f"jsonl/{number}.jsonl.gz", gzip.compress(jsonl_of(SALES)))
        made.put("lake", f"parquet/{number}.parquet", parquet_of(SALES))
        made.put("lake", f"text/{number}.txt", b"a b\nb\n")
    return made


@pytest.fixture(scope="module")
def gateway(stack: MiniStack) -> Iterator[S3Gateway]:
    with s3_gateway(stack.endpoint) as running:
        yield running


@pytest.fixture(scope="module", params=["folder", "s3"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, gateway: S3Gateway
) -> Iterator[RunningService]:
    """A service that knows the S3, and keeps its own blobs in a folder or there."""
    folder = tmp_path_factory.mktemp("s3-service")
    (folder / "sources").mkdir()
    settings = {**ENVIRON, "FANFOLD_S3_ENDPOINT": gateway.endpoint}
    if request.param == "s3":
        settings["FANFOLD_RESULT_URI"] = "s3://blobs/kept"
    port = free_port()
    with running_service(folder / "data", folder / "sources", port=port, settings=settings) as made:
        yield made


@pytest.fixture
async def api(service: RunningService, gateway: S3Gateway) -> AsyncIterator[Api]:
    async with Api(service.url) as client:
        yield client
    gateway.refused.clear()
    gateway.denied.clear()


def csv_of(sales: list[tuple[str, int]]) -> bytes:
    return b"city,amount\n" + b"".join(f"{city},{amount}\n".encode() for city, amount in sales)


def jsonl_of(sales: list[tuple[str, int]]) -> bytes:
    lines = (json.dumps({"city": city, "amount": amount}) for city, amount in sales)
    return "\n".join(lines).encode()


def parquet_of(sales: list[tuple[str, int]], **options: Any) -> bytes:
    cities, amounts = zip(*sales, strict=True)
    sink = io.BytesIO()
    pq.write_table(pa.table({"city": list(cities), "amount": list(amounts)}), sink, **options)
    return sink.getvalue()


def files(*uris: str, **more: Any) -> dict[str, Any]:
    return {"files": {"uris": list(uris), **more}}


def times(number: int) -> list[dict[str, Any]]:
    return [{**row, "amount": row["amount"] * number} for row in SOLD]


def rows_of(status: dict[str, Any]) -> list[dict[str, Any]]:
    assert status["state"] == "SUCCEEDED", status["error"]
    rows: list[dict[str, Any]] = status["result"]
    return rows


# ------------------------------------------------------------------ what is read


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("s3://lake/csv/", 3),
        ("s3://lake/csv/*.csv", 3),
        ("s3://lake/csv/1.csv", 1),
        ("s3://lake/jsonl/", 3),
        ("s3://lake/jsonl/[12].jsonl.gz", 0),
        ("s3://lake/**/*.parquet", 3),
        ("s3://lake/parquet/0.parquet", 1),
    ],
)
async def test_a_query_reads_objects(api: Api, uri: str, number: int) -> None:
    if number == 0:
        answer = await api.try_submit(sql=BY_CITY, source=files(uri))
        assert answer["code"] == "SOURCE_UNREADABLE", answer
        return

    status = await run_sql(api, BY_CITY, files(uri), reducers=2)

    assert rows_of(status) == times(number)
    assert status["items"]["succeeded"] == 5 * number


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
async def test_a_program_reads_objects(api: Api, kind: str) -> None:
    status = await api.run("sales", files(f"s3://lake/{kind}/"), batching={"maxItems": 2})

    assert rows_of(status) == [
        {"city": "Rome", "sales": 6, "amount": 39},
        {"city": "Oslo", "sales": 6, "amount": 33},
        {"city": "Bergen", "sales": 3, "amount": 6},
    ]


async def test_lines_of_objects_are_counted(api: Api) -> None:
    assert pairs_of(await api.run("wordcount", "s3://lake/text/")) == {"a": 3, "b": 6}


async def test_of_parquet_only_the_columns_of_the_query_are_read(
    api: Api, stack: MiniStack, gateway: S3Gateway
) -> None:
    rows = 200_000
    wide = {
        "city": pa.array(["Oslo", "Rome"] * (rows // 2)),
        "amount": pa.array(range(rows)),
        **{f"pad{i}": pa.array([hashlib.sha256(b"%d" % n).digest() for n in range(rows)])
           for i in range(2)},
    }  # fmt: skip
    sink = io.BytesIO()
    pq.write_table(pa.table(wide), sink, row_group_size=rows // 4)
    key = f"wide/{uuid4().hex}"
    stack.put("lake", key, sink.getvalue())

    status = await run_sql(api, BY_CITY, files(f"s3://lake/{key}"))
    whole = len(sink.getvalue())
    read = gateway.sent_bytes[f"/lake/{key}"]
    some = await run_sql(api, "SELECT count(*) AS n FROM input", files(f"s3://lake/{key}"))

    assert sum(row["amount"] for row in rows_of(status)) == rows * (rows - 1) // 2
    assert read < whole / 4
    assert rows_of(some) == [{"n": rows}]
    assert gateway.sent_bytes[f"/lake/{key}"] - read < whole / 5


async def test_objects_mode_maps_the_listing(api: Api) -> None:
    query = "SELECT uri, key, size FROM input ORDER BY uri"

    status = await run_sql(api, query, files("s3://lake/text/", mode="OBJECTS"))
    programs = await api.run("lines", files("s3://lake/text/*", mode="OBJECTS"))

    assert rows_of(status) == [
        {"uri": f"s3://lake/text/{i}.txt", "key": f"text/{i}.txt", "size": 6} for i in range(3)
    ]
    entries = [row["line"] for row in rows_of(programs)]
    assert [entry["key"] for entry in entries] == [f"text/{i}.txt" for i in range(3)]
    assert all(entry["etag"] and entry["lastModified"].endswith("Z") for entry in entries)


async def test_an_unload_manifest_names_the_objects(api: Api, stack: MiniStack) -> None:
    listed = [{"url": f"s3://lake/csv/{i}.csv", "mandatory": True} for i in range(2)]
    stack.put("lake", "manifests/unload", json.dumps({"entries": listed}).encode())

    source = files("s3://lake/manifests/unload", mode="MANIFEST", format="CSV")

    assert rows_of(await run_sql(api, BY_CITY, source)) == times(2)


async def test_an_inventory_names_the_objects(api: Api, stack: MiniStack) -> None:
    lines = "".join(f'"lake","csv/{i}.csv","63"\n' for i in range(3))
    stack.put("lake", "manifests/inventory.csv", lines.encode())

    source = files("s3://lake/manifests/inventory.csv", mode="MANIFEST")
    status = await api.run("sales", source)

    assert {row["city"]: row["amount"] for row in rows_of(status)} == {
        "Rome": 39,
        "Oslo": 33,
        "Bergen": 6,
    }


# ------------------------------------------------------------------ what is written


@pytest.mark.parametrize("data_format", ["JSONL", "CSV", "PARQUET"])
async def test_a_result_is_written_to_a_bucket_and_read_back_by_its_manifest(
    api: Api, stack: MiniStack, gateway: S3Gateway, data_format: str
) -> None:
    prefix = f"out/{uuid4().hex}"
    output = {"format": data_format, "uri": f"s3://results/{prefix}/"}

    status = await run_sql(api, BY_CITY, files("s3://lake/csv/"), output=output)

    folder = f"{prefix}/{status['id']}"
    store = stack.store("results")
    listing, *names = sorted(
        entry["path"] for page in obstore.list(store, prefix) for entry in page
    )
    suffix = data_format.lower()
    assert listing == f"{folder}/SUCCEEDED_0.json"
    assert names == [f"{folder}/manifest.json", f"{folder}/part-00000.{suffix}"]
    written = [line for line in gateway.requests if line.startswith((f"PUT /results/{folder}",
        f"POST /results/{folder}"))]  # fmt: skip
    assert written[-1] == f"PUT /results/{folder}/manifest.json"
    manifest = json.loads(bytes(obstore.get(store, names[0]).bytes()))
    part = bytes(obstore.get(store, names[1]).bytes())
    assert manifest["files"][0]["name"] == f"part-00000.{suffix}"
    assert manifest["files"][0]["sha256"] == hashlib.sha256(part).hexdigest()
    assert manifest["rows"] == 3
    assert manifest["DestinationBucket"] == "results"
    assert [each["Key"] for each in manifest["ResultFiles"]["SUCCEEDED"]] == [listing]

    again = files(f"s3://results/{folder}/manifest.json", mode="MANIFEST")
    assert rows_of(await run_sql(api, BY_CITY, again)) == times(3)


async def test_result_files_really_download(api: Api) -> None:
    status = await run_sql(api, BY_CITY, files("s3://lake/csv/"), output={"format": "CSV"})

    result = await api.result(status["id"])

    data = b""
    async with httpx.AsyncClient(trust_env=False) as client:
        for file in [*result["files"], result["manifest"]]:
            data = (await client.get(file["url"])).raise_for_status().content
            assert len(data) == file["byteSize"]
            assert hashlib.sha256(data).hexdigest() == file["sha256"]
    assert json.loads(data)["rows"] == 3


async def test_a_job_reads_the_result_of_another(api: Api) -> None:
    first = await run_sql(api, BY_CITY, files("s3://lake/csv/"), output={"format": "PARQUET"})

    status = await run_sql(api, "SELECT sum(amount) AS sold FROM input", {"job": first["id"]})

    assert rows_of(status) == [{"sold": 78}]


async def test_an_upload_is_put_and_read(api: Api) -> None:
    made = await api.ask(
        'mutation { createUpload(input: {fileName: "sales.csv"}) '
        "{ ... on CreateUploadSuccess { id url } } }"
    )
    upload = made["createUpload"]
    async with httpx.AsyncClient(trust_env=False) as client:
        sent = await client.put(upload["url"], content=csv_of(SALES))
    assert sent.is_success, sent.text

    status = await run_sql(api, BY_CITY, {"upload": {"id": upload["id"]}})

    assert rows_of(status) == SOLD


async def test_a_large_shuffle_is_exact_and_leaves_nothing(
    api: Api, service: RunningService, stack: MiniStack
) -> None:
    key = f"many-{uuid4().hex}.csv"
    lines = "".join(f"{n % 70_000},{n}\n" for n in range(300_000))
    stack.put("lake", key, f"k,v\n{lines}".encode())

    query = "SELECT k, sum(v) AS total FROM input GROUP BY k"
    source = files(f"s3://lake/{key}")
    status = await run_sql(api, query, source, reducers=3, batching={"maxBytes": 1_000_000})

    assert status["resultRows"] == 70_000
    store = stack.store("blobs")
    kept = service.data_dir / "blobs"

    def names() -> set[str]:
        stored = {e["path"] for p in obstore.list(store, "kept/jobs/" + status["id"]) for e in p}
        local = kept.glob(f"jobs/{status['id']}/**/*")
        return stored | {str(path) for path in local if path.is_file()}

    await eventually_async(lambda: all("/shuffle/" not in name for name in names()))
    result = await api.result(status["id"])
    assert len(names()) == len([result["manifest"], *result["files"], *result["listings"]])


# ------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize("kind", ["sql", "program"])
@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("s3://nowhere/a.csv", "bucket"),
        ("s3://nowhere/folder/", "bucket"),
        ("s3://lake/csv/9.csv", "no such object"),
        ("s3://lake/nothing/", "holds no objects"),
        ("s3://lake/nothing/*.csv", "matches no object"),
        ("s3://lake/denied/a.csv", "access denied"),
    ],
)
async def test_what_cannot_be_read_is_told_at_submit(
    api: Api, gateway: S3Gateway, kind: str, uri: str, reason: str
) -> None:
    gateway.denied.append("/lake/denied")
    job = {"sql": BY_CITY} if kind == "sql" else {"program": "sales"}

    answer = await api.try_submit(**job, source=files(uri))

    assert answer["__typename"] == "SourceError", answer
    assert answer["location"] == uri
    assert reason in answer["message"]
    assert answer["path"] == ["input", "source", "files", "uris"]
    assert not answer["retryable"]


async def test_a_place_that_may_not_be_written_fails_the_job_and_says_so(
    api: Api, gateway: S3Gateway
) -> None:
    gateway.denied.append("/results/closed")

    status = await run_sql(
        api, BY_CITY, files("s3://lake/csv/"), output={"uri": "s3://results/closed/"}
    )

    assert status["state"] == "FAILED"
    assert "may not write there" in status["error"]["message"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
async def test_a_store_that_is_slow_for_a_while_only_delays(
    api: Api, gateway: S3Gateway, kind: str
) -> None:
    gateway.refused[f"/lake/{kind}"] = [503, 500] * 2

    status = await run_sql(api, BY_CITY, files(f"s3://lake/{kind}/"))

    assert rows_of(status) == times(3)
    assert gateway.refused[f"/lake/{kind}"] == []


async def test_a_task_is_tried_again_when_its_store_was_away_for_long(
    api: Api, gateway: S3Gateway
) -> None:
    """Submitting a program only lists a prefix, so that the tasks meet what is wrong."""
    gateway.refused["/lake/csv/"] = [503] * 30

    status = await api.run("sales", files("s3://lake/csv/"), failurePolicy={"backoffMs": 0})

    assert {row["city"]: row["amount"] for row in rows_of(status)}["Rome"] == 39
    assert gateway.refused["/lake/csv/"] == []


async def test_storage_of_the_service_that_is_slow_for_a_while_only_delays(
    api: Api, gateway: S3Gateway
) -> None:
    gateway.refused["/blobs"] = [503, 500, 503]

    status = await api.run("wordcount", "s3://lake/text/")

    assert pairs_of(status) == {"a": 3, "b": 6}
