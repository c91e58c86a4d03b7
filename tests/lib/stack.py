"""Starting and stopping real programs: sluice, HAProxy, a small HTTP API behind it.

Used by the integration tests and by haproxy/demo. Standard library only. Nothing here sleeps and
hopes: every wait is for a condition, has a bound, and says what it waited for.
"""

import collections
import ctypes
import fcntl
import http.client
import http.server
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The agent built with a sanitizer is slow, and so is a shared machine. No test asserts a time:
# these only end a wait for what will never come.
WAIT = 30.0


class Failed(Exception):
    """A program did not do what it was started for. The text is for people."""


def wait_until(condition, what, timeout=WAIT, interval=0.01):
    """Polls until condition() is true, and returns what it returned."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise Failed(f"waited {timeout:g} s in vain for {what}")
        time.sleep(interval)


_ports_given = set()


def free_port():
    """A TCP port that nothing uses on IPv4 or IPv6, from below the range that the kernel gives to
    outgoing connections, so that none of those takes it before the program that was told it.
    SLUICE_PORTS=FROM-TO keeps test runs that go on at the same time out of each other's way."""
    first, last = map(int, os.environ.get("SLUICE_PORTS", "20000-31999").split("-"))
    for _ in range(1000):
        port = random.randint(first, last)
        if port in _ports_given:
            continue
        try:
            for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
                with socket.socket(family, socket.SOCK_STREAM) as probe:
                    probe.bind((address, port))
        except OSError as error:
            if error.errno != 98:  # not "in use": the machine has no IPv6
                _ports_given.add(port)
                return port
            continue
        _ports_given.add(port)
        return port
    raise Failed(f"found no free port from {first} to {last}")


# ---- programs -----------------------------------------------------------------------------------

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def _die_with_parent():
    # Should this process be killed outright, its programs must not stay.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Program:
    """One child process, its output in a file."""

    def __init__(self, name, command, directory, environment=None, pass_fds=()):
        self.name = name
        self.command = [str(word) for word in command]
        self.log_path = pathlib.Path(directory) / f"{name}.log"
        with open(self.log_path, "ab") as output:
            # Where an earlier program of this name left off.
            self.log_start = output.tell()
            # A session of its own: Ctrl-C in the terminal reaches only us, and we stop it in order.
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                pass_fds=pass_fds,
                preexec_fn=_die_with_parent,
            )

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with open(self.log_path, "rb") as file:
            file.seek(self.log_start)
            return file.read().decode(errors="replace")

    def running(self):
        return self.process.poll() is None

    def wait_for_log(self, pattern, what=None, count=1, timeout=WAIT):
        """Until `count` lines of its output match; returns the matches."""
        expression = re.compile(pattern, re.MULTILINE)

        def found():
            matches = list(expression.finditer(self.log()))
            if len(matches) >= count:
                return matches
            if not self.running():
                raise Failed(f"{self.name} ended with {self.process.returncode}:\n{self.log()}")
            return None

        try:
            return wait_until(found, what or f"{pattern!r} in the output of {self.name}", timeout)
        except Failed as error:
            raise Failed(f"{error}\n--- output of {self.name}:\n{self.log()[-4000:]}") from None

    def send_signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=WAIT):
        """Its exit status, once it has ended by itself."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} is still running after {timeout:g} s") from None

    def stop(self, number=signal.SIGTERM, timeout=WAIT):
        """Asks it to end; kills it when it doesn't. Returns its exit status."""
        if self.running():
            self.send_signal(number)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def kill(self):
        if self.running():
            self.process.kill()
            self.process.wait()


# ---- rendering the shipped configuration ---------------------------------------------------------


def replace(text, *pairs):
    """Each (old, new) must occur: a file that has changed shape fails here and not in silence."""
    for old, new in pairs:
        if old not in text:
            raise Failed(f"{old!r} is not in the file any more")
        text = text.replace(old, new)
    return text


def shipped(name):
    return (ROOT / "haproxy" / name).read_text()


