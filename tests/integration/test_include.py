"""Rule files that include others and are made with variables, served to a real HAProxy."""

import os
import pathlib
import random
import signal
import subprocess
import threading
import time

import pytest
import stack

RULES = """
include: rules.d/*.yml
rules:
  - name: all
    key: [ src/64 ]
    limits: [ { limit: "${TEST_LIMIT:-1000}", window: 1d } ]
"""
LOGIN = """
rules:
  - name: login
    match: { path: { prefix: /login } }
    key: [ src/64 ]
    limits: [ { limit: %s, window: 1d } ]
"""


def folder_of(bench):
    folder = os.path.join(bench.directory, "rules.d")
    os.makedirs(folder, exist_ok=True)
    return folder


def write(bench, name, text):
    with open(os.path.join(folder_of(bench), name), "w") as file:
        file.write(text)


def statuses(haproxy, path, count):
    return [haproxy.request(path).status for _ in range(count)]


def test_rules_of_an_included_file_limit(bench, haproxy_binary):
    write(bench, "10-login.yml", LOGIN % 2)
    write(bench, ".10-login.yml.swp", "not: a rule file")
    bench.agent(RULES, environment={"TEST_LIMIT": "5"})
    haproxy = bench.haproxy(haproxy_binary)
    assert statuses(haproxy, "/login", 3) == [200, 200, 429]
    assert haproxy.request("/login").headers["ratelimit"].startswith('"login";')
    # The third was charged to none; what is left of `all` is what the environment says.
    assert statuses(haproxy, "/", 4) == [200, 200, 200, 429]


def test_reload_follows_the_included_files(bench, haproxy_binary):
    write(bench, "10-login.yml", LOGIN % 1)
    agent = bench.agent(RULES)
    haproxy = bench.haproxy(haproxy_binary)
    assert statuses(haproxy, "/login", 2) == [200, 429]

    # One that is wrong changes nothing, and is named.
    write(bench, "20-more.yml", LOGIN % 7)
    agent.send_signal(signal.SIGHUP)
    agent.wait_for_log(r"20-more\.yml:3:11: .*login")
    assert statuses(haproxy, "/login", 1) == [429]

    write(bench, "20-more.yml", "rules: []\n")
    os.remove(os.path.join(folder_of(bench), "10-login.yml"))
    agent.send_signal(signal.SIGHUP)
    stack.wait_until(lambda: haproxy.request("/login").status == 200, "the rule to be gone")


# ---- the tools -----------------------------------------------------------------------------------

LISTEN = "listen: tcp://127.0.0.1:0\n"


def tool(bench, *arguments, **environment):
    """A command in the test's folder."""
    return subprocess.run(
        [bench.sluice, *arguments], cwd=bench.directory, capture_output=True, text=True,
        timeout=stack.WAIT, env={**os.environ, **environment},
    )


def write_rules(bench, text=RULES):
    (pathlib.Path(bench.directory) / "rules.yml").write_text(LISTEN + text)


@pytest.mark.parametrize("arguments, said", [
    (("validate", "rules.yml"), "rules.yml: ok, 2 rules, 2 limits, 2 arguments\n"),
    (("explain", "rules.yml", "src=192.0.2.1", "path=/login"), "  login (rules.d/10-login.yml:3): yes\n"),
    (("spoe-config", "rules.yml", "--only", "spoe"), " path=path"),
    (("replay", "rules.yml", "--log", "log"), "login"),
])
def test_every_tool_reads_included_files(bench, arguments, said):
    write_rules(bench)
    write(bench, "10-login.yml", LOGIN % 0)
    (pathlib.Path(bench.directory) / "log").write_text(
        "192.0.2.1:1 [06/Nov/2026:12:14:14.655] f b/s 1/0/3/4/8 200 2 - - ---- 1/1/1/1/0 0/0 "
        '"GET /login HTTP/1.1"\n')
    done = tool(bench, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout


def test_a_mistake_is_shown_in_the_line_of_its_own_file(bench):
    write_rules(bench, RULES + "  - { name: search, action: alow }\n")
    write(bench, "10-login.yml", LOGIN % 1 + "  - { name: all, action: deny }\n")
    write(bench, "20-search.yml", "rules:\n  - { name: x, acton: deny }\n")
    done = tool(bench, "validate", "rules.yml")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0].startswith('rules.yml:8:29: action is "alow"')
    assert lines[1:3] == [
        "  8 |   - { name: search, action: alow }",
        "    |                             ^",
    ]
    assert lines[3:6] == [
        'rules.d/10-login.yml:7:13: rule "all" again, expected a name of its own '
        "(line 5 of the rule file has it)",
        "  7 |   - { name: all, action: deny }",
        "    |             ^",
    ]
    assert lines[6].startswith('rules.d/20-search.yml:2:16: unknown key "acton"')
    assert lines[7:] == ["  2 |   - { name: x, acton: deny }", "    |                ^"]


