"""docker-compose.distributed.yml, brought up, asked, hurt and taken down. In the order of this file."""

import concurrent.futures
import json

import pytest

import stack
from project import AGENTS, INSTANCES, SERVERS, docker, image_is_there

THREADS = 6 # requests at a time

# When an agent goes, the questions on their way to it are lost, and HAProxy may ask it a few more before it
# knows. docs/compose.md says so.
UNDECIDED = 5 * THREADS


def undecided(answers):
    """Those let through without an agent's word: it would have said what is left of the limit."""
    return [answer for answer in answers
            if answer.status == 200 and "ratelimit" not in answer.headers]


# ---- the image -----------------------------------------------------------------------------------


def test_the_image_is_small_and_nobodys(up):
    name = up.file["services"]["sluice-1"]["image"]
    image = json.loads(docker("image", "inspect", name))[0]
    assert image["Size"] < 100_000_000
    assert image["Config"]["User"].split(":")[0].isdigit() and image["Config"]["User"] != "0:0"
    assert docker("run", "--rm", name, "version").split()[-1] == name.split(":")[1]


# ---- up ------------------------------------------------------------------------------------------


def test_every_service_runs(up):
    assert up.state("redis-init")["State"]["ExitCode"] == 0
    for service in up.services():
        state = up.state(service)
        if service != "redis-init":
            assert state["State"]["Health"]["Status"] == "healthy", service
            assert state["RestartCount"] == 0, service


def test_services_have_few_rights(up):
    for service in up.services():
        host = up.state(service)["HostConfig"]
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"], service
        assert not host["CapAdd"] and not host["Privileged"], service
        assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"]), service
        assert host["Memory"] > 0 and host["NanoCpus"] > 0 and host["PidsLimit"] > 0, service
        if service != "redis-init":
            container = up.container(service)
            # Of its first process, since `docker exec` may not be who that is.
            status = docker("exec", container, "cat", "/proc/1/status")
            words = {line.split(":")[0]: line.split()[1] for line in status.split("\n") if line}
            assert words["Uid"] != "0" and int(words["CapEff"], 16) == 0, service
            assert words["NoNewPrivs"] == "1", service


def test_redis_is_out_of_reach(up):
    """Of all but the agents: it has no password."""
    store = docker("network", "inspect", "sluice-rehearsal_store")
    network = json.loads(store)[0]
    assert network["Internal"]
    inside = {container["Name"] for container in network["Containers"].values()}
    assert inside == {up.container(service) for service in (*SERVERS, *AGENTS)}
    for server in SERVERS:
        assert not any(up.state(server)["NetworkSettings"]["Ports"].values())


def test_each_primary_has_a_replica(up):
    primaries = [server for server in SERVERS if up.is_primary(server)]
    assert len(primaries) == 3
    for server in primaries:
        assert "connected_slaves:1" in up.redis(server, "info", "replication")


# ---- the limit -----------------------------------------------------------------------------------


def ask_with_key(up, path, key, requests):
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(
            lambda _: stack.request(up.port, path, headers={"X-API-Key": key}), range(requests)))


def test_the_limit_is_of_all_agents(up, report):
    """100 an hour: of 600 requests, which three agents decide, 100 are admitted."""
    answers = ask_with_key(up, "/api/limit", "trial-limit", 600)
    assert {answer.status for answer in answers} == {200, 429}
    assert not undecided(answers)
    admitted = sum(answer.status == 200 for answer in answers)
    assert admitted == 100

    def counted():
        by_agent = up.metric('sum by (instance) (sluice_rule_decisions_total{rule="trial"})')
        return sum(by_agent.values()) == len(answers) and by_agent

    by_agent = stack.wait_until(counted, f"Prometheus to know of {len(answers)} decisions")
    assert set(by_agent) == set(AGENTS) and all(by_agent.values())
    report("limit of 100, 600 requests", {
        "admitted": admitted,
        **{f"decided by {agent}": count for agent, count in sorted(by_agent.items())}})


def test_refusals_say_when_to_come_back(up):
    answers = ask_with_key(up, "/api/refused", "trial-refused", 101)
    (refused,) = [answer for answer in answers if answer.status == 429]
    assert 0 < int(refused.headers["retry-after"]) <= 3600
    assert refused.headers["ratelimit-policy"] == '"trial";q=100;w=3600'
    assert "by the rule trial" in refused.body


def test_changed_rules_are_in_force_by_themselves(up):
    """Saved as editors do it: a new file takes the old one's place."""
    shipped = up.rules.read_text()

    def change(text, limit):
        new = up.rules.with_suffix(".new")
        new.write_text(text)
        new.replace(up.rules)
        policy = f'"trial";q={limit};w=3600'

        def all_agents():
            answers = ask_with_key(up, "/api/changed", f"trial-changed-{limit}", 9)
            return {answer.headers["ratelimit-policy"] for answer in answers} == {policy}

        stack.wait_until(all_agents, f"a limit of {limit}")

    change(shipped.replace("limit: 100, window: 1h", "limit: 101, window: 1h"), 101)
    change(shipped, 100)


# ---- Prometheus ----------------------------------------------------------------------------------


