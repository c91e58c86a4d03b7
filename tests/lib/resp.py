"""A small client of Redis, written from its protocol's description: blocking, every wait bounded.

A reply is a str, an int, None or a list of replies; bytes that are no UTF-8 survive the way through
a str and back. An error reply is raised as Error.
"""

import socket


class Error(Exception):
    """The server answered with an error; its text begins with the code ("MOVED 1 127.0.0.1:2")."""


def encode(*words):
    """One command, as its bytes."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode(errors="surrogateescape")
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


def read_raw(stream):
    """The bytes of the next reply or command; b"" at the end of the stream."""
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        return b""
    kind, count = line[:1], line[1:-2]
    if kind == b"$" and int(count) >= 0:
        return line + stream.read(int(count) + 2)
    if kind == b"*":
        return line + b"".join(read_raw(stream) for _ in range(max(int(count), 0)))
    return line


def read(stream):
    """The next reply or command. EOFError at the end of the stream."""
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise EOFError("the connection was closed")
    kind, text = line[:1], line[1:-2].decode(errors="surrogateescape")
    if kind == b"+":
        return text
    if kind == b"-":
        return Error(text)
    if kind == b":":
        return int(text)
    if kind == b"$":
        if int(text) < 0:
            return None
        return stream.read(int(text) + 2)[:-2].decode(errors="surrogateescape")
    if kind == b"*":
        return None if int(text) < 0 else [read(stream) for _ in range(int(text))]
    raise ValueError(f"not a reply: {line!r}")


class Client:
    """address: (host, port), or the path of a unix socket."""

    def __init__(self, address, timeout=10.0):
        if isinstance(address, tuple):
            self.socket = socket.create_connection(address, timeout)
        else:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(timeout)
            self.socket.connect(str(address))
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stream.close()
        self.socket.close()

    def command(self, *words):
        self.socket.sendall(encode(*words))
        reply = read(self.stream)
        if isinstance(reply, Error):
            raise reply
        return reply
