"""Why something that an operator asks for is not done. `kind` is stable, the text says what to change."""

from __future__ import annotations


class Refused(Exception):
    """Nothing was written."""

    def __init__(self, kind: str, detail: str, *, status: int = 409, field: str | None = None) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
        self.status = status
        self.field = field


def unknown_letter(letter_id: str) -> Refused:
    """Return the refusal for an id that nobody has."""
    return Refused("unknown_dead_letter", f"there is no dead letter {letter_id}", status=404)
