from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import FOX, Open


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
    expect(opened.page.get_by_text("own.txt was sent.")).to_be_visible()

    opened.press("Submit")

    opened.expect_state("SUCCEEDED")
    expect(opened.page.get_by_test_id("chart")).to_contain_text("lazy")


def test_name_tags_and_options_are_sent_along(open_page: Open) -> None:
    opened = open_page("/#/new")
    opened.page.get_by_text("Options").click()
    opened.page.get_by_label("Name").fill("Counted")
    opened.page.get_by_label("Tags").fill("nightly text")
    opened.page.get_by_label("Items in a batch").fill("1")

    opened.press("Submit")

    expect(opened.page.get_by_role("heading", name="Counted")).to_be_visible()
    opened.expect_state("SUCCEEDED")
    document = "query Job($id: ID!) { job(id: $id) { tags status { map { total } } } }"
    job = opened.ask(document, id=opened.job_id)["job"]
    assert job == {"tags": ["nightly", "text"], "status": {"map": {"total": 3}}}
