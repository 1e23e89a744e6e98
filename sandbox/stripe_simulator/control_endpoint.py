"""How a call of the control API is answered: JSON in, JSON out, and errors as 400, 404 and 409 with `error`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import orjson
from starlette.responses import Response
from starlette.routing import Route

from sandbox.stripe_simulator.answer import encode
from sandbox.stripe_simulator.errors import ApiError
from sandbox.stripe_simulator.state import WrongStateError

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.stripe_simulator.state import Json

Handler = Callable[["Request", "Json"], object]


def control_route(method: str, path: str, handler: Handler) -> Route:
    """Make the route of one call. A handler raises KeyError for an unknown id and ValueError for wrong input."""
    return Route(path, _endpoint(handler), methods=[method])


def _endpoint(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        raw = await request.body()
        try:
            body = orjson.loads(raw) if raw else {}
            if not isinstance(body, dict):
                return _json({"error": "the body must be a JSON object"}, 400)
            return _json(handler(request, body), 200)
        except WrongStateError as error:
            return _json({"error": str(error)}, 409)
        except ApiError as error:
            return _json({"error": str(error)}, 409 if error.executed else 400)
        except KeyError as error:
            return _json({"error": str(error.args[0])}, 404)
        except (ValueError, TypeError) as error:
            return _json({"error": str(error)}, 400)

    return endpoint


def _json(value: object, status: int) -> Response:
    return Response(encode(value), status, media_type="application/json")
