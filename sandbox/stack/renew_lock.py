"""Writes a new `kafka-jars.lock.toml`: run it by hand after changing a version here, and review the diff.

Kafka is resolved alone. Together with another coordinate, each acts as a bill of materials for the other, and
older clients come out without a word.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from sandbox.stack.jars import KAFKA_VERSION, LOCK, sha256_of

BROKER = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}"
LOGGING = ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4")
"""The binding for slf4j-api 1.7, which Kafka has; its version is that of the log4j-core among Kafka's jars."""


def main() -> None:
    """Resolve, hash, and write the lock. Needs the network; takes half a minute."""
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(repo_cache=Path(folder))
        inputs, others = context.resolver.resolve([context.create_dependency(BROKER)])
        group, artifact, version = LOGGING
        found = [dependency.artifact for dependency in (*inputs, *others)]
        found.append(context.project(group, artifact).at_version(version).artifact(packaging="jar"))
        entries = sorted((each.groupId, each.artifactId, each.version, sha256_of(each.resolve())) for each in found)
    LOCK.write_text(render(entries))
    print(f"{LOCK.name}: {len(entries)} jars")


def render(entries: list[tuple[str, str, str, str]]) -> str:
    """Write the lock's text, in jgo's own format, for (group, artifact, version, sha256)."""
    head = f"# The jars of {BROKER} and its logging. Made by `python -m sandbox.stack.renew_lock`.\n"
    return head + "".join(
        f'\n[[dependencies]]\ngroupId = "{group}"\nartifactId = "{artifact}"\nversion = "{version}"\n'
        f'packaging = "jar"\nsha256 = "{digest}"\n'
        for group, artifact, version, digest in entries
    )


if __name__ == "__main__":
    main()
