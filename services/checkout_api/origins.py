"""Where a client may send its customers back to: https anywhere it has registered, plain http only on loopback."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, parse_qsl, urlsplit

from services.checkout_api.links import RETURN_PARAMETERS

#: RFC 3986's characters; browsers repair others (a backslash becomes a slash), so the origin would not be what we read.
_URL = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_DEFAULT_PORTS = {"https": 443, "http": 80}


class BadRedirect(ValueError):
    """The redirect URL cannot be used; the message says what to change."""


def origin_of(url: str) -> str:
    """Return scheme://host[:port] in lower case, without a default port. Raises BadRedirect."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadRedirect("is not a URL") from error
    if not _URL.fullmatch(url) or parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise BadRedirect("must be an absolute https URL in ASCII")
    if "@" in parts.netloc:
        raise BadRedirect("must not carry a user name or password")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise BadRedirect("must use https (http is accepted for loopback addresses only)")
    return _origin(parts, port)


def check_redirect(url: str, allowed: frozenset[str]) -> None:
    """Raise BadRedirect unless the URL's origin is allowed and none of its parameters is one that we add."""
    if origin_of(url) not in allowed:
        raise BadRedirect("has an origin that is not among this client's redirect_origins")
    taken = {name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)} & set(RETURN_PARAMETERS)
    if taken:
        raise BadRedirect(f"must not carry parameters that payonce adds: {', '.join(sorted(taken))}")


def _origin(parts: SplitResult, port: int | None) -> str:
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + ("" if port in {None, _DEFAULT_PORTS[parts.scheme]} else f":{port}")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
