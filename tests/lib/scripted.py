"""What answers as Redis does, but what a test tells it to: for replies that no real server can be
brought to give. It stands in front of a real server, and may change only some of its replies."""

import contextlib
import io
import queue
import socket
import threading

import resp

PASS = object()  # ask the real server


def error(text):
    return f"-{text}\r\n".encode()


class Scripted:
    """upstream: the redis.Server behind it. answer(words) gives the bytes of a command's reply,
    PASS, or None for silence; it can be changed at any time. commands: all that came."""

    def __init__(self, upstream, answer=lambda words: PASS):
        self.upstream = upstream
        self.answer = answer
        self.lock = threading.Lock()
        self.go = threading.Event()
        self.go.set()
        self.commands = []
        self.sockets = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near):
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.sockets.append(near)
        stream = near.makefile("rb")
        replies = queue.SimpleQueue()
        threading.Thread(target=self._reply, args=(near, replies), daemon=True).start()
        try:
            with self.upstream.client() as far:
                while raw := resp.read_raw(stream):
                    words = resp.read(io.BytesIO(raw))
                    with self.lock:
                        self.commands.append(words)
                    reply = self.answer(words)
                    if reply is PASS:
                        far.socket.sendall(raw)
                        reply = resp.read_raw(far.stream)
                        if not reply:
                            break
                    if reply is not None:
                        replies.put(reply)
        except OSError:
            pass  # either side has gone
        replies.put(None)

    def _reply(self, near, replies):
        while (reply := replies.get()) is not None:
            self.go.wait()
            try:
                near.sendall(reply)
            except OSError:
                pass
        near.close()

    @contextlib.contextmanager
    def answering(self, answer):
        """Meanwhile, answer says what is answered."""
        before, self.answer = self.answer, answer
        try:
            yield
        finally:
            self.answer = before

    def hold(self):
        """From here on replies wait, though what they answer is done."""
        self.go.clear()

    def release(self):
        self.go.set()

    def cut(self):
        """Closes every connection; replies that were held are lost."""
        with self.lock:
            sockets, self.sockets = self.sockets, []
        for near in sockets:
            try:
                near.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # closed already
        self.release()

    def count(self, command):
        """How often a command came."""
        with self.lock:
            return sum(words[0].upper() == command.upper() for words in self.commands)

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.cut()


class HalfOpen:
    """Accepts connections, and neither reads nor writes: the kernel does all of it. With full, its
    queue is full and it doesn't even accept."""

    def __init__(self, full=False):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0 if full else 1024)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.clients = []
        if full:
            for _ in range(2):  # Linux takes one more than the backlog says
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", self.port))
                self.clients.append(client)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for client in self.clients:
            client.close()
        self.listener.close()
