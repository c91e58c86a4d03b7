"""The rows of requests through HAProxy: wrk -t1 -c64, HAProxy with one thread on a core of its own,
the agent beside wrk on the other. HAProxy answers by itself, so that no server behind it counts."""

import re

import measure
import stack
from measure import alternate, median, median_ratio
from result import at_least, rate, us

VERSIONS = ("2.6", "3.2")

CONFIG = """
global
    nbthread 1
    stats socket {folder}/{name}.stats mode 600 level admin
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend www
    bind 127.0.0.1:{port}
{rules}
    http-request return status 200 content-type text/plain string ok
"""

ASKING = """
    filter spoe engine sluice config {spoe}
    http-request send-spoe-group sluice sluice-request
    http-request deny deny_status 503 if {{ var(txn.sluice.error) -m found }}
    http-request deny deny_status 429 if {{ var(txn.sluice.deny) -m bool }}
"""

BACKEND = """
backend sluice
    mode {mode}
    timeout connect 5s
    timeout server 3m
    server sluice1 unix@{socket}
"""


class Proxy:
    """An HAProxy of a version. rules: of its frontend, where {spoe} is a file; socket: the agent's."""

    def __init__(self, stage, version, name, rules, socket=None, more=""):
        binary = measure.run([measure.ROOT / "tests" / "lib" / "haproxy-versions", version]).strip()
        self.port = stack.free_port()
        spoe = stage.directory / f"{name}-spoe.conf"
        # As shipped, but for the time after which an answer is an error: a busy machine is none.
        spoe.write_text(stack.replace(
            stack.shipped("spoe-sluice.conf"), ("timeout processing 50ms", "timeout processing 5s"),
            ("timeout hello 50ms", "timeout hello 5s"), ("    log global\n", "")))
        config = CONFIG.format(folder=stage.directory, name=name, port=self.port,
                               rules=rules.format(spoe=spoe)) + more
        if socket:
            config += BACKEND.format(
                socket=socket, mode="spop" if stack.haproxy_version(binary) >= (3, 1) else "tcp")
        path = stage.directory / f"{name}.cfg"
        path.write_text(config)
        self.program = stage.program(name, binary, "-db", "-f", path)
        self.pid = self.program.pid
        stack.wait_until(self._answers, f"{name} to answer")

    def _answers(self):
        if not self.program.running():
            raise stack.Failed(f"HAProxy ended: {self.program.log()}")
        try:
            return stack.request(self.port, "/").status
        except OSError:
            return 0

    def load(self, agent, status=200, seconds=2):
        """(requests/s, HAProxy's CPU a request in microseconds, the agent's)"""
        before = [measure.cpu_seconds(program.pid) for program in (self, agent)]
        said = measure.run(measure.pinned(
            measure.LOAD_CORE, "wrk", "-t1", "-c64", f"-d{seconds}s",
            f"http://127.0.0.1:{self.port}/api/orders"))
        after = [measure.cpu_seconds(program.pid) for program in (self, agent)]
        total = int(re.search(r"(\d+) requests in", said)[1])
        others = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
        refused = int(others[1]) if others else 0
        if refused != (total if status != 200 else 0):
            raise stack.Failed(f"{refused} of {total} answers were refusals:\n{said}")
        used = [(b - a) * 1e6 / total for a, b in zip(before, after)]
        return float(re.search(r"Requests/sec: +([\d.]+)", said)[1]), *used


# ---- 3: what the agent costs HAProxy -------------------------------------------------------------


def proxies(stage, version):
    """{name: (agent, proxy)}"""
    agents = {
        "floor": stage.floor("floor", measure.LOAD_CORE),
        "least": stage.agent("least", settings="workers: 1\nanswer: []", core=measure.LOAD_CORE),
        "all": stage.agent("all", core=measure.LOAD_CORE),
    }
    return {
        name: (agent, Proxy(stage, version, f"haproxy-{name}", ASKING,
                            agent.address.removeprefix("unix://")))
        for name, agent in agents.items()
    }


