"""The admin server's pages: what they say, whom they let in, and that no client of theirs harms a
decision."""

import os
import re
import threading
import time

import admin
import fleet as fleets
import redis
import spop
import stack
from fleet import FOR_EVER, PATIENT, Fleet, rule

ADMIN = 'admin: "tcp://127.0.0.1:0"\n'

RULES = """
rules:
  - name: probes
    match: { path: { in: [ /health ] } }
    action: allow
  - name: login
    match: { path: { prefix: /login }, method: POST }
    key: [ src/64 ]
    limits: [ { limit: 3, window: 1h, algorithm: sliding-log } ]
    penalty: { after: 2, within: 1m, for: 10m }
  - name: tenant
    key: [ tenant ]
    limits: [ { limit: 10, window: 1h, algorithm: token-bucket, burst: 20 } ]
    mode: shadow
"""

LOGIN = {"src": "192.0.2.1", "path": "/login", "method": "POST", "tenant": "acme"}


def with_token(bench, token="t"):
    """(the admin setting, the token's file)."""
    secret = f"{bench.directory}/token"
    with open(secret, "w") as file:
        file.write(token + "\n")
    return f'admin: {{ address: "tcp://127.0.0.1:0", token_file: {secret} }}\n', secret


def asker(agent):
    connection = spop.Connection(agent.tcp_address(), timeout=stack.WAIT)
    connection.hello()
    return connection


def limits(answer):
    return {limit["limit"]: limit for limit in answer["limits"]}


# ---- looking -------------------------------------------------------------------------------------


def test_explain_tells_why_and_charges_nothing(bench):
    agent = bench.agent(ADMIN + RULES)
    with asker(agent) as connection:
        for _ in range(2):
            assert connection.ask(LOGIN)["allow"]
        for _ in range(3):
            said = admin.get(agent, "/explain", **LOGIN)
        assert said["answer"]["allow"] and said["answer"]["rule"] == "login"
        assert {name: limit["remaining"] for name, limit in limits(said).items()} == {
            "login-penalty": 1, "login": 1, "tenant": 18}
        assert limits(said)["login"]["key"] == "192.0.2.1"
        assert limits(said)["tenant"]["key"] == "=acme"
        assert [(each["rule"], each["verdict"]) for each in said["rules"]] == [
            ("probes", "doesn't match"), ("login", "applies"), ("tenant", "applies")]
        because = said["rules"][0]["because"][0]
        assert (because["argument"], because["operator"], because["value"]) == (
            "path", "in", "/login")
        assert connection.ask(LOGIN)["remaining"] == 0
        said = admin.get(agent, "/explain", **LOGIN)
        assert said["answer"]["deny"] and limits(said)["login"]["refuses"]
        assert not connection.ask(LOGIN)["allow"]
    # A look is no decision.
    assert admin.get(agent, "/stats/distributed")["decisions"]["allowed"] == 3


def test_explain_of_a_rule_that_does_not_apply(bench):
    agent = bench.agent(ADMIN + RULES)
    said = admin.get(agent, "/explain", path="/health")
    assert [each["verdict"] for each in said["rules"]] == ["allows"]
    said = admin.get(agent, "/explain", path="/login", method="POST")
    assert [(each["verdict"], each.get("missing")) for each in said["rules"]] == [
        ("doesn't match", None), ("no key", "src"), ("no key", "tenant")]
    assert said["answer"]["allow"] and said["limits"] == []


def test_a_key_is_looked_at_and_reset(bench):
    agent = bench.agent(with_token(bench, "open sesame")[0] + RULES)

    def key(verb="GET", **arguments):
        return admin.request(agent, "/key", verb, token="open sesame", **arguments)

    with asker(agent) as connection:
        for _ in range(5 + 3):
            connection.ask(LOGIN)
        # By what the logs call it, or by its arguments.
        for subject in ({"key": "192.0.2.1"}, {"src": "192.0.2.1"}):
            said = limits(key(rule="login", **subject).json())
            assert said["login"]["remaining"] == 0
            assert said["login-penalty"]["refuses"]
        reset = key("DELETE", rule="login", key="192.0.2.1")
        assert reset.status == 200 and reset.json()["key"] == "192.0.2.1"
        assert connection.ask(LOGIN)["remaining"] == 2
        # Another rule's count stays.
        assert limits(key(rule="tenant", key="=acme").json())["tenant"]["remaining"] < 20
    line = re.search(r'msg="key reset" (.*)', agent.log())[1]
    assert "rule=login key=192.0.2.1" in line and "by=tcp://127.0.0.1:" in line


