from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.support.opened_page import OpenedPage
from tests.support.running import FOX, RunningService


def test_a_job_is_submitted_as_the_form_stands_when_it_opens(open_page: Open) -> None:
    opened = open_page("/#/new")

    expect(opened.page.get_by_label("Map step")).to_contain_text("count_words")
    opened.press("Submit")

    opened.expect_state("SUCCEEDED")
    row = opened.page.get_by_role("row").filter(has_text="the").first
    expect(row).to_have_text(re.compile(r"^the3$"))


def test_the_form_has_a_field_for_each_parameter_and_says_what_is_wrong_with_it(
    open_page: Open,
) -> None:
    opened = open_page("/#/new")
    opened.page.get_by_role("combobox", name="Program").select_option("grep")

    pattern = opened.page.get_by_label("pattern *")
    pattern.fill("(")
    expect(opened.page.get_by_text("not a regular expression").first).to_be_visible()
    expect(pattern).to_have_attribute("aria-invalid", "true")
    pattern.fill("FOX")
    opened.page.get_by_label("ignoreCase").check()
    expect(opened.page.get_by_label("Map step")).to_contain_text("matching_lines")
    opened.press("Submit")

    opened.expect_state("SUCCEEDED")
    expect(opened.page.get_by_role("row").nth(1)).to_contain_text("the quick brown fox")


def test_a_query_is_planned_before_it_runs(open_page: Open) -> None:
    opened = open_page("/#/new")
    opened.page.get_by_text("SQL", exact=True).click()
    opened.page.get_by_label("Query").fill(
        "SELECT city, sum(amount) AS total FROM input WHERE amount > $least GROUP BY city"
    )
    opened.page.get_by_label("Parameters").fill('{"least": 1}')
    opened.page.get_by_label("Items", exact=True).fill(
        '{"city": "Turin", "amount": 12}\n{"city": "Oslo", "amount": 30}\n'
        '{"city": "Turin", "amount": 1}'
    )

    expect(opened.page.get_by_label("Reduce step")).to_contain_text("city")
    opened.press("Submit")

    opened.expect_state("SUCCEEDED")
    expect(opened.page.get_by_role("row").filter(has_text="Turin")).to_contain_text("12")
    expect(opened.page.get_by_test_id("chart")).to_contain_text("Oslo")


def test_what_is_wrong_with_a_query_is_told_beside_it(open_page: Open) -> None:
    opened = open_page("/#/new")
    opened.page.get_by_text("SQL", exact=True).click()

    opened.page.get_by_label("Query").fill("SELECT nothing FROM input")

    problem = opened.page.locator(".field .problem")
    expect(problem).to_contain_text("nothing")


def test_files_of_the_service_are_a_source(open_page: Open) -> None:
    opened = open_page("/#/new")
    opened.page.get_by_text("Files", exact=True).click()
    opened.page.get_by_label("Addresses").fill("fox.txt")
    expect(opened.page.get_by_label("Map step")).to_be_visible()

    opened.press("Submit")

    opened.expect_state("SUCCEEDED")
    expect(opened.page.get_by_test_id("chart")).to_contain_text("lazy")


def test_a_file_of_the_callers_is_sent_and_read(open_page: Open, tmp_path: Path) -> None:
    opened = open_page("/#/new")
    (tmp_path / "own.txt").write_text(FOX)
    opened.page.get_by_text("Upload", exact=True).click()
    opened.page.get_by_label("File", exact=True).set_input_files(tmp_path / "own.txt")
    sent = opened.page.get_by_role("region", name="Source").get_by_role("status")
    expect(sent).to_have_text("own.txt was sent.")

    opened.press("Submit")

    opened.expect_state("SUCCEEDED")
    expect(opened.page.get_by_test_id("chart")).to_contain_text("lazy")


