"""Signed tokens: only what was signed is accepted, and only for a while."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.signing import Grant, Signer

SIGNER = Signer(b"k" * 32)
NAMES = st.text(st.characters(codec="utf-8"), max_size=40)
GRANT = Grant("GET", "local", "a/b", 100)


@given(tenant=NAMES, name=NAMES, expires_s=st.integers(1, 2**40))
def test_a_token_gives_back_what_it_was_made_for_until_it_expires(
    tenant: str, name: str, expires_s: int
) -> None:
    grant = Grant("GET", tenant, name, expires_s)
    token = SIGNER.sign(grant)

    assert SIGNER.verify(token, method="GET", now_s=expires_s - 0.5) == grant
    assert SIGNER.verify(token, method="GET", now_s=expires_s) is None
    assert all(sign.isascii() and (sign.isalnum() or sign in "-_") for sign in token)


@given(data=st.data())
def test_a_token_that_was_changed_anywhere_is_refused(data: st.DataObject) -> None:
    token = SIGNER.sign(GRANT)
    # The last character may hold bits that stand for nothing.
    place = data.draw(st.integers(0, len(token) - 2))
    other = "A" if token[place] != "A" else "B"

    changed = token[:place] + other + token[place + 1 :]

    assert SIGNER.verify(changed, method="GET", now_s=1) is None


@given(token=st.text())
def test_text_that_is_no_token_is_refused(token: str) -> None:
    assert SIGNER.verify(token, method="GET", now_s=1) is None


def test_a_token_is_for_one_method_and_one_key() -> None:
    token = SIGNER.sign(GRANT)

    assert SIGNER.verify(token, method="PUT", now_s=1) is None
    assert Signer(b"another key, as long").verify(token, method="GET", now_s=1) is None


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Signer(b"short")


def test_what_is_signed_for_one_purpose_means_nothing_for_another() -> None:
    here, there = SIGNER.derived("here"), SIGNER.derived("there")
    sealed = here.seal(b"said")

    assert SIGNER.derived("here").unseal(sealed) == b"said"
    assert there.unseal(sealed) is None
    assert SIGNER.unseal(sealed) is None
    assert here.unseal(SIGNER.sign(GRANT)) is None


def test_whoever_knows_a_secret_of_ours_can_make_no_token_of_it() -> None:
    secret = SIGNER.secret("somebody")
    mac = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    token = base64.urlsafe_b64encode(mac + b"secret: somebody").decode().rstrip("=")

    assert SIGNER.verify(token, method="GET", now_s=1) is None