def test_what_can_not_be_looked_at(bench):
    agent = bench.agent(ADMIN + RULES)
    for path, arguments, status, error in (
        ("/key", {}, 400, "no rule is named"),
        ("/key", {"rule": "nobody", "src": "192.0.2.1"}, 404, "there is no such rule"),
        ("/key", {"rule": "nobody", "key": "x"}, 400, "there is no such rule"),
        ("/key", {"rule": "login"}, 400, "the rule has no limits, or none for these arguments"),
        ("/key", {"rule": "probes"}, 400, "the rule has no limits, or none for these arguments"),
        ("/key", {"rule": "login", "key": "#0123"}, 400,
         "this is no key of the rule's, or one of which a part is hashed or cut"),
        ("/explain", {"src:ipv4": "x"}, 400, "an argument's value isn't of its type"),
        ("/explain", {"": "x"}, 400, "an argument's value isn't of its type"),
        ("/explain", {f"a{i}": "x" for i in range(256)}, 400, "there are too many arguments"),
        ("/explain", {"a": "x" * 17000}, 400, "the arguments are larger than a frame"),
        ("/rules", {"from": "x"}, 400, "an argument is no number in range"),
        ("/rules", {"count": "1001"}, 400, "an argument is no number in range"),
        ("/top", {"count": "-1"}, 400, "an argument is no number in range"),
        ("/top", {"by": "name"}, 400, "'by' is nothing that is counted"),
        ("/nothing", {}, 404, "there is no such page"),
    ):
        answer = admin.request(agent, path, **arguments)
        assert (answer.status, answer.json()["error"]) == (status, error), (path, arguments)
        assert answer.json()["expected"]
    # What is called as one of ours is told by its type.
    said = admin.get(agent, "/explain", **{"rule:string": "x", "message": "other"})
    assert said["arguments"] == {"rule": "x"} and said["message"] == "other"


def test_rules_page_by_parts(bench):
    many = "rules:\n" + "".join(
        f"  - {{ name: r{i}, key: [ src ], limits: {{ limit: {i + 1}, window: 1m }} }}\n"
        for i in range(1200))
    agent = bench.agent(ADMIN + many)
    said = admin.get(agent, "/rules")
    assert (said["total"], len(said["rules"])) == (1200, 1000)
    said = admin.get(agent, "/rules", **{"from": "1198", "count": "10"})
    assert [each["name"] for each in said["rules"]] == ["r1198", "r1199"]
    assert said["rules"][1]["limits"] == [
        {"name": "r1199", "algorithm": "sliding-window", "units": 1200, "window_seconds": 60.0}]
    assert len(admin.get(agent, "/stats/distributed")["rules"]) == 1000


def test_explain_live_shows_the_same(bench):
    text = with_token(bench)[0] + RULES
    agent = bench.agent(text)
    with asker(agent) as connection:
        for _ in range(2):
            connection.ask(LOGIN)
    file = f"{bench.directory}/rules.yml"
    with open(file, "w") as stream:
        stream.write("listen: tcp://127.0.0.1:0\n" + RULES)
    live = ("--live", f"127.0.0.1:{admin.port(agent)}", "--token-file", f"{bench.directory}/token")
    arguments = [f"{name}={value}" for name, value in LOGIN.items()]
    for _ in range(2):
        said = bench.run("explain", file, *live, *arguments)
        assert (said.returncode, said.stderr) == (0, "")
        assert "  login, key 192.0.2.1: 1 of 3 left (memory)\n" in said.stdout
        assert "  tenant, key =acme: 18 of 20 left (memory)\n" in said.stdout
        assert "and would answer:\n  allow=true\n" in said.stdout
    # An argument that is called as one of the page's own.
    said = bench.run("explain", file, *live, "rule=x", "key:string=y", "message=z")
    assert said.returncode == 0 and "  no limit applies\n" in said.stdout
    for wrong, error in (
        (live[:2], "status 401: the token is missing or wrong"),
        (("--live", f"127.0.0.1:{stack.free_port()}"), "Connection refused"),
        (("--live", agent.tcp_address()), "the answer isn't HTTP"),
        ((*live[:3], "/nowhere/token"), "/nowhere/token: No such file or directory"),
    ):
        said = bench.run("explain", file, *wrong, *arguments)
        assert said.returncode == 1 and error in said.stderr, said.stderr
    assert bench.run("explain", file, "--live", "x:y:z").returncode == 2


def test_the_heaviest_keys_of_all_workers(bench):
    agent = bench.agent(ADMIN + RULES)
    connections = [asker(agent) for _ in range(4)]  # two for each worker
    for connection in connections:
        for i in range(20):
            connection.ask({**LOGIN, "tenant": "big" if i % 2 else f"t{i}"})
        connection.ask({**LOGIN, "src": "192.0.2.2", "tenant": "t0"})
        connection.close()
    said = admin.get(agent, "/top")
    assert (said["by"], said["sampling"], said["missing_at_most"]) == ("refused", 1, 0)
    assert [(each["rule"], each["key"], each["refused"], each["requests"])
            for each in said["keys"]] == [
        ("login", "192.0.2.1", 77, 80), ("login", "192.0.2.2", 1, 4)]
    assert said["keys"][0]["refused_at_least"] == 77
    said = admin.get(agent, "/top", by="requests", count=2)
    assert [(each["rule"], each["key"], each["requests"]) for each in said["keys"]] == [
        ("login", "192.0.2.1", 80), ("tenant", "=big", 40)]


