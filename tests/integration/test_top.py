"""sluice top: as a person sees it on a terminal, and as plain text."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import admin
import redis
import stack

from test_admin import ADMIN, LOGIN, RULES, asker, with_token

FRAME = re.compile(rb"\x1b\[H(.*?)\x1b\[K\x1b\[J", re.DOTALL)

ENTER = b"\x1b[?1049h\x1b[?25l\x1b[?7l"
LEAVE = b"\x1b[?7h\x1b[?25h\x1b[?1049l"


class Terminal:
    """`sluice top` on a terminal of this size."""

    def __init__(self, bench, *arguments, rows=24, columns=80):
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.written = b""
        self.resize(rows, columns)

        def be_controlled():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [bench.sluice, "top", *arguments], stdin=slave, stdout=slave, stderr=subprocess.PIPE,
            preexec_fn=be_controlled)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        os.close(self.master)
        os.close(self.slave)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            self.written += os.read(self.master, 1 << 16)
        return self.written

    def lines(self):
        """Of the last whole picture, without what makes titles stand out."""
        frames = FRAME.findall(self.read())
        text = re.sub(rb"\x1b\[[0-9;]*[mK]", b"", frames[-1]) if frames else b""
        assert not re.search(rb"[^ -~\r\n]", text), text
        return re.split("\r+\n", text.decode()) # the terminal puts a \r of its own

    def wait_for(self, pattern):
        return stack.wait_until(lambda: re.search(pattern, "\n".join(self.lines()), re.MULTILINE),
                                f"{pattern!r} on the terminal")

    def press(self, key):
        os.write(self.master, key.encode())

    def end(self):
        """Its exit status, once it has given the terminal back."""
        stack.wait_until(lambda: self.read() and self.process.poll() is not None, "it to end")
        self.read()
        assert self.written.count(ENTER) == self.written.count(LEAVE)
        assert self.written.endswith(LEAVE)
        assert termios.tcgetattr(self.slave) == self.before
        return self.process.returncode


@contextlib.contextmanager
def asked(agent):
    """Somebody who asks all the time."""
    ends = threading.Event()

    def ask():
        with asker(agent) as connection:
            while not ends.wait(0.002):
                connection.ask(LOGIN)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


def where(agent):
    return f"127.0.0.1:{admin.port(agent)}"


# ---- plain text ----------------------------------------------------------------------------------


def test_once(bench):
    agent = bench.agent(ADMIN + RULES)
    with asked(agent):
        said = bench.run("top", where(agent), "--once", "--interval", "0.5")
    assert (said.returncode, said.stderr) == (0, "")
    assert re.fullmatch(r"[ -~\n]*", said.stdout)
    head, totals, limits, _, title, *rows = said.stdout.split("\n")
    assert re.fullmatch(r"sluice \S+  store memory, ok  agents 1", head)
    refused = re.fullmatch(r"decisions ([0-9.]+)/s  refused ([0-9.]+)/s \((\S+)%\)  "
                           r"shadow [0-9.]+/s  delayed 0\.0/s  fallbacks 0\.0/s", totals)
    assert refused, totals
    assert float(refused[1]) > 0 and float(refused[2]) > 0 and float(refused[3]) > 50
    assert re.fullmatch(r"connections 1 of \d+  keys \d+ of 1000000", limits)
    assert title.split() == ["RULE", "DECISIONS/S", "REFUSED/S", "SHARE", "SHADOW/S", "DELAYED/S"]
    assert [row.split()[0] for row in rows[:3]] == ["login", "tenant", "probes"]
    assert re.fullmatch(r"login +[0-9.]+ +[0-9.]+ +[0-9.]+% +0\.0 +0\.0", rows[0])
    assert rows[3] == "" and rows[4].startswith("KEY ")


def test_once_with_redis(bench):
    with redis.Server(bench.directory) as server:
        agent = bench.agent(
            ADMIN + f"store: {{ mode: single, nodes: [ {server.address} ], deadline: 10s, "
            "instance_id: edge-1 }\n" + RULES)
        stack.wait_until(lambda: admin.request(agent, "/health/distributed").status == 200,
                         "the workers to be connected")
        said = bench.run("top", where(agent), "--once", "--interval", "0.1").stdout
        assert re.search(r"^sluice \S+  edge-1  store single, ok  agents 1$", said, re.MULTILINE)
        assert "  shards 1, 1 up  breakers 1 closed, 0 half-open, 0 open\n" in said
        server.kill()
        stack.wait_until(lambda: admin.request(agent, "/health/distributed").status == 503,
                         "it to be told")
        said = bench.run("top", where(agent), "--once", "--interval", "0.1").stdout
        assert "store single, degraded" in said and "shards 1, 0 up" in said


def test_the_token(bench):
    setting, secret = with_token(bench)
    agent = bench.agent(setting + RULES)
    said = bench.run("top", where(agent), "--once", "--token-file", secret, "--interval", "0.1")
    assert said.returncode == 0 and "login" in said.stdout
    said = bench.run("top", where(agent), "--once")
    assert said.returncode == 1 and "the token is missing or wrong" in said.stderr


def test_a_wrong_command_line(bench):
    for arguments, expected in (
        ([], "one admin address"),
        (["a:1", "b:2"], "one admin address"),
        (["x:y:z"], "x:y:z: expected"),
        (["a:1", "--interval", "0"], "0: expected seconds from 0.1 to 3600"),
        (["a:1", "--interval", "2s"], "2s: expected seconds"),
        (["a:1", "--interval", "nan"], "nan: expected seconds"),
        (["a:1", "--nonsense"], "usage: sluice top ADMIN"),
    ):
        said = bench.run("top", *arguments)
        assert said.returncode == 2 and expected in said.stderr, said.stderr
    said = bench.run("top", "--help")
    assert said.returncode == 0 and said.stdout.startswith("usage: sluice top ADMIN")
    said = bench.run("top", "127.0.0.1:1")
    assert said.returncode == 1 and "no terminal: --once needs none" in said.stderr
    said = bench.run("top", f"127.0.0.1:{stack.free_port()}", "--once")
    assert said.returncode == 1 and "Connection refused" in said.stderr


# ---- on a terminal -------------------------------------------------------------------------------


def test_it_shows_and_ends(bench):
    agent = bench.agent(ADMIN + RULES)
    with asked(agent), Terminal(bench, where(agent), "--interval", "0.1") as terminal:
        terminal.wait_for(r"^decisions [1-9].*refused [1-9]")
        terminal.wait_for(r"^login .*%")
        lines = terminal.lines()
        assert len(lines) <= 24 and max(map(len, lines)) <= 80
        assert lines[-1] == "q quits; sorted by refusals: r by requests"
        terminal.press("r")
        terminal.wait_for("sorted by requests: d by refusals")
        terminal.press("d")
        terminal.wait_for("sorted by refusals")
        terminal.press("q")
        assert terminal.end() == 0


def test_signals_end_it(bench):
    agent = bench.agent(ADMIN + RULES)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with Terminal(bench, where(agent), "--interval", "3600") as terminal:
            terminal.wait_for("^login")
            terminal.process.send_signal(number)
            assert terminal.end() == 0
    # Ctrl-C, as the terminal sends it.
    with Terminal(bench, where(agent), "--interval", "3600") as terminal:
        terminal.wait_for("^login")
        terminal.press("\x03")
        assert terminal.end() == 0


def test_it_fits_whatever_size(bench):
    many = "rules:\n" + "".join(
        f"  - {{ name: a-rule-with-a-long-name-{i}, key: [ src ], limits: {{ limit: 1, window: 1m }} }}\n"
        for i in range(200))
    agent = bench.agent(ADMIN + many)
    with Terminal(bench, where(agent), "--interval", "3600", rows=30, columns=100) as terminal:
        terminal.wait_for("^a-rule")
        assert len(terminal.lines()) == 30
        for rows, columns in ((10, 40), (1, 1), (3, 20), (50, 200), (24, 80)):
            terminal.resize(rows, columns)
            stack.wait_until(
                lambda rows=rows, columns=columns: len(terminal.lines()) == rows and
                max(map(len, terminal.lines())) <= columns,
                f"{rows} rows and {columns} columns")
        terminal.press("q")
        assert terminal.end() == 0


def test_it_is_stopped_and_goes_on(bench):
    agent = bench.agent(ADMIN + RULES)
    with Terminal(bench, where(agent), "--interval", "3600") as terminal:
        terminal.wait_for("^login")
        terminal.press("\x1a")

        def is_stopped():
            with open(f"/proc/{terminal.process.pid}/stat") as file:
                return file.read().rpartition(")")[2].split()[0] == "T"

        stack.wait_until(is_stopped, "it to be stopped")
        assert terminal.read().endswith(LEAVE)
        assert termios.tcgetattr(terminal.slave) == terminal.before
        terminal.process.send_signal(signal.SIGCONT)
        stack.wait_until(lambda: FRAME.search(terminal.read().rpartition(LEAVE)[2]), "a picture")
        terminal.press("q")
        assert terminal.end() == 0


def test_an_agent_that_goes_away_and_comes_back(bench):
    port = stack.free_port()
    text = f'admin: "tcp://127.0.0.1:{port}"\n' + RULES
    agent = bench.agent(text)
    with Terminal(bench, f"127.0.0.1:{port}", "--interval", "0.1") as terminal:
        terminal.wait_for("^login")
        agent.stop()
        terminal.wait_for(r"^NO ANSWER, what is shown is old: .*refused")
        terminal.wait_for("^login")
        agent = bench.agent(text)
        stack.wait_until(lambda: not re.search("NO ANSWER", "\n".join(terminal.lines())),
                         "the agent's return")
        terminal.press("q")
        assert terminal.end() == 0


# ---- agents that mean no good --------------------------------------------------------------------


class Liar:
    """An admin server that answers all questions the same, and to some never."""

    def __init__(self, body, silent_after=None):
        self.body = json.dumps(body).encode()
        self.silent_after = silent_after
        self.held = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        answered = 0
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.server.accept()
                client.recv(4096)
                if self.silent_after is not None and answered >= self.silent_after:
                    self.held.append(client)
                    continue
                answered += 1
                client.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + self.body)
                client.close()

    def close(self):
        self.server.close()
        for client in self.held:
            client.close()


def test_nothing_that_is_said_reaches_the_terminal_as_an_order(bench):
    evil = "\x1b]0;owned\x07\x1b[2J\r\n\u009b31m" + "x" * 300
    liar = Liar({"version": evil, "status": evil, "store": evil, "instance_id": evil,
                 "decisions": {"allowed": "many", "refused": -1}, "agents": 1e300,
                 "rules": [{"rule": evil, "refused": 5}, 7, None],
                 "keys": [{"rule": evil, "key": evil, "requests_per_second": "x"}, []],
                 "shards": [None, {"breaker": evil}, "x"]})
    said = bench.run("top", liar.address, "--once", "--interval", "0.1")
    assert said.returncode == 0 and re.fullmatch(r"[ -~\n]*", said.stdout)
    with Terminal(bench, liar.address, "--interval", "0.1") as terminal:
        terminal.wait_for("^sluice")
        terminal.press("q")
        assert terminal.end() == 0
    liar.close()


def test_an_agent_without_an_answer_does_not_keep_it(bench):
    """Keys are obeyed although the agent is silent."""
    liar = Liar({"version": "1"}, silent_after=3)
    with Terminal(bench, liar.address, "--interval", "0.1") as terminal:
        terminal.wait_for("^sluice")
        stack.wait_until(lambda: liar.held, "a question without an answer")
        begun = time.monotonic()
        terminal.press("q")
        assert terminal.end() == 0
        # It would be 5 s, were it waited for; this asserts no time but that.
        assert time.monotonic() - begun < 5
    liar.close()
