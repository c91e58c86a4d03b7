"""A fleet of agents that share their limits through Redis, and the load that is put on it.

    fleet = Fleet(bench, single(server), [rule(limit=1000)])
    result = fleet.load(requests=200_000).result()
    assert result.allowed == [1000] * 100
"""

import bisect
import json
import re
import signal
import subprocess
import threading
import time

import admin
import spop
import stack

# A window that no test sees the end of: windows are aligned to the epoch, and this one ends in
# February 2027 and 366 days after.
FOR_EVER = "366d"

# What is not about time must not depend on it: with a sanitizer, on a busy machine, a deadline of
# 10 ms is missed now and then, and even a second for the server's clock.
PATIENT = {"deadline": "10s", "connect_timeout": "10s"}


# ---- rule files ---------------------------------------------------------------------------------


def single(server, **more):
    return {"mode": "single", "nodes": [server.address], **more}


def cluster(servers, **more):
    return {"mode": "cluster", "nodes": [server.address for server in servers.servers], **more}


def sentinel(watched, **more):
    return {"mode": "sentinel", "nodes": [s.address for s in watched.sentinels],
            "master": watched.master, **more}


def ketama(servers, **more):
    return {"mode": "ketama", "nodes": [server.address for server in servers], **more}


def rule(name="client", limit=1000, window=FOR_EVER, algorithm="fixed-window", keys=None, burst=None,
         **more):
    """One limit for each api_key. keys: only for those whose name begins so. more: of the rule."""
    one = {"limit": limit, "window": window, "algorithm": algorithm}
    if burst:
        one["burst"] = burst
    match = {"match": {"api_key": {"prefix": keys}}} if keys else {}
    return {"name": name, **match, "key": ["api_key"], "limits": [one], **more}


def rule_file(address, store, rules, workers=2):
    # JSON is YAML too.
    return "\n".join([
        f"listen: {json.dumps([address])}",
        'admin: "tcp://127.0.0.1:0"',
        f"workers: {workers}",
        f"store: {json.dumps(store)}",
        f"rules: {json.dumps(rules)}",
        "",
    ])


# ---- agents -------------------------------------------------------------------------------------


class Fleet:
    """Agents with the same rules and store, agent1 to agentN, each with a unix socket. They are the
    bench's, which ends them. prefix: words before the command, {agent name: [...]}."""

    def __init__(self, bench, store, rules, agents=3, workers=2, ready=True, environments=None):
        self.bench = bench
        self.store = store
        self.rules = rules
        self.workers = workers
        self.environments = environments or {}
        self.agents = []
        self.loads = []
        for _ in range(agents):
            self.add(connected=False)
        if ready:
            self.wait_connected()

    def add(self, connected=True):
        name = f"agent{len(self.agents) + 1}"
        agent = self.bench.agent(
            self._file(name), name, environment=self.environments.get(name)
        )
        agent.address = f"unix://{self.bench.socket(name)}"
        self.agents.append(agent)
        if connected:
            self.wait_connected([agent])
        return agent

    def _file(self, name):
        store = {"instance_id": name, **self.store}
        return rule_file(f"unix://{self.bench.socket(name)}", store, self.rules, self.workers)

    def running(self):
        return [agent for agent in self.agents if agent.running()]

    def addresses(self):
        return [agent.address for agent in self.running()]

    def kill(self, agent):
        """With signal 9: it can't say goodbye, to Redis or to HAProxy."""
        agent.kill()
        agent.expected_status = -signal.SIGKILL

    def reload(self, rules):
        """Every agent gets these rules, and has them in force when this returns."""
        self.rules = rules
        before = {agent: reloads(agent) for agent in self.running()}
        for agent in self.running():
            agent.reload(self._file(agent.name))
        for agent in self.running():
            stack.wait_until(lambda agent=agent: reloads(agent) > before[agent], "the reload")

    def wait_connected(self, agents=None):
        """Until every worker of theirs (default: of all that run) is connected to all it knows."""
        for agent in agents or self.running():
            stack.wait_until(lambda agent=agent: connected(agent), f"{agent.name} to be connected")

    def wait_metric(self, name, wanted, what, agents=None, **labels):
        """Until wanted(the sum of a metric's samples with these labels) holds in every agent."""
        for agent in agents or self.running():
            stack.wait_until(
                lambda agent=agent: wanted(metrics(agent).sum(name, **labels)),
                f"{agent.name}: {what}",
            )

    def total(self, name, **labels):
        """The sum over all agents that run."""
        return sum(metrics(agent).sum(name, **labels) for agent in self.running())

    def load(self, addresses=None, **options):
        load = Load(self.bench, addresses or self.addresses(), **options)
        self.loads.append(load)
        return load

    def ask(self, key, agent=None, times=1):
        """The answers to as many questions about one key, one after the other."""
        with spop.Connection((agent or self.running()[0]).address, timeout=stack.WAIT) as asker:
            asker.hello()
            return [asker.ask({"api_key": key}) for _ in range(times)]


