"""The parts that are pure: forms, currencies, clock, ids, settings."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from sandbox.stripe_simulator.answer import Answer
from sandbox.stripe_simulator.app import create_app
from sandbox.stripe_simulator.clock import Clock
from sandbox.stripe_simulator.config import Config, from_environment
from sandbox.stripe_simulator.currency import fault_of_amount, format_amount
from sandbox.stripe_simulator.errors import ApiError
from sandbox.stripe_simulator.forms import decode
from sandbox.stripe_simulator.idempotency import IdempotencyKeys
from sandbox.stripe_simulator.ids import Ids
from sandbox.stripe_simulator.payment_methods import Failure, card


def test_brackets_become_nested_mappings() -> None:
    assert decode("a=1&b[c]=2&b[d][0][e]=3&x[]=p&x[]=q") == {
        "a": "1",
        "b": {"c": "2", "d": {"0": {"e": "3"}}},
        "x": {"0": "p", "1": "q"},
    }


@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.text(max_size=20), max_size=5))
def test_values_survive_encoding(values: dict[str, str]) -> None:
    from urllib.parse import urlencode

    decoded = decode(urlencode({f"metadata[{name}]": value for name, value in values.items()}))

    assert decoded.get("metadata", {}) == values


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (123450, "eur", "€1,234.50"),
        (5, "usd", "$0.05"),
        (500, "jpy", "¥500"),
        (5120, "kwd", "KWD 5.120"),
        (500, "isk", "ISK 5"),
        (1000000, "ugx", "UGX 10,000"),
        (-250, "gbp", "-£2.50"),
        (500, "xof", "XOF 500"),
    ],
)
def test_amounts_are_written_with_the_currencys_decimals(amount: int, currency: str, text: str) -> None:
    assert format_amount(amount, currency) == text


@pytest.mark.parametrize(
    ("amount", "currency", "wrong"),
    [(5125, "kwd", True), (5120, "kwd", False), (550, "isk", True), (500, "ugx", False), (551, "jpy", False)],
)
def test_amounts_that_stripe_refuses(amount: int, currency: str, wrong: bool) -> None:
    assert (fault_of_amount(amount, currency) is not None) is wrong


def test_the_clock_runs_actions_in_order_each_at_its_own_time() -> None:
    clock = Clock(lambda: 1000.0)
    seen: list[tuple[str, float]] = []
    clock.at(1020, lambda: seen.append(("second", clock.now())))
    clock.at(1010, lambda: seen.append(("first", clock.now())))
    clock.at(1010, lambda: clock.at(1015, lambda: seen.append(("between", clock.now()))))
    clock.at(1031, lambda: seen.append(("too late", clock.now())))

    assert clock.advance(30) == 4

    assert seen == [("first", 1010.0), ("between", 1015.0), ("second", 1020.0)]
    assert clock.now() == 1030.0


def test_a_seed_repeats_the_ids() -> None:
    assert Ids(3).session() == Ids(3).session()
    assert Ids(3).session() != Ids(4).session()


def test_a_real_card_number_is_refused() -> None:
    found = card("5105105105105100")

    assert isinstance(found, Failure)
    assert not found.charged


def test_settings_come_from_the_environment() -> None:
    config = from_environment(
        {
            "SIMULATOR_PORT": "9000",
            "SIMULATOR_WEBHOOK_SECRET": "a, b",
            "SIMULATOR_LATENCY_MS": "80",
            "SIMULATOR_SEED": "5",
        }
    )

    assert (config.port, config.webhook_secrets, config.latency_ms, config.seed) == (9000, ("a", "b"), 80.0, 5)
    assert config.base_url == "http://127.0.0.1:9000"
    assert from_environment({}) == Config()


def test_a_setting_that_is_no_number_is_named() -> None:
    with pytest.raises(ValueError, match="SIMULATOR_LATENCY_MS"):
        from_environment({"SIMULATOR_LATENCY_MS": "fast"})


def begun(keys: IdempotencyKeys, key: str, value: str, request_id: str) -> Answer | ApiError | None:
    try:
        return keys.begin(key, "/v1/checkout/sessions", {"value": value}, request_id)
    except ApiError as error:
        return error


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("12")), max_size=30))
def test_a_key_has_one_answer_for_one_set_of_parameters(calls: list[tuple[str, str]]) -> None:
    """However calls repeat and mix: each key executes once, replays to its own parameters, and refuses others."""
    keys = IdempotencyKeys(Clock(lambda: 0.0))
    first: dict[str, str] = {}
    for number, (key, value) in enumerate(calls):
        kept = begun(keys, key, value, f"req_{number}")
        if kept is None:
            assert key not in first
            first[key] = value
            keys.keep(key, Answer(200, value.encode()))
        elif isinstance(kept, ApiError):
            assert (kept.kind, first[key] == value) == ("idempotency_error", False)
        else:
            assert (kept.body, first[key]) == (value.encode(), value)


def test_a_failed_background_task_ends_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    """A simulator whose clock or sender has died must not look alive."""

    def broken() -> None:
        raise ZeroDivisionError("broken action")

    async def run() -> None:
        clock = Clock(lambda: 0.0)
        clock.at(0, broken)
        async with create_app(Config(), clock).router.lifespan_context(Starlette()):
            await asyncio.Event().wait()

    with pytest.raises(SystemExit) as caught:
        asyncio.run(run())

    assert caught.value.code == 70
    assert "broken action" in capsys.readouterr().err
