"""What the tests of passwords and TLS to Redis have in common."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile

import conftest
import stack

PASSWORD = "correct horse battery staple"
WAYS = ("wait", "link")  # of tests/redis/reach.c
SANITIZERS = {
    **conftest.SANITIZERS,
    "TSAN_OPTIONS": f"{conftest.SANITIZERS['TSAN_OPTIONS']}:"
                    f"suppressions={stack.ROOT}/tests/lib/openssl.tsan",
}

# What a user must be allowed, on keys that begin with the prefix.
RIGHTS = ("+auth +ping +role +time +get +set +incrby +decrby +pexpire +eval +evalsha +getrange "
          "+setrange +zadd +zcard +zrem +zremrangebyscore")
CLUSTER_RIGHTS = "+asking +cluster|info +cluster|shards +cluster|slots"
SENTINEL_RIGHTS = "+auth +sentinel|get-master-addr-by-name"
ALGORITHMS = ("fixed-window", "sliding-window", "token-bucket", "sliding-log")


@contextlib.contextmanager
def short_folder():
    """Not pytest's tmp_path: a unix socket's path must fit 107 bytes."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="sluice-auth."))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def reach(build, way, address, port, name, password=PASSWORD, **settings):
    """Runs redis_reach of a build: its exit status, and all that it said."""
    words = [f"{key}={value}" for key, value in settings.items()]
    ended = subprocess.run(
        [build / "tests/redis/redis_reach", way, address, str(port), name, *words],
        capture_output=True, text=True, timeout=stack.WAIT, stdin=subprocess.DEVNULL,
        env={**os.environ, **SANITIZERS, "SECRET": password},
    )
    said = ended.stdout + ended.stderr
    assert not conftest.REPORT.search(said), said
    assert password not in said
    return ended.returncode, said


def secret_file(folder, text=PASSWORD + "\n"):
    path = folder / "password"
    path.write_text(text)
    return path


def rules(server, more="", limit=3):
    return (
        'admin: "tcp://127.0.0.1:0"\n'
        "store:\n"
        "  mode: single\n"
        f'  nodes: [ "{server}" ]\n'
        "  deadline: 5s\n"
        "  connect_timeout: 10s\n"
        f"{more}"
        "rules:\n"
        "  - name: client\n"
        "    key: [ src ]\n"
        f"    limits: [ {{ limit: {limit}, window: 1h }} ]\n"
    )


def ask(bench, agent):
    answer = bench.run("ask", "-t", "20000", agent.tcp_address(), "src:ipv4=192.0.2.1")
    assert answer.returncode == 0, answer.stderr
    return dict(line.split("=", 1) for line in answer.stdout.splitlines())


def command_line(agent):
    return pathlib.Path(f"/proc/{agent.pid}/cmdline").read_bytes().decode()


def expect_served(bench, agent, server, client):
    """It counts in Redis, and doesn't say how it got in."""
    agent.wait_for_log('msg="?connected"?', "a connection to Redis", count=2)
    answers = [ask(bench, agent) for _ in range(4)]
    assert [answer["allow"] for answer in answers] == ["true"] * 3 + ["false"]
    assert answers[0]["source"] == "redis"
    assert client.command("KEYS", "sluice:{*}:*"), server.log()
    assert PASSWORD not in command_line(agent)
    agent.stop()
    assert PASSWORD not in agent.log()


def rules_of_all_algorithms(mode, node, more):
    """Each with a limit that refuses, so that units are given back to the other. Of windows so long
    that none ends meanwhile."""
    limits = "".join(
        f"  - name: {algorithm}\n"
        f"    match: {{ path: {{ in: [ /{algorithm} ] }} }}\n"
        "    key: [ src ]\n"
        f"    limits: [ {{ limit: 100, window: 366d, algorithm: {algorithm} }},"
        f" {{ limit: 2, window: 365d, algorithm: {algorithm} }} ]\n"
        for algorithm in ALGORITHMS
    )
    return (
        "store:\n"
        f"  mode: {mode}\n"
        f'  nodes: [ "{node}" ]\n'
        "  deadline: 5s\n"
        "  connect_timeout: 10s\n"
        f"{more}"
        f"rules:\n{limits}"
    )


def expect_all_algorithms(bench, agent):
    for client in range(1, 4):
        for algorithm in ALGORITHMS:
            for allowed in ("true", "true", "false"):
                said = bench.run("ask", "-t", "20000", agent.tcp_address(),
                                 f"src:ipv4=192.0.2.{client}", f"path=/{algorithm}")
                assert f"allow={allowed}\n" in said.stdout, said.stdout + said.stderr
                if allowed == "true":
                    assert "source=redis\n" in said.stdout
