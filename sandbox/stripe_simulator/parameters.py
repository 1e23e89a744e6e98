"""Typed reading of a request's parameters. Every refusal names the parameter as Stripe does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.stripe_simulator import errors

if TYPE_CHECKING:
    from collections.abc import Collection

    from sandbox.stripe_simulator.forms import Form

_METADATA_KEYS_MAX = 50
_METADATA_KEY_LENGTH_MAX = 40
_METADATA_VALUE_LENGTH_MAX = 500


class Parameters:
    """One level of a request's parameters; anything outside `allowed` is refused at once."""

    def __init__(self, form: Form, allowed: Collection[str], path: str = "") -> None:
        self._form = form
        self._path = path
        unknown = [self.name(key) for key in form if key not in allowed]
        if unknown:
            raise errors.unknown_parameters(unknown)

    def __contains__(self, key: str) -> bool:
        return key in self._form

    def name(self, key: str) -> str:
        return f"{self._path}[{key}]" if self._path else key

    def is_hash(self, key: str) -> bool:
        return isinstance(self._form.get(key), dict)

    def string(self, key: str, *, length_max: int = 5000) -> str | None:
        """Text, or None when it is absent or empty (an empty value unsets at Stripe)."""
        value = self._form.get(key)
        if isinstance(value, dict):
            raise errors.invalid_parameter(self.name(key), f"Invalid string: {self.name(key)} is a hash")
        if value and len(value) > length_max:
            message = f"Invalid string: {value[:10]}...; must be at most {length_max} characters"
            raise errors.invalid_parameter(self.name(key), message)
        return value or None

    def required(self, key: str) -> str:
        value = self.string(key)
        if value is None:
            raise errors.missing_parameter(self.name(key))
        return value

    def integer(self, key: str) -> int | None:
        value = self.string(key)
        if value is None:
            return None
        if not value.removeprefix("-").isascii() or not value.removeprefix("-").isdigit() or len(value) > 15:  # noqa: PLR2004 - beyond every amount and time
            message = f"Invalid integer: {value[:20]}"
            raise errors.invalid_parameter(self.name(key), message, "parameter_invalid_integer")
        return int(value)

    def choice(self, key: str, allowed: Collection[str], default: str | None = None) -> str | None:
        value = self.string(key) or default
        if value is not None and value not in allowed:
            listed = ", ".join(sorted(allowed))
            message = f"Invalid {self.name(key)}: must be one of {listed}"
            raise errors.invalid_parameter(self.name(key), message)
        return value

    def boolean(self, key: str) -> bool | None:
        value = self.choice(key, ("true", "false"))
        return None if value is None else value == "true"

    def url(self, key: str) -> str | None:
        value = self.string(key, length_max=5000)
        if value is not None and not value.startswith(("https://", "http://")):
            raise errors.invalid_parameter(self.name(key), "Not a valid URL", "url_invalid")
        return value

    def child(self, key: str, allowed: Collection[str]) -> Parameters | None:
        value = self._form.get(key)
        if value is None or value == "":
            return None
        if isinstance(value, str):
            raise errors.invalid_parameter(self.name(key), "Invalid hash", "parameter_invalid_hash")
        return Parameters(value, allowed, self.name(key))

    def children(self, key: str, allowed: Collection[str]) -> list[Parameters]:
        """Read the hashes of an array, in the order of their indexes."""
        name = self.name(key)
        elements = []
        for index, value in self._array(key):
            if isinstance(value, str):
                raise errors.invalid_parameter(f"{name}[{index}]", "Invalid hash")
            elements.append(Parameters(value, allowed, f"{name}[{index}]"))
        return elements

    def strings(self, key: str) -> list[str]:
        values = [value for _, value in self._array(key)]
        if not all(isinstance(value, str) for value in values):
            raise errors.invalid_parameter(self.name(key), "Invalid array of strings")
        return [value for value in values if isinstance(value, str)]

    def metadata(self, key: str) -> dict[str, str]:
        values = self._form.get(key) or {}
        if isinstance(values, str):
            raise errors.invalid_parameter(self.name(key), "Invalid hash", "parameter_invalid_hash")
        if len(values) > _METADATA_KEYS_MAX:
            message = f"You can only have up to {_METADATA_KEYS_MAX} metadata keys"
            raise errors.invalid_parameter(self.name(key), message)
        return {name: self._metadata_value(f"{self.name(key)}[{name}]", name, value) for name, value in values.items()}

    def _metadata_value(self, path: str, name: str, value: str | Form) -> str:
        if isinstance(value, dict):
            raise errors.invalid_parameter(path, "Metadata values must be strings")
        if len(name) > _METADATA_KEY_LENGTH_MAX:
            message = f"Metadata keys can be at most {_METADATA_KEY_LENGTH_MAX} characters"
            raise errors.invalid_parameter(path, message)
        if len(value) > _METADATA_VALUE_LENGTH_MAX:
            message = f"Metadata values can be at most {_METADATA_VALUE_LENGTH_MAX} characters"
            raise errors.invalid_parameter(path, message)
        return value

    def _array(self, key: str) -> list[tuple[int, str | Form]]:
        value = self._form.get(key)
        if value is None or value == "":
            return []
        if isinstance(value, str) or not all(index.isascii() and index.isdigit() for index in value):
            raise errors.invalid_parameter(self.name(key), "Invalid array", "parameter_invalid_array")
        return sorted((int(index), element) for index, element in value.items())
