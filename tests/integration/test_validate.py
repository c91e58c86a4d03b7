"""sluice validate: what it prints, and where it goes."""

import os

import pytest
import stack


def validate(bench, text, *arguments):
    path = os.path.join(bench.directory, "rules.yml")
    with open(path, "wb") as file:
        file.write(text)
    return bench.run("validate", *arguments, path), path


def test_each_mistake_is_shown_in_its_line(bench):
    done, path = validate(bench, b"""
listen: tcp://127.0.0.1:0
rules:
  - name: login
    match: { path: { prefx: /login }, method: POST }
    key: src
    limits:\t{ limit: 5, window: 15 } # \xc3\xbc
""")
    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f'{path}:5:22: operator of path is "prefx"')
    assert lines[1:3] == [
        "  5 |     match: { path: { prefx: /login }, method: POST }",
        "    |                      ^",
    ]
    assert lines[3].startswith(f'{path}:7:33: window is "15" without a unit')
    assert lines[4:] == [
        "  7 |     limits:     { limit: 5, window: 15 } # \xfc",
        "    |                                     ^",
    ]


def test_a_file_that_is_no_text_is_shown_as_far_as_it_can_be(bench):
    done, path = validate(bench, b"listen: \x1b[2J\xff\nrules: []\n")
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == ["  1 | listen: \ufffd[2J\ufffd", "    |         ^"]
    assert "\x1b" not in done.stderr


def test_what_stands_in_no_line_has_none_quoted(bench):
    for text in (b"", b"\n\n"):
        done, path = validate(bench, text)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "the file is empty" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("a.yml", "b.yml"), ("--strict", "a.yml")])
def test_a_wrong_command_line_is_told_how_it_goes(bench, arguments):
    done = bench.run("validate", *arguments)
    assert done.returncode == 2
    assert "usage: sluice validate" in done.stderr


# ---- what HAProxy doesn't send ------------------------------------------------------------------

SPOE = stack.ROOT / "haproxy" / "spoe-sluice.conf"


def test_the_shipped_files_go_together(bench):
    rules = stack.ROOT / "haproxy" / "sluice.yml"
    done = bench.run("validate", rules, "--spoe", SPOE)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_not_sent_is_a_warning(bench):
    done, path = validate(bench, b"""
listen: tcp://127.0.0.1:0
rules:
  - name: login
    message: sluice-reqest
    match: { method: POST }
    action: allow
  - name: client
    message: sluice-connection
    key: [ src/64, tenant ]
    limits: { limit: 5, window: 15s }
""", "--spoe", SPOE)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{path}: ok, ")
    assert done.stderr.splitlines() == [
        f"{path}:5:14: warning: message sluice-reqest is not in {SPOE}, so that this never "
        'applies, expected one of sluice-request, sluice-connection; did you mean '
        '"sluice-request"?',
        "  5 |     message: sluice-reqest",
        "    |              ^",
        f"{path}:10:20: warning: argument tenant is not sent with message sluice-connection of "
        f"{SPOE}, expected one of src, dst_port, request_id",
        "  10 |     key: [ src/64, tenant ]",
        "     |                    ^",
    ]


def test_a_file_that_sends_nothing_is_refused(bench):
    rules = stack.ROOT / "haproxy" / "sluice.yml"
    done = bench.run("validate", rules, "--spoe", rules)
    assert done.returncode == 1
    assert "expected HAProxy's SPOE configuration" in done.stderr
    assert bench.run("validate", rules, "--spoe", "/absent").returncode == 1
    assert bench.run("validate", "-", "--spoe", "-").returncode == 2


def test_a_rule_that_never_matches_is_a_warning(bench):
    done, path = validate(bench, b"""
listen: tcp://127.0.0.1:0
rules:
  - { name: all, action: allow }
  - { name: login, match: { path: /login }, key: src, limits: { limit: 5, window: 15s } }
""")
    assert (done.returncode, done.stdout) == (0, f"{path}: ok, 2 rules, 1 limits, 2 arguments\n")
    assert done.stderr.splitlines() == [
        f"{path}:5:5: warning: rule login never matches, since all (line 4, action: allow) ends "
        "the search for all that it would match",
        "  5 |   - { name: login, match: { path: /login }, key: src, limits: { limit: 5, window: 15s } }",
        "    |     ^",
    ]
    # Who serves it isn't told again: the log of an agent is about what happens.
    agent = bench.agent(open(path).read().replace("listen: tcp://127.0.0.1:0\n", ""))
    assert "warning" not in agent.log()
