"""The console's API on fakes: who may do what, and what each deed leaves behind."""

from __future__ import annotations

from typing import Any

import pytest

from payonce.domain.events import TokenIssued
from services.ops_console.app import BODY_LIMIT_BYTES
from tests.fakes.dead_letters import garbage, letter_record, original
from tests.fakes.ops_console import ADA, BOTH, OLGA, VERA, Console, approve, arrive, edit, kind
from tests.fakes.registrations import register
from tests.fakes.virtual_clock import START

COMMAND = register(life_seconds=20 * 3600, issued_at=int(START))


@pytest.fixture
def console() -> Console:
    return Console()


# ------------------------------------------------------------------------------------------- access


@pytest.mark.parametrize("token", [None, "ot_wrong"])
async def test_without_a_token_nothing_is_told(console: Console, token: str | None) -> None:
    answer = await console.get("/v1/dead-letters", token)

    assert (answer.status_code, kind(answer)) == (401, "unauthorized")
    assert "Bearer" in answer.headers["WWW-Authenticate"]


async def test_who_may_only_look_may_not_act(console: Console) -> None:
    letter_id = arrive(console)

    for token in (VERA, ADA):
        answers = [
            await edit(console, letter_id, token, terms__description="x"),
            await console.post(f"/v1/dead-letters/{letter_id}/discard", {"why": "x"}, token),
            await console.post("/v1/replays", {"ids": [letter_id], "why": "x"}, token),
        ]
        assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert console.store.tables.actions == []


async def test_viewers_see_neither_links_nor_secrets(console: Console) -> None:
    token = TokenIssued(
        COMMAND.order_id,
        COMMAND.command_id,
        1,
        COMMAND.body_hash,
        "stripe",
        "cs_test_1",
        "https://p.example/c",
        None,
        1,
        None,
    )
    [letter_id] = console.index(letter_record(original(token), group="status_processor"))

    seen = (await console.get(f"/v1/dead-letters/{letter_id}", VERA)).text
    known = (await console.get(f"/v1/dead-letters/{letter_id}", OLGA)).text

    assert "https://p.example/c" not in seen
    assert "https://p.example/c" in known


# ------------------------------------------------------------------------------------------- looking


async def test_letters_are_found_by_order_reason_topic_group_age_and_state(console: Console) -> None:
    first = arrive(console, "A-1", offset=0)
    [second] = console.index(
        letter_record(garbage(), reason="not_json", group="status_processor", offset=1, at=START + 90)
    )
    console.clock.advance(100)

    async def found(**query: object) -> list[str]:
        page = (await console.get("/v1/dead-letters", **query)).json()
        return [letter["id"] for letter in page["data"]]

    assert await found() == [first, second]
    assert await found(order=register("A-1").order_id) == [first]
    assert await found(reason="not_json") == [second]
    assert await found(topic="payments.commands.dlt") == [first, second]
    assert await found(topic="payments.tokens") == []
    assert await found(group="psp_worker") == [first]
    assert await found(older_than_seconds=60) == [first]
    assert await found(newer_than_seconds=60) == [second]
    assert await found(state="discarded") == []


async def test_lists_come_in_pages(console: Console) -> None:
    ids = [arrive(console, f"A-{number}", offset=number, at=START + number) for number in range(3)]

    first = (await console.get("/v1/dead-letters", limit=2)).json()
    rest = (await console.get("/v1/dead-letters", limit=2, starting_after=ids[1])).json()

    assert ([each["id"] for each in first["data"]], first["has_more"]) == (ids[:2], True)
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (ids[2:], False)


async def test_one_letter_is_shown_with_all_that_helps_to_judge_it(console: Console) -> None:
    letter_id = arrive(console)

    shown = (await console.get(f"/v1/dead-letters/{letter_id}")).json()

    assert shown["readable"] == "RegisterPayment"
    assert shown["body"]["content"]["terms"]["amount"] == 1999
    assert shown["next_replay"] == "as_is"
    assert shown["origin"] == "payments.commands/3/0"
    assert ["dlt-reason", "psp_refused"] in shown["headers"]


async def test_bytes_that_are_no_text_are_shown_as_base64(console: Console) -> None:
    [letter_id] = console.index(letter_record(garbage(value=b"\xff\xfe"), reason="not_json"))

    body = (await console.get(f"/v1/dead-letters/{letter_id}")).json()["body"]

    assert (body["encoding"], body["content"], body["size_bytes"]) == ("base64", "//4=", 2)


async def test_an_unknown_letter_is_404(console: Console) -> None:
    assert kind(await console.get("/v1/dead-letters/dl_nothing")) == "unknown_dead_letter"


@pytest.mark.parametrize(
    "query", [{"state": "gone"}, {"limit": 0}, {"order": "a\x00b"}, {"colour": "red"}, {"starting_after": "x"}]
)
async def test_a_wrong_filter_is_named(console: Console, query: dict[str, object]) -> None:
    answer = await console.get("/v1/dead-letters", **query)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == next(iter(query))