# ---- whom it lets in -----------------------------------------------------------------------------


def test_the_token(bench):
    setting, secret = with_token(bench, "first")
    agent = bench.agent(setting + RULES)
    for path in ("/health", "/ready"):
        assert admin.request(agent, path).status == 200
    for path in ("/metrics", "/rules", "/explain", "/stats/distributed", "/health/distributed"):
        for token in (None, "firs", "first2", "FIRST"):
            answer = admin.request(agent, path, token=token)
            assert answer.status == 401 and answer.headers["www-authenticate"] == "Bearer"
        assert admin.request(agent, path, token="first").status == 200
    wrong = admin.request(agent, "/rules", headers={"Authorization": "Basic first"})
    assert wrong.status == 401
    # It is read anew, so that it can be changed.
    with open(secret, "w") as file:
        file.write("second\n")
    assert admin.request(agent, "/rules", token="first").status == 401
    assert admin.request(agent, "/rules", token="second").status == 200
    os.unlink(secret)
    assert admin.request(agent, "/rules", token="second").status == 401
    agent.wait_for_log("the admin server's token can't be read")


def test_nothing_is_changed_without_a_token(bench):
    agent = bench.agent(ADMIN + RULES)
    answer = admin.request(agent, "/key", "DELETE", rule="login", src="192.0.2.1")
    assert answer.status == 403 and "token_file" in answer.json()["expected"]
    for method in ("POST", "PUT", "PATCH"):
        answer = admin.request(agent, "/key", method, rule="login")
        assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD, DELETE"
    assert admin.request(agent, "/rules", "DELETE").headers["allow"] == "GET, HEAD"


def test_a_token_that_can_not_be_read_at_the_start(bench):
    agent = bench.agent(
        'admin: { address: "tcp://127.0.0.1:0", token_file: /nowhere/token }\n' + RULES,
        ready=False)
    agent.expected_status = 1
    assert agent.wait() == 1
    assert ('msg="can\'t read the admin server\'s token" file=/nowhere/token error="No such file'
            in agent.log())


def test_what_a_worker_answers_goes_on_at_once(bench):
    """Not once the server has waited for something else, a second at most."""
    agent = bench.agent(ADMIN + RULES)
    begun = time.monotonic()
    for _ in range(60):
        assert admin.get(agent, "/key", rule="tenant", tenant="acme")["rule"] == "tenant"
    assert time.monotonic() - begun < 45


def test_an_address_in_use_is_told(bench):
    first = bench.agent(ADMIN + RULES)
    address = f"tcp://127.0.0.1:{admin.port(first)}"
    second = bench.agent(f"admin: {address}\n" + RULES,
                         name="second", ready=False)
    second.expected_status = 1
    assert second.wait() == 1
    assert (f'msg="can\'t start the admin server" address={address} '
            'error="bind: Address already in use"') in second.log()


def test_a_unix_socket(bench):
    path = f"{bench.directory}/admin.sock"
    agent = bench.agent(f'admin: {{ address: "unix://{path}", mode: 0600 }}\n' + RULES)
    assert admin.request(agent, "/health", unix=path).body == "ok\n"
    assert os.stat(path).st_mode & 0o777 == 0o600
    agent.stop()
    assert not os.path.exists(path)


# ---- clients that mean no good -------------------------------------------------------------------


def test_bad_clients_harm_no_decision(bench):
    agent = bench.agent(ADMIN + RULES)
    held = [admin.connect(agent) for _ in range(80)]
    for i, client in enumerate(held):
        try:
            client.sendall((b"GET /metrics HT", b"\x16\x03\x01\xff", b"GET /" + b"x" * 40000,
                            b"POST /key HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n" + b"y" * 9999)
                           [i % 4])
        except OSError:
            pass  # closed already
    with asker(agent) as connection:
        for _ in range(100):
            assert connection.ask({"path": "/health"})["allow"]
    for client in held:
        client.close()
    stack.wait_until(lambda: admin.request(agent, "/health").status == 200, "room for a client")


def test_a_body_is_of_no_use_and_bounded(bench):
    agent = bench.agent(ADMIN + RULES)
    with admin.connect(agent) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    with admin.connect(agent) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n")
        try:
            client.sendall(b"a" * 9000)
            rest = client.recv(100)
        except ConnectionError:
            rest = b""
        assert not rest.startswith(b"HTTP/1.1 200")


