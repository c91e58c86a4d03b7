"""What a fleet does while Redis can't be asked, and when it can be again: scenarios that the
integration tests run small and the chaos suite with numbers."""

import fleet as fleets
import stack
from fleet import Fleet, rule

# Of rules named by what they do without Redis; a key belongs to the rule that it begins with.
FALLBACKS = ("local", "allow", "deny")

# So that a test need not wait long for a probe.
QUICK = {"breaker": {"failures": 5, "within": "10s", "pause": "100ms", "max_pause": "500ms"}}


def rules(limit=1_000_000, **more):
    return [
        rule(fallback, limit, keys=f"{fallback}-", on_store_error=fallback, **more)
        for fallback in FALLBACKS
    ]


def is_open(said):
    """Of Metrics: whether some worker's breaker is not closed."""
    return (said.sum("sluice_redis_breakers", state="open")
            + said.sum("sluice_redis_breakers", state="half-open")) > 0


def times_opened(agent):
    return fleets.metrics(agent).sum("sluice_redis_breaker_opened_total")


def wait_open(fleet):
    """Until breakers of every agent have opened, as many as it has workers."""
    for agent in fleet.running():
        stack.wait_until(lambda agent=agent: times_opened(agent) >= fleet.workers,
                         f"the breakers of {agent.name} to open")


def wait_closed(fleet):
    for agent in fleet.running():
        stack.wait_until(lambda agent=agent: not is_open(fleets.metrics(agent)),
                         f"the breakers of {agent.name} to close")
    fleet.wait_connected()


# Metrics that grow while a server fails in one of failures.py's ways; any other shows as errors.
LATE = ("sluice_fallbacks_total", {"cause": "late"})
UNAVAILABLE = ("sluice_fallbacks_total", {"cause": "unavailable"})
FAILED = ("sluice_redis_failures_total", {})
ERROR = ("sluice_redis_errors_total", {})
SHOWN = {
    "silent": (LATE, FAILED),
    "dropped": (LATE, FAILED),
    "killed": (UNAVAILABLE, FAILED),
    "full": (ERROR, FAILED),
    "read-only": (ERROR, FAILED),
    "without replicas": (ERROR, FAILED),
    "busy": (ERROR, FAILED),
}

IN_FLIGHT = 16
CONNECTIONS = 2


