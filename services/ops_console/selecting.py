"""Replays: which letters, what would happen to each, and the beginning and end of the job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from payonce.catalog import topic_of
from payonce.ports.ops import Action, Letter, LetterFilter, OpsTransaction, Replay
from services.ops_console.amending import Rules
from services.ops_console.deeds import Deed, note
from services.ops_console.pacing import ReplayPace
from services.ops_console.planning import Send, Skip, plan
from services.ops_console.refusals import Refused, unknown_letter
from services.ops_console.standing import order_of

#: Letters in one replay. A larger pile is replayed in several goes, each looked at before.
REPLAY_LIMIT = 10_000
_PAGE = 500
_SHOWN = 50
_COMMANDS = topic_of("RegisterPayment")


class Ids(Protocol):
    """Draws ids that nobody has drawn before."""

    def __call__(self) -> str:
        """Return one."""
        ...


@dataclass(frozen=True, slots=True)
class Selection:
    """Letters by id, or all that match and are open."""

    ids: tuple[str, ...] | None = None
    wanted: LetterFilter | None = None


@dataclass(frozen=True, slots=True)
class PlannedLetter:
    """One line of a preview."""

    letter_id: str
    how: str
    note: str | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a replay would do: how many letters go back in which way, how many stay and why, how long it takes."""

    selected: int
    by_how: dict[str, int]
    skipped: dict[str, int]
    commands_per_second: float
    eta_seconds: int
    first: tuple[PlannedLetter, ...]
    letter_ids: tuple[str, ...]

    @property
    def sending(self) -> int:
        """How many letters go back."""
        return sum(self.by_how.values())


def preview(tx: OpsTransaction, selection: Selection, rules: Rules, pace: ReplayPace) -> Preview:
    """Return what a replay of the selection would do now. Writes nothing. Raises Refused."""
    letters = _selected(tx, selection)
    plans = _plans(tx, letters, rules)
    sends = [(letter, each) for letter, each in plans if isinstance(each, Send)]
    commands = sum(each.record.topic == _COMMANDS for _, each in sends)
    return Preview(
        selected=len(letters),
        by_how=dict(Counter(each.how for _, each in sends)),
        skipped=dict(Counter(each.why for _, each in plans if isinstance(each, Skip))),
        commands_per_second=pace.commands,
        eta_seconds=pace.eta_seconds(commands, len(sends) - commands),
        first=tuple(_line(letter, each) for letter, each in plans[:_SHOWN]),
        letter_ids=tuple(letter.letter_id for letter in letters),
    )


def start(tx: OpsTransaction, foreseen: Preview, replay_id: str, deed: Deed) -> Replay:
    """Write the replay down; it begins within a second, or after those before it. Raises Refused."""
    if not foreseen.sending:
        raise Refused("nothing_to_replay", "no letter of the selection can be replayed now; a dry run says why")
    replay = Replay(replay_id, deed.actor, deed.at, deed.why)
    tx.insert_replay(replay, foreseen.letter_ids)
    detail = {"letters": foreseen.selected, "sending": foreseen.sending}
    note(tx, Action(deed.at, deed.actor, "start_replay", replay_id, deed.why, detail=detail))
    return replay


def cancel(tx: OpsTransaction, replay_id: str, deed: Deed) -> Replay:
    """Stop a replay: what was sent stays sent, the rest is not sent. Idempotent. Raises Refused."""
    replay = tx.replay(replay_id)
    if replay is None:
        raise unknown_replay(replay_id)
    if replay.state == "finished":
        raise Refused("finished", "the replay has finished already")
    if replay.state == "cancelled":
        return replay
    stopped = replace(replay, state="cancelled", ended_at=deed.at, cancelled_by=deed.actor)
    tx.save_replay(stopped)
    left = tx.item_counts(replay_id).get("waiting", 0)
    note(tx, Action(deed.at, deed.actor, "cancel_replay", replay_id, deed.why, detail={"not_sent": left}))
    return stopped


def unknown_replay(replay_id: str) -> Refused:
    """Return the refusal for an id that nobody has."""
    return Refused("unknown_replay", f"there is no replay {replay_id}", status=404)


def _plans(tx: OpsTransaction, letters: Sequence[Letter], rules: Rules) -> list[tuple[Letter, Send | Skip]]:
    orders = {letter.letter_id: order_of(letter) or "" for letter in letters}
    ledger = tx.ledger_of(list(orders.values()))
    groups: dict[str, list[Letter]] = {}
    for letter in tx.letters_from([letter.origin for letter in letters]):
        groups.setdefault(letter.origin, []).append(letter)
    plans = []
    for letter in letters:
        others = [other for other in groups[letter.origin] if other.letter_id != letter.letter_id]
        plans.append((letter, plan(letter, ledger.get(orders[letter.letter_id], ()), rules, others)))
    return plans


def _selected(tx: OpsTransaction, selection: Selection) -> Sequence[Letter]:
    if selection.ids is not None:
        found = tx.lock_letters(selection.ids)
        for letter_id in selection.ids:
            if letter_id not in found:
                raise unknown_letter(letter_id)
        return [found[letter_id] for letter_id in dict.fromkeys(selection.ids)]
    return _matching(tx, replace(selection.wanted or LetterFilter(), state="open"))


def _matching(tx: OpsTransaction, wanted: LetterFilter) -> Sequence[Letter]:
    letters: list[Letter] = []
    while len(letters) <= REPLAY_LIMIT:
        page = tx.letters(wanted, limit=_PAGE, after=letters[-1].letter_id if letters else None)
        letters += page
        if len(page) < _PAGE:
            return letters
    raise Refused("too_many", f"more than {REPLAY_LIMIT} letters match: narrow the selection", status=422)


def _line(letter: Letter, planned: Send | Skip) -> PlannedLetter:
    if isinstance(planned, Skip):
        return PlannedLetter(letter.letter_id, "skipped", planned.why)
    return PlannedLetter(letter.letter_id, planned.how, planned.note)
