"""What comes to agents in a long life: questions about ever new keys, people and machines at the
admin server, requests through HAProxy. Each goes on in a thread until stop(), which returns the
complaints."""

import http.client
import json
import subprocess
import threading
import time

import admin
import stack

KEYS = 100_000_000
ROUND = 10  # seconds


class Endless:
    """Calls turn(n) again and again, n = 0, 1, 2 and so on, until stop()."""

    MAX_COMPLAINTS = 20

    def __init__(self):
        self.turns = 0
        self.complaints = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stopping.is_set():
            try:
                self.turn(self.turns)
            except Exception as error:  # whatever it is, the test is to know
                self.complain(repr(error))
            self.turns += 1

    def complain(self, text):
        if len(self.complaints) < self.MAX_COMPLAINTS:
            self.complaints.append(f"{type(self).__name__}: {text}")

    def stop(self):
        self.stopping.set()
        self.thread.join(ROUND + 2 * stack.WAIT)
        if self.thread.is_alive():
            self.complain("didn't end")
        return self.complaints


class Keys(Endless):
    """Questions at a steady rate about keys that mostly come once, uniform and Zipf by turns; each
    round on connections of its own."""

    def __init__(self, bench, agent, rate, zipf_first=False):
        self.bench, self.agent, self.rate, self.zipf_first = bench, agent, rate, zipf_first
        self.asked = 0
        super().__init__()

    def turn(self, n):
        zipf = ["--zipf", "1"] if n % 2 != self.zipf_first else []
        ended = subprocess.run(
            [str(word) for word in (
                self.bench.sluice, "bench", self.agent.address, "--rate", self.rate, "--duration",
                f"{ROUND}s", "--keys", KEYS, "--seed", n + 1, "--timeout", "30s", "--json", *zipf,
                "src:ipv4={key}", "path=/many", "api_key=key-{key}")],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=ROUND + stack.WAIT + 5,
        )
        if ended.returncode != 0:
            self.complain(f"bench ended with {ended.returncode}: {ended.stderr}{ended.stdout}")
            self.stopping.wait(1.0)
            return
        said = json.loads(ended.stdout)
        self.asked += said["answered"]


class Visitor(Endless):
    """Clients of the admin server, one after the other. `away` is set while the agent is restarted,
    when a client may find nobody."""

    PAUSE = 0.2

    def __init__(self, agent, token):
        self.agent, self.token = agent, token
        self.away = threading.Event()
        super().__init__()

    def turn(self, n):
        subject = {"rule": "many", "src": f"10.0.{n // 250 % 250}.{n % 250}"}
        verb, path, arguments = (
            ("GET", "/metrics", {}),
            ("GET", "/top", {"by": "refused", "count": 256}),
            ("GET", "/explain", {"src": subject["src"], "path": "/many", "api_key": f"key-{n}"}),
            ("GET", "/key", subject),
            ("DELETE", "/key", subject),
            ("GET", "/stats/distributed", {}),
            ("GET", "/rules", {}),
            ("GET", "/top", {"by": "requests"}),
            ("GET", "/", {}),
        )[n % 9]
        try:
            answer = admin.request(self.agent, path, verb, token=self.token, **arguments)
            # A reset wants the store, which may be away.
            if answer.status != 200 and (verb, answer.status) != ("DELETE", 503):
                self.complain(f"{verb} {path} {arguments}: {answer.status} {answer.body[:300]}")
        except (OSError, http.client.HTTPException):
            if not self.away.is_set():
                raise
        self.stopping.wait(self.PAUSE)


class Clients(Endless):
    """Requests through HAProxy, each on a connection of its own."""

    PAUSE = 0.02

    def __init__(self, haproxy):
        self.haproxy = haproxy
        self.answered = 0
        super().__init__()

    def turn(self, n):
        answer = self.haproxy.request("/proxied", headers={"x-api-key": f"client-{n}"})
        if answer.status != 200 or "ratelimit" not in answer.headers:
            self.complain(f"{answer.status} {answer.headers}")
        self.answered += 1
        self.stopping.wait(self.PAUSE)


class Schedule:
    """due() is true once each `every` seconds, from the first `first` seconds on."""

    def __init__(self, every, first=None):
        self.every = every
        self.next = time.monotonic() + (every if first is None else first)

    def due(self):
        if time.monotonic() < self.next:
            return False
        self.next += self.every
        return True
