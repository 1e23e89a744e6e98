"""The small pure rules of the checkout API."""

from __future__ import annotations

import contextlib
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.checkout_api.limits import RateLimit, WaitingRoom
from services.checkout_api.links import Links, return_signature, with_parameters
from services.checkout_api.origins import BadRedirect, check_redirect, origin_of
from services.checkout_api.parameters import TOKEN
from services.checkout_api.preferences import preferred_wait
from tests.fakes.virtual_clock import VirtualClock

LINKS = Links("https://pay.example", (b"secret",))
PARAMETERS = {
    "payment_order_id": "ord_1",
    "reference": "A-1",
    "status": "paid",
    "amount": "1050",
    "currency": "eur",
    "time": "1790000000",
}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("wait=10", 10),
        ("Wait = 10", 10),
        ('wait="5"', 5),
        ("respond-async, wait=31", 30),
        ("wait=7, respond-async", 7),
        ("wait=7; foo=bar", 7),
        ("wait=0", None),
        ("wait=-1", None),
        ("wait=ten", None),
        ("await=10", None),
        ("wait=" + "9" * 500, None),
    ],
)
def test_prefer_wait_is_understood_or_ignored(header: str | None, seconds: int | None) -> None:
    assert preferred_wait(header) == seconds


def test_the_signature_of_the_return_is_the_documented_one() -> None:
    """Computed by hand with `openssl dgst -sha256 -hmac return-secret` over the lines of the documentation."""
    assert return_signature(b"return-secret", PARAMETERS) == (
        "946cb2f246ae44f596a5c2fa975f52fba1002d6d613390a820b1a9840b23a5f0"
    )


@given(st.sampled_from(sorted(PARAMETERS)), st.text(alphabet="abc123", min_size=1))
def test_no_signed_parameter_can_be_changed(name: str, value: str) -> None:
    changed = {**PARAMETERS, name: value}

    assert return_signature(b"s", changed) != return_signature(b"s", PARAMETERS) or changed == PARAMETERS


@given(st.text(), st.text(), st.text(), st.text())
def test_a_token_opens_its_own_order_and_body_only(order: str, body: str, other_order: str, other_body: str) -> None:
    token = LINKS.token("ord_" + order.replace("\x00", ""), body)

    assert TOKEN.fullmatch(token)
    assert LINKS.opens(token, "ord_" + order.replace("\x00", ""), body)
    same = (order.replace("\x00", ""), body) == (other_order.replace("\x00", ""), other_body)
    assert LINKS.opens(token, "ord_" + other_order.replace("\x00", ""), other_body) == same


@given(st.dictionaries(st.sampled_from("abcdef"), st.text(), max_size=4))
def test_the_redirect_urls_own_parameters_stay_and_ours_come_after(own: dict[str, str]) -> None:
    url = with_parameters("https://shop.example/back?x=%20y&x=2#part", [*own.items()])

    assert url.startswith("https://shop.example/back?x=%20y&x=2")
    assert url.endswith("#part")
    found = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    assert found == [("x", " y"), ("x", "2"), *own.items()]


@given(st.text(max_size=60))
def test_any_text_is_an_origin_or_refused_in_words(text: str) -> None:
    for url in (text, "https://" + text, "https://shop.example" + text):
        with contextlib.suppress(BadRedirect):
            origin = origin_of(url)
            assert origin.startswith(("https://", "http://"))
            assert "/" not in origin.partition("://")[2]


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Shop.Example", "https://shop.example"),
        ("https://shop.example:443/x", "https://shop.example"),
        ("https://shop.example:8443/x", "https://shop.example:8443"),
        ("http://localhost:3000/x", "http://localhost:3000"),
        ("http://[::1]:80/x", "http://[::1]"),
        ("http://127.8.8.8/x", "http://127.8.8.8"),
    ],
)
def test_origins_have_one_spelling(url: str, origin: str) -> None:
    assert origin_of(url) == origin
    check_redirect(url, frozenset({origin}))


def test_a_rate_limit_never_gives_more_than_its_rate_and_one_burst() -> None:
    clock = VirtualClock()
    limit = RateLimit(clock)
    taken = 0

    for _ in range(1000):
        taken += limit.take("shop", 5.0) == 0.0
        clock.advance(0.01)

    assert 50 <= taken <= 55


def test_a_slow_rate_says_how_long_to_wait() -> None:
    limit = RateLimit(VirtualClock())

    assert limit.take("shop", 0.5) == 0.0
    assert limit.take("shop", 0.5) == 2.0


def test_a_full_waiting_room_turns_away_and_takes_again_when_someone_leaves() -> None:
    room = WaitingRoom(1)

    with room.seat() as first, room.seat() as second:
        assert (first, second) == (True, False)
    with room.seat() as third:
        assert third
