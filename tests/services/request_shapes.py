"""Holds a request against the parameter annotations of the installed stripe package, as `shapes` does with objects.

Stricter than the SDK, which sends what it does not know and leaves enums open. It refuses to guess: an annotation that
it does not know is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from stripe import RequestOptions
from stripe._stripe_object import UntypedStripeObject


def request_findings(request: dict[str, Any], shape: Any, path: str = "") -> list[str]:
    """Return what is wrong with a request: unknown and missing names, wrong types, undocumented values."""
    # The options of a call (its key, its version) are declared beside the parameters, but are none.
    hints = get_type_hints(shape, localns={"StripeContext": object, "Mapping": Mapping})
    kinds = {name: kind for name, kind in hints.items() if name not in RequestOptions.__annotations__}
    found = [f"{path}{name}: missing" for name in sorted(shape.__required_keys__ - request.keys())]
    for name, value in request.items():
        place = f"{path}{name}"
        found += _faults(value, kinds[name], place) if name in kinds else [f"{place}: unknown parameter"]
    return found


def _faults(value: object, kind: Any, path: str) -> list[str]:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Union:
        return _faults_of_union(value, arguments, path)
    if origin is list:
        if not isinstance(value, list):
            return [f"{path}: not a list"]
        return [fault for at, item in enumerate(value) for fault in _faults(item, arguments[0], f"{path}[{at}]")]
    if origin is dict:
        fits = isinstance(value, dict) and all(isinstance(part, str) for pair in value.items() for part in pair)
        return [] if fits else [f"{path}: not a mapping of texts"]
    if origin is Literal:
        return [] if value in arguments else [f"{path}: {value!r} is not documented"]
    return _faults_of_single(value, kind, path)


def _faults_of_single(value: object, kind: Any, path: str) -> list[str]:
    if hasattr(kind, "__required_keys__"):
        return request_findings(value, kind, f"{path}.") if isinstance(value, dict) else [f"{path}: not an object"]
    if kind in {int, str, bool}:
        return [] if type(value) is kind else [f"{path}: {value!r} is not {kind.__name__}"]
    raise TypeError(f"{path}: the checker does not know the annotation {kind!r}")


def _faults_of_union(value: object, arguments: tuple[Any, ...], path: str) -> list[str]:
    """Try every alternative; where the SDK leaves an enum open, only its documented values count here."""
    kinds = [kind for kind in arguments if get_origin(kind) is not UntypedStripeObject]
    if any(get_origin(kind) is Literal for kind in kinds):
        kinds.remove(str)
    return min((_faults(value, kind, path) for kind in kinds), key=len)
