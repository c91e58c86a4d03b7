"""The agent's side of SPOP, spoken to directly by a client written from the specification."""

import ipaddress
import random
import socket
import struct
import time

import pytest
import spop
import stack

RULES = """
rules:
  - name: client
    key: [ src ]
    limits: [ { limit: 1000000, window: 1d, algorithm: fixed-window } ]
"""
SRC = ipaddress.ip_address("192.0.2.1")
ASK = {"src": SRC, "path": "/"}


@pytest.fixture
def agent(bench):
    return bench.agent(RULES)


@pytest.fixture(params=["unix", "tcp"])
def address(request, bench, agent):
    if request.param == "unix":
        return f"unix://{bench.socket('sluice')}"
    return agent.tcp_address()


@pytest.fixture
def tcp(agent):
    return agent.tcp_address()


@pytest.fixture
def bystander(agent):
    """Another connection, which must be served whatever happens on the one under test."""
    with spop.Connection(agent.tcp_address()) as connection:
        connection.hello()
        assert connection.ask(ASK)["allow"] is True
        yield connection
        assert connection.ask(ASK)["allow"] is True


# ---- handshake -----------------------------------------------------------------------------------


def test_hello_and_ask(address):
    with spop.Connection(address) as connection:
        hello = connection.hello(max_frame_size=16380)
        assert hello == {"version": "2.0", "max-frame-size": 16380, "capabilities": "pipelining"}
        answer = connection.ask(ASK)
        assert answer["allow"] is True and answer["deny"] is False
        assert answer["rule"] == "client" and answer["limit"] == 1000000
        assert answer["remaining"] == 999999
        assert answer["source"] == "memory"
        assert answer["ratelimit"].startswith('"client";r=999999;t=')
        assert answer["ratelimit_policy"] == '"client";q=1000000;w=86400'
        assert "retry_after" not in answer


def test_frame_size_is_the_smaller_of_both(tcp):
    for theirs, agreed in ((256, 256), (16380, 16380), (65532, 65532), (1 << 20, 65532)):
        with spop.Connection(tcp) as connection:
            assert connection.hello(max_frame_size=theirs)["max-frame-size"] == agreed


def test_smallest_frames_hold_the_decision(tcp):
    with spop.Connection(tcp) as connection:
        connection.hello(max_frame_size=256)
        connection.notify({"src": SRC})
        frame = connection.receive()
        assert frame.size <= 256
        assert frame.variables()["txn.allow"] is True
        assert frame.variables()["txn.deny"] is False


def test_versions_as_haproxy_may_list_them(tcp):
    for versions in ("2.0", " 1.5 , 2.0 ", "3.0,2.0", "2.7"):
        with spop.Connection(tcp) as connection:
            assert connection.hello(versions=versions)["version"] == "2.0"


@pytest.mark.parametrize("capabilities", ["", "pipelining", "async,pipelining,unheard-of"])
@pytest.mark.parametrize("healthcheck", [True, None])
def test_health_check(address, capabilities, healthcheck):
    """Answered without `pipelining` too; the agent closes only after a health check."""
    with spop.Connection(address) as connection:
        hello = connection.hello(capabilities=capabilities, healthcheck=healthcheck)
        assert hello["version"] == "2.0"
        assert hello["capabilities"] == ("pipelining" if "pipelining" in capabilities else "")
        if healthcheck:
            with pytest.raises(spop.Closed):
                connection.receive()
        else:
            assert connection.ask(ASK)["allow"] is True


def test_one_stream_at_a_time_without_pipelining(tcp):
    with spop.Connection(tcp) as connection:
        connection.hello(capabilities="")
        assert [connection.ask(ASK)["allow"] for _ in range(5)] == [True] * 5


def test_hello_and_notify_in_one_segment(tcp):
    with spop.Connection(tcp) as connection:
        connection.send(spop.encode_hello() + spop.encode_notify(7, 3, ("m", ASK)))
        assert connection.receive().kind == spop.AGENT_HELLO
        ack = connection.receive()
        assert (ack.kind, ack.stream, ack.frame) == (spop.ACK, 7, 3)