def test_prometheus_sees_the_agents(up):
    def all_up():
        return up.metric('up{job="sluice"}') == {agent: 1.0 for agent in AGENTS}

    stack.wait_until(all_up, "Prometheus to see three agents")
    assert set(up.metric("sluice_agents").values()) == {3.0}
    assert set(up.metric("sluice_topology_slots_served").values()) == {16384.0}


def test_prometheus_knows_the_alerts(up):
    groups = up.ask_prometheus("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules and all(rule["health"] != "err" for rule in rules)


def test_grafana_shows_the_dashboard(up):
    if not up.grafana:
        pytest.skip("there is no image of Grafana here: its page is not exercised")
    found = json.loads(stack.request(up.grafana_port, "/api/search?type=dash-db").body)
    assert found


# ---- what fails ----------------------------------------------------------------------------------


class Faulty:
    """Load while a part is missing. Every request must be answered, as by a rule or an instance."""

    def __init__(self, up, path):
        self.up = up
        self.path = path
        # So many keys that some are on each shard, and none comes to its limit.
        self.load = up.load(path, lambda number: f"load-{number % 200}", THREADS)
        self.load.wait_for(300)

    def end(self, report, what, undecided_at_most=0, **more):
        """The instances that answered."""
        self.load.wait_for(300)
        answers = self.load.stop()
        assert {answer.status for answer in answers} == {200}
        lost = len(undecided(answers))
        report(what, {"requests": len(answers), "failed": 0, "undecided": lost, **more})
        assert lost <= undecided_at_most
        return {json.loads(answer.body)["instance"] for answer in answers}


@pytest.fixture
def faulty(up):
    started = []

    def start(path):
        started.append(Faulty(up, path))
        return started[-1]

    yield start
    for one in started:
        one.load.stopping.set()


def test_a_primary_dies(up, faulty, report):
    primary = next(server for server in SERVERS if up.is_primary(server))
    others = [server for server in SERVERS if server != primary]
    replicas = [server for server in others if not up.is_primary(server)]
    fallbacks = up.total("sluice_fallbacks_total")
    load = faulty("/api/primary")
    up.kill(primary)
    replaced = stack.wait_until(
        lambda: [server for server in replicas if up.is_primary(server)],
        f"a replica to take the place of {primary}", 60)
    # Its keys can't be counted meanwhile, and then all are again.
    assert up.total("sluice_fallbacks_total") > fallbacks

    def none_more():
        before = up.total("sluice_fallbacks_total")
        load.load.wait_for(300)
        return up.total("sluice_fallbacks_total") == before

    stack.wait_until(none_more, "all limits to be counted in Redis again", 60)
    load.end(report, f"primary {primary} killed, {replaced[0]} took its place",
             fallbacks=up.total("sluice_fallbacks_total") - fallbacks)

    up.start(primary)
    stack.wait_until(lambda: "master_link_status:up" in up.redis(primary, "info", "replication"),
                     f"{primary} to be a replica", 60)


def test_an_agent_crashes_and_comes_back(up, faulty, report):
    loaded = up.metric("sluice_rules_loaded_timestamp_seconds")["sluice-2"]
    load = faulty("/api/crash")
    up.crash("sluice-2")
    stack.wait_until(lambda: up.state("sluice-2")["RestartCount"] == 1, "Docker to start it again")
    up.wait_healthy("sluice-2")
    load.end(report, "agent crashed, and was started again by Docker", UNDECIDED)
    # It has a part in it again.
    load = up.load("/api/crash-after", lambda number: f"load-{number % 200}", 1)
    stack.wait_until(
        lambda: up.metric(
            'sum by (instance) (sluice_rule_decisions_total{rule="api-key"}) > 0'
            f" and on (instance) sluice_rules_loaded_timestamp_seconds > {loaded}"
        ).get("sluice-2"), "the agent to be asked again")
    load.stop()


def test_an_agent_is_gone(up, faulty, report):
    load = faulty("/api/gone")
    up.kill("sluice-3")
    load.load.wait_for(300)
    up.start("sluice-3")
    up.wait_healthy("sluice-3")
    load.end(report, "agent killed, and started again later", UNDECIDED)


def test_an_agent_is_stopped(up, faulty, report):
    load = faulty("/api/stopped")
    docker("stop", up.container("sluice-1"))
    assert up.state("sluice-1")["State"]["ExitCode"] == 0
    load.load.wait_for(300)
    up.start("sluice-1")
    up.wait_healthy("sluice-1")
    load.end(report, "agent stopped, and started again later", UNDECIDED)


def test_an_instance_dies(up, faulty, report):
    load = faulty("/api/instance")
    up.kill("api-1")
    load.load.wait_for(300)
    up.start("api-1")
    up.wait_healthy("api-1")
    stack.wait_until(
        lambda: "api-1" in stack.request(up.port, "/api/instance-after").body,
        "the instance to be asked again")
    assert load.end(report, "API instance killed, and started again later") == set(INSTANCES)


def test_agents_count_each_other(up):
    stack.wait_until(lambda: set(up.metric("sluice_agents").values()) == {3.0},
                     "all agents to know that they are three")


# ---- down ----------------------------------------------------------------------------------------


def test_nothing_is_left(up):
    up.down()
    assert up.left() == []
    assert not image_is_there("sluice-rehearsal-sluice-1") # compose's own name for what it builds
