"""News of jobs reach everybody who can be reached."""

from __future__ import annotations

import pytest

from app.aws.publisher import News, tell
from engine.errors import UnavailableError
from tests.support.memory import status_of


def test_who_cannot_be_told_holds_up_nobody_and_brings_the_news_again() -> None:
    told: list[str] = []
    news = [News(status_of(name), "acme", ()) for name in ("j1", "j2")]

    def fail(_: News) -> None:
        raise UnavailableError("AppSync does not answer")

    with pytest.raises(ExceptionGroup) as caught:
        tell(news, [fail, lambda each: told.append(each.status.id)])

    assert told == ["j1", "j2"]
    assert len(caught.value.exceptions) == 2