def test_many_askers_while_rules_are_reloaded(bench):
    """Looks, resets and reloads side by side: each is answered."""
    text = with_token(bench)[0] + RULES
    agent = bench.agent(text)
    wrong = []

    def look():
        for i in range(30):
            method = "DELETE" if i % 3 == 0 else "GET"
            answer = admin.request(agent, "/key", method, token="t", rule="login", key="192.0.2.1")
            if answer.status != 200:
                wrong.append(answer.body)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    listen = f'listen: [ "unix://{bench.socket("sluice")}", "tcp://127.0.0.1:0" ]\nworkers: 2\n'
    for _ in range(5):
        agent.reload(listen + text)
    for thread in threads:
        thread.join()
    assert wrong == []


# ---- counters that are shared --------------------------------------------------------------------


def test_redis_is_asked_and_told(bench):
    begun = int(time.time())
    with redis.Server(bench.directory) as server:
        fleet = Fleet(bench, fleets.single(server, **PATIENT), [rule(limit=5)], agents=2)
        first, second = fleet.agents
        fleet.ask("k", first, times=3)
        fleet.ask("k", second, times=1)
        for agent in fleet.agents:
            said = limits(admin.get(agent, "/key", rule="client", key="=k"))
            assert (said["client"]["remaining"], said["client"]["source"]) == (1, "redis")
        assert [answer["allow"] for answer in fleet.ask("k", first, times=3)] == [
            True, False, False]
        stack.wait_until(lambda: admin.get(first, "/health/distributed")["agents"] == 2,
                         "the agents to have counted each other")
        health = admin.get(first, "/health/distributed")
        assert (health["status"], health["store"]) == ("ok", "single")
        for at in (health["heartbeat"]["answered_at"], health["topology"]["refreshed_at"]):
            assert isinstance(at, int) and begun <= at <= time.time()
        shard, = health["shards"]
        assert (shard["name"], shard["breaker"], shard["workers_connected"]) == (
            f"127.0.0.1:{server.port}", "closed", 2)
        assert shard["last_error"] is None


def test_a_reset_reaches_redis_and_every_worker(bench):
    """A refusal that each worker remembers is forgotten by each."""
    with redis.Server(bench.directory) as server:
        agent = bench.agent(
            with_token(bench)[0] +
            f"store: {{ mode: single, nodes: [ {server.address} ], deadline: 10s }}\n"
            "rules:\n"
            f"  - {{ name: client, key: [ api_key ], limits: {{ limit: 2, window: {FOR_EVER}, "
            "algorithm: fixed-window } }\n")
        connections = [asker(agent) for _ in range(4)]  # two for each worker
        stack.wait_until(
            lambda: admin.request(agent, "/health/distributed", token="t").status == 200,
            "every worker to be connected")
        for connection in connections:
            for _ in range(2):
                last = connection.ask({"api_key": "k"})
        assert not last["allow"]
        answer = admin.request(agent, "/key", "DELETE", token="t", rule="client", key="=k")
        assert answer.status == 200
        allowed = [connection.ask({"api_key": "k"})["allow"] for connection in connections]
        assert sorted(allowed) == [False, False, True, True]
        for connection in connections:
            connection.close()


def test_redis_away(bench):
    with redis.Server(bench.directory) as server:
        fleet = Fleet(bench, fleets.single(server, breaker={"failures": 1}), [rule(limit=4)],
                      agents=1, workers=1)
        agent = fleet.agents[0]
        server.kill()
        stack.wait_until(
            lambda: admin.request(agent, "/health/distributed").status == 503, "it to be told")
        health = admin.request(agent, "/health/distributed").json()
        assert health["status"] == "degraded"
        assert health["shards"][0]["last_error"]
        said = limits(admin.get(agent, "/key", rule="client", key="=k"))["client"]
        assert (said["source"], said["store"]) == ("fallback", "unavailable")
        # The agent is ready all the same: on_store_error answers.
        assert admin.request(agent, "/ready").status == 200


def test_an_agent_that_stops_answers_who_waits(bench):
    """A look that waits for a Redis that doesn't answer ends with the agent."""
    with redis.Server(bench.directory) as server:
        fleet = Fleet(bench, fleets.single(server, **PATIENT), [rule(limit=4)], agents=1)
        agent = fleet.agents[0]
        server.pause()
        with admin.connect(agent) as client:
            client.sendall(b"GET /key?rule=client&key=%3Dk HTTP/1.1\r\nHost: x\r\n\r\n")
            agent.stop()
            client.settimeout(stack.WAIT)
            try:
                answer = client.recv(4096)
            except ConnectionError:
                answer = b""
            assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
        server.resume()
