"""What is measured with: programs that are pinned to a core each, loads, CPU times, medians.

The agent (or whatever is measured) has the first core that we may use, and whatever makes the load
the second; where there is only one, they share it.
"""

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lib"))

import redis  # noqa: E402
import stack  # noqa: E402

ROUNDS = 5
LONG = 120.0  # seconds after which something that should have ended has not

CORES = sorted(os.sched_getaffinity(0))
AGENT_CORE = CORES[0]
LOAD_CORE = CORES[1 % len(CORES)]

# HAProxy's arguments as shipped. 3 rules, of which the last applies.
RULES = """
  - name: probes
    match: { path: { in: [ /health, /ready, /metrics ] } }
    action: allow
  - name: login
    match: { path: { prefix: /login }, method: POST }
    key: [ src/64 ]
    limits: [ { limit: 5, window: 15m } ]
  - name: client
    key: [ src/64 ]
    limits: [ { limit: %(limit)s, window: %(window)s, algorithm: %(algorithm)s } ]
%(more)s"""

# Arguments that make one key of all requests.
ONE_KEY = ["src=192.0.2.1", "method=GET", "path=/api/orders", "host=www.example.org", "api_key=k"]


def rules(limit=1_000_000_000, window="1d", algorithm="sliding-window", more=""):
    return RULES % {"limit": limit, "window": window, "algorithm": algorithm, "more": more}


def pinned(core, *command):
    return ["taskset", "-c", core, *command]


def cpu_seconds(pid):
    """Of all threads of a process, by its own clock: clock_getcpuclockid(3) makes this number."""
    return time.clock_gettime((~pid << 3) | 2)


def resident_bytes(pid):
    pages = pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")


class Stage:
    """Starts what a row needs, in a folder of its own, and ends it all:

        with Stage(sluice) as stage:
            floor = stage.floor()
            stage.load(floor, "--in-flight", 128)
    """

    def __init__(self, sluice):
        self.sluice = sluice
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-bench."))
        self.programs = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for program in reversed(self.programs):
            program.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def program(self, name, *command, core=AGENT_CORE):
        program = stack.Program(name, pinned(core, *command), self.directory)
        self.programs.append(program)
        return program

    def agent(self, name, text=None, store=None, settings="workers: 1", core=AGENT_CORE):
        """A sluice with these rules. settings: more lines of the rule file."""
        path = self.directory / f"{name}.yml"
        address = f"unix://{self.directory}/{name}.sock"
        path.write_text("\n".join([
            f"listen: {json.dumps([address])}",
            'admin: "tcp://127.0.0.1:0"',
            f"store: {json.dumps(store or {'mode': 'memory'})}",
            settings,
            "rules:" + (text or rules()),
        ]))
        agent = self.program(name, self.sluice, "serve", "-c", path, core=core)
        agent.wait_for_log(r'msg="?ready"?', f"{name} to be ready")
        agent.address = address
        return agent

    def floor(self, name="floor", core=AGENT_CORE):
        address = f"unix://{self.directory}/{name}.sock"
        floor = self.program(name, self.sluice, "bench", "--floor", address, core=core)
        floor.wait_for_log("^listening ")
        floor.address = address
        return floor

    def redis(self, core=LOAD_CORE, **options):
        server = redis.Server(self.directory, start=False, options=options)
        server.process = self.program("redis", *server.words(), core=core)
        return server.wait_ready()

    def load(self, agent, *options, core=LOAD_CORE, duration="1s"):
        """What `sluice bench --json` says. A load that wasn't answered whole is an error."""
        limit = [] if "--count" in options else ["--duration", duration]
        command = pinned(core, self.sluice, "bench", agent.address, "--pid", agent.pid, "--json",
                         *limit, *options)
        return json.loads(run(command))


def run(command, timeout=LONG):
    """Its output."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=timeout, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise stack.Failed(f"{' '.join(map(str, command))}: {done.stderr or done.stdout}")
    return done.stdout


def alternate(rounds=ROUNDS, **measures):
    """{name: [a result each round]}: the first of each, the second of each, ..., so that whatever
    else the machine does is shared by all."""
    found = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            found[name].append(measure())
    return found


def median(numbers):
    return statistics.median(numbers)


def median_ratio(ours, others):
    """Of the rounds, each for itself."""
    return median([a / b for a, b in zip(ours, others)])


def agent_us(results):
    """The agent's CPU a decision, in microseconds, of results of `load`."""
    return [result["agent"]["cpu_us_per_request"] for result in results]


def per_second(results):
    return [result["answers_per_second"] for result in results]
