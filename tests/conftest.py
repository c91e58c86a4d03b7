"""Fixtures: the agent under test, real HAProxys, and what stands around them.

    SLUICE_BINARY      the agent (default: build/release/agent/sluice)
    HAPROXY_VERSIONS   which to test with (default: "2.6 3.0 3.2")

A test fails also when an agent that it started left a sanitizer's report or did not end with 0.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lib"))

# What they assert is told as what a test asserts is.
pytest.register_assert_rewrite("fleet", "outages", "scenarios")

import stack  # noqa: E402

VERSIONS = os.environ.get("HAPROXY_VERSIONS", "2.6 3.0 3.2").split()

REPORT = re.compile(
    r"^.*(ERROR: AddressSanitizer|ERROR: LeakSanitizer|WARNING: ThreadSanitizer|runtime error:"
    r"|Assertion .* failed|Sanitizer:DEADLYSIGNAL).*$",
    re.MULTILINE,
)

SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    if report.when == "call":
        item.failed_in_call = report.failed


@pytest.fixture(scope="session")
def sluice():
    """The path of the agent under test."""
    path = pathlib.Path(
        os.environ.get("SLUICE_BINARY") or ROOT / "build" / "release" / "agent" / "sluice"
    )
    if not os.access(path, os.X_OK):
        pytest.exit(f"there is no agent at {path}: build it, or set SLUICE_BINARY", 2)
    return path.resolve()


_haproxies = {}


@pytest.fixture(params=VERSIONS, ids=lambda version: f"haproxy-{version}")
def haproxy_binary(request):
    """A real HAProxy of each version; a test that takes it runs once for each."""
    version = request.param
    if version not in _haproxies:
        made = subprocess.run(
            [ROOT / "tests" / "lib" / "haproxy-versions", version], capture_output=True, text=True
        )
        _haproxies[version] = (made.returncode, made.stdout.strip(), made.stderr.strip())
    status, path, complaint = _haproxies[version]
    if status != 0:
        pytest.fail(f"no HAProxy {version}: {complaint}")
    return path


class Bench:
    """Starts what a test needs, in a folder of its own, and ends it all."""

    def __init__(self, sluice, directory):
        self.sluice = sluice
        self.directory = directory
        self.programs = []
        self.apis = []

    def socket(self, name="spop"):
        return f"{self.directory}/{name}.sock"

    def agent(self, rules, name="sluice", arguments=(), ready=True, environment=None,
              sockets=None):
        """`rules` without `listen` get a unix socket, self.socket(name), and a TCP port."""
        if "listen:" not in rules:
            rules = (
                f'listen: [ "unix://{self.socket(name)}", "tcp://127.0.0.1:0" ]\n'
                "workers: 2\n" + rules
            )
        agent = stack.Agent(
            self.sluice, rules, self.directory, name, arguments,
            {**SANITIZERS, **(environment or {})}, sockets,
        )
        agent.expected_status = 0
        self.programs.append(agent)
        return agent.wait_ready() if ready else agent

    def haproxy(self, binary, servers=None, ready=True, **options):
        if servers is None:
            servers = [f"unix@{self.socket('sluice')}"]
        if "api_port" not in options:
            options["api_port"] = self.api().port
        haproxy = stack.HAProxy(binary, self.directory, servers, **options)
        self.programs.append(haproxy)
        return haproxy.wait_ready() if ready else haproxy

    def api(self):
        if not self.apis:
            self.apis.append(stack.Api())
        return self.apis[0]

    def run(self, *arguments, timeout=stack.WAIT):
        """A sluice command that ends by itself: its CompletedProcess, output as text."""
        return subprocess.run(
            [self.sluice, *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
            env={**os.environ, **SANITIZERS}, stdin=subprocess.DEVNULL,
        )

    def close(self):
        """Ends everything; returns what was wrong with how it ended."""
        problems = []
        for program in reversed(self.programs):
            status = program.stop()
            if isinstance(program, stack.Agent):
                report = REPORT.search(program.log())
                if report:
                    problems.append(f"{program.name} reported: {report[0].strip()}")
                if status != program.expected_status:
                    problems.append(
                        f"{program.name} ended with {status}, not {program.expected_status}"
                    )
        for api in self.apis:
            api.stop()
        return problems

    def logs(self):
        return "\n".join(
            f"--- {program.name} ({program.log_path.name})\n{program.log()[-20000:]}"
            for program in self.programs
        )


@pytest.fixture
def bench(sluice, request):
    # Not pytest's tmp_path: a unix socket's path must fit 107 bytes.
    directory = tempfile.mkdtemp(prefix="sluice-test.")
    made = Bench(sluice, directory)
    request.node.failed_in_call = False
    try:
        yield made
    finally:
        problems = made.close()
        if problems or request.node.failed_in_call:
            print(made.logs())
        shutil.rmtree(directory, ignore_errors=True)
    if problems:
        pytest.fail("; ".join(problems))


def killed(agent):
    """Kills it outright, which its exit status then shows."""
    agent.kill()
    agent.expected_status = -signal.SIGKILL