def test_what_the_environment_says_is_not_shown(bench):
    write_rules(bench, RULES.replace("TEST_LIMIT:-1000", "TEST_LIMIT"))
    write(bench, "10-login.yml", LOGIN % 1)
    done = tool(bench, "validate", "rules.yml", TEST_LIMIT="hunter2")
    assert done.returncode == 1
    assert done.stdout + done.stderr == (
        'rules.yml:7:24: limit is what "${TEST_LIMIT}" stands for, expected a whole number from 0 '
        "to 1000000000, or unlimited\n"
        '  7 |     limits: [ { limit: "${TEST_LIMIT}", window: 1d } ]\n'
        "    |                        ^\n")
    done = tool(bench, "validate", "rules.yml")
    assert done.stderr.startswith("rules.yml:7:24: variable TEST_LIMIT is not set, expected ")


# ---- folders -------------------------------------------------------------------------------------


def test_hidden_files_and_backups_are_passed_over(bench):
    write_rules(bench)
    write(bench, "10-login.yml", LOGIN % 1)
    for name in (".10-login.yml.swp", ".#10-login.yml", "#10-login.yml#", "10-login.yml~",
                 "10-login.yml.bak", ".hidden.yml", "README"):
        write(bench, name, "not: a rule file")
    assert "ok, 2 rules" in tool(bench, "validate", "rules.yml").stdout


@pytest.mark.parametrize("make, said", [
    (lambda folder: (folder / "20.yml").mkdir(), '"rules.d/20.yml": it is not a regular file'),
    (lambda folder: os.mkfifo(folder / "20.yml"), '"rules.d/20.yml": it is not a regular file'),
    (lambda folder: (folder / "20.yml").symlink_to("gone"), '"rules.d/20.yml": No such file'),
    (lambda folder: (folder / "20.yml").write_text(""), "rules.d/20.yml:1:1: an included file is empty"),
    (lambda folder: folder.rename(folder.parent / "gone"), '"rules.d/*.yml": No such file'),
])
def test_what_can_not_be_read_is_told(bench, make, said):
    write_rules(bench)
    write(bench, "10-login.yml", LOGIN % 1)
    make(pathlib.Path(folder_of(bench)))
    done = tool(bench, "validate", "rules.yml")
    assert done.returncode == 1
    assert said in done.stderr


def swap(folder, version, texts):
    """What the kubelet does for a ConfigMap: a folder of its own, and one link that is replaced."""
    real = folder / f"..{version}"
    if not real.exists():
        real.mkdir()
        for name, text in texts.items():
            (real / name).write_text(text)
    (folder / "..data_tmp").symlink_to(real.name)
    (folder / "..data_tmp").rename(folder / "..data")


def test_a_config_map_is_read_once_and_whole(bench):
    """Its versions have the same rules in other files: of two halves, one has the other's names."""
    count = 40
    write_rules(bench)
    folder = pathlib.Path(folder_of(bench))
    names = [f"{i:02}.yml" for i in range(count)]
    versions = [
        {name: LOGIN.replace("login", f"rule-{(i + shift) % count}", 1) % 1
         for i, name in enumerate(names)}
        for shift in (0, count // 2)
    ]
    swap(folder, 0, versions[0])
    for name in names:
        (folder / name).symlink_to(f"..data/{name}")
    begin = time.monotonic()
    done = tool(bench, "validate", "rules.yml")
    took = time.monotonic() - begin
    assert (done.returncode, done.stderr) == (0, "")
    assert f"ok, {count + 1} rules" in done.stdout

    seed = int(os.environ.get("SLUICE_TEST_SEED", time.time_ns()))
    print(f"SLUICE_TEST_SEED={seed}")
    delays = random.Random(seed)
    for version in [1, 0] * 75:
        # Anywhere while it is read, or before, or behind.
        swapping = threading.Timer(delays.uniform(0, took), swap, (folder, version, versions[version]))
        swapping.start()
        done = tool(bench, "validate", "rules.yml")
        swapping.join()
        assert (done.returncode, done.stderr) == (0, "")



def test_a_file_that_never_stands_still_is_refused(bench):
    write_rules(bench)
    write(bench, "10-login.yml", "rules:" + "".join(
        LOGIN.replace("\nrules:", "").replace("login", f"login-{i}", 1) % 1 for i in range(2000)))
    path = os.path.join(folder_of(bench), "10-login.yml")
    stop = threading.Event()

    def go_on_touching():
        moment = 0
        while not stop.is_set():
            moment += 1
            os.utime(path, ns=(moment, moment))

    touching = threading.Thread(target=go_on_touching)
    touching.start()
    try:
        stack.wait_until(
            lambda: tool(bench, "validate", "rules.yml").stderr ==
            "rules.yml: this file, or one that it reads, changed again and again while it was read, "
            "expected it to stay as it is meanwhile\n", "a file to be refused")
    finally:
        stop.set()
        touching.join()
    assert tool(bench, "validate", "rules.yml").returncode == 0
