"""The containers run what the embedded world runs, with the same settings."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from payonce.settings import (
    CheckoutApiSettings,
    OpsConsoleSettings,
    PspWorkerSettings,
    ReconcilerSettings,
    StatusProcessorSettings,
)
from sandbox.world.processes import SERVICE_SETTINGS, SHARED_SETTINGS

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SETTINGS: dict[str, type[BaseSettings]] = {
    "checkout_api": CheckoutApiSettings,
    "psp_worker": PspWorkerSettings,
    "status_processor": StatusProcessorSettings,
    "reconciler": ReconcilerSettings,
    "ops_console": OpsConsoleSettings,
}
REQUIRED = {
    "POSTGRES_PASSWORD": "x",
    "PAYONCE_LINK_SECRETS": "x",
    "STRIPE_SECRET_KEY": "sk_test_x",
}


def ours() -> dict[str, dict[str, Any]]:
    """Compose's services that run a process of ours."""
    return {name: spec for name, spec in COMPOSE["services"].items() if f"services.{name}" in spec.get("command", [])}


def test_compose_runs_the_processes_of_the_embedded_world() -> None:
    assert set(SERVICE_SETTINGS) == set(ours())


@pytest.mark.parametrize("service", sorted(SERVICE_SETTINGS))
def test_a_service_has_the_same_settings_in_both(service: str) -> None:
    assert {*SERVICE_SETTINGS[service], *SHARED_SETTINGS} == set(ours()[service]["environment"])


@pytest.mark.parametrize("service", sorted(SERVICE_SETTINGS))
def test_every_setting_given_is_one_that_the_service_knows(service: str) -> None:
    """A misspelt setting would be ignored in silence."""
    known = {f"PAYONCE_{name.upper()}" for name in SETTINGS[service].model_fields}

    assert set(SERVICE_SETTINGS[service]) <= known


def test_every_folder_under_services_is_a_process_of_the_world() -> None:
    folders = {path.parent.name for path in (ROOT / "services").glob("*/__main__.py")}

    assert set(SERVICE_SETTINGS) == folders


def test_secrets_come_from_the_environment() -> None:
    for service in ours().values():
        for name, value in service["environment"].items():
            if any(word in name for word in ("SECRET", "PASSWORD")):
                assert str(value).startswith("${"), name


def compose_command() -> list[str] | None:
    """Docker's compose plugin or the older stand-alone program; neither needs an engine to check a file."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(command[0])
            and subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0
        ):
            return command
    return None


def test_docker_itself_accepts_the_file() -> None:
    command = compose_command()
    if command is None:
        pytest.skip("docker compose is not installed")

    result = subprocess.run(
        [*command, "config", "--quiet"],
        cwd=ROOT,
        env={**os.environ, **REQUIRED},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.returncode, result.stderr) == (0, "")
