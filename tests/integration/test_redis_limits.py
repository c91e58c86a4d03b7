"""The limits on a real Redis server: the programs of tests/redis, which say what they check.

    SLUICE_REDIS_SERVER    the server (default: redis-server)
    SLUICE_REDIS_STEPS     steps of each comparison (default: 100000)
"""

import os
import shutil
import subprocess
import tempfile

import pytest

import conftest
import stack

ALGORITHMS = ["fixed-window", "sliding-window", "token-bucket", "sliding-log"]
SERVER = os.environ.get("SLUICE_REDIS_SERVER", "redis-server")
STEPS = os.environ.get("SLUICE_REDIS_STEPS", "100000")
PATIENCE = 600.0  # seconds; with a sanitizer, on a shared machine


@pytest.fixture(scope="module")
def redis():
    """The address of a server that is only for these tests: a unix socket, and nothing on disk."""
    # Not pytest's tmp_path: a unix socket's path must fit 107 bytes.
    directory = tempfile.mkdtemp(prefix="sluice-redis.")
    path = f"{directory}/redis.sock"
    command = [SERVER, "--port", "0", "--unixsocket", path, "--dir", directory,
               "--save", "", "--appendonly", "no"]
    try:
        server = stack.Program("redis-server", command, directory)
    except FileNotFoundError:
        shutil.rmtree(directory)
        pytest.fail(f"there is no {SERVER}: install it, or set SLUICE_REDIS_SERVER")
    try:
        server.wait_for_log(r"[Rr]eady to accept connections", "Redis to be ready")
        yield path
    finally:
        server.stop()
        shutil.rmtree(directory)


def run(sluice, name, *arguments):
    """Runs a program of tests/redis that was built with the agent under test."""
    program = sluice.parents[1] / "tests" / "redis" / f"redis_{name}"
    ended = subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=PATIENCE,
        env={**os.environ, **conftest.SANITIZERS}, stdin=subprocess.DEVNULL,
    )
    print(ended.stdout + ended.stderr)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_answer_is_that_of_the_pure_function(sluice, redis, algorithm):
    run(sluice, "differential", redis, algorithm, STEPS)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_agents_that_take_at_once_keep_the_promise(sluice, redis, algorithm):
    run(sluice, "promise", redis, algorithm, "10000")


def test_what_others_have_written_is_not_answered(sluice, redis):
    run(sluice, "rubbish", redis)
