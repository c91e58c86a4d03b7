"""`sluice bench` against the agent, its own do-nothing agent, and agents that misbehave."""

import contextlib
import json
import signal
import socket
import subprocess
import threading

import pytest
import spop
import stack

RULES = """
rules:
  - name: client
    key: [ src/64 ]
    limits: [ { limit: 3, window: 1d, algorithm: fixed-window } ]
"""


class Floor(stack.Program):
    def __init__(self, bench, address):
        super().__init__("floor", [bench.sluice, "bench", "--floor", address], bench.directory)
        bench.programs.append(self)
        self.address = self.wait_for_log(r"^listening (.*)$")[0][1]


def load(bench, *arguments):
    """The result of a load in which everything was answered."""
    done = bench.run("bench", *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


# ---- loads ---------------------------------------------------------------------------------------


def test_agent_counts_each_request_once(bench):
    """40 keys of 3 units each, asked for 10 times each."""
    agent = bench.agent(RULES)
    found = load(bench, agent.addresses()[0], "--count", 400, "--keys", 40, "--in-turn",
                 "--pid", agent.pid)
    assert (found["asked"], found["answered"], found["unanswered"]) == (400, 400, 0)
    assert (found["allowed"], found["refused"], found["undecided"]) == (120, 280, 0)
    assert found["sources"] == {"memory": 400}
    assert found["agent"]["cpu_seconds"] > 0
    assert found["agent"]["resident_bytes"] > 1 << 20


def test_result_has_these_keys(bench):
    floor = Floor(bench, "tcp://127.0.0.1:0")
    found = load(bench, floor.address, "--count", 1000, "--connections", 2, "--in-flight", 5,
                 "--keys", 7, "--zipf", 1.2, "--pid", floor.pid)
    usage = {"cpu_seconds", "user_seconds", "system_seconds", "cpu_us_per_request",
             "resident_bytes"}
    assert set(found.pop("generator")) == usage
    assert set(found.pop("agent")) == usage
    latency = found.pop("latency_us")
    assert set(latency) == {"p50", "p90", "p99", "p99_9", "p99_99", "longest", "mean", "precision"}
    assert 0 < latency["p50"] <= latency["p99_99"] <= latency["longest"]
    assert found.pop("seconds") > 0 and found.pop("answers_per_second") > 0
    assert found == {
        "loop": "closed", "connections": 2, "in_flight": 5, "rate": 0, "keys": 7, "order": "zipf",
        "exponent": 1.2, "asked": 1000, "answered": 1000, "unanswered": 0, "allowed": 1000,
        "refused": 0, "undecided": 0, "sources": {},
    }


@pytest.mark.parametrize("in_flight", [1, 240, 241, 4096])
def test_more_in_flight_than_sockets_hold(bench, in_flight):
    floor = Floor(bench, f"unix://{bench.socket('floor')}")
    long = "x" * 2000
    found = load(bench, floor.address, "--count", 20000, "--in-flight", in_flight, "--connections",
                 3, f"a={long}", "k={key}")
    assert found["allowed"] == 20000


def test_open_loop_asks_what_was_due(bench):
    floor = Floor(bench, "tcp://127.0.0.1:0")
    found = load(bench, floor.address, "--rate", 2000, "--duration", "500ms")
    assert (found["loop"], found["asked"], found["answered"]) == ("open", 1000, 1000)


def test_a_stalled_agent_shows_in_the_percentiles(bench):
    floor = Floor(bench, f"unix://{bench.socket('floor')}")
    with subprocess.Popen(
        [bench.sluice, "bench", floor.address, "--rate", "1000", "--duration", "3s", "--timeout",
         "30s", "--in-flight", "2", "--connections", "1", "--json", "--progress"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:
        running.stderr.readline()
        floor.send_signal(signal.SIGSTOP)
        # Lines are a second apart: between the two next, a thousand requests are due.
        running.stderr.readline()
        running.stderr.readline()
        floor.send_signal(signal.SIGCONT)
        found = json.loads(running.communicate(timeout=stack.WAIT)[0])
    assert (found["asked"], found["unanswered"]) == (3000, 0)
    # With two in flight, a closed loop would have had two long times.
    assert found["latency_us"]["p90"] > 100_000


def test_a_signal_ends_it_with_what_it_has(bench):
    floor = Floor(bench, f"unix://{bench.socket('floor')}")
    with subprocess.Popen(
        [bench.sluice, "bench", floor.address, "--duration", "1h", "--json", "--progress"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:
        running.stderr.readline()
        running.send_signal(signal.SIGINT)
        found = json.loads(running.communicate(timeout=stack.WAIT)[0])
        assert running.returncode == 0
    assert found["answered"] == found["asked"] > 0


def test_people_are_told_the_same(bench):
    agent = bench.agent(RULES)
    done = bench.run("bench", agent.addresses()[0], "--count", 10, "--keys", 1, "--pid", agent.pid,
                     "src=192.0.2.1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 allowed, 7 refused; 0 without an answer" in done.stdout
    assert "memory 10" in done.stdout
    assert "of CPU a decision" in done.stdout


# ---- the do-nothing agent ------------------------------------------------------------------------


def test_floor_is_an_agent_to_haproxy(bench, haproxy_binary):
    Floor(bench, f"unix://{bench.socket('sluice')}")
    haproxy = bench.haproxy(haproxy_binary)
    for _ in range(20):
        assert haproxy.request().status == 200
    haproxy.wait_for_log(r" rule=- source=- .* error=- id=", count=20)


def test_floor_keeps_to_the_protocol(bench):
    floor = Floor(bench, f"unix://{bench.socket('floor')}")
    with spop.Connection(floor.address) as connection:
        connection.hello()
        assert connection.ask({"a": "b"}) == {"allow": True, "deny": False}
        connection.send(b"\xff\xff\xff\xff")
        connection.expect_disconnect()
    assert bench.run("ask", floor.address, "a=b").stdout == "allow=true\ndeny=false\n"
    floor.send_signal(signal.SIGTERM)
    assert floor.wait() == 0


# ---- what goes wrong -----------------------------------------------------------------------------


@contextlib.contextmanager
def agent_that(play):
    """An agent on TCP whose connections are each handed to play(socket); its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection = listener.accept()[0]
                    with connection, contextlib.suppress(OSError):
                        play(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(stack.WAIT)


def agent_hello(capabilities="pipelining", size=16380):
    return spop.encode_frame(
        spop.AGENT_HELLO,
        spop.encode_pairs([("version", "2.0"), ("max-frame-size", spop.UInt32(size)),
                           ("capabilities", capabilities)]),
    )


def plays(*parts):
    """Sends each part once it has received something; then waits for the other to close."""
    def play(connection):
        for part in parts:
            connection.recv(65536)
            connection.sendall(part)
        while connection.recv(65536):
            pass
    return play


ACK = spop.encode_frame(spop.ACK, b"", stream=0, frame=1)


@pytest.mark.parametrize("parts, said", [
    ((spop.encode_frame(102, spop.encode_pairs([("status-code", spop.UInt32(13)),
                                                ("message", "no")])),),
     "the agent disconnected: 13 (resource allocation error)"),
    ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), "the agent broke the protocol: 3 (frame is too big)"),
    ((agent_hello(capabilities=""),), "the agent doesn't do pipelining, expected --in-flight 1"),
    ((agent_hello(size=256),), "the arguments are larger than a frame of 256 bytes"),
    ((agent_hello(), ACK + ACK), "the agent answered on stream 0, on which nothing was asked"),
    ((agent_hello(), spop.encode_frame(spop.ACK, b"", stream=20, frame=1)),
     "the agent answered on stream 20, on which nothing was asked"),
    ((agent_hello(), spop.encode_frame(spop.ACK, b"\x01\x03\x02", stream=0, frame=1)),
     "an answer is malformed: "),
])
def test_an_agent_that_misbehaves_is_an_error(bench, parts, said):
    with agent_that(plays(*parts)) as address:
        done = bench.run("bench", address, "--connections", 1, "--count", 1, "a=" + "b" * 300)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(f"sluice bench: {address}: {said}"), done.stderr


def test_an_agent_that_leaves_is_an_error(bench):
    def play(connection):
        connection.recv(65536)
        connection.sendall(agent_hello())
        connection.recv(65536)

    with agent_that(play) as address:
        done = bench.run("bench", address, "--connections", 1)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the agent closed the connection" in done.stderr


def test_an_agent_that_says_no_hello_is_an_error(bench):
    with agent_that(plays(b"")) as address:
        done = bench.run("bench", address, "--connections", 1, "--timeout", "100ms")
    assert done.returncode == 1
    assert done.stderr == f"sluice bench: {address}: the agent didn't answer the HELLO in time\n"


@pytest.mark.parametrize("rate", [[], ["--rate", 1000]], ids=["closed", "open"])
def test_requests_without_an_answer_are_told(bench, rate):
    with agent_that(plays(agent_hello())) as address:
        done = bench.run("bench", address, "--connections", 1, "--in-flight", 5, "--count", 50,
                         "--timeout", "200ms", "--json", *rate)
    found = json.loads(done.stdout)
    lost = 50 if rate else 5
    assert done.returncode == 1
    assert done.stderr == f"sluice bench: {address}: {lost} requests got no answer\n"
    assert (found["asked"], found["answered"], found["unanswered"]) == (lost, 0, lost)
    assert found["latency_us"]["p50"] > 100_000


def test_no_agent_is_an_error(bench):
    address = f"unix://{bench.socket('nobody')}"
    done = bench.run("bench", address)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"sluice bench: {address}: connect: ")
    done = bench.run("bench", "--floor", f"unix://{bench.directory}/no/where")
    assert done.returncode == 1 and "bind" in done.stderr


def test_a_process_that_is_not_there_is_an_error(bench):
    floor = Floor(bench, f"unix://{bench.socket('floor')}")
    done = bench.run("bench", floor.address, "--pid", 2**22 + 1)
    assert done.returncode == 1
    assert "there is no process 4194305" in done.stderr


@pytest.mark.parametrize("arguments, said", [
    ([], "ADDRESS: expected an agent's address"),
    (["nowhere"], "nowhere: expected "),
    (["--rate", "x", "unix:///x"], "--rate x: expected requests a second, 1 to 100000000"),
    (["--connections", "0", "unix:///x"], "--connections 0: expected from 1 to 1024"),
    (["--connections=1025", "unix:///x"], "--connections 1025: expected from 1 to 1024"),
    (["--in-flight", "4097", "unix:///x"], "--in-flight 4097: expected from 1 to 4096"),
    (["--keys", "100000001", "unix:///x"], "--keys 100000001: expected from 1 to 100000000"),
    (["--duration", "10", "unix:///x"], "--duration 10: expected a duration with its unit"),
    (["--duration", "2d", "unix:///x"], "--duration 2d: expected a duration with its unit"),
    (["--timeout", "0s", "unix:///x"], "--timeout 0s: expected a duration"),
    (["--zipf", "0", "unix:///x"], "--zipf 0: expected an exponent above 0, up to 10"),
    (["--zipf", "nan", "unix:///x"], "--zipf nan: expected an exponent"),
    (["--zipf", "1x", "unix:///x"], "--zipf 1x: expected an exponent"),
    (["--message", "", "unix:///x"], "--message : expected a name"),
    (["unix:///x", "a:int64={key}"], "a:int64={key}: expected NAME=VALUE"),
    (["unix:///x", "a:ipv4=1"], "a:ipv4=1: expected NAME=VALUE"),
    (["--floor", "unix:///x", "a=b"], "a=b: expected no argument but the address"),
])
def test_wrong_command_lines_are_told(bench, arguments, said):
    done = bench.run("bench", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"sluice bench: {said}"), done.stderr


def test_help(bench):
    done = bench.run("bench", "--help")
    assert done.returncode == 0 and "--in-flight" in done.stdout
    done = bench.run("bench", "--what")
    assert done.returncode == 2 and "--in-flight" in done.stderr
