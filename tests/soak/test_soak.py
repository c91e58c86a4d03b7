"""A long life: two agents that share their limits through Redis and one with the memory store, for
$SOAK_MINUTES (30) minutes under steady load, with all that comes to agents in months: reloads with
other rules, new connections, millions of keys that come and expire, clients of the admin server,
Redis restarts, a restart in place. Afterwards each is as it was."""

import contextlib
import os
import signal
import threading
import time

import pytest

import fleet as fleets
import redis
import rulefile
import stack
import vitals
from fleet import microseconds
from traffic import Clients, Keys, Schedule, Visitor

SECONDS = 60 * float(os.environ.get("SOAK_MINUTES") or 30)
MIB = 1 << 20

# Decisions a second, in all.
KEYS_RATE = 1_400  # of new keys, at each agent
EXACT_RATE = 200  # of each exact rule, on Redis and in memory
EXACT_KEYS = 10

RELOAD_EVERY = 3
HAPROXY_EVERY = 15
REDIS_EVERY = 120
PROGRESS_EVERY = 10

# How much higher resident memory may be in the last third than in the middle third, on average: for
# what the allocator keeps. A rule set that isn't freed is a third of a MiB at each reload.
GROWTH = 2 * MIB
# What may be left of keys in the memory store and of those on Redis that an agent remembers.
KEYS_LEFT = 10
# A look at every key takes the memory store about a minute.
QUIET = 180.0

# While Redis can't be asked, or answers later than that, exact rules refuse.
DEADLINE = "1s"
TOKEN = "soak"


@pytest.fixture
def say(capsys):
    """Says something at once, to who looks at a run that takes half an hour."""
    with capsys.disabled():
        print()

    def write(text):
        with capsys.disabled():
            print(f"soak: {text}", flush=True)

    return write


