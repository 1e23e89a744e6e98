"""What a customer sees of us, seldom and briefly: plain HTML, nothing loaded from anywhere, never kept or framed.

Every answer to a browser forbids the referrer: the address holds `t`, which must not travel to the PSP or the shop.
"""

from __future__ import annotations

import string
from html import escape
from urllib.parse import quote

from fastapi import Response

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'",
}
_REFRESH_SECONDS = 2
_TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #1a1f36; background: #f6f8fa; margin: 0;
  min-height: 100vh; display: flex; align-items: center; justify-content: center; }}
main {{ background: #fff; border-radius: 12px; box-shadow: 0 2px 16px rgba(26, 31, 54, .12); padding: 40px;
  max-width: 360px; margin: 16px; text-align: center; }}
h1 {{ font-size: 20px; margin: 0 0 8px; }}
p {{ margin: 0 0 16px; color: #4f566b; }}
small {{ color: #697386; word-break: break-all; }}
a {{ display: inline-block; background: #1a1f36; color: #fff; text-decoration: none; border-radius: 8px;
  padding: 10px 24px; margin: 0 0 16px; }}
.spin {{ width: 32px; height: 32px; margin: 0 auto 20px; border: 3px solid #e3e8ee; border-top-color: #1a1f36;
  border-radius: 50%; animation: turn 1s linear infinite; }}
@keyframes turn {{ to {{ transform: rotate(360deg); }} }}
@media (prefers-reduced-motion: reduce) {{ .spin {{ animation: none; }} }}
</style>
</head>
<body><main>{main}</main></body>
</html>
"""


def see_other(url: str) -> Response:
    """Send the browser on. The URL is sent as it is; only characters that no header may hold are encoded."""
    return Response(status_code=303, headers={**_HEADERS, "Location": quote(url, safe=string.punctuation)})


def waiting(order_id: str, message: str, next_url: str, status: int = 200) -> Response:
    """Return a page that loads `next_url` by itself after a moment."""
    main = f'<div class="spin"></div><h1>One moment</h1><p>{escape(message)}</p><small>{escape(order_id)}</small>'
    # A header, not a meta element: it works with the strictest content policy.
    headers = {"Refresh": f"{_REFRESH_SECONDS}; url={next_url}"}
    if status != 200:  # noqa: PLR2004
        headers["Retry-After"] = str(_REFRESH_SECONDS)
    return _page("One moment", main, status, headers)


def gave_up(reference: str, retry_url: str) -> Response:
    """Return the page that waits no longer: it names the order and offers to try again."""
    main = (
        "<h1>This takes longer than it should</h1><p>Nothing has been charged here. Try again, or ask the shop and"
        f' name this reference.</p><a href="{escape(retry_url)}">Try again</a><br><small>{escape(reference)}</small>'
    )
    return _page("Still waiting", main)


def finished(reference: str, status: str) -> Response:
    """Return the page for a customer whom we cannot send back to the shop."""
    main = f"<h1>Back to the shop</h1><p>Your payment: {escape(status)}.</p><small>{escape(reference)}</small>"
    return _page("Your payment", main)


def not_found() -> Response:
    """Return the page of a link that opens nothing."""
    main = "<h1>This link does not work</h1><p>It belongs to no payment, or to another one. Go back to the shop.</p>"
    return _page("Not found", main, 404)


def _page(title: str, main: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    content = _TEMPLATE.format(title=escape(title), main=main)
    return Response(content, status, {**_HEADERS, **(headers or {})}, "text/html; charset=utf-8")
