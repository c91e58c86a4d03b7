"""A small SPOP 2.0 peer, written from HAProxy's doc/SPOE.txt alone.

It shares nothing with sluice's own code, so that a misreading of the specification in one of the
two shows. Blocking sockets, every wait bounded; made for tests, not for speed: the one fast path is
`encode_notify`, whose result can be sent many times over.
"""

import ipaddress
import socket
import struct
import time

HAPROXY_HELLO = 1
HAPROXY_DISCONNECT = 2
NOTIFY = 3
AGENT_HELLO = 101
AGENT_DISCONNECT = 102
ACK = 103

FIN = 1
ABORT = 2

SCOPES = ("proc", "sess", "txn", "req", "res")

# HAProxy's default tune.bufsize less the four bytes of the frame's length.
DEFAULT_FRAME_SIZE = 16380


class ProtocolError(Exception):
    """The peer sent something that SPOE.txt does not allow."""


class Closed(Exception):
    """The peer closed the connection."""


class UInt32(int):
    """An int that goes on the wire as UINT32."""


class Int32(int):
    """An int that goes on the wire as INT32."""


class UInt64(int):
    """An int that goes on the wire as UINT64."""


# ---- 3.1 data types -----------------------------------------------------------------------------


def encode_varint(number):
    if number < 240:
        return bytes([number])
    out = [(number & 0xFF) | 0xF0]
    number = (number - 240) >> 4
    while number >= 128:
        out.append((number & 0xFF) | 0x80)
        number = (number - 128) >> 7
    out.append(number)
    return bytes(out)


def decode_varint(data, at):
    number = data[at]
    at += 1
    if number < 240:
        return number, at
    shift = 4
    while True:
        byte = data[at]
        at += 1
        number += byte << shift
        shift += 7
        if byte < 128:
            return number, at


def encode_string(text):
    data = text.encode() if isinstance(text, str) else text
    return encode_varint(len(data)) + data


def decode_string(data, at):
    size, at = decode_varint(data, at)
    if size > len(data) - at:
        raise ProtocolError(f"a string of {size} bytes where {len(data) - at} are left")
    return data[at : at + size], at + size


def encode_value(value):
    if value is None:
        return b"\x00"
    if isinstance(value, bool):
        return b"\x11" if value else b"\x01"
    if isinstance(value, Int32):
        return b"\x02" + encode_varint(value & 0xFFFFFFFFFFFFFFFF)
    if isinstance(value, UInt32):
        return b"\x03" + encode_varint(value)
    if isinstance(value, UInt64):
        return b"\x05" + encode_varint(value)
    if isinstance(value, int):
        return b"\x04" + encode_varint(value & 0xFFFFFFFFFFFFFFFF)
    if isinstance(value, ipaddress.IPv4Address):
        return b"\x06" + value.packed
    if isinstance(value, ipaddress.IPv6Address):
        return b"\x07" + value.packed
    if isinstance(value, str):
        return b"\x08" + encode_string(value)
    return b"\x09" + encode_string(value)


def decode_value(data, at):
    kind, flags = data[at] & 0x0F, data[at] >> 4
    at += 1
    if kind == 0:
        return None, at
    if kind == 1:
        return bool(flags & 1), at
    if kind in (2, 4):
        number, at = decode_varint(data, at)
        return number - (1 << 64) if number >> 63 else number, at
    if kind in (3, 5):
        return decode_varint(data, at)
    if kind in (6, 7):
        size = 4 if kind == 6 else 16
        return ipaddress.ip_address(data[at : at + size]), at + size
    if kind == 8:
        text, at = decode_string(data, at)
        return text.decode(), at
    if kind == 9:
        return decode_string(data, at)
    raise ProtocolError(f"unknown value type {kind}")


# ---- 3.2 frames ---------------------------------------------------------------------------------


def encode_frame(kind, payload=b"", stream=0, frame=0, flags=FIN):
    body = (
        bytes([kind])
        + struct.pack(">I", flags)
        + encode_varint(stream)
        + encode_varint(frame)
        + payload
    )
    return struct.pack(">I", len(body)) + body


def encode_pairs(pairs):
    return b"".join(encode_string(name) + encode_value(value) for name, value in pairs)


def decode_pairs(payload):
    pairs, at = {}, 0
    while at < len(payload):
        name, at = decode_string(payload, at)
        pairs[name.decode()], at = decode_value(payload, at)
    return pairs


def encode_message(name, arguments):
    """arguments: a dict, or a list of (name, value) where a name comes twice."""
    pairs = list(arguments.items()) if isinstance(arguments, dict) else list(arguments)
    return encode_string(name) + bytes([len(pairs)]) + encode_pairs(pairs)


def encode_notify(stream, frame, *messages):
    """messages: (name, arguments) each."""
    payload = b"".join(encode_message(name, arguments) for name, arguments in messages)
    return encode_frame(NOTIFY, payload, stream, frame)


