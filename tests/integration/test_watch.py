"""sluice serve --watch: files that change are read, once and whole."""

import os
import pathlib
import re
import shutil
import signal
import time

import pytest
import stack
from fleet import metrics

import test_include

LIMIT = """
  - name: {name}
    key: [ src ]
    limits: {{ limit: {limit}, window: 1d }}
"""


def rules(bench, limit, include=""):
    return (f'listen: [ "unix://{bench.socket()}" ]\n{include}rules:' +
            LIMIT.format(name="client", limit=limit))


def limit_in_force(bench, name="client"):
    said = bench.run("ask", f"unix://{bench.socket()}", "src=192.0.2.1").stdout
    return int(re.search(r"^limit=(\d+)$", said, re.MULTILINE)[1])


def wait_for(bench, limit):
    stack.wait_until(lambda: limit_in_force(bench) == limit, f"a limit of {limit}", interval=0.1)


def reloads(agent):
    return len(re.findall(r'msg="rules reloaded"', agent.log()))


def refusals(agent):
    return len(re.findall(r'msg="reload failed', agent.log()))


def watching(bench, rules_path):
    """An agent that serves a file of the test's own, by whatever links that is reached."""
    agent = stack.Program("sluice", [bench.sluice, "serve", "-c", rules_path, "--watch"],
                          bench.directory)
    bench.programs.append(agent)
    agent.wait_for_log('msg="ready"')
    return agent


def test_a_config_map_is_followed(bench):
    """Rules and a file of values, reached through links that the kubelet swaps."""
    folder = pathlib.Path(bench.directory) / "config"
    folder.mkdir()

    def texts(limit):
        return {"rules.yml": rules(bench, limit, "include: more.yml\n"),
                "more.yml": "rules:" + LIMIT.format(name="more", limit=limit + 1000)}

    test_include.swap(folder, "v1", texts(10))
    for name in texts(10):
        (folder / name).symlink_to(f"..data/{name}")
    agent = watching(bench, folder / "rules.yml")
    assert limit_in_force(bench) == 10
    for number, limit in enumerate((11, 12), start=2):
        test_include.swap(folder, f"v{number}", texts(limit))
        shutil.rmtree(folder / f"..v{number - 1}")  # as the kubelet does at once
        wait_for(bench, limit)
    # The same again, in another folder: nothing is reloaded for it, as what comes after shows.
    test_include.swap(folder, "v4", texts(12))
    agent.wait_for_log("rules reloaded", count=2)
    test_include.swap(folder, "v5", texts(13))
    wait_for(bench, 13)
    assert reloads(agent) == 3
    assert refusals(agent) == 0


def test_an_editor_that_replaces_the_file_is_followed(bench):
    path = pathlib.Path(bench.directory) / "rules.yml"
    path.write_text(rules(bench, 10))
    agent = watching(bench, path)
    beside = path.with_suffix(".swp")
    beside.write_text(rules(bench, 11))
    beside.rename(path)
    wait_for(bench, 11)
    # Others move the old one away first.
    path.rename(f"{path}~")
    path.write_text(rules(bench, 12))
    wait_for(bench, 12)
    assert reloads(agent) == 2


def test_a_file_that_is_half_written_changes_nothing(bench):
    path = pathlib.Path(bench.directory) / "rules.yml"
    path.write_text(rules(bench, 10))
    agent = watching(bench, path)
    text = rules(bench, 11)
    with open(path, "w") as file:
        file.write(text[:text.index("window")])
        file.flush()
        agent.wait_for_log("reload failed")
        assert limit_in_force(bench) == 10
        file.write(text[text.index("window"):])
    wait_for(bench, 11)
    assert (reloads(agent), refusals(agent)) == (1, 1)


def test_a_wrong_file_is_refused_once_and_its_repair_is_seen(bench):
    path = pathlib.Path(bench.directory) / "rules.yml"
    path.write_text(rules(bench, 10))
    agent = watching(bench, path)
    path.write_text(rules(bench, "ten"))
    agent.wait_for_log("reload failed")
    os.utime(path)
    path.write_text(rules(bench, 10))
    agent.wait_for_log("rules reloaded")
    assert refusals(agent) == 1


def test_a_signal_still_reads_what_has_not_changed(bench):
    agent = bench.agent(rules(bench, 10), arguments=("--watch",))
    agent.reload(rules(bench, 10))
    agent.wait_for_log("rules reloaded")


def test_what_was_only_touched_does_not_show_as_not_loaded(bench):
    agent = bench.agent(rules(bench, 10, "admin: tcp://127.0.0.1:0\n"), arguments=("--watch",))

    def loaded_at():
        return metrics(agent).sum("sluice_rules_loaded_timestamp_seconds")

    loaded = loaded_at()
    stack.wait_until(lambda: time.time() > loaded + 1, "the next second")
    os.utime(agent.rules_path, (loaded + 1, loaded + 1))
    assert metrics(agent).sum("sluice_rules_file_timestamp_seconds") == loaded + 1
    stack.wait_until(lambda: loaded_at() > loaded, "the file to be read")
    assert reloads(agent) == 0


@pytest.mark.parametrize("arguments", [("-c", "-", "--watch")])
def test_standard_input_can_not_be_watched(bench, arguments):
    done = bench.run("serve", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "expected -c to name a file" in done.stderr


def test_what_was_restarted_in_place_goes_on_watching(bench):
    path = pathlib.Path(bench.directory) / "rules.yml"
    path.write_text(rules(bench, 10))
    agent = watching(bench, path)
    agent.send_signal(signal.SIGUSR2)
    agent.wait_for_log('msg="ready"', count=2)
    path.write_text(rules(bench, 11))
    wait_for(bench, 11)


def test_what_a_restart_in_vain_has_read_is_still_news(bench, sluice):
    path = pathlib.Path(bench.directory) / "rules.yml"
    path.write_text(rules(bench, 10))
    bench.sluice = pathlib.Path(bench.directory) / "program"
    shutil.copy(sluice, bench.sluice)
    agent = watching(bench, path)
    bench.sluice.unlink()
    bench.sluice = sluice
    for number in range(1, 6):
        # Mostly before the watch has seen it.
        path.write_text(rules(bench, 10 + number))
        agent.send_signal(signal.SIGUSR2)
        agent.wait_for_log('msg="no restart now"', count=number)
        wait_for(bench, 10 + number)


def test_a_candidate_is_watched_too(bench):
    path = pathlib.Path(bench.directory) / "rules.yml"
    candidate = path.with_name("candidate.yml")
    path.write_text("candidate: candidate.yml\n" + rules(bench, 10))
    candidate.write_text(rules(bench, 11))
    agent = watching(bench, path)
    candidate.write_text(rules(bench, 11) + LIMIT.format(name="another", limit=3))
    agent.wait_for_log(r"a candidate is compared with the rules.* rules=2")