def hello_of(**items):
    defaults = {
        "supported-versions": "2.0",
        "max-frame-size": spop.UInt32(16380),
        "capabilities": "pipelining",
    }
    chosen = {**defaults, **{n.replace("_", "-"): v for n, v in items.items()}}
    pairs = [(name, value) for name, value in chosen.items() if value is not None]
    return spop.encode_frame(spop.HAPROXY_HELLO, spop.encode_pairs(pairs))


@pytest.mark.parametrize(
    "code, frame",
    [
        (5, hello_of(supported_versions=None)),
        (6, hello_of(max_frame_size=None)),
        (7, hello_of(capabilities=None)),
        (8, hello_of(supported_versions="1.0")),
        (8, hello_of(supported_versions="20.0")),
        (9, hello_of(max_frame_size=spop.UInt32(255))),
        (4, hello_of(max_frame_size="16380")),
        (4, spop.encode_frame(spop.HAPROXY_HELLO, hello_of()[11:], stream=1)),
        (4, spop.encode_notify(1, 1, ("m", ASK))),
    ],
    ids=["no-version", "no-frame-size", "no-capabilities", "version-1", "version-20",
         "frame-size-255", "frame-size-a-string", "stream-id", "notify-first"],
)
def test_bad_hello_is_refused_with_its_code(tcp, bystander, code, frame):
    with spop.Connection(tcp) as connection:
        connection.send(frame)
        assert connection.expect_disconnect() == code


# ---- frames that must be refused -----------------------------------------------------------------

NOTIFY_BODY = spop.encode_message("m", ASK)


@pytest.mark.parametrize(
    "code, frame",
    [
        (3, struct.pack(">I", 16381)),
        (3, struct.pack(">I", 0xFFFFFFFF)),
        (3, b"GET / HTTP/1.1\r\n\r\n"),  # its first bytes read as a length
        (4, struct.pack(">I", 0)),
        (4, struct.pack(">I", 1) + b"\x03"),
        (4, struct.pack(">I", 6) + b"\x03\x00\x00\x00\x01\xff"),
        (4, spop.encode_frame(spop.NOTIFY, b"\xff", 1, 1)),
        (4, spop.encode_frame(spop.NOTIFY, NOTIFY_BODY[:-1], 1, 1)),
        (4, spop.encode_frame(spop.NOTIFY, spop.encode_string("m") + b"\xff", 1, 1)),
        (4, spop.encode_frame(spop.NOTIFY, spop.encode_string("m") + b"\x01\x01a\x0f", 1, 1)),
        (4, spop.encode_hello()),
        (10, spop.encode_frame(spop.NOTIFY, NOTIFY_BODY, 1, 1, flags=0)),
        (10, spop.encode_frame(0, NOTIFY_BODY, 1, 1)),
    ],
    ids=["a-byte-over", "4-GiB", "http", "empty", "one-byte", "cut-varint", "no-message-name",
         "cut-argument", "255-arguments-none-there", "unknown-type", "second-hello",
         "without-fin", "unset"],
)
def test_bad_frame_is_refused_with_its_code(address, bystander, code, frame):
    with spop.Connection(address) as connection:
        connection.hello(max_frame_size=16380)
        assert connection.ask(ASK)["allow"] is True
        connection.send(frame)
        assert connection.expect_disconnect() == code


def test_what_came_before_a_bad_frame_is_answered(tcp):
    with spop.Connection(tcp) as connection:
        connection.hello()
        good = b"".join(spop.encode_notify(i, 1, ("m", ASK)) for i in range(1, 11))
        connection.send(good + spop.encode_frame(spop.NOTIFY, b"\xff", 11, 1))
        answered = [connection.receive() for _ in range(10)]
        assert {frame.kind for frame in answered} == {spop.ACK}
        assert sorted(frame.stream for frame in answered) == list(range(1, 11))
        assert connection.expect_disconnect() == 4


def test_unknown_frame_types_are_skipped(tcp):
    with spop.Connection(tcp) as connection:
        connection.hello()
        connection.send(spop.encode_frame(42, b"whatever", 1, 1))
        assert connection.ask(ASK)["allow"] is True


