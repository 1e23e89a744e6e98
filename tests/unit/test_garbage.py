"""Whatever lies in a topic, reading it ends in a message or in a reason: nothing else may leave the codec."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.catalog import topics
from payonce.codec import Undecodable, decode
from payonce.dead_letters import REASONS
from payonce.domain.commands import RefundPayment
from payonce.ports import Record
from services.status_processor.reading import Unfoldable, read
from tests.fakes.garbage import FOREIGN, UNRESOLVED, Piece, garbage

TOPICS = ("payments.commands", "payments.tokens", "payments.webhooks")
#: What only the tables can tell.
TOLD_LATER = {FOREIGN, UNRESOLVED, "rejected_by_database"}


def record_of(piece: Piece) -> Record:
    return Record(piece.topic, 0, 0, piece.key, piece.value, piece.headers)


@pytest.mark.parametrize("topic", TOPICS)
def test_every_kind_of_garbage_has_its_reason(topic: str) -> None:
    seen = Counter[str]()
    for piece in garbage(topic, 4_000, keys=[b"ord_aaaaaaaaaaaaaaaaaaaaaaaaaa"]):
        found = read(record_of(piece), group="status_processor", livemode=False)
        seen[piece.reason] += 1
        if piece.reason in TOLD_LATER or "status_processor" not in piece.groups:
            assert not isinstance(found, Unfoldable), (piece, found)
        else:
            assert isinstance(found, Unfoldable), (piece.reason, piece.headers, (piece.value or b"")[:80])
            assert found.reason == piece.reason, (found.error, piece.headers, (piece.value or b"")[:80])

    assert len(seen) >= 5
    assert min(seen.values()) >= 4, "every kind is there"
    assert set(seen) <= {*REASONS, FOREIGN}


def test_the_same_seed_makes_the_same_garbage() -> None:
    first, second = ([*garbage("payments.webhooks", 1_200, keys=[b"k"])] for _ in range(2))

    assert first == second


@given(
    value=st.none()
    | st.binary(max_size=200)
    | st.recursive(st.just("1"), lambda x: x.map("[{}]".format)).map(str.encode),
    kind=st.none() | st.binary(max_size=30) | st.sampled_from([b"payonce.RegisterPayment.v1", b"com.stripe.x"]),
    topic=st.sampled_from(TOPICS),
)
def test_whatever_the_bytes_decoding_gives_a_message_or_a_reason(
    value: bytes | None, kind: bytes | None, topic: str
) -> None:
    headers = () if kind is None else (("ce_type", kind),)
    with suppress(Undecodable):
        decode(Record(topic, 0, 0, b"k", value, headers))


@pytest.mark.parametrize("depth", [10, 250, 260, 1_000, 1_100])
@pytest.mark.parametrize("topic", TOPICS)
def test_what_is_nested_deep_is_refused_not_a_crash(topic: str, depth: int) -> None:
    """The schema validator once gave up on it with an error that ended the process, and the next one after it."""
    document = b'{"a":' * depth + b"1" + b"}" * depth
    kind = f"payonce.{topics()[topic].messages[0]}.v1".encode()

    with pytest.raises(Undecodable):
        decode(Record(topic, 0, 0, b"k", document, (("ce_type", kind),)))


def test_a_psp_event_is_one_on_its_own_topic_only() -> None:
    event = b'{"id":"evt_1","object":"event","type":"x","created":1,"livemode":false,"data":{"object":{}}}'

    with pytest.raises(Undecodable, match="unknown_type"):
        decode(Record("payments.tokens", 0, 0, b"k", event, (("ce_type", b"com.stripe.x"),)))


@pytest.mark.parametrize(("text", "is_refused"), [("\\u0000", True), ("\\\\u0000", False), ("u0000", False)])
def test_nul_in_a_message_of_ours_is_refused_at_the_door(text: str, is_refused: bool) -> None:
    """No text column can hold it: the driver's refusal once ended the worker at every new start."""
    order = "ord_2zu5xyjekiza6zrisdkyseulyu"
    body = (
        f'{{"order_id":"{order}","refund_reference":"{text}","payment":null,"amount":null,"reason":null,'
        '"issued_at":1795000000,"api_version":"2026-10-28.endive"}'
    )
    record = Record(
        "payments.commands", 0, 0, order.encode(), body.encode(), (("ce_type", b"payonce.RefundPayment.v1"),)
    )

    if is_refused:
        with pytest.raises(Undecodable, match="NUL"):
            decode(record)
    else:
        assert isinstance(decode(record), RefundPayment)
