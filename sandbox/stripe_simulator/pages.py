"""Rendering of the simulator's pages: self-contained HTML behind a strict content security policy."""

from __future__ import annotations

import secrets
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

TEMPLATES = Path(__file__).parent / "templates"


class Pages:
    """Renders templates; `framed` pages may stand in another site's page and speak to the simulator alone."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def render(
        self, template: str, context: dict[str, object], status: int = 200, *, framed: bool = False
    ) -> HTMLResponse:
        """Fill a template in. Raises jinja2.UndefinedError for a value that the context lacks."""
        nonce = secrets.token_urlsafe(16)
        around = "frame-ancestors *; connect-src 'self'" if framed else "frame-ancestors 'none'"
        headers = {
            "Content-Security-Policy": (
                f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; {around}"
            ),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        page = self._templates.get_template(template).render({**context, "nonce": nonce})
        return HTMLResponse(page, status, headers)