def test_goodbye_is_answered_and_the_connection_closed(address):
    with spop.Connection(address) as connection:
        connection.hello()
        connection.ask(ASK)
        connection.send(spop.encode_disconnect())
        assert connection.expect_disconnect() == 0


def test_garbage_never_harms_others(tcp, bystander):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    generator = random.Random(seed)
    valid = spop.encode_notify(1, 1, ("m", ASK))
    for round_number in range(60):
        with spop.Connection(tcp) as connection:
            if round_number % 3:
                connection.hello()
            if round_number % 2:
                data = bytearray(valid * 3)
                for _ in range(generator.randrange(1, 6)):
                    data[generator.randrange(len(data))] = generator.randrange(256)
            else:
                data = generator.randbytes(generator.randrange(1, 3000))
            try:
                connection.send(bytes(data))
                connection.socket.shutdown(socket.SHUT_WR)
                while True:  # whatever it says, it comes to an end
                    connection.receive()
            except (spop.Closed, BrokenPipeError, ConnectionResetError):
                pass
        assert bystander.ask(ASK)["allow"] is True


# ---- how bytes arrive ----------------------------------------------------------------------------


def test_one_byte_at_a_time(tcp):
    with spop.Connection(tcp) as connection:
        conversation = spop.encode_hello() + spop.encode_notify(1, 1, ("m", ASK))
        for i in range(len(conversation)):
            connection.send(conversation[i : i + 1])
        assert connection.receive().kind == spop.AGENT_HELLO
        assert connection.receive().variables()["txn.allow"] is True


def test_split_at_every_byte(tcp):
    conversation = spop.encode_hello() + spop.encode_notify(1, 1, ("m", ASK))
    for split in range(1, len(conversation)):
        with spop.Connection(tcp) as connection:
            connection.send(conversation[:split])
            if split >= 4 + struct.unpack(">I", conversation[:4])[0]:
                assert connection.receive().kind == spop.AGENT_HELLO
                connection.send(conversation[split:])
            else:
                connection.send(conversation[split:])
                assert connection.receive().kind == spop.AGENT_HELLO
            assert connection.receive().variables()["txn.allow"] is True


@pytest.mark.parametrize("at_once", [20, 2000])
def test_pipelined_notifies_are_all_answered(address, at_once):
    with spop.Connection(address) as connection:
        connection.hello()
        frames = b"".join(
            spop.encode_notify(i, i % 7 + 1, ("m", ASK)) for i in range(1, at_once + 1)
        )
        connection.send(frames)
        acks = [connection.receive() for _ in range(at_once)]
        assert {ack.kind for ack in acks} == {spop.ACK}
        assert sorted((ack.stream, ack.frame) for ack in acks) == [
            (i, i % 7 + 1) for i in range(1, at_once + 1)
        ]
        left = {ack.variables()["txn.remaining"] for ack in acks}
        assert left == set(range(1000000 - at_once, 1000000))


def test_several_messages_in_one_notify(bench):
    agent = bench.agent("""
rules:
  - name: first
    message: one
    key: [ src ]
    limits: [ { limit: 10, window: 1h, algorithm: sliding-log } ]
  - name: second
    message: two
    key: [ src ]
    limits: [ { limit: 1, window: 1h, algorithm: sliding-log } ]
""")
    with spop.Connection(agent.tcp_address()) as connection:
        connection.hello()
        both = (("one", {"src": SRC}), ("two", {"src": SRC}))
        for allowed in (True, False, False):
            connection.send(spop.encode_notify(1, 1, *both))
            variables = connection.receive().variables()
            assert variables["txn.allow"] is allowed
        assert variables["txn.rule"] == "second"
        # What `second` refused was not charged to `first`.
        assert connection.ask({"src": SRC}, message="one")["remaining"] == 8


