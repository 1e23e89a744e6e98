"""The contract as data: topics and message schemas under `schemas/`, loaded once."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SCHEMAS = Path(__file__).resolve().parent.parent / "schemas"
_SCHEMA_FILE = re.compile(r"(?P<name>[A-Za-z]+)\.v(?P<version>\d+)\.schema\.json")
_DAY_MS = 24 * 3600 * 1000
#: More records than a partition ever holds, so that a generation of topics comes after all of the one before. Some
#: thousands of them fit below 2**53, up to which every reader of JSON counts exactly.
_GENERATION = 2**40


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as `schemas/topics.toml` declares it."""

    name: str
    key: str
    partitions: int
    retention_ms: int
    max_message_bytes: int
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    messages: tuple[str, ...]
    #: The topics that this one took over from, one after the other, oldest first.
    before: tuple[str, ...] = ()


@cache
def topics() -> dict[str, Topic]:
    """Return every topic by name. Blocking (reads a file) at the first call."""
    document = tomllib.loads((SCHEMAS / "topics.toml").read_text())
    return {name: _topic(name, {**document["defaults"], **declared}) for name, declared in document["topic"].items()}


def topic_of(message_name: str) -> str:
    """Return the one topic that carries messages of this name."""
    return _topic_by_message()[message_name]


def place_in_log(topic: str, offset: int) -> int:
    """Return where a record stands among all that its key ever had: by the generation of its topic, then its offset.

    In the first generation, and for a topic that nobody declares, that is the offset.
    """
    return _generations().get(topic, (topic, 0))[1] * _GENERATION + offset


def heir_of(topic: str) -> str:
    """Return the topic that has taken over from this one; itself, if it is read today, or was never ours."""
    return _generations().get(topic, (topic, 0))[0]


def has_predecessors(topic: str) -> bool:
    """Return whether it took over from others, so that what its keys had before is not in it."""
    return bool(topics()[topic].before)


def topics_written_by(process: str) -> tuple[str, ...]:
    """Return the topics that this process may publish to."""
    return tuple(name for name, topic in topics().items() if process in topic.writers)


def topics_read_by(process: str) -> tuple[str, ...]:
    """Return the topics that this process subscribes to."""
    return tuple(name for name, topic in topics().items() if process in topic.readers)


@cache
def schema_files() -> dict[tuple[str, int], Path]:
    """Return the schema file of every (message name, version)."""
    found = {}
    for path in sorted((SCHEMAS / "messages").iterdir()):
        if match := _SCHEMA_FILE.fullmatch(path.name):
            found[match["name"], int(match["version"])] = path
    return found


@cache
def example_files() -> dict[tuple[str, int], tuple[Path, ...]]:
    """Return the committed examples of every (message name, version)."""
    return {
        (name, version): tuple(sorted((SCHEMAS / "examples" / f"{name}.v{version}").glob("*.json")))
        for name, version in schema_files()
    }


def current_version(message_name: str) -> int:
    """Return the version that we write today: the highest that has a schema."""
    return max(version for name, version in schema_files() if name == message_name)


@cache
def _generations() -> dict[str, tuple[str, int]]:
    """Return the heir and the number of each topic that there ever was."""
    return {
        name: (topic.name, number)
        for topic in topics().values()
        for number, name in enumerate((*topic.before, topic.name))
    }


@cache
def _topic_by_message() -> dict[str, str]:
    return {message: topic.name for topic in topics().values() for message in topic.messages}


def _topic(name: str, declared: dict[str, object]) -> Topic:
    days = int(str(declared["retention_days"]))
    return Topic(
        name=name,
        key=str(declared["key"]),
        partitions=int(str(declared["partitions"])),
        retention_ms=days * _DAY_MS if days >= 0 else -1,
        max_message_bytes=int(str(declared["max_message_bytes"])),
        writers=_names(declared["writers"]),
        readers=_names(declared["readers"]),
        messages=_names(declared["messages"]),
        before=_names(declared["before"]),
    )


def _names(value: object) -> tuple[str, ...]:
    assert isinstance(value, list)
    return tuple(str(name) for name in value)
