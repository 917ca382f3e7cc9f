"""GraphQL over HTTP, seen from outside: media types, status codes, contents, and hostile requests.

Source: GraphQL over HTTP, https://graphql.github.io/graphql-over-http/draft/.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from tests.support.raw_http import ask, connection
from tests.support.running import RunningService

RESPONSE_JSON: Final = "application/graphql-response+json"
JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
TYPENAME: Final = {"query": "{ __typename }"}
CANCEL: Final = 'mutation { cancelJob(id: "j") { __typename } }'
FOLLOW: Final = 'subscription { jobStatus(id: "j") { version } }'


@pytest.fixture
def client(service: RunningService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, trust_env=False, timeout=10) as client:
        yield client


def post(client: httpx.Client, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/graphql", content=content, headers={"content-type": JSON} | given)


def get(client: httpx.Client, params: dict[str, str], **headers: str) -> httpx.Response:
    return client.get("/graphql", params=params, headers=headers)


def media_type(answer: httpx.Response) -> str:
    return answer.headers["content-type"]


def codes(answer: httpx.Response) -> set[str]:
    """Return the codes of a refusal, which must be well-formed and give nothing away."""
    value = answer.json()
    assert "data" not in value
    assert value["errors"]
    assert all(isinstance(error["message"], str) for error in value["errors"])
    assert "Traceback" not in answer.text
    return {error["extensions"]["code"] for error in value["errors"]}


class TestMediaTypes:
    @pytest.mark.parametrize(
        ("accept", "wanted"),
        [
            (RESPONSE_JSON, RESPONSE_JSON),
            (JSON, JSON),
            ("*/*", JSON),
            ("application/*", JSON),
            (f"{RESPONSE_JSON}, {JSON};q=0.9", RESPONSE_JSON),
            (f"{JSON};q=0.5, {RESPONSE_JSON};q=0.6", RESPONSE_JSON),
            (f"{RESPONSE_JSON};q=0.5, {JSON}", JSON),
            (f"{RESPONSE_JSON};q=0, */*", JSON),
            (f"{RESPONSE_JSON}; charset=utf-8", RESPONSE_JSON),
            (f"{EVENTS}, {JSON}", JSON),
            ("text/html;q=0.1, */*;q=0.01", JSON),
        ],
    )
    def test_the_answer_is_of_the_type_that_is_wanted_most(
        self, client: httpx.Client, accept: str, wanted: str
    ) -> None:
        answer = post(client, TYPENAME, accept=accept)

        assert answer.status_code == 200
        assert media_type(answer) == f"{wanted}; charset=utf-8"
        assert answer.json() == {"data": {"__typename": "Query"}}

    def test_without_accept_it_is_plain_json(self, service: RunningService) -> None:
        body = json.dumps(TYPENAME)
        answer = ask(service.url, f"POST /graphql HTTP/1.1\nContent-Type: {JSON}", body.encode())

        assert answer.status == 200
        assert answer.headers["content-type"] == f"{JSON}; charset=utf-8"

    @pytest.mark.parametrize(
        "accept", ["text/plain", "image/*", f"{JSON};q=0", f"{JSON};charset=utf-16"]
    )
    def test_what_we_do_not_have_is_not_acceptable(self, client: httpx.Client, accept: str) -> None:
        answer = post(client, TYPENAME, accept=accept)

        assert answer.status_code == 406
        assert codes(answer) == {"NOT_ACCEPTABLE"}

    @pytest.mark.parametrize(
        "content_type",
        [
            "text/plain",
            "application/jsonx",
            "application/graphql",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            f"{JSON}; charset=utf-16",
            f"{JSON}; charset=latin-1",
            "",
        ],
    )
    def test_only_json_in_utf_8_is_taken(self, client: httpx.Client, content_type: str) -> None:
        answer = post(client, TYPENAME, content_type=content_type)

        assert answer.status_code == 415
        assert codes(answer) == {"UNSUPPORTED_MEDIA_TYPE"}

    @pytest.mark.parametrize("content_type", [f"{JSON}; charset=utf-8", f'{JSON};charset="UTF-8"'])
    def test_naming_utf_8_is_fine(self, client: httpx.Client, content_type: str) -> None:
        assert post(client, TYPENAME, content_type=content_type).status_code == 200

    def test_a_compressed_body_is_not_taken(self, client: httpx.Client) -> None:
        body = gzip.compress(json.dumps(TYPENAME).encode())
        answer = post(client, body, content_encoding="gzip")

        assert answer.status_code == 415
        assert codes(answer) == {"UNSUPPORTED_MEDIA_TYPE"}


class TestStatusCodes:
    """What is GraphQL, but refused, is 200 for older clients and 400 for those who can tell."""

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
            ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
            ({"query": "query A { __typename } query B { __typename }"}, "BAD_REQUEST"),
            ({"query": "query A { __typename }", "operationName": "C"}, "BAD_REQUEST"),
            ({"query": "query A { __typename }", "operationName": ""}, "BAD_REQUEST"),
            ({"query": "fragment F on Query { __typename }"}, "GRAPHQL_VALIDATION_FAILED"),
            ({"query": "query($id: ID!) { job(id: $id) { id } }"}, "BAD_REQUEST"),
            (
                {"query": "query($id: ID!) { job(id: $id) { id } }", "variables": {"id": [1]}},
                "BAD_REQUEST",
            ),
        ],
    )
    def test_an_operation_that_cannot_be_run(
        self, client: httpx.Client, body: dict[str, Any], code: str
    ) -> None:
        older, newer = post(client, body, accept=JSON), post(client, body, accept=RESPONSE_JSON)

        assert (older.status_code, newer.status_code) == (200, 400)
        assert codes(older) == codes(newer) == {code}

    def test_an_operation_is_found_by_its_name(self, client: httpx.Client) -> None:
        query = "query A { a: __typename } query B { b: __typename }"
        answer = post(client, {"query": query, "operationName": "B"})

        assert answer.json() == {"data": {"b": "Query"}}

    @pytest.mark.parametrize("accept", [JSON, RESPONSE_JSON])
    def test_an_error_of_a_field_leaves_the_rest(self, client: httpx.Client, accept: str) -> None:
        query = "{ programs { name } job(id: 1) { id } jobs(first: -1) { edges { cursor } } }"
        answer = post(client, {"query": query}, accept=accept)

        assert answer.status_code == 200
        assert answer.json()["data"] is None  # jobs may not be null
        assert answer.json()["errors"][0]["path"] == ["jobs"]

    @pytest.mark.parametrize(
        "body",
        [
            b"null", b"1", b'"{ __typename }"', b"true", b"[]", b'[{"query":"{__typename}"}]',
            b"", b"{", b"NaN", b'{"query": "{ __typename }", "variables": {"a": NaN}}',
            b'{"query": "{ __typename }", "variables": {"a": Infinity}}',
            b'{"query": "{ __typename }", "variables": {"a": ' + b"1" * 100_000 + b"}}",
            b'{"query": "\xff"}', b'{"query": "\\ud800"}', b'{"query": "{__typename}"} x',
            json.dumps(TYPENAME).encode("utf-16"), b"\xef\xbb\xbf" + json.dumps(TYPENAME).encode(),
            b'{"query": "q", "variables": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            gzip.compress(json.dumps(TYPENAME).encode(), mtime=0),
            b"{}", b'{"query": null}', b'{"query": ""}', b'{"query": 1}', b'{"query": ["a"]}',
            b'{"query": "{__typename}", "operationName": 1}',
            b'{"query": "{__typename}", "variables": [1]}',
            b'{"query": "{__typename}", "variables": "{}"}',
            b'{"query": "{__typename}", "extensions": 1}',
        ],
        ids=lambda body: repr(body[:30]),
    )  # fmt: skip
    @pytest.mark.parametrize("accept", [JSON, RESPONSE_JSON])
    def test_what_is_no_graphql_is_a_bad_request(
        self, client: httpx.Client, body: bytes, accept: str
    ) -> None:
        answer = post(client, body, accept=accept)

        assert answer.status_code == 400
        assert media_type(answer) == f"{accept}; charset=utf-8"
        assert codes(answer) == {"BAD_REQUEST"}

    @pytest.mark.parametrize(
        "body",
        [
            {**TYPENAME, "variables": None, "operationName": None, "extensions": None},
            {**TYPENAME, "variables": {}, "extensions": {"any": [1]}},
            {**TYPENAME, "something": "else"},
        ],
    )
    def test_null_is_as_good_as_nothing(self, client: httpx.Client, body: dict[str, Any]) -> None:
        assert post(client, body).json() == {"data": {"__typename": "Query"}}

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
    def test_other_methods_are_not_allowed(self, client: httpx.Client, method: str) -> None:
        answer = client.request(method, "/graphql")

        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, POST"


class TestGet:
    def test_a_query_runs(self, client: httpx.Client) -> None:
        query = "query Q($id: ID!) { job(id: $id) { id } } query R { __typename }"
        params = {"query": query, "operationName": "Q", "variables": '{"id": "nobody\'s"}'}
        answer = get(client, params, accept=RESPONSE_JSON)

        assert answer.json() == {"data": {"job": None}}

    def test_what_is_given_empty_is_not_given(self, client: httpx.Client) -> None:
        params = {"query": "{ __typename }", "operationName": "", "variables": "", "other": "1"}
        assert get(client, params).json() == {"data": {"__typename": "Query"}}

    @pytest.mark.parametrize("accept", [JSON, RESPONSE_JSON, EVENTS])
    def test_a_mutation_is_not_allowed(self, client: httpx.Client, accept: str) -> None:
        answer = get(client, {"query": CANCEL}, accept=accept)

        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
        assert codes(answer) == {"METHOD_NOT_ALLOWED"}

    @pytest.mark.parametrize("url", [
        "/graphql", "/graphql?query=", "/graphql?variables={}",
        "/graphql?query={__typename}&query={__typename}",
        "/graphql?query={__typename}&variables=[1]",
        "/graphql?query={__typename}&variables=NaN",
        "/graphql?query=%ff",
        "/graphql?query={__typename}" + "&a=1" * 100,
    ])  # fmt: skip
    def test_what_is_no_graphql_is_a_bad_request(self, client: httpx.Client, url: str) -> None:
        answer = client.get(url, headers={"accept": JSON})

        assert answer.status_code == 400
        assert codes(answer) == {"BAD_REQUEST"}


class TestEvents:
    def test_a_query_is_answered_with_one(self, client: httpx.Client) -> None:
        answer = post(client, TYPENAME, accept=EVENTS)

        assert answer.status_code == 200
        assert media_type(answer) == f"{EVENTS}; charset=utf-8"
        assert answer.text == (
            ':\n\nevent: next\ndata: {"data":{"__typename":"Query"}}\n\nevent: complete\ndata: \n\n'
        )

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ("{", "GRAPHQL_PARSE_FAILED"),
            ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
            (FOLLOW, "NOT_FOUND"),
            ("subscription($id: ID!) { jobStatus(id: $id) { version } }", "BAD_REQUEST"),
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_a_refusal_is_one_too(
        self, client: httpx.Client, query: str, code: str, method: str
    ) -> None:
        ask = get if method == "GET" else post
        answer = ask(client, {"query": query}, accept=EVENTS)

        assert answer.status_code == 200
        _, event, complete, _ = answer.text.split("\n\n")
        assert complete == "event: complete\ndata: "
        error = json.loads(event.removeprefix("event: next\ndata: "))
        assert error["errors"][0]["extensions"]["code"] == code

    @pytest.mark.parametrize("accept", [JSON, RESPONSE_JSON, "*/*"])
    def test_a_subscription_needs_them(self, client: httpx.Client, accept: str) -> None:
        answer = post(client, {"query": FOLLOW}, accept=accept)

        assert answer.status_code == 406
        assert codes(answer) == {"NOT_ACCEPTABLE"}

    def test_a_job_is_followed_to_its_end(self, client: httpx.Client) -> None:
        submit = """mutation($input: SubmitJobInput!) {
          submitJob(input: $input) { ... on SubmitJobSuccess { job { id } } }
        }"""
        job = {"program": "wordcount", "source": {"inline": ["a b a"]}}
        submitted = post(client, {"query": submit, "variables": {"input": job}}).json()
        id = submitted["data"]["submitJob"]["job"]["id"]

        follow = "subscription($id: ID!) { jobStatus(id: $id) { version state } }"
        body = {"query": follow, "variables": {"id": id}}
        answer = post(client, body, accept=f"{JSON}, {EVENTS}")

        *events, complete, _ = answer.text.removeprefix(":\n\n").split("\n\n")
        states = [
            json.loads(event.removeprefix("event: next\ndata: "))["data"]["jobStatus"]
            for event in events
        ]
        versions = [state["version"] for state in states]
        assert versions == sorted(set(versions))
        assert states[-1]["state"] == "SUCCEEDED"
        assert complete == "event: complete\ndata: "


class TestPages:
    """What pages of other sites can make a browser do."""

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "x"])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_other_origins_are_forbidden(
        self, client: httpx.Client, origin: str, method: str
    ) -> None:
        ask = get if method == "GET" else post
        answer = ask(client, TYPENAME, origin=origin)

        assert answer.status_code == 403
        assert codes(answer) == {"FORBIDDEN"}
        assert "access-control-allow-origin" not in answer.headers

    def test_pages_of_our_own_are_not(self, client: httpx.Client, service: RunningService) -> None:
        assert post(client, TYPENAME, origin=service.url).status_code == 200

    def test_other_names_of_the_host_are_refused(self, client: httpx.Client) -> None:
        assert post(client, TYPENAME, host="rebound.example").status_code == 400

    def test_a_browser_is_shown_a_page(self, client: httpx.Client) -> None:
        answer = client.get("/graphql", headers={"accept": "text/html,*/*;q=0.8"})

        assert answer.status_code == 200
        assert media_type(answer) == "text/html; charset=utf-8"


class TestLimits:
    def test_a_body_may_have_a_mebibyte(self, client: httpx.Client) -> None:
        padded = {**TYPENAME, "extensions": {"padding": "x" * (1024 * 1024 - 100)}}
        assert post(client, padded).status_code == 200

    @pytest.mark.parametrize("size", [1024 * 1024 + 100, 3_000_000])
    def test_a_larger_one_is_refused(self, client: httpx.Client, size: int) -> None:
        answer = post(client, {**TYPENAME, "extensions": {"padding": "x" * size}})

        assert answer.status_code == 413
        assert codes(answer) == {"BODY_TOO_LARGE"}

    def test_so_is_one_without_an_end(self, service: RunningService) -> None:
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        with connection(service.url) as server:
            server.sendall(
                b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n"
            )
            for _ in range(20):
                server.sendall(chunk)
            head = server.recv(100)

        assert head.startswith(b"HTTP/1.1 413 ")

    def test_so_is_a_document_that_carries_its_data(self, client: httpx.Client) -> None:
        answer = post(client, {"query": "# " + "x" * 66_000 + "\n{ __typename }"})

        assert answer.status_code == 413
        assert codes(answer) == {"BODY_TOO_LARGE"}

    def test_so_is_a_head(self, service: RunningService) -> None:
        answer = ask(service.url, f"GET /graphql HTTP/1.1\nX-Large: {'x' * 200_000}")

        assert answer.status == 431

    @pytest.mark.parametrize(
        "header", ["Content-Type: application/json", "Authorization: Bearer a"]
    )
    def test_a_header_that_says_two_things_is_refused(
        self, service: RunningService, header: str
    ) -> None:
        request = f"POST /graphql HTTP/1.1\nContent-Type: {JSON}\n{header}\n{header}"
        answer = ask(service.url, request, json.dumps(TYPENAME).encode())

        assert answer.status == 400
        assert b"Traceback" not in answer.body

    @pytest.mark.parametrize(
        "document",
        [
            "{" + " ".join(f"a{i}: __typename" for i in range(16)) + "}",
            "{" + "a{" * 12 + "a" + "}" * 12 + "}",
            "{" + "__typename " * 900 + "}",
            " ".join(f"query Q{i} {{ __typename }}" for i in range(100)),
            "{ jobs(first: 200) { edges { node { tasks(first: 200) { edges { node { id kind state"
            " index items attempts worker error { code message retryable } } } } } } } }",
            "query($n: Int = 200) { jobs(first: $n) { edges { node { tasks(first: $n) { edges {"
            " node { id kind state index items attempts worker startedAt finishedAt } } } } } } }",
        ],
        ids=["aliases", "depth", "repetition", "operations", "cost", "cost by variables"],
    )
    def test_a_document_that_asks_for_too_much_is_refused(
        self, client: httpx.Client, document: str
    ) -> None:
        answer = post(client, {"query": document}, accept=RESPONSE_JSON)

        assert answer.status_code == 400
        assert codes(answer) == {"GRAPHQL_VALIDATION_FAILED"}

    def test_a_document_of_too_many_words_is_not_read_to_its_end(
        self, client: httpx.Client
    ) -> None:
        answer = post(client, {"query": "{" + "a " * 30_000 + "}"}, accept=RESPONSE_JSON)

        assert answer.status_code == 400
        assert codes(answer) == {"GRAPHQL_PARSE_FAILED"}