# ---- sluice -------------------------------------------------------------------------------------


class ListeningSockets:
    """Listening sockets that programs are given one after the other, as systemd gives those of a
    .socket unit to a service: (address, name) pairs, an address as `listen` in a rule file has it."""

    FIRST = 100  # not below: the program gets them as 3 and on, and bash must not overwrite any

    def __init__(self, *pairs):
        self.fds = []
        self.names = [name for _, name in pairs]
        self.addresses = []
        for address, _ in pairs:
            kind, _, where = address.partition("://")
            if kind == "unix":
                opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                opened.bind("\0" + where[1:] if where[0] == "@" else where)
            else:
                host, _, port = where.rpartition(":")
                opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                opened.bind((host, int(port)))
                address = f"tcp://{host}:{opened.getsockname()[1]}"
            opened.listen(4096)
            self.addresses.append(address)
            with opened:
                self.fds.append(fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, self.FIRST))

    def command(self, command):
        """The command that starts `command` with them."""
        moves = " ".join(f"{3 + i}<&{fd} {fd}<&-" for i, fd in enumerate(self.fds))
        names = ":".join(self.names)
        script = (f'exec {moves}; LISTEN_PID=$$ LISTEN_FDS={len(self.fds)} '
                  f'LISTEN_FDNAMES="{names}" exec "$@"')
        return ["bash", "-c", script, "bash", *command]

    def close(self):
        for fd in self.fds:
            os.close(fd)
        self.fds = []


class Agent(Program):
    """`sluice serve` on a rule file given as text."""

    def __init__(self, binary, rules, directory, name="sluice", arguments=(), environment=None,
                 sockets=None):
        directory = pathlib.Path(directory)
        self.rules_path = directory / f"{name}.yml"
        self.rules_path.write_text(rules)
        command = [binary, "serve", "-c", self.rules_path, *arguments]
        if sockets:
            command = sockets.command(command)
        super().__init__(name, command, directory, environment, sockets.fds if sockets else ())

    def wait_ready(self):
        self.wait_for_log(r'msg="?ready"?', "the agent to be ready")
        return self

    def addresses(self):
        """Where it listens, as `sluice ask` takes it, in the order of the log."""
        return re.findall(r'msg="?listening"? .*?address="?([^" \n]+)', self.log())

    def tcp_address(self):
        return next(a for a in self.addresses() if a.startswith("tcp://"))

    def reload(self, rules):
        """Writes new rules and sends SIGHUP."""
        self.rules_path.write_text(rules)
        self.send_signal(signal.SIGHUP)


# ---- HAProxy ------------------------------------------------------------------------------------


class LogReceiver:
    """Receives what a program logs by syslog's UDP, and adds it to a file, a line of each datagram.

    For HAProxy, whose `log stdout` won't do where a test counts lines: its threads write under one
    lock, and one that finds the lock held tries a few hundred times and then drops its line.
    """

    SO_RCVBUFFORCE = 33  # Linux's; not in Python's module
    BUFFER = 16 << 20  # what a burst may hold that this process is too slow for

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for option in (socket.SO_RCVBUF, self.SO_RCVBUFFORCE):
            try:
                self.socket.setsockopt(socket.SOL_SOCKET, option, self.BUFFER)
            except PermissionError:
                pass  # not root: as much as the system gives to anybody
        self.socket.bind(("127.0.0.1", 0))
        self.address = "%s:%d" % self.socket.getsockname()
        self.thread = threading.Thread(target=self._receive, daemon=True)
        self.thread.start()

    def _receive(self):
        with open(self.path, "ab", buffering=0) as file:
            while line := self.socket.recv(1 << 16):
                file.write(line.rstrip(b"\n") + b"\n")

    def stop(self):
        """Once all that was sent so far is in the file."""
        if self.thread.is_alive():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", self.socket.getsockname())
            self.thread.join(WAIT)
        self.socket.close()