def encode_hello(
    max_frame_size=DEFAULT_FRAME_SIZE,
    capabilities="pipelining,async",
    versions="2.0",
    healthcheck=None,
    engine_id="0f5a1c9e-0000-4000-8000-000000000001",
):
    pairs = [
        ("supported-versions", versions),
        ("max-frame-size", UInt32(max_frame_size)),
        ("capabilities", capabilities),
    ]
    if healthcheck is not None:
        pairs.append(("healthcheck", healthcheck))
    if engine_id is not None:
        pairs.append(("engine-id", engine_id))
    return encode_frame(HAPROXY_HELLO, encode_pairs(pairs))


def encode_disconnect(status=0, message="normal"):
    pairs = [("status-code", UInt32(status)), ("message", message)]
    return encode_frame(HAPROXY_DISCONNECT, encode_pairs(pairs))


class Frame:
    """One frame as it came: kind, flags, stream, frame, payload; size without the length."""

    def __init__(self, body):
        self.size = len(body)
        self.kind = body[0]
        self.flags = struct.unpack(">I", body[1:5])[0]
        self.stream, at = decode_varint(body, 5)
        self.frame, at = decode_varint(body, at)
        self.payload = body[at:]

    def pairs(self):
        return decode_pairs(self.payload)

    def variables(self):
        """Of an ACK: {"txn.allow": True, ...}."""
        found, at, data = {}, 0, self.payload
        while at < len(data):
            action, count = data[at], data[at + 1]
            if (action, count) not in ((1, 3), (2, 2)):
                raise ProtocolError(f"action {action} with {count} arguments")
            scope = SCOPES[data[at + 2]]
            name, at = decode_string(data, at + 3)
            value = None
            if action == 1:
                value, at = decode_value(data, at)
            found[f"{scope}.{name.decode()}"] = value
        return found

    def messages(self):
        """Of a NOTIFY: [(name, {argument: value})]."""
        found, at, data = [], 0, self.payload
        while at < len(data):
            name, at = decode_string(data, at)
            count = data[at]
            at += 1
            arguments = {}
            for _ in range(count):
                argument, at = decode_string(data, at)
                arguments[argument.decode()], at = decode_value(data, at)
            found.append((name.decode(), arguments))
        return found


# ---- a connection to an agent -------------------------------------------------------------------


def connect(address, timeout=10.0):
    """address: "tcp://HOST:PORT" or "unix:///PATH"."""
    if address.startswith("unix://"):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        sock.connect(address[len("unix://") :])
        return sock
    host, port = address.removeprefix("tcp://").rsplit(":", 1)
    sock = socket.create_connection((host.strip("[]"), int(port)), timeout=timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class Connection:
    """HAProxy's side of one connection. Every wait ends after `timeout` seconds with TimeoutError."""

    def __init__(self, address, timeout=10.0):
        self.socket = connect(address, timeout)
        self.timeout = timeout
        self.buffer = b""
        self.max_frame_size = DEFAULT_FRAME_SIZE
        self.next_stream = 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """The next frame. Closed when the peer has closed."""
        deadline = time.monotonic() + self.timeout
        while True:
            if len(self.buffer) >= 4:
                size = struct.unpack(">I", self.buffer[:4])[0]
                if len(self.buffer) >= 4 + size:
                    body = self.buffer[4 : 4 + size]
                    self.buffer = self.buffer[4 + size :]
                    return Frame(body)
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no frame within {self.timeout} s")
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                raise Closed("reset") from None
            if not data:
                raise Closed("end of stream")
            self.buffer += data

    def hello(self, **parameters):
        """The handshake; returns the AGENT-HELLO's items."""
        self.send(encode_hello(**parameters))
        frame = self.receive()
        if frame.kind != AGENT_HELLO:
            raise ProtocolError(f"frame {frame.kind} in answer to HELLO: {frame.pairs()}")
        pairs = frame.pairs()
        self.max_frame_size = pairs["max-frame-size"]
        return pairs

    def notify(self, arguments, message="sluice-request", frame=1):
        """Sends one NOTIFY and returns its stream id, without waiting for the ACK."""
        stream = self.next_stream
        self.next_stream += 1
        self.send(encode_notify(stream, frame, (message, arguments)))
        return stream

    def ask(self, arguments, message="sluice-request"):
        """One question, one answer: the variables of scope txn, by name."""
        stream = self.notify(arguments, message)
        frame = self.receive()
        if frame.kind != ACK:
            raise ProtocolError(f"frame {frame.kind} in answer to NOTIFY: {frame.pairs()}")
        if (frame.stream, frame.frame) != (stream, 1):
            raise ProtocolError(f"an ACK of {frame.stream}/{frame.frame}, not {stream}/1")
        return {name.removeprefix("txn."): value for name, value in frame.variables().items()}

    def expect_disconnect(self):
        """Reads on to the AGENT-DISCONNECT and the end of the stream after it; returns the status
        code."""
        frame = self.receive()
        if frame.kind != AGENT_DISCONNECT:
            raise ProtocolError(f"frame {frame.kind} where AGENT-DISCONNECT was due")
        try:
            extra = self.receive()
        except Closed:
            return frame.pairs()["status-code"]
        raise ProtocolError(f"frame {extra.kind} after AGENT-DISCONNECT")
