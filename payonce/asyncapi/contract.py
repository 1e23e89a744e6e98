"""What the document is made from, read once."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import orjson

from payonce.catalog import Topic, example_files, schema_files, topics

#: Any JSON document.
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MessageVersion:
    """One version of a message: its name, its JSON Schema, and the bodies that are kept as examples of it."""

    name: str
    version: int
    schema: Json
    examples: tuple[tuple[str, bytes], ...]

    @property
    def id(self) -> str:
        """Return what the document calls it."""
        return f"{self.name}.v{self.version}"


@dataclass(frozen=True, slots=True)
class Contract:
    """The topics and every version of the messages that they carry; `release` is payonce's own version."""

    release: str
    topics: tuple[Topic, ...]
    messages: tuple[MessageVersion, ...]

    def carried_by(self, topic: Topic) -> tuple[MessageVersion, ...]:
        """Return every version of the topic's messages: readers know them all as long as they may lie there."""
        return tuple(message for message in self.messages if message.name in topic.messages)

    def written_to(self, topic: Topic) -> tuple[MessageVersion, ...]:
        """Return the versions that are written today: the highest of each."""
        carried = self.carried_by(topic)
        newest = {message.name: message.version for message in sorted(carried, key=lambda each: each.version)}
        return tuple(message for message in carried if newest[message.name] == message.version)


def read_contract() -> Contract:
    """Return the contract as `schemas/` has it. Blocking: reads files."""
    examples = example_files()
    return Contract(
        release=_release(),
        topics=tuple(topics().values()),
        messages=tuple(
            MessageVersion(
                name=name,
                version=number,
                schema=orjson.loads(path.read_bytes()),
                examples=tuple((each.stem, each.read_bytes()) for each in examples[name, number]),
            )
            for (name, number), path in schema_files().items()
        ),
    )


def _release() -> str:
    try:
        return version("payonce")
    except PackageNotFoundError:  # run from a checkout
        return "0"