def haproxy_version(binary):
    """(3, 2) of "HAProxy version 3.2.26-1 ..."."""
    try:
        text = subprocess.run(
            [str(binary), "-v"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failed(f"{binary} -v: {error}") from None
    found = re.search(r"version (\d+)\.(\d+)", text)
    if not found:
        raise Failed(f"{binary} -v says nothing of a version: {text!r}")
    return int(found[1]), int(found[2])


def haproxy_file(version):
    """Which of the shipped files is for this version."""
    if version < (2, 6):
        raise Failed(f"HAProxy {version[0]}.{version[1]} is too old, 2.6 is the first that is served")
    return "haproxy.cfg" if version >= (3, 1) else "haproxy-2.6.cfg"


class HAProxy(Program):
    """A real HAProxy with the shipped configuration, other ports and paths put in.

    servers: addresses of agents, as HAProxy writes them (unix@/PATH, 127.0.0.1:PORT).
    config_edits, spoe_edits, tcp_edits: more (old, new) pairs. extra: text appended to the configuration.
    patience: for the three timeouts that an answer must keep, so long that a slow machine doesn't
    turn an answer into an error; None for those shipped.
    """

    receiver = None  # where a configuration of another kind logs elsewhere, or not at all

    def __init__(
        self,
        binary,
        directory,
        servers,
        api_port=1,
        config_edits=(),
        spoe_edits=(),
        extra="",
        tcp_backend_port=None,
        tcp_edits=(),
        patience="20s",
        master=False,
        name="haproxy",
    ):
        directory = pathlib.Path(directory)
        self.version = haproxy_version(binary)
        self.port = free_port()
        self.proxied_port = free_port()
        self.tcp_port = free_port()
        self.stats_path = directory / f"{name}.stats"
        self.config_path = directory / f"{name}.cfg"
        self.spoe_path = directory / f"{name}-spoe.conf"
        listed = "\n".join(f"    server sluice{i + 1} {s}" for i, s in enumerate(servers))
        self.receiver = LogReceiver(directory / f"{name}.log")

        config = replace(
            shipped(haproxy_file(self.version)),
            ("    log /dev/log local0\n", f"    log {self.receiver.address} format raw local0\n"
             f"    stats socket {self.stats_path} mode 600 level admin expose-fd listeners\n"),
            ("    user haproxy\n    group haproxy\n", ""),
            # The second port believes what the client says of its own address, so that a test can
            # come from anywhere.
            ("    bind :80\n", f"    bind 127.0.0.1:{self.port}\n    bind [::1]:{self.port}\n"
             f"    bind 127.0.0.1:{self.proxied_port} accept-proxy\n"),
            ("127.0.0.1:8080", f"127.0.0.1:{api_port}"),
            ("/etc/haproxy/spoe-sluice.conf", str(self.spoe_path)),
            ("    server sluice1 unix@/run/sluice/spop.sock\n", listed + "\n"),
            *config_edits,
        )
        spoe = replace(shipped("spoe-sluice.conf"), *spoe_edits)
        if patience:
            config = replace(config, ("timeout connect 20ms", f"timeout connect {patience}"))
            spoe = replace(
                spoe,
                ("timeout processing 50ms", f"timeout processing {patience}"),
                ("timeout hello 50ms", f"timeout hello {patience}"),
            )
        self.config_path.write_text(config + extra)
        self.spoe_path.write_text(spoe)
        self.files = ["-f", self.config_path]
        if tcp_backend_port:
            tcp_path = directory / f"{name}-tcp.cfg"
            tcp_path.write_text(replace(
                shipped("tcp.cfg"),
                ("bind :5432", f"bind 127.0.0.1:{self.tcp_port}"),
                ("127.0.0.1:15432", f"127.0.0.1:{tcp_backend_port}"),
                ("/etc/haproxy/spoe-sluice.conf", str(self.spoe_path)),
                *tcp_edits,
            ))
            self.files += ["-f", tcp_path]
        self.binary = binary
        self.check()
        super().__init__(name, [binary, "-W" if master else "-db", *self.files], directory)

    def check(self):
        result = subprocess.run(
            [str(self.binary), "-c", *map(str, self.files)], capture_output=True, text=True
        )
        said = result.stdout + result.stderr
        if result.returncode != 0 or "WARNING" in said:
            raise Failed(f"haproxy -c is not content with {self.config_path}:\n{said}")

    def wait_ready(self, servers_up=None):
        """Until it serves, and the agents' health checks have passed (or as many as wanted)."""

        def ready():
            if not self.running():
                raise Failed(f"HAProxy ended with {self.process.returncode}:\n{self.log()}")
            try:
                states = self.server_states()
            except OSError:
                return False
            wanted = len(states) if servers_up is None else servers_up
            return sum(up for up in states.values()) == wanted

        try:
            wait_until(ready, "HAProxy to see its agents up")
        except Failed as error:
            raise Failed(f"{error}\n{self.log()[-4000:]}") from None
        return self

    def stop(self, *arguments, **options):
        status = super().stop(*arguments, **options)
        if self.receiver:
            self.receiver.stop()
        return status

    def ask_stats(self, text):
        """An answer of the stats socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(WAIT)
            client.connect(str(self.stats_path))
            client.sendall(text.encode() + b"\n")
            answer = b""
            while True:
                data = client.recv(1 << 16)
                if not data:
                    return answer.decode()
                answer += data

    def server_states(self):
        """{"sluice1": True} for the agents: up, by a check that passed."""
        rows = self.ask_stats("show stat").splitlines()
        columns = rows[0].lstrip("# ").split(",")
        states = {}
        for row in rows[1:]:
            if not row:
                continue
            cells = dict(zip(columns, row.split(",")))
            if cells["pxname"] == "sluice" and cells["svname"].startswith("sluice"):
                states[cells["svname"]] = (
                    cells["status"] == "UP" and cells["check_status"].endswith("OK")
                )
        return states

    def request(self, path="/api/orders", method="GET", **options):
        return request(self.port, path, method, **options)


# ---- HTTP ---------------------------------------------------------------------------------------

Answer = collections.namedtuple("Answer", "status headers body")


class _ProxiedConnection(http.client.HTTPConnection):
    """Says, with the PROXY protocol, that it comes from another address."""

    claimed = None

    def connect(self):
        super().connect()
        family = "TCP6" if ":" in self.claimed else "TCP4"
        to = "::1" if ":" in self.claimed else "127.0.0.1"
        self.sock.sendall(f"PROXY {family} {self.claimed} {to} 40000 80\r\n".encode())


def request(port, path, method="GET", headers=None, source=None, claimed=None, host="127.0.0.1",
            timeout=WAIT):
    """One request on a connection of its own. source: the address to come from; claimed: the
    address to claim, on a port with accept-proxy. Header names in lower case."""
    kind = _ProxiedConnection if claimed else http.client.HTTPConnection
    connection = kind(
        host, port, timeout=timeout, source_address=(source, 0) if source else None
    )
    if claimed:
        connection.claimed = claimed
    try:
        connection.request(method, path, headers={"Connection": "close", **(headers or {})})
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
        return Answer(
            response.status, {n.lower(): v for n, v in response.getheaders()}, body
        )
    finally:
        connection.close()


class Api:
    """A tiny HTTP API in threads of this process; answers every request with JSON, and the status
    that its header x-answer asks for: 200 without it; with "none" it closes the connection."""

    def __init__(self):
        api = self
        self.lock = threading.Lock()
        self.requests = []  # (method, path) of all that came through
        self.headers = []  # of each of them

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with api.lock:
                    api.requests.append((self.command, self.path))
                    api.headers.append(self.headers)
                status = self.headers.get("X-Answer", "200")
                if status == "none":
                    self.close_connection = True
                    return
                body = b'{"served":"%s"}\n' % self.path.encode()
                head = (
                    f"HTTP/1.1 {status} As-Asked\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n"
                )
                self.wfile.write(head.encode() + body)

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 1024
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a proxy that goes away mid-request is not news

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def count(self):
        with self.lock:
            return len(self.requests)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(WAIT)
