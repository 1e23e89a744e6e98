"""`python -m sandbox.demo_shop`: the shop on 127.0.0.1 until Ctrl-C or SIGTERM; settings from SHOP_* variables."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import uvicorn

from sandbox.demo_shop.api_client import CheckoutApi
from sandbox.demo_shop.app import create_app
from sandbox.demo_shop.settings import SettingMissing, Settings, read_settings


def main() -> int:
    """Serve; 2 when a setting is missing, with a sentence that names it."""
    try:
        settings = read_settings(os.environ)
    except SettingMissing as error:
        print(f"the demo shop did not start: {error}", file=sys.stderr)
        return 2
    # uvicorn ends on these, and then raises them once more for whoever listened before: nobody needs to.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    asyncio.run(_serve(settings))
    return 0


async def _serve(settings: Settings) -> None:
    async with CheckoutApi(settings.api_url, settings.api_key) as api:
        app = create_app(settings, api)
        config = uvicorn.Config(app, host="127.0.0.1", port=settings.port, log_level="warning", access_log=False)
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    sys.exit(main())
