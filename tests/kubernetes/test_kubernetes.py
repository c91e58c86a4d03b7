"""config/distributed-redis.yml: decoded strictly by Kubernetes' own types, and what is embedded in it
run by real programs: Redis, redis-cli, sluice. `tests/run kubernetes`."""

import json
import os
import pathlib
import re
import subprocess

import pytest
import redis
import stack

import manifests

FOLDER = pathlib.Path(__file__).parent
OBJECTS = manifests.read()
TEXT = manifests.PATH.read_text()


# ---- Kubernetes' own types -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def decode(tmp_path_factory):
    """Decodes a text; its CompletedProcess."""
    folder = tmp_path_factory.mktemp("decode")
    made = subprocess.run(["go", "build", "-o", folder / "decode", "."], cwd=FOLDER,
                          capture_output=True, text=True)
    assert made.returncode == 0, made.stderr

    def run(text):
        (folder / "file.yml").write_text(text)
        return subprocess.run([folder / "decode", "file.yml"], cwd=folder, capture_output=True,
                              text=True)

    return run


def test_kubernetes_types_take_it(decode):
    done = decode(TEXT)
    assert (done.returncode, done.stderr) == (0, "")
    objects = json.loads(done.stdout)
    assert [(o["kind"], o["metadata"]["name"]) for o in objects] == [
        (o["kind"], o["metadata"]["name"]) for o in OBJECTS]
    # And so what is checked is what Kubernetes reads.
    for read, ours in zip(objects, OBJECTS):
        assert read.get("data") == ours.get("data")


@pytest.mark.parametrize("old, new, said", [
    ("  podManagementPolicy: Parallel\n", "  podManagmentPolicy: Parallel\n", "unknown field"),
    ("readOnlyRootFilesystem", "readOnlyRootFileSystem", "unknown field"),
    ("  replicas: 6\n", '  replicas: "6"\n', "cannot unmarshal string"),
    ("clusterIP: None\n", "clusterIP: None\n  clusterIP: None\n", "already set"),
    ("minReplicas: 3", "minReplicas: three", "cannot unmarshal string"),
    ("apiVersion: autoscaling/v2\n", "apiVersion: autoscaling/v2beta2\n", "no kind"),
    ("kind: PodDisruptionBudget\n", "kind: PodDisruptionBugdet\n", "no kind"),
])
def test_a_mistake_is_found(decode, old, new, said):
    assert old in TEXT
    done = decode(TEXT.replace(old, new, 1))
    assert done.returncode == 1
    assert said in done.stderr


# ---- what is embedded ----------------------------------------------------------------------------


class Pods:
    """Six pods' Redis servers, as the StatefulSet starts them, with addresses of this machine."""

    def __init__(self, bench):
        self.bench = bench
        self.folder = pathlib.Path(bench.directory)
        self.port = stack.free_port()
        self.addresses = []
        bin_ = self.folder / "bin"
        bin_.mkdir()
        (bin_ / "redis-server").symlink_to(redis.program("redis-8"))
        self.path = f"{bin_}:{os.environ['PATH']}"
        (self.folder / "passwords").mkdir()
        for name in manifests.secrets()["redis-passwords"]:
            (self.folder / "passwords" / name).write_text(f"of-{name}")
        self.programs = []

    def config(self, number):
        """A pod's own files; its folder."""
        pod = self.folder / f"pod{number}"
        for name in ("config", "run", "data"):
            (pod / name).mkdir(parents=True, exist_ok=True)
        for key, text in manifests.only(OBJECTS, "ConfigMap", "redis")["data"].items():
            for old, new in (("/etc/redis-passwords", f"{self.folder}/passwords"),
                             ("/etc/redis", f"{pod}/config"), ("/run/redis", f"{pod}/run"),
                             ("/data", f"{pod}/data"), ("6379", str(self.port))):
                text = text.replace(old, new)
            (pod / "config" / key).write_text(text)
        return pod

    def environment(self, number):
        return {"POD_IP": self.addresses[number], "PEERS": " ".join(self.addresses),
                "PATH": self.path}

    def start(self, network):
        self.addresses = [f"127.{network}.{i + 1}" for i in range(6)]
        for number in range(6):
            pod = self.config(number)
            program = stack.Program(f"redis{number}", ["sh", pod / "config" / "start"],
                                    self.folder, self.environment(number))
            self.programs.append(program)
            self.bench.programs.append(program)
        for number in range(6):
            stack.wait_until(lambda n=number: self.run("ready", n).returncode == 0, "Redis")

    def stop(self):
        for program in self.programs:
            program.stop()
        self.programs = []

    def run(self, script, number=0, timeout=120):
        return subprocess.run(["sh", self.folder / f"pod{number}" / "config" / script],
                              env={**os.environ, **self.environment(number)},
                              capture_output=True, text=True, timeout=timeout)

    def ask(self, number, *words):
        done = subprocess.run(
            ["redis-cli", "-h", self.addresses[number], "-p", str(self.port), *words],
            env={**os.environ, "REDISCLI_AUTH": "of-admin"}, capture_output=True, text=True)
        return done.stdout.replace("\r", "")

    def works(self):
        said = [self.ask(number, "cluster", "info") for number in range(6)]
        return all("cluster_state:ok" in s and "cluster_known_nodes:6" in s for s in said) and all(
            "disconnected" not in self.ask(n, "cluster", "nodes") and
            "fail" not in self.ask(n, "cluster", "nodes") and
            "master_link_status:down" not in self.ask(n, "info", "replication") for n in range(6))

    def agent(self, name):
        rules = stack.replace(
            manifests.script(OBJECTS, "sluice-rules", "sluice.yml"),
            ("/etc/redis-passwords", f"{self.folder}/passwords"),
            ("redis:6379", f"{self.addresses[0]}:{self.port}"),
            ("tcp://0.0.0.0:9000", "tcp://127.0.0.1:0"), ("tcp://0.0.0.0:9901", "tcp://127.0.0.1:0"),
            ("/run/sluice/spop.sock", self.bench.socket(name)),
            # A busy machine must not turn an answer into that of on_store_error.
            ("deadline: 25ms", "deadline: 5s"))
        return self.bench.agent(rules, name, arguments=("--watch",))