class Life:
    """The run: who takes part, what happens when, and what was seen."""

    def __init__(self, bench, server, haproxy_binary, say):
        self.bench, self.server, self.say = bench, server, say
        self.file = 0
        self.away = []  # (begin, end) in microseconds: Redis was
        self.lost = []  # the same: the memory store began anew
        token_file = os.path.join(bench.directory, "token")
        with open(token_file, "w", encoding="utf-8") as file:
            file.write(TOKEN + "\n")
        self.admin = {"token_file": token_file}
        self.stores = {
            name: fleets.single(server, deadline=DEADLINE, instance_id=name)
            for name in ("redis1", "redis2")
        } | {"memory": {"mode": "memory"}}
        # For a restart in place to find it again.
        self.ports = {name: stack.free_port() for name in self.stores}
        self.agents = [self.start(name) for name in self.stores]
        self.watched = {agent: vitals.Watched(agent, TOKEN) for agent in self.agents}
        self.shared, self.memory = self.agents[:2], self.agents[2]
        self.wait_connected()
        # Heartbeats have a connection of their own.
        for agent in self.shared:
            stack.wait_until(
                lambda agent=agent: self.watched[agent].read().sum("sluice_agents") == 2,
                f"{agent.name} to know of the other")
        self.haproxy_binary = haproxy_binary
        self.before = {a: (vitals.descriptors(a), vitals.threads(a)) for a in self.agents}

    def text(self, name):
        listen = f"unix://{self.bench.socket(name)}"
        admin = {"address": f"tcp://127.0.0.1:{self.ports[name]}", **self.admin}
        return rulefile.text(self.file, listen, admin, self.stores[name])

    def start(self, name):
        agent = self.bench.agent(self.text(name), name)
        agent.address = f"unix://{self.bench.socket(name)}"
        return agent

    def wait_connected(self):
        for agent in self.shared:
            stack.wait_until(lambda agent=agent: fleets.connected_by(self.watched[agent].read()),
                             f"{agent.name} to be connected", timeout=QUIET)

    # ---- load ------------------------------------------------------------------------------------

    def begin(self):
        self.haproxy = self.bench.haproxy(
            self.haproxy_binary, [f"unix@{self.bench.socket(agent.name)}" for agent in self.shared],
            master=True, config_edits=[("    default_backend api\n",
                                        "    option dontlog-normal\n"
                                        "    http-request return status 200\n"
                                        "    default_backend api\n")],
        )
        self.haproxy.wait_for_log("Loading success")
        self.haproxy_loads = 1
        self.begun = time.monotonic()
        self.clients = Clients(self.haproxy)
        self.keys = [Keys(self.bench, agent, KEYS_RATE, zipf_first=agent.name == "redis2")
                     for agent in self.agents]
        self.visitors = {agent: Visitor(agent, TOKEN) for agent in self.agents}
        grants = int(EXACT_KEYS * rulefile.LIMIT * 2 * (SECONDS + 120))
        self.exact = {
            (store, algorithm): fleets.Load(
                self.bench, [agent.address for agent in agents], rate=EXACT_RATE, keys=EXACT_KEYS,
                grants=grants, connections=2, prefix=f"{algorithm}-")
            for algorithm in ("fixed-window", "sliding-log")
            for store, agents in (("redis", self.shared), ("memory", [self.memory]))
        }

    def end(self):
        """Everybody goes. Returns the complaints there were."""
        going = [self.clients, *self.keys, *self.visitors.values()]
        for one in going:
            one.stopping.set()
        self.results = {name: load.stop() for name, load in self.exact.items()}
        complaints = [text for one in going for text in one.stop()]
        self.haproxy.stop()
        return complaints

    # ---- what happens ----------------------------------------------------------------------------

    def live(self):
        """Until the time is over."""
        rss, metrics = Schedule(0.5, 0), Schedule(2, 1)
        reload_, progress = Schedule(RELOAD_EVERY), Schedule(PROGRESS_EVERY)
        haproxy = Schedule(HAPROXY_EVERY)
        # In a short run once, in the middle third.
        restart_redis = Schedule(REDIS_EVERY, min(REDIS_EVERY, 0.4 * SECONDS))
        # Early, so that the last two thirds are of one process.
        restart = Schedule(SECONDS, 0.15 * SECONDS)
        pace = threading.Event()
        while self.elapsed() < SECONDS:
            if rss.due():
                for watched in self.watched.values():
                    watched.look(self.elapsed())
            if metrics.due():
                for watched in self.watched.values():
                    watched.read()
            if reload_.due():
                self.reload()
            if haproxy.due():
                self.reload_haproxy()
            if restart.due():
                self.restart_agents()
            if restart_redis.due() and self.elapsed() < 0.95 * SECONDS:
                self.restart_redis()
            if progress.due():
                self.tell()
            pace.wait(0.1)

    def elapsed(self):
        return time.monotonic() - self.begun

    def tell(self):
        decisions = sum(watched.decisions() for watched in self.watched.values())
        sizes = ", ".join(f"{a.name} {vitals.resident(a) / MIB:.1f}" for a in self.agents)
        self.say(f"{self.elapsed():.0f} of {SECONDS:.0f} s, {decisions:.0f} decisions, "
                 f"resident MiB: {sizes}")

    def reload(self):
        self.file += 1
        for agent in self.agents:
            # At once, for the reload before this one may still read.
            other = agent.rules_path.with_suffix(".new")
            other.write_text(self.text(agent.name))
            os.replace(other, agent.rules_path)
            agent.send_signal(signal.SIGHUP)

    def reload_haproxy(self):
        self.haproxy_loads += 1
        self.haproxy.send_signal(signal.SIGUSR2)
        self.haproxy.wait_for_log("Loading success", count=self.haproxy_loads)

    def restart_agents(self):
        """In place."""
        for agent in self.agents:
            visitor, watched = self.visitors[agent], self.watched[agent]
            visitor.away.set()
            watched.read()
            begin = microseconds()
            agent.send_signal(signal.SIGUSR2)
            agent.wait_for_log('msg="?restarted')
            visitor.away.clear()
            watched.restarted()
            if agent is self.memory:
                self.lost.append((begin, microseconds()))
        self.wait_connected()

    def restart_redis(self):
        begin = microseconds()
        missed = {agent: fallbacks(self.watched[agent].read()) for agent in self.shared}
        self.server.kill()
        for agent, before in missed.items():
            stack.wait_until(lambda: fallbacks(self.watched[agent].read()) > before,
                             f"{agent.name} to notice that Redis is away", interval=0.1)
        self.server.start()
        self.wait_connected()
        self.away.append((begin, microseconds()))

    # ---- what was seen ---------------------------------------------------------------------------

    def grants(self, store, algorithm):
        """[[grants]]: each key's, in pieces between which the counts were lost."""
        gaps = self.away if store == "redis" else self.lost
        begins, ends = [0] + [end for _, end in gaps], [begin for begin, _ in gaps] + [1 << 63]
        return [
            [(asked, answered) for asked, answered in grants if begin <= asked and answered <= end]
            for grants in self.results[store, algorithm].grants for begin, end in zip(begins, ends)
        ]

    def edge(self, store):
        """Microseconds: what is so near to the end of a window may be of the next. With Redis, that
        is also how far from the truth agents took its clock to be, at most."""
        errors = [self.watched[agent].clock_error for agent in self.shared]
        return fleets.EDGE + (int(1e6 * max(errors)) if store == "redis" else 0)

    def quiet(self, agent):
        """Whether nothing is left of the load."""
        said = self.watched[agent].read()
        left = said.sum("sluice_store_keys")
        if agent in self.shared:
            left += said.sum("sluice_redis_keys")
            if said.sum("sluice_redis_leases") > 0 or not fleets.connected_by(said):
                return False
        return (left <= KEYS_LEFT and said.sum("sluice_connections") == 0
                and said.sum("sluice_pending") == 0)

    def check_descriptors(self, agent):
        """That those open are of the kinds they were, and as many of each."""
        before = self.before[agent][0]

        def more():
            now = vitals.descriptors(agent)
            return {kind: now[kind] - before[kind] for kind in now | before
                    if now[kind] != before[kind]}

        with contextlib.suppress(stack.Failed):
            stack.wait_until(lambda: not more(), "descriptors as before")
        assert more() == {}, agent.name


