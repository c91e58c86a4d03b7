"""Ways for a real server to fail and to be cured again, each a context manager: inside it the server
fails. `FAILURES` is all of them by name."""

import contextlib

import resp
import scripted
import stack


@contextlib.contextmanager
def silent(server):
    """Stopped: the kernel still accepts connections and takes what is sent."""
    server.pause()
    try:
        yield
    finally:
        server.resume()


@contextlib.contextmanager
def killed(server):
    """Gone, and empty when it is back."""
    server.kill()
    try:
        yield
    finally:
        server.start()


@contextlib.contextmanager
def full(server):
    """Out of memory, with nothing that may be evicted: writes are answered by -OOM."""
    server.configure("maxmemory", 1)
    try:
        yield
    finally:
        server.configure("maxmemory", 0)


@contextlib.contextmanager
def read_only(server):
    """A replica: writes are answered by -READONLY."""
    server.command("REPLICAOF", "127.0.0.1", 1)
    try:
        yield
    finally:
        server.command("REPLICAOF", "NO", "ONE")


@contextlib.contextmanager
def without_replicas(server):
    """A primary that wants a replica: writes are answered by -NOREPLICAS."""
    server.configure("min-replicas-to-write", 1)
    try:
        yield
    finally:
        server.configure("min-replicas-to-write", 0)


@contextlib.contextmanager
def busy(server):
    """In a script that doesn't end: everything is answered by -BUSY."""
    server.configure("busy-reply-threshold", 1)
    with server.client() as client:
        client.socket.sendall(resp.encode("EVAL", "while true do end", 0))

        def is_busy():
            try:
                server.command("PING")
            except resp.Error as error:
                return str(error).startswith("BUSY")

        stack.wait_until(is_busy, "the server to be busy")
        try:
            yield
        finally:
            server.command("SCRIPT", "KILL")
            server.wait_ready()


@contextlib.contextmanager
def loading(server):
    """Reading its data back, a key a millisecond: nearly everything is answered by -LOADING."""
    server.configure("rdbcompression", "no")
    server.command("DEBUG", "POPULATE", 20_000, "loaded", 1024)
    server.command("SAVE")
    server.kill()
    slowly = {"key-load-delay": 1000, "loading-process-events-interval-bytes": 1024}
    options = server.options
    server.options = {**options, **slowly}
    server.start(ready=False)

    def is_loading():
        try:
            server.command("GET", "x")
        except resp.Error as error:
            return str(error).startswith("LOADING")
        except (OSError, EOFError):
            return False

    stack.wait_until(is_loading, "the server to load")
    try:
        yield
    finally:
        server.options = options
        server.configure("key-load-delay", 0)
        server.wait_ready()
        (server.directory / "dump.rdb").unlink()


FAILURES = {
    "silent": silent,
    "killed": killed,
    "full": full,
    "read-only": read_only,
    "without replicas": without_replicas,
    "busy": busy,
    "loading": loading,
}


# ---- what no real server does -------------------------------------------------------------------

# Replies to a decision's commands; what else is asked, a greeting or the time, is answered as ever.
RUBBISH = {
    "a text for a number": b"+OK\r\n",
    "nothing": b"$-1\r\n",
    "a negative number": b":-5\r\n",
    "a list": b"*2\r\n:1\r\n:2\r\n",
    "a list of 2^31": b"*2147483647\r\n",
    "no protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "MOVED nowhere": scripted.error("MOVED 1 127.0.0.1:1"),
    "MOVED without an address": scripted.error("MOVED"),
    "ASK to itself": scripted.error("ASK 99999999999999999999 :::::"),
    "TRYAGAIN for ever": scripted.error("TRYAGAIN Multiple keys request during rehashing of slot"),
    "CLUSTERDOWN": scripted.error("CLUSTERDOWN The cluster is down"),
    "NOAUTH": scripted.error("NOAUTH Authentication required."),
    "an empty error": b"-\r\n",
}


def replies(reply, commands=("INCRBY", "EVALSHA", "EVAL")):
    """A script for scripted.Scripted: so it answers these commands, and the rest as ever."""
    return lambda words: reply if words[0].upper() in commands else scripted.PASS
