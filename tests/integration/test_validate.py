"""sluice validate: what it prints, and where it goes."""

import os

import pytest


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
