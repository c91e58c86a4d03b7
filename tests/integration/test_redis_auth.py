"""Who the agent is to Redis: users and passwords, from a file or the environment."""

import pathlib
import re
import tempfile

import pytest

import access
import redis


@pytest.fixture(scope="module")
def folder():
    with access.short_folder() as path:
        yield path


@pytest.fixture
def locked(folder):
    """A server with a password, and a user that may do what an agent needs, and no more."""
    directory = pathlib.Path(tempfile.mkdtemp(dir=folder))
    with redis.Server(directory) as server:
        client = server.client()
        client.command("ACL", "SETUSER", "limiter", "on", ">" + access.PASSWORD, "~sluice:*",
                       *access.RIGHTS.split())
        client.command("CONFIG", "SET", "requirepass", access.PASSWORD)
        server.admin = client
        yield server
        client.close()


@pytest.mark.parametrize("user", [None, "limiter"])
@pytest.mark.parametrize("source", ["file", "environment"])
def test_an_agent_with_a_password_is_served(bench, folder, locked, user, source):
    auth = "password_env: SECRET"
    if source == "file":
        auth = f'password_file: "{access.secret_file(folder)}"'
    if user:
        auth = f"user: {user}, {auth}"
    agent = bench.agent(
        access.rules(locked.address, f"  auth: {{ {auth} }}\n"),
        arguments=("--log-level", "debug"), environment={"SECRET": access.PASSWORD})
    access.expect_served(bench, agent, locked, locked.admin)


def test_the_rights_that_a_user_needs(bench, locked):
    agent = bench.agent(
        access.rules_of_all_algorithms("single", locked.address,
                                       "  auth: { user: limiter, password_env: SECRET }\n"),
        environment={"SECRET": access.PASSWORD})
    agent.wait_for_log('msg="?connected"?', "a connection to Redis", count=2)
    access.expect_all_algorithms(bench, agent)
    agent.stop()  # by which it tells the others that it has gone
    assert locked.admin.command("ACL", "LOG") == []
    assert "NOPERM" not in agent.log()


def test_a_wrong_password_is_logged_and_tried_at_the_breakers_pace(bench, locked):
    # Attempts of the two workers: one each, then the breaker rests for longer than the test takes.
    more = ("  auth: { user: limiter, password_env: SECRET }\n"
            "  breaker: { failures: 1, within: 10s, pause: 1h, max_pause: 1h }\n")
    agent = bench.agent(access.rules(locked.address, more), environment={"SECRET": "another one"})
    wrong = r'msg="breaker opened" redis=\S+ address=\S+ error="WRONGPASS invalid username'
    agent.wait_for_log(wrong, count=2)
    # It serves all the same, by its own store.
    assert access.ask(bench, agent)["source"] == "fallback"
    connections = int(locked_info(locked)["total_connections_received"])
    # Whoever asks for the topology or says that the agent lives tries again at that one's pace: two
    # threads that tried without a pause would have come thousands of times.
    for _ in range(20):
        access.ask(bench, agent)
    assert int(locked_info(locked)["total_connections_received"]) - connections < 100
    text = agent.log()
    assert len(re.findall(wrong, text)) == 2
    assert "another one" not in text and "another one" not in access.command_line(agent)


def locked_info(server):
    lines = server.admin.command("INFO", "stats").split("\r\n")
    return dict(line.split(":", 1) for line in lines if ":" in line)


def test_an_agent_gets_in_when_the_password_is_set_right(bench, locked):
    locked.admin.command("ACL", "SETUSER", "limiter", "resetpass", ">another one")
    more = ("  auth: { user: limiter, password_env: SECRET }\n"
            "  breaker: { failures: 1, within: 10s, pause: 10ms, max_pause: 50ms }\n")
    agent = bench.agent(access.rules(locked.address, more),
                        environment={"SECRET": access.PASSWORD})
    agent.wait_for_log(r'"breaker opened".*WRONGPASS invalid username', count=2)
    locked.admin.command("ACL", "SETUSER", "limiter", "resetpass", ">" + access.PASSWORD)
    agent.wait_for_log(r'msg="breaker closed"', count=2)
    assert access.ask(bench, agent)["source"] == "redis"


def test_no_password_where_one_is_needed_is_logged(bench, locked):
    agent = bench.agent(access.rules(locked.address))
    agent.wait_for_log(r'error="NOAUTH Authentication required')
    assert access.ask(bench, agent)["source"] == "fallback"


@pytest.mark.parametrize("content, problem", [
    (None, "No such file or directory"),
    ("\n", "is empty, expected a password"),
    ("two\nlines\n", "is more than one line of text, expected a password"),
])
def test_a_password_that_cannot_be_read_is_an_error_at_start(bench, folder, content, problem):
    path = folder / "nothing"
    if content is not None:
        path = access.secret_file(folder, content)
    agent = bench.agent(access.rules("127.0.0.1:1", f'  auth: {{ password_file: "{path}" }}\n'),
                        ready=False)
    agent.expected_status = 1
    assert agent.wait() == 1
    assert "auth.password_file" in agent.log() and str(path) in agent.log()
    assert problem in agent.log()


def test_a_server_that_says_a_password_back_is_not_quoted(sluice, folder):
    """As Redis does where AUTH was renamed."""
    directory = pathlib.Path(tempfile.mkdtemp(dir=folder))
    with redis.Server(directory, options={"rename-command AUTH": "let-me-in"}) as server:
        for way in access.WAYS:
            status, said = access.reach(sluice.parents[1], way, server.host, server.port,
                                        server.address, password_env="SECRET")
            assert status == 1
            assert "ERR unknown command 'AUTH'" in said
            assert access.PASSWORD[:8] not in said