def fallbacks(said):
    return said.sum("sluice_fallbacks_total")


@pytest.mark.parametrize("haproxy_binary", ["3.2"], indirect=True, ids=["haproxy-3.2"])
def test_a_long_life(bench, haproxy_binary, say):
    with contextlib.closing(redis.Server(bench.directory)) as server:
        life = Life(bench, server, haproxy_binary, say)
        life.begin()
        life.live()
        complaints = life.end()
        check_answers(life, complaints)
        check_limits(life)
        check_rest(life)
        for agent in life.agents:
            check_agent(life, agent)


def check_answers(life, complaints):
    assert complaints == []
    for result in life.results.values():
        result.check_answered()
    life.say(f"new keys asked about {sum(one.asked for one in life.keys)} times, "
             f"{life.clients.answered} requests through HAProxy, loaded {life.haproxy_loads} times, "
             f"{life.file} reloads, {len(life.away)} restarts of Redis, "
             f"{sum(one.turns for one in life.visitors.values())} pages of the admin server")


def check_limits(life):
    """Never more than the limit, while the counts were there."""
    limit, window = rulefile.LIMIT, rulefile.WINDOW
    for store in ("redis", "memory"):
        edge = life.edge(store)
        pieces = life.grants(store, "fixed-window")
        windows = [fleets.by_window(grants, window, edge) for grants in pieces]
        most = max(sure for piece in windows for sure, _ in piece.values())
        spans = [fleets.most_in_a_span(grants, window, edge)
                 for grants in life.grants(store, "sliding-log")]
        life.say(f"{store}: {sum(map(len, pieces))} allowed in {sum(map(len, windows))} windows, at "
                 f"most {most} in one and {max(spans)} in any second, of {limit}; what is within "
                 f"{edge / 1000:.0f} ms of an edge left out")
        assert most <= limit
        assert max(spans) <= limit
        # And so in all, where what was near an edge can't be told apart.
        assert all(len(grants) <= limit * len(piece) for grants, piece in zip(pieces, windows))
        # It was a limit that they met.
        assert most >= limit / 2


def check_rest(life):
    """Of the load nothing is left, once windows have passed; nor on Redis, but the heartbeats."""
    begin = time.monotonic()
    for agent in life.agents:
        stack.wait_until(lambda agent=agent: life.quiet(agent),
                         f"{agent.name}: no key, lease or connection to be left", QUIET, 1.0)
        life.check_descriptors(agent)
    stack.wait_until(lambda: life.server.command("DBSIZE") <= KEYS_LEFT, "Redis to be empty", QUIET)
    life.say(f"nothing left after {time.monotonic() - begin:.0f} s")


def check_agent(life, agent):
    watched = life.watched[agent]
    middle = watched.mean(SECONDS / 3, 2 * SECONDS / 3)
    last = watched.mean(2 * SECONDS / 3, SECONDS)
    said = watched.read()
    life.say(f"{agent.name}: resident {middle / MIB:.2f} MiB in the middle third, {last / MIB:.2f} "
             f"in the last; descriptors {vitals.descriptors(agent).total()}, threads "
             f"{vitals.threads(agent)}; fallbacks {fallbacks(said):.0f}; taken back "
             f"{said.sum('sluice_store_reclaimed_total'):.0f} keys")
    assert last <= middle + GROWTH
    assert vitals.threads(agent) == life.before[agent][1]
    assert watched.falls == []
    assert vitals.errors(agent) == []
    assert said.sum("sluice_reload_last_successful") == 1
