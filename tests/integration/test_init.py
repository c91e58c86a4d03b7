"""sluice init: what it writes is right, is content with real HAProxys, and limits."""

import os
import pathlib
import re
import stat
import subprocess

import pytest
import redis
import stack

FILES = ["sluice.yml", "haproxy.cfg", "spoe-sluice.conf"]


def version_of(binary):
    version = stack.haproxy_version(binary)
    return "3.2" if version >= (3, 1) else f"{version[0]}.{version[1]}"


def folder_of(bench):
    return pathlib.Path(bench.directory) / "made"


def init(bench, *arguments):
    done = bench.run("init", *arguments, folder_of(bench))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def edit(path, *pairs):
    path.write_text(stack.replace(path.read_text(), *pairs))


def check(binary, folder):
    """haproxy -c, as the files are."""
    done = subprocess.run(
        [binary, "-c", "-f", folder / "haproxy.cfg"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stdout + done.stderr


class Started(stack.HAProxy):
    """HAProxy with the files that were written, and nothing but ports put in."""

    def __init__(self, binary, folder, api_port, bind, address):
        self.port = stack.free_port()
        self.stats_path = folder / "haproxy.stats"
        edit(
            folder / "haproxy.cfg",
            (f"    bind {bind}\n", f"    bind {address}:{self.port}\n"),
            ("    server api1 127.0.0.1:8080\n", f"    server api1 127.0.0.1:{api_port}\n"),
            ("\nglobal\n", f"\nglobal\n    stats socket {self.stats_path} level admin\n"),
            ("timeout connect 20ms", "timeout connect 20s"),
        )
        # A sanitizer's agent on a busy machine must not turn an answer into an error.
        edit(folder / "spoe-sluice.conf", ("timeout processing 50ms", "timeout processing 20s"),
             ("timeout hello 50ms", "timeout hello 20s"))
        stack.Program.__init__(self, "haproxy", [binary, "-db", "-f", folder / "haproxy.cfg"],
                               folder)


def statuses(haproxy, path, count, method="GET"):
    return [haproxy.request(path, method).status for _ in range(count)]


def wait_for_the_store(bench, agent):
    """Until Redis answers, by somebody who isn't asked about again."""
    def answered():
        done = bench.run("ask", agent.addresses()[0], "src=198.51.100.99", "path=/api/")
        return "source=redis" in done.stdout

    stack.wait_until(answered, f"{agent.name} to be answered by Redis")


def test_a_development_set_up_works_as_it_is_written(bench, haproxy_binary):
    said = init(bench, "--haproxy", version_of(haproxy_binary))
    folder = folder_of(bench)
    assert sorted(os.listdir(folder)) == sorted(FILES)
    done = bench.run("validate", folder / "sluice.yml", "--spoe", folder / "spoe-sluice.conf")
    assert (done.returncode, done.stderr) == (0, "")
    check(haproxy_binary, folder)

    # The commands that it names, the ports of this test put in.
    assert f"sluice serve -c {folder}/sluice.yml\n" in said
    assert f"haproxy -f {folder}/haproxy.cfg " in said
    rules = stack.replace((folder / "sluice.yml").read_text(),
                          ("tcp://127.0.0.1:9000", "tcp://127.0.0.1:0"),
                          ("tcp://127.0.0.1:9901", "tcp://127.0.0.1:0"))
    bench.agent(rules)
    haproxy = Started(haproxy_binary, folder, bench.api().port, "127.0.0.1:8000", "127.0.0.1")
    bench.programs.append(haproxy)
    haproxy.wait_ready()
    assert statuses(haproxy, "/api/auth/login", 6, "POST") == 5 * [200] + [429]
    assert haproxy.request("/health").status == 200


def test_a_production_set_up_is_right(bench, haproxy_binary):
    init(bench, "--production", "--haproxy", version_of(haproxy_binary))
    folder = folder_of(bench)
    done = bench.run("validate", folder / "sluice.yml", "--spoe", folder / "spoe-sluice.conf")
    assert (done.returncode, done.stderr) == (0, "")
    # Where the files are to go, and as whom HAProxy is to run, isn't everywhere.
    edit(folder / "haproxy.cfg", ("/etc/haproxy/spoe-sluice.conf", f"{folder}/spoe-sluice.conf"),
         ("    user haproxy\n    group haproxy\n", ""))
    check(haproxy_binary, folder)


@pytest.mark.parametrize("haproxy_binary", ["3.2"], indirect=True, ids=["haproxy-3.2"])
def test_a_production_set_up_shares_its_limits(bench, haproxy_binary):
    """Three agents and a Redis Cluster."""
    init(bench, "--production", "--haproxy", version_of(haproxy_binary))
    folder = folder_of(bench)
    with redis.Cluster(bench.directory, primaries=3, replicas=0) as cluster:
        ports = []
        for number in (1, 2, 3):
            rules = stack.replace(
                (folder / "sluice.yml").read_text(),
                ("unix:///run/sluice/spop.sock", f"unix://{bench.socket(f'agent{number}')}"),
                ("tcp://:9000", "tcp://127.0.0.1:0"),
                ("tcp://127.0.0.1:9901", "tcp://127.0.0.1:0"),
                ("deadline: 10ms", "deadline: 10s"),
            )
            nodes = ",".join(f"127.0.0.1:{server.port}" for server in cluster.servers)
            agent = bench.agent(rules, f"agent{number}", environment={"REDIS_CLUSTER_NODES": nodes})
            wait_for_the_store(bench, agent)
            ports.append(agent.tcp_address().rpartition(":")[2])
        edit(folder / "haproxy.cfg",
             ("/etc/haproxy/spoe-sluice.conf", f"{folder}/spoe-sluice.conf"),
             ("    user haproxy\n    group haproxy\n", ""), ("log /dev/log", "log stdout format raw"),
             *((f"192.0.2.1{number}:9000", f"127.0.0.1:{port}")
               for number, port in zip((1, 2, 3), ports)))
        haproxy = Started(haproxy_binary, folder, bench.api().port, ":80", "127.0.0.1")
        bench.programs.append(haproxy)
        haproxy.wait_ready()
        assert statuses(haproxy, "/api/auth/login", 2, "POST") == [200, 200]
        # Whichever of the agents HAProxy asks, the others know.
        question = ["src=127.0.0.1", "path=/api/auth/login", "method=POST"]
        said = [bench.run("ask", f"tcp://127.0.0.1:{port}", *question).stdout for port in ports]
        assert [line.splitlines()[0] for line in said] == 3 * ["allow=true"]
        assert "remaining=0" in said[2]
        assert statuses(haproxy, "/api/auth/login", 2, "POST") == [429, 429]


# ---- what is there already ------------------------------------------------------------------------


def test_nothing_is_overwritten(bench):
    init(bench)
    folder = folder_of(bench)
    (folder / "sluice.yml").write_text("mine")
    (folder / "haproxy.cfg").unlink()
    (folder / "spoe-sluice.conf").unlink()
    (folder / "spoe-sluice.conf").symlink_to("nowhere")
    done = bench.run("init", folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"sluice init: {folder}/sluice.yml: it is there already\n"
        f"sluice init: {folder}/spoe-sluice.conf: it is there already\n"
        "nothing was written; --force replaces what is there\n")
    assert sorted(os.listdir(folder)) == ["sluice.yml", "spoe-sluice.conf"]
    assert (folder / "sluice.yml").read_text() == "mine"

    init(bench, "--force")
    assert sorted(os.listdir(folder)) == sorted(FILES)
    assert "mine" not in (folder / "sluice.yml").read_text()
    assert not (folder / "spoe-sluice.conf").is_symlink()


def test_a_folder_that_cannot_be_written_to_is_told(bench):
    (pathlib.Path(bench.directory) / "file").write_text("")
    for path, why in (("file", "Not a directory"), ("none/deeper", "No such file or directory")):
        done = bench.run("init", f"{bench.directory}/{path}")
        assert (done.returncode, done.stdout) == (1, "")
        assert re.search(rf"^sluice init: .*{path}.*: {why}$", done.stderr, re.MULTILINE)


@pytest.mark.parametrize("name, expected", [
    ("with blank", "a path of letters, digits and / . _ - + @, which need no quotes in the files"),
    ("quo\"te", "a path of letters"),
    ("line\nfeed", "a path of letters"),
    ("x" * 100, "a shorter path, so that a socket in it has at most 107 bytes"),
])
def test_a_folder_that_would_need_quotes_or_is_too_long_is_refused(bench, name, expected):
    done = bench.run("init", f"{bench.directory}/{name}")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"expected {expected}" in done.stderr
    assert os.listdir(f"{bench.directory}/{name}") == []


def test_this_directory_is_the_default(bench):
    done = subprocess.run([bench.sluice, "init"], cwd=bench.directory, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"wrote {os.path.realpath(bench.directory)}/sluice.yml: the rules\n" in done.stdout
    mode = os.stat(os.path.join(bench.directory, "sluice.yml")).st_mode
    assert stat.S_IMODE(mode) == 0o644


@pytest.mark.parametrize("arguments", [
    ("a", "b"), ("--haproxy", "3.1"), ("--haproxy",), ("--prod", "--x")])
def test_a_wrong_command_line_is_told(bench, arguments):
    done = bench.run("init", *arguments)
    assert done.returncode == 2
    assert "expected 2.6, 3.0 or 3.2" in done.stderr or "usage: sluice init" in done.stderr
