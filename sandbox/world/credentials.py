"""Secrets of one world, drawn anew each time, and the files of clients and operators, which know only their hashes."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

CLIENT_ID = "demo-shop"


def _token(prefix: str) -> str:
    return f"{prefix}{secrets.token_hex(24)}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """One client app's API key and return secret, the webhook's and the checkout links' secret, the PSP's key.

    `ops_token` is an operator's who may act, `approver_token` another's who may approve.
    """

    api_key: str = field(default_factory=lambda: _token("pk_"))
    return_secret: str = field(default_factory=lambda: _token("rs_"))
    link_secret: str = field(default_factory=lambda: _token("ls_"))
    webhook_secret: str = field(default_factory=lambda: _token("whsec_"))
    stripe_secret_key: str = field(default_factory=lambda: _token("sk_test_"))
    ops_token: str = field(default_factory=lambda: _token("ot_"))
    approver_token: str = field(default_factory=lambda: _token("ot_"))


def write_operators_file(path: Path, credentials: Credentials) -> None:
    """Write the two operators of the world: one acts, the other approves."""
    entries = (
        ("olga", "Olga Operator", credentials.ops_token, ("viewer", "operator")),
        ("ada", "Ada Approver", credentials.approver_token, ("viewer", "approver")),
    )
    path.write_text(
        "\n".join(
            f"""[[operator]]
id = "{name}"
name = "{full_name}"
token_hashes = ["sha256:{hashlib.sha256(token.encode()).hexdigest()}"]
roles = {json.dumps(roles)}
"""
            for name, full_name, token, roles in entries
        )
    )


def write_clients_file(path: Path, credentials: Credentials, redirect_origins: tuple[str, ...]) -> None:
    """Write the one client app of the world: its key hashed, its return secret in a file beside it."""
    return_secret = path.with_name(f"{CLIENT_ID}.return")
    return_secret.touch(0o600)
    return_secret.write_text(credentials.return_secret)
    digest = hashlib.sha256(credentials.api_key.encode()).hexdigest()
    origins = ", ".join(f'"{origin}"' for origin in redirect_origins)
    path.write_text(
        f"""[[client]]
id = "{CLIENT_ID}"
name = "Demo shop"
key_hashes = ["sha256:{digest}"]
scopes = ["orders:write", "orders:read"]
redirect_origins = [{origins}]
rate_limit_per_second = 5000
return_secret = {json.dumps(f"file:{return_secret}")}
"""
    )