def test_64_kib_frames(bench):
    agent = bench.agent("""
rules:
  - name: big
    key: [ big ]
    limits: [ { limit: 1, window: 1h, algorithm: sliding-log } ]
""")
    with spop.Connection(agent.tcp_address()) as connection:
        assert connection.hello(max_frame_size=65532)["max-frame-size"] == 65532
        overhead = len(spop.encode_notify(1, 1, ("m", {"big": "x" * 65000}))) - 4 - 65000
        fill = "x" * (65532 - overhead - 1)
        for ending, allowed in (("a", True), ("b", True), ("a", False)):
            frame = spop.encode_notify(1, 1, ("m", {"big": fill + ending}))
            assert len(frame) == 4 + 65532
            connection.send(frame)
            assert connection.receive().variables()["txn.allow"] is allowed
        connection.send(spop.encode_notify(1, 1, ("m", {"big": fill + "ab"})))
        assert connection.expect_disconnect() == 3


def test_peer_that_does_not_read_is_not_served_without_end(agent, bystander):
    """Its answers wait in bounded memory; then it isn't read from any more, so that our sends
    block. Once it reads, every question has its answer."""
    with spop.Connection(agent.tcp_address(), timeout=60) as connection:
        connection.hello()
        batch = b"".join(spop.encode_notify(i, 1, ("m", ASK)) for i in range(1, 1001))
        frames = 0
        rest = b""
        connection.socket.setblocking(False)
        deadline = time.monotonic() + 30
        idle_since = None
        while time.monotonic() < deadline:
            try:
                sent = connection.socket.send(rest or batch)
                idle_since = None
            except BlockingIOError:
                # Full. It stays full, or the agent takes more: settled once nothing moved while a
                # bystander was answered many times over.
                idle_since = idle_since or 0
                idle_since += 1
                assert bystander.ask(ASK)["allow"] is True
                if idle_since > 200:
                    break
                continue
            if not rest:
                frames += 1000
            rest = (rest or batch)[sent:]
            assert frames < 1_000_000, "the agent reads on although no answer is read"
        assert idle_since, "the agent read for 30 seconds without an end"

        connection.socket.setblocking(True)
        acks = 0
        # Room appears as answers are read: a reader and the rest of the last batch by turns.
        connection.socket.settimeout(60)
        while acks < frames - 1000:
            assert connection.receive().kind == spop.ACK
            acks += 1
        connection.send(rest)
        while acks < frames:
            assert connection.receive().kind == spop.ACK
            acks += 1
        assert connection.ask(ASK)["allow"] is True


# ---- limits on connections -----------------------------------------------------------------------


def test_connection_limit(bench):
    agent = bench.agent("connections: { max: 4 }\n" + RULES)
    held = [spop.Connection(agent.tcp_address()) for _ in range(4)]
    for connection in held:
        connection.hello()
    with spop.Connection(agent.tcp_address()) as extra:
        assert extra.expect_disconnect() == 13
    for connection in held:
        assert connection.ask(ASK)["allow"] is True
    held.pop().close()

    def another():
        try:
            with spop.Connection(agent.tcp_address()) as connection:
                connection.hello()
                return connection.ask(ASK)["allow"]
        except (spop.Closed, spop.ProtocolError, OSError):
            return False

    stack.wait_until(another, "a closed connection's place to be free again")
    for connection in held:
        connection.close()


def test_a_burst_of_connections_is_served(agent):
    """A reload of HAProxy opens all of its connections anew at once."""
    connections = [spop.Connection(agent.tcp_address()) for _ in range(300)]
    for connection in connections:
        connection.send(spop.encode_hello() + spop.encode_notify(1, 1, ("m", ASK)))
    for connection in connections:
        assert connection.receive().kind == spop.AGENT_HELLO
        assert connection.receive().variables()["txn.allow"] is True
        connection.close()


def test_idle_connection_is_closed(bench):
    agent = bench.agent("connections: { idle_timeout: 300ms }\n" + RULES)
    with spop.Connection(agent.tcp_address()) as connection:
        connection.hello()
        assert connection.ask(ASK)["allow"] is True
        assert connection.expect_disconnect() == 2


def test_connection_without_hello_is_closed(bench):
    agent = bench.agent("connections: { hello_timeout: 300ms }\n" + RULES)
    with spop.Connection(agent.tcp_address()) as connection:
        connection.send(spop.encode_hello()[:7])
        assert connection.expect_disconnect() == 2
