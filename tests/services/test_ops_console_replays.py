"""Replays through the console's API on fakes: preview, pace, progress, cancellation, and the chain they leave."""

from __future__ import annotations

import pytest

from payonce.audit import check
from tests.fakes.dead_letters import letter_record
from tests.fakes.ops_console import VERA, Console, approve, arrive, edit
from tests.fakes.virtual_clock import START


@pytest.fixture
def console() -> Console:
    return Console()


async def test_a_dry_run_tells_how_many_how_fast_and_how_long_and_writes_nothing(console: Console) -> None:
    for number in range(20):
        arrive(console, f"A-{number}", offset=number)
    before = console.store.tables

    answer = await console.post("/v1/replays", {"filter": {}, "dry_run": True, "why": "look"})

    preview = answer.json()
    assert (answer.status_code, preview["sending"], preview["by_how"]) == (200, 20, {"as_is": 20})
    assert (preview["commands_per_second"], preview["eta_seconds"]) == (2.0, 10)
    assert console.store.tables == before


async def test_a_replay_sends_at_its_pace_and_tells_how_far_it_is(console: Console) -> None:
    ids = [arrive(console, f"A-{number}", offset=number) for number in range(4)]
    started = await console.post("/v1/replays", {"filter": {"reason": "psp_refused"}, "why": "the PSP is well again"})
    assert (started.status_code, started.json()["items"]) == (202, {"waiting": 4})

    await console.finish_replays()

    status = (await console.get(started.headers["Location"])).json()
    assert (status["state"], status["items"]) == ("finished", {"sent": 4})
    assert console.clock.now() - START == pytest.approx(4 / 2.0)
    assert [record.topic for record in console.log.published] == ["payments.commands"] * 4
    assert {console.store.tables.letters[each].state for each in ids} == {"replayed"}


async def test_a_letter_that_comes_back_is_open_again(console: Console) -> None:
    letter_id = arrive(console)
    await console.post("/v1/replays", {"ids": [letter_id], "why": "x"})
    await console.finish_replays()

    console.index(letter_record(console.log.on("payments.commands")[0], offset=5))

    shown = (await console.get(f"/v1/dead-letters/{letter_id}")).json()
    assert (shown["state"], shown["attempts"]) == ("open", 2)


async def test_a_letter_that_was_sent_edited_shows_what_was_sent_and_keeps_its_own_bytes(console: Console) -> None:
    letter_id = arrive(console)
    assert (await console.get(f"/v1/dead-letters/{letter_id}")).json()["replaced_by"] is None
    made = (await edit(console, letter_id, terms__amount=199)).json()
    await approve(console, letter_id, made["edit_hash"])
    await console.post("/v1/replays", {"ids": [letter_id], "why": "euros, not cents"})
    await console.finish_replays()

    shown = (await console.get(f"/v1/dead-letters/{letter_id}")).json()

    assert (shown["body"]["content"]["terms"]["amount"], shown["edit"]) == (1999, "ready")
    assert shown["replaced_by"]["content"]["terms"]["amount"] == 199


async def test_a_cancelled_replay_sends_nothing_more(console: Console) -> None:
    for number in range(3):
        arrive(console, f"A-{number}", offset=number)
    started = (await console.post("/v1/replays", {"filter": {}, "why": "x"})).json()
    await console.replayer.run_once()

    cancelled = (await console.post(f"/v1/replays/{started['id']}/cancel", {"why": "wrong ones"})).json()
    await console.finish_replays()

    assert (cancelled["state"], cancelled["items"]) == ("cancelled", {"sent": 1, "waiting": 2})
    assert len(console.log.published) == 1


async def test_every_deed_stands_in_a_chain_that_holds_and_reaches_the_topic_in_order(console: Console) -> None:
    first, second = arrive(console, "A-1", offset=0), arrive(console, "A-2", offset=1)
    made = (await edit(console, first, terms__amount=5)).json()
    await approve(console, first, made["edit_hash"])
    await console.post("/v1/replays", {"ids": [first], "why": "fixed"})
    await console.finish_replays()
    await console.post(f"/v1/dead-letters/{second}/discard", {"why": "spam"})

    await console.chores.run_once()

    actions = console.store.tables.actions
    check(actions)
    assert [entry.action.action for entry in actions] == ["edit", "approve", "start_replay", "replay", "discard"]
    anchored = [record.key for record in console.log.published if record.topic == "payments.ops"]
    assert anchored == [b"olga", b"ada", b"olga", b"olga", b"olga"]


async def test_replays_are_listed_newest_first_for_whoever_may_look(console: Console) -> None:
    """Who lost the terminal that started one finds it here, and can cancel it."""
    for number in range(3):
        arrive(console, f"A-{number}", offset=number)
        await console.post("/v1/replays", {"ids": [arrive(console, f"A-{number}", offset=number)], "why": f"{number}"})
        console.clock.advance(1)
    await console.replayer.run_once()
    await console.replayer.run_once()  # the first one has ended

    running = (await console.get("/v1/replays", VERA, state="running")).json()
    page = (await console.get("/v1/replays", VERA, limit=2)).json()
    rest = (await console.get("/v1/replays", VERA, starting_after=page["data"][-1]["id"])).json()

    assert [each["id"] for each in running["data"]] == ["rp_3", "rp_2"]
    assert ([each["why"] for each in page["data"]], page["has_more"]) == (["2", "1"], True)
    assert [(each["id"], each["state"], each["items"]) for each in rest["data"]] == [("rp_1", "finished", {"sent": 1})]
    assert (await console.get("/v1/replays", None)).status_code == 401
    assert (await console.get("/v1/replays", VERA, stat="running")).status_code == 422