# ------------------------------------------------------------------------------------------- editing


async def test_an_edit_is_kept_with_its_differences_and_its_line_in_the_chain(console: Console) -> None:
    letter_id = arrive(console)

    answer = (await edit(console, letter_id, terms__description="Two books")).json()

    assert answer["differences"] == [{"path": "terms.description", "before": None, "after": "Two books"}]
    assert (answer["message"], answer["needs_approval"]) == ("RegisterPayment", False)
    [entry] = console.store.tables.actions
    assert (entry.action.actor, entry.action.action, entry.action.subject) == ("olga", "edit", letter_id)
    assert entry.action.after_hash == answer["edit_hash"]


async def test_an_edit_that_does_not_fit_the_schema_writes_nothing(console: Console) -> None:
    letter_id = arrive(console)

    answer = await edit(console, letter_id, terms__amount=-1)

    assert (answer.status_code, kind(answer)) == (422, "wrong_shape")
    assert console.store.tables.actions == []
    assert console.store.tables.letters[letter_id].edit is None


async def test_money_takes_two_people(console: Console) -> None:
    letter_id = arrive(console)
    made = (await edit(console, letter_id, BOTH, terms__amount=2_500)).json()
    assert made["needs_approval"] is True

    early = await console.post("/v1/replays", {"ids": [letter_id], "why": "x"}, OLGA)
    own = await approve(console, letter_id, made["edit_hash"], BOTH)
    other = await approve(console, letter_id, "0" * 64, ADA)
    assert [kind(early), kind(own), kind(other)] == ["nothing_to_replay", "own_edit", "another_edit"]

    approved = await approve(console, letter_id, made["edit_hash"], ADA)

    assert approved.json()["edit"] == "ready"
    assert [entry.action.action for entry in console.store.tables.actions] == ["edit", "approve"]


async def test_a_new_edit_takes_the_approval_away(console: Console) -> None:
    """What was approved is what is sent, to the byte."""
    letter_id = arrive(console)
    made = (await edit(console, letter_id, terms__amount=2_500)).json()
    await approve(console, letter_id, made["edit_hash"])

    again = (await edit(console, letter_id, terms__amount=9_999)).json()

    assert again["letter"]["edit"] == "needs_approval"
    assert kind(await approve(console, letter_id, made["edit_hash"])) == "another_edit"


async def test_a_withdrawn_edit_is_gone(console: Console) -> None:
    letter_id = arrive(console)
    await edit(console, letter_id, terms__description="x")

    answer = await console.post(f"/v1/dead-letters/{letter_id}/edit/withdraw", {"why": "never mind"})

    assert answer.json()["edit"] == "none"


# ----------------------------------------------------------------------------------------- discarding


@pytest.mark.parametrize("body", [{}, {"why": ""}, {"why": "   "}, {"why": "a\nb"}])
async def test_discarding_needs_a_reason(console: Console, body: dict[str, str]) -> None:
    letter_id = arrive(console)

    assert (await console.post(f"/v1/dead-letters/{letter_id}/discard", body)).status_code == 422
    assert console.store.tables.letters[letter_id].state == "open"


async def test_a_discarded_letter_stays_readable_and_nothing_more_is_done_with_it(console: Console) -> None:
    letter_id = arrive(console)

    answer = await console.post(f"/v1/dead-letters/{letter_id}/discard", {"why": "a test order"})

    assert answer.json()["state"] == "discarded"
    assert (await console.get(f"/v1/dead-letters/{letter_id}")).json()["body"]["encoding"] == "json"
    assert kind(await console.post(f"/v1/dead-letters/{letter_id}/discard", {"why": "again"})) == "discarded"
    assert kind(await console.post("/v1/replays", {"ids": [letter_id], "why": "x"})) == "nothing_to_replay"


# --------------------------------------------------------------------------------------------- edges


@pytest.mark.parametrize("body", [{"why": "x"}, {"why": "x", "ids": []}, {"why": "x", "ids": ["a"], "filter": {}}])
async def test_a_replay_names_one_selection(console: Console, body: dict[str, Any]) -> None:
    assert (await console.post("/v1/replays", body)).status_code == 422


async def test_the_database_away_is_503_and_not_ready(console: Console) -> None:
    console.store.is_away = True

    assert (await console.get("/v1/dead-letters")).status_code == 503
    assert (await console.get("/readyz", None)).status_code == 503


async def test_a_console_that_does_not_read_is_not_ready(console: Console) -> None:
    assert (await console.get("/readyz", None)).status_code == 200
    console.is_reading = False

    assert (await console.get("/readyz", None)).status_code == 503


async def test_a_body_above_the_limit_is_not_read(console: Console) -> None:
    answer = await console.post("/v1/replays", {"why": "x" * BODY_LIMIT_BYTES})

    assert (answer.status_code, kind(answer)) == (413, "body_too_large")