class Outages:
    """Agents under a steady load of keys for each fallback, while their server fails. node: what
    they call the server, where something stands in front of it."""

    def __init__(self, bench, server, rate, agents=1, deadline="10ms", node=None):
        self.server = server
        self.rate = rate
        store = fleets.single(node or server, deadline=deadline, **QUICK)
        self.fleet = Fleet(bench, store, [*rules(), rule("exact", 20, keys="exact-")], agents)
        self.attempts = 0
        self.loads = {
            name: self.fleet.load(keys=20, rate=rate, prefix=f"{name}-", in_flight=IN_FLIGHT,
                                  connections=CONNECTIONS)
            for name in FALLBACKS
        }
        self._wait_answered(rate // 10)

    def _wait_answered(self, more):
        for load in self.loads.values():
            load.wait_for("answered", more)

    def _phase(self, name):
        for load in self.loads.values():
            load.phase(name)

    def fail(self, name, failure, opens=True):
        """The server fails (failure: one of failures.py) and is cured: afterwards it is asked again,
        without a restart, and is exact. opens: whether the breakers have to open."""
        opened = {agent: times_opened(agent) for agent in self.fleet.agents}
        shown = SHOWN.get(name, (FAILED,))
        before = [self.fleet.total(metric, **labels) for metric, labels in shown]
        self._phase(f"{name}: failing")
        with failure(self.server):
            if opens:
                for agent in self.fleet.agents:
                    stack.wait_until(
                        lambda agent=agent: times_opened(agent) >= opened[agent] + 2,
                        f"the breakers of {agent.name} to open",
                    )
            self._phase(f"{name}: open")
            self._wait_answered(self.rate // 4)
            for (metric, labels), was in zip(shown, before):
                assert self.fleet.total(metric, **labels) > was
            self._phase(f"{name}: cured")
        wait_closed(self.fleet)
        self._wait_exact()

    def _wait_exact(self):
        """Until it is exact again. (With a deadline so short a busy machine makes some answers late:
        then the next fresh keys show it.)"""
        def shown():
            self.attempts += 1
            result = self.fleet.load(requests=400, keys=10, prefix=f"exact-{self.attempts}-",
                                     in_flight=2, connections=2).result()
            result.check_answered()
            return "fallback" not in result.sources and result.allowed == [20] * 10

        stack.wait_until(shown, "fresh keys to be counted exactly")

    def end(self):
        """Every request was answered, and as its rule says. Returns what was measured of each
        phase."""
        results = {name: load.stop() for name, load in self.loads.items()}
        for fallback, result in results.items():
            result.check_answered()
            for name, phase in result.phases.items():
                if not name.endswith(": open"):
                    continue
                # What was under way when the server was cured may still have been answered by it.
                own = phase["sources"].get("fallback", 0)
                assert own + CONNECTIONS * IN_FLIGHT >= sum(phase["sources"].values())
                assert phase["refused"] == (own if fallback == "deny" else 0)
        return {
            f"{name}, {what}, us": max(result.phases[name][what] for result in results.values())
            for name in results["deny"].phases if not name.endswith(": cured")
            for what in ("p99", "p99.9", "longest")
        }


def late_replies(bench, server, relay):
    """Redis does what it is asked, but its reply comes after the deadline, when the request has
    been answered by the fallback. Where that let it through, it stays charged; where that refused
    it, it is given back. relay: a scripted.Scripted in front of the server."""
    store = fleets.single(relay, deadline="200ms", **QUICK)
    fleet = Fleet(bench, store, rules(limit=30), agents=1, workers=1)
    for fallback, counted in (("local", 2), ("deny", 1)):
        key = f"{fallback}-1"
        assert fleet.ask(key)[0]["source"] == "redis"
        relay.hold()
        answer = fleet.ask(key)[0]
        relay.release()
        assert (answer["source"], answer["allow"]) == ("fallback", fallback == "local")
        stack.wait_until(lambda: count_of(server, key) == counted, f"{key} to count {counted}")
        answer = stack.wait_until(
            lambda: next((a for a in fleet.ask(key) if a["source"] == "redis"), None),
            "Redis to be asked again",
        )
        assert answer["remaining"] == 30 - counted - 1


def count_of(server, subject):
    """Of a fixed window: what the server counts."""
    (key,) = (key for key in server.keys() if f"{{={subject}}}" in key)
    return int(server.command("GET", key))


def sentinel_failover(bench, watched, rate, fail, returns=True):
    """The primary fails (fail: "kill" or "pause") under load and Sentinel replaces it; the old one
    may come back as a replica, which takes Sentinel ten seconds. Nobody goes on asking it."""
    fleet = Fleet(bench, fleets.sentinel(watched, deadline="200ms", **QUICK), rules())
    load = fleet.load(keys=20, rate=rate, prefix="deny-")
    load.wait_for("answered", rate // 2)
    old = watched.primary()
    load.phase("failing")
    {"kill": old.kill, "pause": old.pause}[fail]()
    new = watched.wait_replaced(old)
    if returns:
        {"kill": old.start, "pause": old.resume}[fail]()
        stack.wait_until(lambda: old.role() == "slave", "the old primary to be a replica")
    wait_closed(fleet)

    errors = fleet.total("sluice_redis_errors_total")
    load.phase("after")
    load.wait_for("answered", rate)
    result = load.stop()
    result.check_answered()
    assert result.phases["after"]["sources"].keys() == {"redis"}
    assert fleet.total("sluice_redis_errors_total") == errors
    return {"seconds": result.phases["failing"]["seconds"],
            "longest answer, us": result.phases["failing"]["longest"]}


def one_of_several_dead(bench, servers, rate, keys=60):
    """Of independent servers one dies: its keys are answered by the fallback, the others by Redis as
    ever."""
    fleet = Fleet(bench, fleets.ketama(servers, deadline="1s", **QUICK), rules())
    result = fleet.load(requests=keys * 20, keys=keys, prefix="deny-").result()
    result.check_answered()
    assert result.allowed == [20] * keys
    placed = {server: keys_of(server) for server in servers}
    assert sorted(key for found in placed.values() for key in found) == sorted(
        f"deny-{i}" for i in range(keys)
    )
    dead = servers[0]
    load = fleet.load(keys=keys, rate=rate, prefix="deny-")
    load.wait_for("answered", rate // 10)
    dead.kill()
    wait_open(fleet)
    load.phase("open")
    load.wait_for("answered", rate // 2)
    result = load.stop()
    result.check_answered()
    for server in servers:
        for key in placed[server]:
            wanted = "fallback" if server is dead else "redis"
            for agent in fleet.running():
                assert fleet.ask(key, agent)[0]["source"] == wanted
    return {server.name: len(found) for server, found in placed.items()}


def keys_of(server):
    """The subjects that a server has keys of: "=deny-1" is the text deny-1."""
    return {
        key[key.find("{=") + 2 : key.find("}")] for key in server.keys() if "{=" in key
    }
