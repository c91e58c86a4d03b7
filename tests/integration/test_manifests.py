"""config/distributed-redis.yml: what its objects say of one another, and what is embedded in it.
tests/kubernetes has Kubernetes' own types, and runs what is embedded."""

import copy
import re
import subprocess

import pytest
import stack

import manifests

OBJECTS = manifests.read()
SCRIPTS = ["start", "rejoin", "form", "redis-cluster-init", "leave", "ready"]


def test_all_that_is_named_is_there():
    assert manifests.Check(OBJECTS).problems == []
    assert manifests.secrets() == {"redis-passwords": {"admin", "sluice"}}


def at(kind, name, *path):
    """What sets a value in a copy of the objects."""
    def change(objects, value):
        place = manifests.only(objects, kind, name)
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
    return change


POD = ("spec", "template", "spec")


@pytest.mark.parametrize("change, value, problem", [
    (at("Service", "redis", "spec", "selector"), {"app.kubernetes.io/name": "rediss"},
     "Service redis: selects nothing"),
    (at("Service", "sluice", "spec", "ports", 0, "targetPort"), "spoop",
     "Service sluice: port spoop is none of"),
    (at("PodDisruptionBudget", "redis", "spec", "selector"), {"matchLabels": {"app": "redis"}},
     "PodDisruptionBudget redis: selects nothing"),
    (at("Deployment", "sluice", "spec", "selector"), {"matchLabels": {"app": "sluice"}},
     "Deployment sluice: its pods don't have the labels of its selector"),
    (at("StatefulSet", "redis", "spec", "serviceName"), "redis", "is no headless Service"),
    (at("StatefulSet", "redis", "spec", "replicas"), 8, "PEERS are"),
    (at("HorizontalPodAutoscaler", "sluice", "spec", "scaleTargetRef", "name"), "sluices",
     "which isn't there"),
    (at("Deployment", "sluice", "spec", "replicas"), 3, "its target says itself how many"),
    (at("NetworkPolicy", "sluice", "spec", "ingress", 0, "from", 0, "podSelector"),
     {"matchLabels": {"app.kubernetes.io/name": "proxy"}}, "NetworkPolicy sluice: selects nothing"),
    (at("NetworkPolicy", "to-redis", "spec", "egress", 0, "ports", 0, "port"), 6380,
     "port 6380 is none of"),
    (at("Deployment", "sluice", *POD, "volumes", 0, "configMap", "name"), "rules",
     "ConfigMap rules isn't there"),
    (at("Deployment", "sluice", *POD, "volumes", 1, "secret", "secretName"), "passwords",
     "Secret passwords is never made"),
    (at("Deployment", "haproxy", *POD, "volumes", 0, "name"), "config", "which aren't there"),
    (at("Deployment", "sluice", *POD, "containers", 0, "livenessProbe", "httpGet", "port"), "http",
     "livenessProbe asks port http"),
    (at("Job", "redis-cluster-form", *POD, "containers", 0, "command"), ["sh", "/etc/redis/from"],
     "/etc/redis/from is no key"),
    (at("Deployment", "sluice", *POD, "containers", 0, "securityContext", "readOnlyRootFilesystem"),
     False, "has more rights than it needs"),
])
def test_what_is_not_there_is_found(change, value, problem):
    objects = copy.deepcopy(OBJECTS)
    change(objects, value)
    assert any(problem in line for line in manifests.Check(objects).problems)


@pytest.mark.parametrize("name", SCRIPTS)
def test_shellcheck_is_content(name):
    text = manifests.script(OBJECTS, "redis", name)
    done = subprocess.run(["shellcheck", "-"], input=text, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout


def test_what_is_a_copy_is_the_same():
    init = (stack.ROOT / "config" / "redis-cluster-init").read_text()
    assert manifests.script(OBJECTS, "redis", "redis-cluster-init").strip() == init.strip()
    # What HAProxy asks, but for comments and what 3.2 ignores.
    shipped = stack.shipped("spoe-sluice.conf").partition("[sluice-tcp]")[0]
    lines = [line.strip() for line in shipped.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#") and
             line not in ("timeout hello 50ms", "timeout idle 2m")]
    embedded = manifests.script(OBJECTS, "haproxy", "spoe-sluice.conf").splitlines()
    assert [line.strip() for line in embedded if line.strip()] == lines


def test_the_user_of_the_agents_has_the_rights_that_the_docs_say():
    text = (stack.ROOT / "docs" / "redis.md").read_text()
    alone = re.search(r"ACL SETUSER sluice on >PASSWORD ~sluice:\* (.*)", text)[1]
    cluster = re.search(r"in a cluster also: +(.*)", text)[1]
    start = manifests.script(OBJECTS, "redis", "start")
    assert f"~sluice:* -@all {alone} {cluster}\n" in start


def test_the_rules_are_right(bench):
    path = f"{bench.directory}/sluice.yml"
    with open(path, "w") as file:
        file.write(manifests.script(OBJECTS, "sluice-rules", "sluice.yml"))
    done = bench.run("validate", path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("haproxy_binary", ["3.2"], indirect=True, ids=["haproxy-3.2"])
def test_haproxy_asks_the_agent_beside_it(bench, haproxy_binary):
    bench.agent("rules:\n  - { name: all, key: [ src ], limits: { limit: 2, window: 1d } }\n")
    port = stack.free_port()
    folder = stack.pathlib.Path(bench.directory)
    spoe = folder / "spoe-sluice.conf"
    spoe.write_text(stack.replace(manifests.script(OBJECTS, "haproxy", "spoe-sluice.conf"),
                                  ("timeout processing 50ms", "timeout processing 20s")))
    stats = folder / "haproxy.stats"
    config = folder / "haproxy.cfg"
    config.write_text(stack.replace(
        manifests.script(OBJECTS, "haproxy", "haproxy.cfg"),
        ("/usr/local/etc/haproxy/spoe-sluice.conf", str(spoe)),
        ("/run/sluice/spop.sock", bench.socket("sluice")),
        ("bind :8080", f"bind 127.0.0.1:{port}"), ("bind :8405", f"bind 127.0.0.1:{stack.free_port()}"),
        ("api.default.svc.cluster.local:8080", f"127.0.0.1:{bench.api().port}"),
        ("global\n    log", f"global\n    stats socket {stats}\n    log"),
        ("timeout connect 20ms", "timeout connect 20s")))
    done = subprocess.run([haproxy_binary, "-c", "-f", config], capture_output=True, text=True)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    # The other way, which is there as a comment.
    other = folder / "other.cfg"
    other.write_text(re.sub(r"#( +server-template .*)", r"\1", config.read_text()))
    done = subprocess.run([haproxy_binary, "-c", "-f", other], capture_output=True, text=True)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr

    program = stack.Program("haproxy", [haproxy_binary, "-db", "-f", config], folder)
    bench.programs.append(program)
    # Until the check has found the agent up, requests pass.
    asks = lambda: stack.HAProxy.ask_stats(program, "show servers state sluice")
    program.stats_path = stats
    stack.wait_until(lambda: stats.exists() and re.search(r"sidecar \S+ 2 ", asks()), "the agent")
    statuses = [stack.request(port, "/").status for _ in range(3)]
    assert statuses == [200, 200, 429]
