"""docs/operations.md: its commands, run in one shell from the first to the last, print what it shows."""

import contextlib
import os
import re
import signal
import socket
import subprocess

import stack

import test_readme

PAGE = stack.ROOT / "docs" / "operations.md"
PORTS = ["7001", "7002", "7003", "7004", "9901"]
SOCKET = "/tmp/sluice-operations.sock"

# Where Redis does the same work with other words, or the machine is another.
VARIES = [
    (r"time=\S+", "time=..."),
    (r"version=\"[^\"]*\"", 'version="..."'),
]


def blurred(text):
    for pattern, replacement in VARIES:
        text = re.sub(pattern, replacement, text)
    return text.strip("\n")


def redis_port():
    """One whose cluster bus (10000 above it) is free too."""
    while True:
        port = stack.free_port()
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port + 10000))
            return str(port)


def run(commands, text, folder, sluice, patience=180):
    """[(command, what it printed)]; the page's ports and socket are others here."""
    ports = {port: redis_port() for port in PORTS}

    def ours(command):
        command = command.replace(SOCKET, f"{folder}/spop.sock").replace("nodes-700?", "nodes-*")
        return re.sub("|".join(PORTS), lambda found: ports[found[0]], command)

    for whole, name in re.findall(r"^```yaml\n(# (\S+\.yml)\n.*?)^```", text, re.M | re.S):
        (folder / name).write_text(ours(whole))
    (folder / "bin").mkdir()
    (folder / "bin" / "sluice").symlink_to(sluice)
    script = "".join(f"printf '\\n@@%d@@\\n' {i}\n{ours(command)}\n" for i, command in enumerate(commands))
    output = folder / "output"
    with open(output, "wb") as written:
        shell = subprocess.Popen(
            ["bash", "-c", script], cwd=folder, stdout=written, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"})
        try:
            shell.wait(patience)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
            for port in PORTS[:4]:
                subprocess.run(["redis-cli", "-p", ports[port], "shutdown", "nosave"],
                               capture_output=True, check=False)
    said = output.read_text()
    theirs = {ours_: theirs for theirs, ours_ in ports.items()}
    printed = re.sub("|".join(theirs), lambda found: theirs[found[0]], said)
    parts = re.split(r"\n@@\d+@@\n", printed)[1:]
    return list(zip(commands, parts)), said


def test_the_page_was_run(bench):
    text = PAGE.read_text()
    shown = test_readme.sessions(text)
    folder = stack.pathlib.Path(bench.directory)
    ran, everything = run([command for command, _ in shown], text, folder, bench.sluice)
    log = folder / "agent.log"
    everything += log.read_text() if log.exists() else ""
    assert len(ran) == len(shown), everything
    for (command, expected), (_, printed) in zip(shown, ran):
        assert blurred(printed) == blurred(expected), f"{command}\n{everything}"
