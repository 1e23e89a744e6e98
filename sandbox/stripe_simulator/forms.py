"""Form bodies and query strings with brackets, as Stripe's clients send them, into nested mappings."""

from __future__ import annotations

from urllib.parse import parse_qsl

from sandbox.stripe_simulator.errors import ApiError, invalid_parameter

# A value is text or a mapping; `a[0]` and `a[]` both make a mapping with digits as keys.
Form = dict[str, "str | Form"]

_FIELDS_MAX = 2_000
_DEPTH_MAX = 8


def decode(text: str) -> Form:
    """Decode `a[b][0]=c`. Raises ApiError (400) for too many fields, too deep nesting and contradictions."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS_MAX)
    except ValueError as error:
        raise ApiError(400, f"Invalid request: {error}") from error
    form: Form = {}
    for name, value in pairs:
        _put(form, name, value)
    return form


def _put(form: Form, name: str, value: str) -> None:
    path = name.replace("]", "").split("[")
    if len(path) > _DEPTH_MAX:
        raise invalid_parameter(name, "Parameters are nested too deeply")
    inner = form
    for step in path[:-1]:
        child = inner.setdefault(step or str(len(inner)), {})
        if isinstance(child, str):
            raise invalid_parameter(name, f"Invalid parameter: {name} is both a value and a hash")
        inner = child
    last = path[-1] or str(len(inner))
    if isinstance(inner.get(last), dict):
        raise invalid_parameter(name, f"Invalid parameter: {name} is both a value and a hash")
    inner[last] = value
