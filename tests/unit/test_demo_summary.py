"""The demo's verdict: any difference at all is a difference."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace

import pytest
from rich.console import Console

from sandbox.demo import psp_books
from sandbox.demo.behaviours import EXPECTED, Behaviour, crowd
from sandbox.demo.display import render
from sandbox.demo.life_lines import LifeLine, in_words, life_lines
from sandbox.demo.lives import LIVES, Lived
from sandbox.demo.summary import Placed, Summary, added, money_expected, summarise
from sandbox.demo.traffic import Traffic

ORDERS = [Placed(f"ord_{n}", kind, 100 + n, "eur" if n % 2 else "jpy") for n, kind in enumerate(crowd(40))]
TRUTH = {order.order_id: EXPECTED[order.behaviour].status for order in ORDERS}
LINES = [
    LifeLine(life, life.status, Counter((kind, life.currency, amount) for kind, amount in life.moves)) for life in LIVES
]
RECEIVED = added(money_expected(ORDERS), *(line.leaves for line in LINES))
ONCE = {order.order_id: 1 for order in ORDERS}


def summary(
    *,
    statuses: dict[str, str] = TRUTH,
    recorded: dict[str, int] = RECEIVED,
    analysed: dict[str, int] = RECEIVED,
    sessions: dict[str, int] = ONCE,
    lives: list[LifeLine] = LINES,
    moved: dict[str, int] = RECEIVED,
) -> Summary:
    return summarise(
        ORDERS,
        statuses,
        recorded=recorded,
        analysed=analysed,
        sessions_per_order=sessions,
        lives=lives,
        further={"movements": moved},
    )


def lives_with(**changes: object) -> list[LifeLine]:
    """The true lines, but for these changes of the first."""
    return [replace(LINES[0], **changes), *LINES[1:]]  # type: ignore[arg-type]


def test_a_true_world_has_no_difference() -> None:
    assert summary().equal


@pytest.mark.parametrize(
    "wrong",
    [
        summary(statuses={**TRUTH, "ord_0": "processing"}),
        summary(statuses={key: value for key, value in TRUTH.items() if key != "ord_0"}),
        summary(recorded={**RECEIVED, "eur": RECEIVED["eur"] - 1}),
        summary(analysed={**RECEIVED, "jpy": RECEIVED["jpy"] + 1}),
        summary(recorded={**RECEIVED, "chf": 1}),
        summary(moved={**RECEIVED, "eur": RECEIVED["eur"] - 1}),
        summary(moved={**RECEIVED, "chf": 1}),
        summary(sessions={**ONCE, "ord_1": 2}),
        summary(lives=lives_with(status="past_due")),
        summary(lives=lives_with(moved=Counter())),
        summary(lives=lives_with(moved=LINES[0].moved + Counter({("reversal", "usd", 1): 1}))),
        summary(lives=lives_with(trouble="the page did not come")),
        replace(summary(), violations=1),
    ],
    ids=[
        "status",
        "missing",
        "recorded",
        "analysed",
        "foreign currency",
        "movement's sum",
        "movement in a foreign currency",
        "second session",
        "a life's status",
        "a life's movement is missing",
        "a movement too many",
        "a life that could not go on",
        "broken guarantee",
    ],
)
def test_any_single_difference_is_found(wrong: Summary) -> None:
    assert not wrong.equal


def test_every_kind_of_customer_is_in_the_crowd() -> None:
    assert set(crowd(20)) == set(Behaviour)


def test_an_order_that_is_not_recorded_is_a_life_that_differs() -> None:
    lived = [Lived(life, f"ord_{number}") for number, life in enumerate(LIVES)]
    (first, *others) = life_lines(lived, {each.order_id: each.life.status for each in lived[1:]}, {})

    assert (first.status, first.equal) == ("(unknown)", False)
    assert [line.equal for line in others] == [not life.moves for life in LIVES[1:]]


@pytest.mark.parametrize(
    ("moved", "words"),
    [
        (Counter(), "nothing"),
        (Counter({("charge", "usd", 900): 2}), "+900 +900 usd"),
        (
            Counter({("refund", "eur", -3_990): 1, ("refund", "eur", -1_000): 1, ("charge", "eur", 4_990): 1}),
            "+4,990 -1,000 -3,990 eur",
        ),
    ],
    ids=["nothing", "twice", "in the order of life"],
)
def test_movements_in_words(moved: Counter[tuple[str, str, int]], words: str) -> None:
    assert in_words(moved) == words


def test_the_psps_books_count_what_refunds_and_disputes_took_and_gave_back() -> None:
    statistics = {
        "payments": {"eur": {"count": 2, "amount": 9_980}, "usd": {"count": 1, "amount": 100}},
        "moved": {"eur": {"refund": -1_000, "dispute": -4_990, "dispute_reversal": 4_990}, "usd": {"refund": -100}},
        "sessions_per_order": {"ord_1": 2, "": 1},
    }

    assert psp_books.money(statistics) == {"eur": 8_980}
    assert psp_books.sessions_per_order(statistics) == {"ord_1": 2}


def test_the_summary_fits_a_terminal_and_says_of_each_line_whether_it_is_equal() -> None:
    screen = io.StringIO()
    true_lives = render(summary(), Traffic(0))
    Console(width=100, file=screen).print(true_lives, render(summary(lives=lives_with(status="past_due")), Traffic(0)))
    text = screen.getvalue()

    lines = len(Behaviour) + len(LIVES) + len(RECEIVED) + 1
    assert (text.count("equal"), text.count("DIFFERENT")) == (2 * lines - 1, 1)
    assert all(text.count(life.name) == 2 for life in LIVES)
    assert all(in_words(line.moved) in text for line in LINES)


def test_what_kept_a_life_from_its_end_is_told() -> None:
    screen = io.StringIO()
    Console(width=100, file=screen).print(render(summary(lives=lives_with(trouble="[/] no page")), Traffic(0)))

    assert "[/] no page" in " ".join(screen.getvalue().split())