def ask(bench, name, **arguments):
    done = bench.run("ask", f"unix://{bench.socket(name)}",
                     *(f"{key}={value}" for key, value in arguments.items()))
    return dict(re.findall(r"^(\w+)=(.*)$", done.stdout, re.MULTILINE))


def shared(bench, name):
    stack.wait_until(lambda: ask(bench, name, src="198.51.100.1").get("source") == "redis",
                     f"{name} to count in Redis")


def test_what_is_embedded_makes_a_cluster_that_agents_count_in(bench):
    pods = Pods(bench)
    pods.start("0.77")
    made = pods.run("form")
    assert made.returncode == 0, made.stdout + made.stderr
    assert made.stdout.endswith("the cluster works\n")
    # Once more, as a job that is started again: nothing is changed.
    again = pods.run("form")
    assert (again.returncode, again.stdout) == (0, "the cluster works\n"), again.stderr

    # With the rights that the user has; three algorithms, and a reset.
    pods.agent("one")
    pods.agent("two")
    for name in ("one", "two"):
        shared(bench, name)
    login = {"src": "192.0.2.7", "path": "/api/auth/login", "method": "POST"}
    allowed = [ask(bench, name, **login)["allow"] for name in 4 * ["one", "two"]]
    assert allowed == 5 * ["true"] + 3 * ["false"]

    # Those that are asked to go hand over first, and agents follow; what was counted is there.
    primaries = [n for n in range(6) if pods.ask(n, "role").startswith("master")]
    assert len(primaries) == 3
    for number in primaries:
        left = pods.run("leave", number)
        assert (left.returncode, left.stderr) == (0, "")
        assert pods.ask(number, "role").startswith("slave")
        stack.wait_until(
            lambda: {ask(bench, "one", src=f"192.0.2.{100 + i}")["source"] for i in range(20)} ==
            {"redis"}, "the agent to have followed")
    assert ask(bench, "one", **login)["deny"] == "true"
    # A replica just goes.
    assert (pods.run("leave", primaries[0]).returncode, pods.ask(primaries[0], "role")[:5]) == (
        0, "slave")

    # All pods are made anew, with other addresses: they find each other, and what was counted is there.
    pods.stop()
    pods.start("0.78")
    stack.wait_until(pods.works, "the pods to be a cluster again", timeout=90, interval=0.5)
    pods.agent("three")
    shared(bench, "three")
    assert ask(bench, "three", **login)["deny"] == "true"


def test_nobody_gets_in_without_a_password(bench):
    pods = Pods(bench)
    pods.start("0.79")
    done = subprocess.run(["redis-cli", "-h", pods.addresses[0], "-p", str(pods.port), "ping"],
                          capture_output=True, text=True)
    assert "NOAUTH" in done.stdout
    done = subprocess.run(
        ["redis-cli", "-h", pods.addresses[0], "-p", str(pods.port), "--user", "sluice", "flushall"],
        env={**os.environ, "REDISCLI_AUTH": "of-sluice"}, capture_output=True, text=True)
    assert "NOPERM" in done.stdout
    secret = (pods.folder / "pod0" / "run" / "users.acl").stat().st_mode
    assert secret & 0o077 == 0
