"""What a world tells its demo shop: where the PSP's card fields come from, if the PSP is its own simulator."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

from sandbox.demo_shop.settings import read_settings
from sandbox.world.credentials import Credentials
from sandbox.world.options import WorldOptions
from sandbox.world.plan import make_plan


def shop_of(options: WorldOptions, folder: Path) -> tuple[Mapping[str, str], str | None]:
    """Return the shop's environment and the simulator's address."""
    ports = itertools.count(20_000)
    plan = make_plan(
        options,
        Credentials(),
        bootstrap="127.0.0.1:29092",
        database_url="postgresql+psycopg2://payonce@127.0.0.1:25432/payonce",
        take_port=lambda: next(ports),
        folder=folder,
    )
    return next(spec.env for spec in plan.specs if spec.name == "demo_shop"), plan.addresses.simulator_url


def test_the_shop_has_the_card_fields_of_the_simulator(tmp_path: Path) -> None:
    environment, simulator_url = shop_of(WorldOptions(with_shop=True), tmp_path)
    card_fields = read_settings(environment).card_fields

    assert card_fields is not None
    assert card_fields.host == simulator_url
    assert card_fields.script_url == f"{simulator_url}/js/stripe.js"


def test_with_another_psp_the_environment_has_to_say_where_its_fields_are(tmp_path: Path) -> None:
    environment, simulator_url = shop_of(WorldOptions(with_shop=True, stripe_secret_key="sk_test_x"), tmp_path)

    assert simulator_url is None
    assert read_settings(environment).card_fields is None
