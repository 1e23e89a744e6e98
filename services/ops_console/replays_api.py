"""The replay resource: preview, start, list, progress, cancel."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from payonce.ports.ops import OpsTransaction, Replay
from payonce.problem_documents import documented
from services.ops_console import selecting, showing
from services.ops_console.access import Acting, Viewer
from services.ops_console.deeds import Deed
from services.ops_console.dependencies import Dependencies, Parts
from services.ops_console.letters_api import wanted_letters
from services.ops_console.payloads import (
    Name,
    ReplayList,
    ReplayPreview,
    ReplayRequest,
    ReplaysQuery,
    ReplayStatus,
    WhyRequest,
)
from services.ops_console.selecting import Preview, Selection

_SKIPPED_SHOWN = 50
router = APIRouter(prefix="/v1/replays", tags=["replays"])

ReplayId = Annotated[Name, Path(description="Id of a replay, rp_...")]


@router.post(
    "",
    status_code=202,
    response_model=ReplayStatus | ReplayPreview,
    responses={200: {"model": ReplayPreview, "description": "A dry run"}, **documented(400, 401, 403, 404, 422, 503)},
)
async def replay_dead_letters(
    request: ReplayRequest, operator: Acting, parts: Parts, response: Response
) -> ReplayStatus | ReplayPreview:
    """Send dead letters again, at the share of the PSP's limit that replays may take; or say what would happen."""
    selection, rules = _selection(request, parts), parts.rules()
    if request.dry_run:
        response.status_code = 200
        preview = await parts.store.run(lambda tx: selecting.preview(tx, selection, rules, parts.pace))
        return showing.preview_shown(preview)
    deed = Deed(operator.id, parts.now(), request.why)
    replay_id = parts.new_id()

    def begin(tx: OpsTransaction) -> tuple[Replay, Preview]:
        preview = selecting.preview(tx, selection, rules, parts.pace)
        return selecting.start(tx, preview, replay_id, deed), preview

    replay, preview = await parts.store.run(begin)
    response.headers["Location"] = f"/v1/replays/{replay_id}"
    return showing.replay_shown(replay, {"waiting": preview.selected}, (), preview.eta_seconds)


@router.get("", responses=documented(401, 403, 422, 503))
async def list_replays(_: Viewer, parts: Parts, asked: Annotated[ReplaysQuery, Query()]) -> ReplayList:
    """List replays, the newest first: what runs, and who started it."""
    return await parts.store.run(lambda tx: _page(tx, asked))


@router.get("/{replay_id}", responses=documented(401, 403, 404, 503))
async def get_replay(replay_id: ReplayId, _: Viewer, parts: Parts) -> ReplayStatus:
    """Say how far a replay is."""
    return await parts.store.run(lambda tx: _status(tx, replay_id))


@router.post("/{replay_id}/cancel", responses=documented(401, 403, 404, 409, 422, 503))
async def cancel_replay(replay_id: ReplayId, request: WhyRequest, operator: Acting, parts: Parts) -> ReplayStatus:
    """Stop a replay: what was sent stays sent, the rest is not sent."""
    deed = Deed(operator.id, parts.now(), request.why)

    def stop(tx: OpsTransaction) -> ReplayStatus:
        selecting.cancel(tx, replay_id, deed)
        return _status(tx, replay_id)

    return await parts.store.run(stop)


def _selection(request: ReplayRequest, parts: Dependencies) -> Selection:
    if request.ids is not None:
        return Selection(ids=tuple(request.ids))
    asked = request.filter
    assert asked is not None, "the request has one of them"
    return Selection(wanted=wanted_letters(asked, parts.now()))


def _page(tx: OpsTransaction, asked: ReplaysQuery) -> ReplayList:
    found = tx.replays(limit=asked.limit + 1, state=asked.state, after=asked.starting_after)
    page = found[: asked.limit]
    return ReplayList(
        data=[showing.replay_shown(replay, tx.item_counts(replay.replay_id), ()) for replay in page],
        has_more=len(found) > asked.limit,
    )


def _status(tx: OpsTransaction, replay_id: str) -> ReplayStatus:
    replay = tx.replay(replay_id)
    if replay is None:
        raise selecting.unknown_replay(replay_id)
    return showing.replay_shown(replay, tx.item_counts(replay_id), tx.skipped_items(replay_id, _SKIPPED_SHOWN))