def costs(results):
    rates, haproxy, agent = (median(numbers) for numbers in zip(*results))
    return f"{rate(rates)} (CPU each: HAProxy {us(haproxy)}, agent {us(agent)})"


def faster(what, ours, others, text):
    """A line about requests/s. HAProxy's CPU says the same, where it has its core for itself, and is
    disturbed less."""
    line = at_least(what, costs(ours), text, median_ratio([r[0] for r in ours],
                                                         [r[0] for r in others]), 0.95)
    by_cpu = median_ratio([r[1] for r in others], [r[1] for r in ours])
    line.ratio += f" ({by_cpu:.2f}x by HAProxy's CPU)"
    return line


def row_3(sluice):
    lines, numbers = [], {}
    for version in VERSIONS:
        with measure.Stage(sluice) as stage:
            pairs = proxies(stage, version)
            found = alternate(**{
                name: lambda agent=agent, proxy=proxy: proxy.load(agent)
                for name, (agent, proxy) in pairs.items()
            })
        for name, what in (("least", "`allow` and `deny` answered, as the do-nothing agent does"),
                           ("all", "all variables answered")):
            lines.append(faster(f"requests/s, HAProxy {version}, unix socket, {what}", found[name],
                                found["floor"], f"do-nothing agent {costs(found['floor'])}"))
        numbers[f"request_us_{version}"] = median([result[2] for result in found["all"]])
    return lines, numbers


# ---- 13: a flood that HAProxy refuses itself -----------------------------------------------------

# What a client is told is the same as with the lines that remember.
NATIVE = """
    stick-table type ip size 100k expire 10m store http_req_rate(10m)
    http-request track-sc0 src
    http-request deny deny_status 429 content-type text/plain string "Too many requests.\\n" hdr Retry-After 600 if {{ sc_http_req_rate(0) gt 1 }}
"""


def remembering(version):
    """(The frontend's rules, what else there is) of the shipped file with its `#+` lines taken in."""
    name = stack.haproxy_file(tuple(map(int, version.split("."))))
    wanted = r"    (?:#\+ (?:acl|http-request) .*|http-request (?:send-spoe-group|deny) .*)\n"
    frontend, _, behind = stack.shipped(name).partition("    default_backend api\n")
    rules = "".join(re.findall("^" + wanted, frontend, re.M)).replace("#+ ", "")
    table = "".join(re.findall(r"^#\+ .*\n    #\+ .*\n", behind, re.M)).replace("#+ ", "")
    if "retry_at" not in rules or "stick-table" not in table:
        raise stack.Failed(f"the lines that remember a refusal are not in {name} any more")
    rules = rules.replace("{", "{{").replace("}", "}}")
    return "\n    filter spoe engine sluice config {spoe}\n" + rules, table


def row_13(sluice):
    lines = []
    for version in VERSIONS:
        with measure.Stage(sluice) as stage:
            agent = stage.agent("agent", measure.rules(limit=1, window="1d"),
                                core=measure.LOAD_CORE)
            socket = agent.address.removeprefix("unix://")
            lines_that_remember, table = remembering(version)
            pairs = {
                "remembered": Proxy(stage, version, "remembered", lines_that_remember, socket, table),
                "asked": Proxy(stage, version, "asked", ASKING, socket),
                "native": Proxy(stage, version, "native", NATIVE),
            }
            for proxy in pairs.values(): # the one that is allowed, and one that is remembered
                for _ in range(2):
                    stack.request(proxy.port, "/api/orders")
            found = alternate(**{
                name: lambda proxy=proxy: proxy.load(agent, status=429)
                for name, proxy in pairs.items()
            })
        asked = median([result[0] for result in found["asked"]])
        lines.append(faster(
            f"refusals/s, HAProxy {version}, remembered by `retry_at`", found["remembered"],
            found["native"],
            f"stick-table deny {costs(found['native'])}; each asked about {rate(asked)}"))
    return lines, {}