def test_all_that_was_said_in_the_form_is_in_the_job(
    open_page: Open, service: RunningService
) -> None:
    (service.sources / "words.csv").write_text("word;n\nfox;2\ndog;1\nfox;3\n")
    opened = open_page("/#/new")
    opened.page.get_by_text("SQL", exact=True).click()
    opened.page.get_by_label("Query").fill("SELECT word, sum(n) AS n FROM input GROUP BY word")
    opened.page.get_by_text("Files", exact=True).click()
    opened.page.get_by_label("Addresses").fill("words.csv")
    opened.page.get_by_text("How CSV and JSON are read").click()
    opened.page.get_by_label("Delimiter").fill(";")
    opened.page.get_by_label("Name", exact=True).fill("Counted")
    opened.page.get_by_label("Tags", exact=True).fill("nightly text")
    opened.page.get_by_text("More options").click()
    opened.page.get_by_label("Result format").select_option("CSV")
    opened.page.get_by_label("Failed items tolerated (%)").fill("2.5")
    opened.page.get_by_label("Set bad items aside").check()
    opened.page.get_by_label("Reduce tasks").fill("2")
    opened.page.get_by_label("Time for the job (s)").fill("60")
    expect(opened.page.get_by_label("Map step")).to_contain_text("word")

    opened.press("Submit")

    expect(opened.page.get_by_role("heading", name="Counted")).to_be_visible()
    opened.expect_state("SUCCEEDED")
    spec = spec_of(opened)
    assert spec["tags"] == ["nightly", "text"]
    assert spec["source"]["files"]["csv"] == {"delimiter": ";", "header": True, "columns": None}
    assert spec["failurePolicy"]["toleratedFailurePercentage"] == 2.5
    assert spec["failurePolicy"]["badItems"] == "SKIP"
    assert (spec["output"]["format"], spec["reducers"], spec["timeoutSeconds"]) == ("CSV", 2, 60)
    expect(opened.page.get_by_role("row").filter(has_text="fox")).to_contain_text("5")


def test_what_is_wrong_in_an_option_is_told_beside_it_also_where_it_was_out_of_sight(
    open_page: Open,
) -> None:
    opened = open_page("/#/new")
    opened.page.get_by_text("Files", exact=True).click()
    opened.page.get_by_label("Addresses").fill("fox.txt")
    opened.page.get_by_text("How CSV and JSON are read").click()
    opened.page.get_by_label("Delimiter").fill("xx")
    opened.page.get_by_text("How CSV and JSON are read").click()
    opened.page.get_by_text("More options").click()
    opened.page.get_by_label("Webhook").fill("nowhere")
    opened.page.get_by_text("More options").click()

    for name in ("Delimiter", "Webhook"):
        field = opened.page.get_by_label(name)
        expect(field).to_be_visible()
        expect(field).to_have_attribute("aria-invalid", "true")
    opened.keep_picture("form with problems")


def test_a_result_is_the_source_of_the_next_job_and_a_job_the_model_of_another(
    open_page: Open,
) -> None:
    opened = open_page("/")
    first = opened.submit(
        program="wordcount", source={"inline": ["a b a"]}, tags=["model"], waitUpToMs=10_000
    )
    opened.go(f"/#/jobs/{first}")
    opened.page.get_by_role("link", name="Use it in a new job").click()
    expect(opened.page.get_by_role("combobox", name="Job")).to_have_value(first)
    opened.page.get_by_text("SQL", exact=True).click()
    opened.page.get_by_label("Query").fill("SELECT max(value) AS most FROM input")
    expect(opened.page.get_by_label("Map step")).to_contain_text("value")
    opened.press("Submit")
    opened.expect_state("SUCCEEDED")
    expect(opened.page.get_by_role("row").nth(1)).to_have_text("2")

    opened.go(f"/#/jobs/{first}")
    opened.page.get_by_role("link", name="New like this").click()
    expect(opened.page.get_by_label("Items", exact=True)).to_have_value("a b a")
    expect(opened.page.get_by_label("Map step")).to_be_visible()
    opened.press("Submit")

    opened.expect_state("SUCCEEDED")
    assert opened.job_id != first
    assert spec_of(opened)["tags"] == ["model"]


def spec_of(opened: OpenedPage) -> dict[str, Any]:
    document = "query Job($id: ID!) { job(id: $id) { spec } }"
    spec: dict[str, Any] = opened.ask(document, id=opened.job_id)["job"]["spec"]
    return spec