class Metrics:
    """What /metrics said: samples by name and labels."""

    def __init__(self, text):
        self.text = text
        self.samples = []
        for name, labels, number in re.findall(r"^(\w+)(?:\{(.*)\})? (\S+)$", text, re.MULTILINE):
            pairs = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels))
            self.samples.append((name, pairs, float(number)))

    def all(self, name, **labels):
        """[(labels, value)] of the samples that have these labels."""
        found = [
            (pairs, number) for sample, pairs, number in self.samples
            if sample == name and labels.items() <= pairs.items()
        ]
        histogram = re.sub("_(bucket|sum|count)$", "", name)
        if f"# TYPE {name} " not in self.text and f"# TYPE {histogram} h" not in self.text:
            raise stack.Failed(f"there is no metric {name} in:\n{self.text}")
        return found

    def sum(self, name, **labels):
        return sum(number for _, number in self.all(name, **labels))


def metrics(agent):
    return Metrics(admin.request(agent, "/metrics").body)


def connected(agent):
    """Whether each of its workers is connected to all shards."""
    return connected_by(metrics(agent))


def connected_by(said):
    up = [number for _, number in said.all("sluice_redis_up")]
    return 0 < said.sum("sluice_topology_shards") <= up.count(said.sum("sluice_workers"))


def reloads(agent):
    return metrics(agent).sum("sluice_reloads_total")


# ---- load ---------------------------------------------------------------------------------------


class Load:
    """Runs tests/load/load.c. options are its long options: requests=1000, in_flight=8, http=True.
    """

    def __init__(self, bench, addresses, http=False, **options):
        command = [bench.sluice.parents[1] / "tests" / "load" / "load"]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", value]
        if http:
            command.append("--http")
        self.keys = options.get("keys", 100)
        # How many requests may be under way at once; these are the load's own defaults.
        self.in_flight = (
            len(addresses) * options.get("connections", 4) * options.get("in_flight", 32)
        )
        self.last = {"sent": 0, "answered": 0, "allowed": 0, "lost": 0, "seconds": 0}
        self.final = None
        self.process = subprocess.Popen(
            [str(word) for word in (*command, *addresses)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )
        self.complaints = []
        self.threads = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_complaints, daemon=True),
        ]
        for thread in self.threads:
            thread.start()

    def _read(self):
        for line in self.process.stdout:
            said = json.loads(line)
            if "result" in said:
                self.final = Result(said["result"], self.keys)
            else:
                self.last = said

    def _read_complaints(self):
        self.complaints.extend(self.process.stderr)

    def wait_for(self, what, more, timeout=60.0):
        """Until so many more were sent, answered or allowed, by its last report."""
        target = self.last[what] + more

        def reached():
            if self.process.poll() is not None:
                raise stack.Failed(f"the load ended early: {''.join(self.complaints)}")
            return self.last[what] >= target

        stack.wait_until(reached, f"{more} more {what}", timeout)

    def tell(self, order):
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()

    def phase(self, name):
        """Requests due from now on are counted as this phase."""
        self.tell(f"phase {name}")

    def connect(self, agent):
        self.tell(f"connect {agent.address}")

    def stop(self):
        """Asks no more; returns the result."""
        self.tell("stop")
        return self.result()

    def result(self, timeout=120.0):
        """Once all is asked and answered."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise stack.Failed(f"the load didn't end within {timeout:g} s: {self.last}") from None
        for thread in self.threads:
            thread.join(stack.WAIT)
        if self.process.returncode != 0 or self.final is None:
            raise stack.Failed(f"the load failed: {''.join(self.complaints)}")
        self.process.stdin.close()
        return self.final


class Result:
    """allowed, refused: how many of each key. phases: {name: {"p99.9": microseconds, ...}}."""

    def __init__(self, said, keys):
        self.sent = said["sent"]
        self.answered = said["answered"]
        self.lost = said["lost"]
        self.unanswered = said["unanswered"]
        self.strays = said["strays"]
        self.seconds = said["seconds"]
        self.allowed = said["allowed"]
        self.refused = said["refused"]
        self.phases = {phase["name"]: phase for phase in said["phases"]}
        self.sources = {}
        for phase in said["phases"]:
            for source, number in phase["sources"].items():
                self.sources[source] = self.sources.get(source, 0) + number
        self.grants = [[] for _ in range(keys)]
        for key, asked_at, answered_at in said["grants"]:
            self.grants[key].append((asked_at, answered_at))

    def check_answered(self, lost=0):
        """Every question was answered once. lost: so many may have been in the hands of an agent
        that was killed."""
        assert self.unanswered == 0
        assert self.strays == 0
        assert self.lost <= lost
        assert self.answered + self.lost == self.sent

    def over(self, limit):
        """How many were allowed above the limit, over all keys."""
        return sum(max(number - limit, 0) for number in self.allowed)


# Agents know a server's clock to about half a round trip: what happened so close (microseconds) to
# the edge of a window may be of either.
EDGE = 20_000


def by_window(grants, window, edge=EDGE):
    """{index: [sure, unsure]} of one key's grants: certainly of that window; perhaps of it."""
    windows = {}
    for asked_at, answered_at in grants:
        first, last = (asked_at - edge) // window, (answered_at + edge) // window
        for index in range(first, last + 1):
            windows.setdefault(index, [0, 0])[first != last] += 1
    return windows


def most_in_a_span(grants, span, edge=EDGE):
    """How many of one key's grants certainly fell into some span of that length."""
    grants = sorted(grants)
    most = 0
    ends = []
    # From the last backwards: `ends` are the answers to all that were asked at or after asked_at.
    for asked_at, answered_at in reversed(grants):
        bisect.insort(ends, answered_at)
        most = max(most, bisect.bisect_right(ends, asked_at + span - edge))
    return most


def microseconds():
    return time.time_ns() // 1000
