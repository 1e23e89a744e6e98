"""The supervisor keeps processes running, and lets none survive it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sandbox.stack.cache import Cache
from sandbox.stack.ports import PortLease
from sandbox.supervisor import GENTLE_SECONDS, ProcessFailed, ProcessSpec, Supervisor, backoff_seconds
from services.psp_worker.timing import STOP_SECONDS, STORE_SECONDS
from services.status_processor import __main__ as status_processor

ROOT = Path(__file__).parents[2]
SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
BUSY = "import time\nwhile time.process_time() < 0.4: pass\ntime.sleep(600)"
SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Supervisor(tmp_path / "logs") as supervisor:
        yield supervisor


def program(code: str, *arguments: str, name: str = "service", **options: object) -> ProcessSpec:
    argv = (sys.executable, "-I", "-S", "-c", code, *arguments)
    return ProcessSpec(name, argv, {}, **options)  # type: ignore[arg-type]


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def started(supervisor: Supervisor, spec: ProcessSpec) -> int:
    """Start it and wait for its first line, which proves that it runs our code."""
    supervisor.start(spec)
    log = supervisor.log_path(spec.name)
    eventually(lambda: log.exists() and "up" in log.read_text(), "the first line")
    pid = supervisor.pid(spec.name)
    assert pid is not None
    return pid


def test_killed_process_runs_again_under_a_new_pid(supervisor: Supervisor) -> None:
    first = started(supervisor, program(SLEEPER))

    assert first == supervisor.kill("service")
    assert is_gone(first)
    eventually(lambda: supervisor.pid("service") not in {None, first}, "the restart")
    assert supervisor.restarts("service") == 1


def test_stopped_process_stays_down(supervisor: Supervisor) -> None:
    pid = started(supervisor, program(SLEEPER))

    supervisor.stop("service")
    supervisor.run_once()

    assert is_gone(pid)
    assert supervisor.pid("service") is None
    assert supervisor.restarts("service") == 0


def test_process_that_ignores_sigterm_is_killed(supervisor: Supervisor) -> None:
    pid = started(supervisor, program(STUBBORN))

    supervisor.stop("service", timeout_seconds=0.1)

    assert is_gone(pid)


def test_a_service_has_the_time_that_it_takes_itself_to_end() -> None:
    """What is killed while it finishes its work has ended for a reason that no test and no chaos run has asked for."""
    assert GENTLE_SECONDS > STOP_SECONDS + STORE_SECONDS
    assert GENTLE_SECONDS > status_processor._STOP_SECONDS


def test_held_process_resumes_without_counting_as_restart(supervisor: Supervisor) -> None:
    first = started(supervisor, program(SLEEPER))

    supervisor.hold("service")
    assert supervisor.pid("service") is None
    supervisor.resume("service")

    assert supervisor.pid("service") not in {None, first}
    assert supervisor.restarts("service") == 0


def test_one_shot_process_is_not_restarted(supervisor: Supervisor) -> None:
    supervisor.start(program("pass", restart=False))
    eventually(lambda: supervisor.pid("service") is None, "the end")
    supervisor.run_once()

    assert supervisor.pid("service") is None
    assert supervisor.restarts("service") == 0


def test_ready_once_the_url_answers_200(supervisor: Supervisor, tmp_path: Path) -> None:
    lease = PortLease(Cache(tmp_path))
    port = lease.take()
    supervisor.start(program(SERVER, str(port), ready_url=f"http://127.0.0.1:{port}/readyz"))

    supervisor.wait_ready("service", 20)

    lease.release()
    assert supervisor.pid("service") is not None


def test_answer_other_than_200_is_not_ready(supervisor: Supervisor, tmp_path: Path) -> None:
    lease = PortLease(Cache(tmp_path))
    port = lease.take()
    supervisor.start(program(SERVER, str(port), ready_url=f"http://127.0.0.1:{port}/elsewhere"))

    with pytest.raises(ProcessFailed, match="not ready within"):
        supervisor.wait_ready("service", 0.5)

    lease.release()


def test_process_that_keeps_ending_is_reported_with_its_log(supervisor: Supervisor) -> None:
    supervisor.start(program("raise SystemExit('topic missing')", ready_url="http://127.0.0.1:9/"))

    with pytest.raises(ProcessFailed, match=r"exit code 1(.|\n)*topic missing"):
        supervisor.wait_ready("service", 30)


def test_one_shot_process_that_ended_is_reported_at_once(supervisor: Supervisor) -> None:
    supervisor.start(program("raise SystemExit('no settings')", restart=False, ready_url="http://127.0.0.1:9/"))

    with pytest.raises(ProcessFailed, match="no settings"):
        supervisor.wait_ready("service", 30)


def test_name_in_use_is_refused(supervisor: Supervisor) -> None:
    started(supervisor, program(SLEEPER))

    with pytest.raises(ValueError, match="running already"):
        supervisor.start(program(SLEEPER))


def test_missing_program_is_refused_at_the_start(supervisor: Supervisor) -> None:
    with pytest.raises(FileNotFoundError):
        supervisor.start(ProcessSpec("service", ("/nowhere/at-all",), {}))

    assert supervisor.pid("service") is None


def test_killing_a_process_that_is_down_is_an_error(supervisor: Supervisor) -> None:
    started(supervisor, program(SLEEPER))
    supervisor.hold("service")

    with pytest.raises(ProcessLookupError):
        supervisor.kill("service")


def test_environment_is_handed_on(supervisor: Supervisor) -> None:
    spec = program("import os; print('up', os.environ['SHOP'], flush=True)", restart=False)
    supervisor.start(ProcessSpec(spec.name, spec.argv, {"SHOP": "one"}, restart=False))

    eventually(lambda: "up one" in supervisor.log_path("service").read_text(), "the line")


def test_cpu_time_of_earlier_incarnations_counts(supervisor: Supervisor) -> None:
    supervisor.start(program(BUSY))
    eventually(lambda: supervisor.cpu_seconds("service") >= 0.3, "the first one's work")
    supervisor.kill("service")

    eventually(lambda: supervisor.cpu_seconds("service") >= 0.6, "both ones' work")


def test_events_tell_what_happened(tmp_path: Path) -> None:
    events: list[str] = []
    with Supervisor(tmp_path, events.append) as supervisor:
        started(supervisor, program(SLEEPER))
        supervisor.kill("service")
        eventually(lambda: supervisor.restarts("service") == 1, "the restart")
        eventually(lambda: len(events) >= 3, "the events")

    assert [event.partition(",")[0] for event in events[:3]] == [
        "service started",
        f"service ended: exit code {-signal.SIGKILL}",
        "service started",
    ]


def test_backoff_grows_to_its_limit() -> None:
    assert [backoff_seconds(ends) for ends in range(1, 8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert backoff_seconds(10_000) == 5.0


def test_stop_all_ends_everything_and_may_be_called_twice(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    pids = [started(supervisor, program(SLEEPER, name=name)) for name in ("one", "two")]

    supervisor.stop_all()
    supervisor.stop_all()

    assert all(is_gone(pid) for pid in pids)


def test_children_and_grandchildren_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    """SIGKILL gives the parent no chance to clean up; the guard does."""
    code = """
import subprocess, sys, time
from pathlib import Path
from sandbox.supervisor import ProcessSpec, Supervisor
inner = "import subprocess, sys; p = subprocess.Popen(['sleep', '600']); print('up', p.pid, flush=True); p.wait()"
supervisor = Supervisor(Path(sys.argv[1]))
supervisor.start(ProcessSpec("service", (sys.executable, "-c", inner), {}))
print(supervisor.pid("service"), flush=True)
time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        log = tmp_path / "service.log"
        eventually(lambda: log.exists() and "up" in log.read_text(), "the grandchild")
        grandchild = int(log.read_text().split()[1])
        parent.kill()

    eventually(lambda: is_gone(child), "the child's end")
    eventually(lambda: is_gone(grandchild), "the grandchild's end")
