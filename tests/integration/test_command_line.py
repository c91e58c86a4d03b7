"""What all commands have in common: the standard streams, help, and command lines that are wrong."""

import os
import re
import subprocess

import pytest
import stack

RULES = "rules: [ { name: a, key: src, limits: { limit: 5, window: 1h } } ]\n"
ENVOY = """
domain: d
descriptors: [ { key: k, rate_limit: { unit: second, requests_per_unit: 1 } } ]
"""
LOG = ('192.0.2.1:4000 [24/Nov/2026:17:00:10.000] www api/api1 0/0/1/3/4 200 97 - - ---- '
       '1/1/0/0/0 0/0 "GET / HTTP/1.1"\n')
COMMANDS = ["serve", "init", "import", "validate", "explain", "replay", "spoe-config", "ask",
            "bench", "top", "version"]


@pytest.fixture
def files(bench):
    agent = bench.agent('listen: "tcp://127.0.0.1:0"\nadmin: "tcp://127.0.0.1:0"\n' + RULES)
    (envoy := agent.rules_path.with_name("envoy.yml")).write_text(ENVOY)
    (log := agent.rules_path.with_name("log")).write_text(LOG)
    listening = re.search(r'msg="admin listening" address=tcp://(\S+)', agent.log())
    return {"RULES": agent.rules_path, "ENVOY": envoy, "LOG": log, "ADDRESS": agent.tcp_address(),
            "ADMIN": listening[1], "NEW": agent.rules_path.with_name("new")}


@pytest.mark.parametrize("line", [
    "--help", "version", "serve --help", "validate RULES", "explain RULES src=192.0.2.1",
    "spoe-config RULES", "import envoy ENVOY", "replay RULES --log LOG", "init NEW",
    "ask ADDRESS src=192.0.2.1", "bench ADDRESS --count 10", "top ADMIN --once --interval 0.1",
])
@pytest.mark.parametrize("closed", [False, True], ids=["full", "closed"])
def test_what_can_not_be_printed_is_a_failure(bench, files, line, closed):
    command = [bench.sluice, *(str(files.get(word, word)) for word in line.split())]
    target = ">&-" if closed else ">/dev/full"
    done = subprocess.run(["sh", "-c", f'exec "$@" {target}', "sh", *command], text=True,
                          stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=stack.WAIT)
    why = "Bad file descriptor" if closed else "No space left on device"
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1, f"sluice {line.split()[0]}: standard output: {why}")


def test_no_socket_takes_the_place_of_a_closed_stream(bench):
    """What is logged would go to who asks."""
    path = os.path.join(bench.directory, "rules.yml")
    address = f"unix://{bench.socket('sluice')}"
    with open(path, "w") as file:
        file.write(f'listen: "{address}"\n{RULES}')
    with subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", bench.sluice, "serve", "-c",
                           path]) as agent:
        try:
            stack.wait_until(lambda: bench.run("ask", address, "src=192.0.2.1").returncode == 0,
                             "the agent to answer")
            assert [os.readlink(f"/proc/{agent.pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3
        finally:
            agent.terminate()
            assert agent.wait(stack.WAIT) == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(bench, command):
    for option in ("--help", "-h"):
        done = bench.run(command, option)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"usage: sluice {command}")
        assert max(map(len, done.stdout.splitlines())) <= 92


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_is_told_with_its_command(bench, command):
    done = bench.run(command, "--nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert command == "version" or done.stderr.startswith(
        f"sluice {command}: unrecognized option '--nonsense'\n")
    assert f"usage: sluice {command}" in done.stderr


@pytest.mark.parametrize("line, said", [
    ("validate", "sluice validate: expected one rule file\n"),
    ("validate a b", "sluice validate: expected one rule file\n"),
    ("spoe-config", "sluice spoe-config: expected one rule file\n"),
    ("init a b", "sluice init: more than one argument, expected a directory\n"),
    ("import envoy", "sluice import: expected envoy and one file\n"),
    ("version x", "usage: sluice version\n"),
    ("nonsense", "sluice: no command 'nonsense'\n"),
])
def test_a_wrong_command_line_says_what_was_expected(bench, line, said):
    done = bench.run(*line.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said) and "usage: sluice" in done.stderr


@pytest.mark.parametrize("line, text, status, said", [
    ("validate -", f"listen: tcp://:0\n{RULES}", 0, "<stdin>: ok, 1 rules, 1 limits, 1 arguments\n"),
    ("validate -", "", 1, "<stdin>:1:1: the file is empty"),
    ("validate RULES --spoe -", "", 1, "<stdin>: no message could be read"),
    ("replay RULES --log -", "", 1, "<stdin>: no request in it"),
    ("import envoy -", "", 1, "<stdin>: the file is empty"),
    ("spoe-config - --remember-refusals", f"listen: tcp://:0\nanswer: rule\n{RULES}", 1,
     "<stdin>: answer lacks retry_at"),
])
def test_standard_input_has_a_name(bench, line, text, status, said):
    rules = os.path.join(bench.directory, "rules.yml")
    with open(rules, "w") as file:
        file.write(f"listen: tcp://:0\n{RULES}")
    done = subprocess.run([bench.sluice, *line.replace("RULES", rules).split()], input=text,
                          text=True, capture_output=True, timeout=stack.WAIT)
    assert done.returncode == status
    assert (done.stdout if status == 0 else done.stderr).startswith(said)
