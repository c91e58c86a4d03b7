"""What the environment says of the store in place of the rule file."""

import os
import subprocess

import pytest
import stack

RULES = """
store: {store}
rules:
  - {{ name: client, key: [ src ], limits: {{ limit: 2, window: 1h }} }}
"""

MODE = "DISTRIBUTED_REDIS_MODE"
NODES = "REDIS_CLUSTER_NODES"
INSTANCE = "INSTANCE_ID"


def validate(bench, store, environment):
    """(exit status, what it said of the file "rules.yml", without the lines that it quotes) of
    `sluice validate`."""
    path = os.path.join(bench.directory, "rules.yml")
    with open(path, "w") as file:
        file.write('listen: [ "tcp://127.0.0.1:0" ]' + RULES.format(store=store))
    done = subprocess.run([bench.sluice, "validate", "rules.yml"], cwd=bench.directory, text=True,
                          capture_output=True, env={**os.environ, **environment})
    said = [line for line in done.stderr.splitlines() if not line.startswith(" ")]
    return done.returncode, said


@pytest.mark.parametrize("store, environment", [
    ("{}", {}),
    ("{}", {MODE: "", NODES: "", INSTANCE: ""}),
    ("{}", {MODE: "cluster", NODES: "redis-1:7000,redis-2:7001 redis-3:7002", INSTANCE: "pod-1"}),
    ("{ mode: cluster, nodes: [ redis-1, redis-2 ] }", {MODE: "memory"}),
    ("{ mode: cluster, nodes: [ redis-1, redis-2 ] }", {MODE: "ketama"}),
    ("{ mode: sentinel, nodes: redis-1, master: mymaster }", {NODES: "[::1]:26379"}),
])
def test_file_and_environment_together_are_right(bench, store, environment):
    status, said = validate(bench, store, environment)
    assert (status, said) == (0, [])


@pytest.mark.parametrize("store, environment, expected", [
    ("{}", {MODE: "redis"},
     ["environment: DISTRIBUTED_REDIS_MODE is \"redis\", expected one of memory, single, sentinel,"
      " ketama, cluster"]),
    ("{}", {MODE: "cluster"},
     ["environment: DISTRIBUTED_REDIS_MODE is cluster and the file's store has no key \"nodes\", "
      "expected there at least one address, as in [ redis-1:6379 ], or REDIS_CLUSTER_NODES"]),
    ("{}", {NODES: "redis-1"},
     ["environment: REDIS_CLUSTER_NODES in a store with mode memory, expected only with mode "
      "single, sentinel, ketama or cluster"]),
    ("{ deadline: 1h }", {MODE: "cluster", NODES: "redis-1:port", INSTANCE: "two words"},
     ["environment: INSTANCE_ID is \"two words\", expected a name of 1 to 253 letters, digits, "
      "'.', '_', '-' and ':'",
      "environment: REDIS_CLUSTER_NODES is \"redis-1:port\", expected a port from 1 to 65535",
      "rules.yml:2:20: deadline is \"1h\", expected a whole number and ms, s, m, h or d, from 1ms "
      "to 10s"]),
    ("{ mode: cluster, nodes: [ redis-1, redis-2 ] }", {MODE: "single"},
     ["rules.yml:2:43: one address too many in nodes, expected at most 1 with mode single (of "
      "DISTRIBUTED_REDIS_MODE)"]),
])
def test_every_mistake_of_both_is_told(bench, store, environment, expected):
    status, said = validate(bench, store, environment)
    assert said == expected
    assert status == 1


def test_a_password_among_the_nodes_is_not_repeated(bench):
    status, said = validate(bench, "{}", {MODE: "single", NODES: "redis://:hunter2@redis-1:6379"})
    assert status == 1
    assert "REDIS_CLUSTER_NODES has an address with a user or password in it" in said[0]
    assert "hunter2" not in "".join(said)


def test_an_agent_serves_as_the_environment_says(bench):
    node = f"127.0.0.1:{stack.free_port()}"  # nobody is there: it serves by its fallback
    environment = {MODE: "single", NODES: node, INSTANCE: "pod-7"}
    agent = bench.agent(RULES.format(store="{ mode: memory, instance_id: file }"),
                        environment=environment)
    agent.wait_for_log(r'msg="counters are shared".* instance_id=pod-7\b')
    assert bench.run("ask", agent.tcp_address(), "src:ipv4=192.0.2.1").returncode == 0
    # The environment holds for a reload too: alone, this file would be refused.
    agent.reload(agent.rules_path.read_text().replace("mode: memory", "mode: single"))
    agent.wait_for_log(r'msg="rules reloaded"')


def test_an_agent_refuses_a_wrong_environment(bench):
    agent = bench.agent(RULES.format(store="{}"), ready=False, environment={MODE: "mesh"})
    agent.expected_status = 1
    assert agent.wait() == 1
    assert "DISTRIBUTED_REDIS_MODE" in agent.log()
