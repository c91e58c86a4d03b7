"""Load on HAProxy from threads of this process, bounded in number; keeps every answer."""

import http.client
import itertools
import threading

import stack

MAX_REQUESTS_A_THREAD = 20000


class Load:
    """Asks for `path` from `threads` threads, a connection a request, until stop().

    Each request is on a connection of its own: with keep-alive, a request that meets a proxy closing
    an idle connection would be lost through nobody's fault. headers: a function of the request's
    number, from 0."""

    def __init__(self, port, path="/api/orders", threads=6, headers=lambda number: None):
        self.port = port
        self.path = path
        self.headers = headers
        self.numbers = itertools.count()
        self.answers = []
        self.errors = []
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        for _ in range(MAX_REQUESTS_A_THREAD):
            if self.stopping.is_set():
                return
            try:
                answer = stack.request(self.port, self.path,
                                       headers=self.headers(next(self.numbers)))
            except (OSError, http.client.HTTPException) as error:
                with self.lock:
                    self.errors.append(repr(error))
                continue
            with self.lock:
                self.answers.append(answer)

    def count(self):
        with self.lock:
            return len(self.answers)

    def wait_for(self, more, timeout=stack.WAIT):
        """Until `more` further requests have been answered."""
        target = self.count() + more
        stack.wait_until(lambda: self.count() >= target, f"{more} more answers", timeout)

    def stop(self):
        """The answers, once every thread has ended. Raises when a request got none."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(stack.WAIT)
            if thread.is_alive():
                raise stack.Failed("a request under load got no answer")
        if self.errors:
            raise stack.Failed(f"{len(self.errors)} requests failed, the first: {self.errors[0]}")
        return self.answers
