"""Stands between HAProxy and an agent, looks at the frames, and can hold the ACKs back."""

import os
import socket
import struct
import threading

import spop


class Relay:
    """Listens on a unix socket; each connection gets one of its own to the agent."""

    def __init__(self, path, agent):
        self.agent = agent
        self.go = threading.Event()
        self.go.set()
        self.lock = threading.Lock()
        self.waiting = {}  # streams without an ACK, of each connection
        self.most_waiting = 0  # on one connection
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        number = 0
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = spop.connect(self.agent, timeout=None)
            near.settimeout(None)
            number += 1
            for pump in (self._questions, self._answers):
                threading.Thread(target=pump, args=(number, near, far), daemon=True).start()

    def _questions(self, number, near, far):
        for frame, raw in frames(near):
            if frame.kind == spop.NOTIFY:
                with self.lock:
                    streams = self.waiting.setdefault(number, set())
                    streams.add((frame.stream, frame.frame))
                    self.most_waiting = max(self.most_waiting, len(streams))
            far.sendall(raw)
        shut(far)

    def _answers(self, number, near, far):
        for frame, raw in frames(far):
            if frame.kind == spop.ACK:
                self.go.wait()
                with self.lock:
                    self.waiting[number].discard((frame.stream, frame.frame))
            try:
                near.sendall(raw)
            except OSError:
                break
        shut(near)

    def hold(self):
        """From here on, ACKs wait."""
        self.go.clear()

    def release(self):
        self.go.set()

    def waiting_in_all(self):
        with self.lock:
            return sum(map(len, self.waiting.values()))

    def close(self):
        self.release()
        path = self.listener.getsockname()
        shut(self.listener)
        self.listener.close()
        os.unlink(path)


def frames(sock):
    """(frame, its bytes with the length) until the connection ends."""
    buffer = b""
    while True:
        while len(buffer) >= 4 and len(buffer) - 4 >= struct.unpack(">I", buffer[:4])[0]:
            end = 4 + struct.unpack(">I", buffer[:4])[0]
            yield spop.Frame(buffer[4:end]), buffer[:end]
            buffer = buffer[end:]
        try:
            data = sock.recv(1 << 16)
        except OSError:
            return
        if not data:
            return
        buffer += data


def shut(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
