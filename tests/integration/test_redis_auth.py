"""Who the agent is to Redis, and whether by TLS: users, passwords, certificates.

TLS needs hiredis 1.0 or later. Where the agent under test was built without, those tests build it
again on Debian 13 (tests/lib/debian-13-build), with the same sanitizer; they are skipped, with the
reason, where that can't be done.
"""

import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading

import pytest

import conftest
import redis
import resp
import stack

PASSWORD = "correct horse battery staple"
PRESETS = ("release", "debug", "asan-ubsan", "tsan")
WAYS = ("wait", "link")  # of tests/redis/reach.c
SANITIZERS = {
    **conftest.SANITIZERS,
    "TSAN_OPTIONS": f"{conftest.SANITIZERS['TSAN_OPTIONS']}:"
                    f"suppressions={stack.ROOT}/tests/lib/openssl.tsan",
}


@pytest.fixture(scope="module")
def folder():
    # Not pytest's tmp_path: a unix socket's path must fit 107 bytes.
    path = pathlib.Path(tempfile.mkdtemp(prefix="sluice-auth."))
    yield path
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


# ---- users and passwords ------------------------------------------------------------------------


@pytest.fixture
def locked(folder):
    """A server with a password, and a user that may do what README says an agent needs."""
    directory = pathlib.Path(tempfile.mkdtemp(dir=folder))
    with redis.Server(directory) as server:
        client = server.client()
        client.command("ACL", "SETUSER", "limiter", "on", ">" + PASSWORD, "~sluice:*", "+@all",
                       "-@dangerous", "-@admin", "+role")
        client.command("CONFIG", "SET", "requirepass", PASSWORD)
        server.admin = client
        yield server
        client.close()


@pytest.mark.parametrize("user", [None, "limiter"])
@pytest.mark.parametrize("source", ["file", "environment"])
def test_an_agent_with_a_password_is_served(bench, folder, locked, user, source):
    auth = f'password_file: "{secret_file(folder)}"' if source == "file" else "password_env: SECRET"
    if user:
        auth = f"user: {user}, {auth}"
    agent = bench.agent(rules(locked.address, f"  auth: {{ {auth} }}\n"),
                        arguments=("--log-level", "debug"), environment={"SECRET": PASSWORD})
    expect_served(bench, agent, locked, locked.admin)


def test_a_wrong_password_is_logged_and_tried_at_the_breakers_pace(bench, locked):
    # Attempts of the two workers: one each, then the breaker rests for longer than the test takes.
    more = ("  auth: { user: limiter, password_env: SECRET }\n"
            "  breaker: { failures: 1, within: 10s, pause: 1h, max_pause: 1h }\n")
    agent = bench.agent(rules(locked.address, more), environment={"SECRET": "another one"})
    wrong = r'msg="breaker opened" redis=\S+ address=\S+ error="WRONGPASS invalid username'
    agent.wait_for_log(wrong, count=2)
    # It serves all the same, by its own store.
    assert ask(bench, agent)["source"] == "fallback"
    connections = int(locked_info(locked)["total_connections_received"])
    # Whoever asks for the topology or says that the agent lives tries again at that one's pace: two
    # threads that tried without a pause would have come thousands of times.
    for _ in range(20):
        ask(bench, agent)
    assert int(locked_info(locked)["total_connections_received"]) - connections < 100
    text = agent.log()
    assert len(re.findall(wrong, text)) == 2
    assert "another one" not in text and "another one" not in command_line(agent)


def locked_info(server):
    lines = server.admin.command("INFO", "stats").split("\r\n")
    return dict(line.split(":", 1) for line in lines if ":" in line)


def test_an_agent_gets_in_when_the_password_is_set_right(bench, locked):
    locked.admin.command("ACL", "SETUSER", "limiter", "resetpass", ">another one")
    more = ("  auth: { user: limiter, password_env: SECRET }\n"
            "  breaker: { failures: 1, within: 10s, pause: 10ms, max_pause: 50ms }\n")
    agent = bench.agent(rules(locked.address, more), environment={"SECRET": PASSWORD})
    agent.wait_for_log(r'"breaker opened".*WRONGPASS invalid username', count=2)
    locked.admin.command("ACL", "SETUSER", "limiter", "resetpass", ">" + PASSWORD)
    agent.wait_for_log(r'msg="breaker closed"', count=2)
    assert ask(bench, agent)["source"] == "redis"


def test_no_password_where_one_is_needed_is_logged(bench, locked):
    agent = bench.agent(rules(locked.address))
    agent.wait_for_log(r'error="NOAUTH Authentication required')
    assert ask(bench, agent)["source"] == "fallback"


@pytest.mark.parametrize("content, problem", [
    (None, "No such file or directory"),
    ("\n", "is empty, expected a password"),
    ("two\nlines\n", "is more than one line of text, expected a password"),
])
def test_a_password_that_cannot_be_read_is_an_error_at_start(bench, folder, content, problem):
    path = folder / "nothing"
    if content is not None:
        path = secret_file(folder, content)
    agent = bench.agent(rules("127.0.0.1:1", f'  auth: {{ password_file: "{path}" }}\n'),
                        ready=False)
    agent.expected_status = 1
    assert agent.wait() == 1
    assert "auth.password_file" in agent.log() and str(path) in agent.log()
    assert problem in agent.log()


def test_a_server_that_says_a_password_back_is_not_quoted(sluice, folder):
    """As Redis does where AUTH was renamed."""
    directory = pathlib.Path(tempfile.mkdtemp(dir=folder))
    with redis.Server(directory, options={"rename-command AUTH": "let-me-in"}) as server:
        for way in WAYS:
            status, said = reach(sluice.parents[1], way, server.host, server.port, server.address,
                                 password_env="SECRET")
            assert status == 1
            assert "ERR unknown command 'AUTH'" in said
            assert PASSWORD[:8] not in said


# ---- TLS ----------------------------------------------------------------------------------------


def openssl(*words):
    try:
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.fail("there is no openssl: install it (apt-get install openssl)")
    except subprocess.CalledProcessError as error:
        pytest.fail(f"openssl {' '.join(map(str, words))}: {error.stderr}")


class Certificates:
    """Two authorities, and what the first of them has signed."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = self._authority("ca")
        self.other_ca = self._authority("other-ca")
        self.named = self._signed("named", "DNS:redis.test")
        self.numbered = self._signed("numbered", "IP:127.0.0.1")
        self.client = self._signed("client", "DNS:agent.test")
        self.locked_key = folder / "locked.key"
        openssl("ec", "-in", self.client[1], "-aes256", "-passout", "pass:x", "-out",
                self.locked_key)

    def _make(self, name, *words):
        made = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", 2, "-subj", f"/CN={name}", "-out", made[0], "-keyout", made[1], *words)
        return made

    def _authority(self, name):
        return self._make(name)

    def _signed(self, name, names):
        return self._make(name, "-CA", self.ca[0], "-CAkey", self.ca[1], "-addext",
                          f"subjectAltName={names}", "-addext", "basicConstraints=CA:FALSE")


@pytest.fixture(scope="module")
def certificates(folder):
    return Certificates(folder)


def lacks_tls(build):
    return "which has no TLS" in reach(build, "wait", "", 1, "", tls="yes")[1]


@pytest.fixture(scope="module")
def tls_build(sluice):
    """The folder of a build that has TLS: the one under test, or one on Debian 13."""
    build = sluice.parents[1]
    if not lacks_tls(build):
        return build
    preset = build.name if build.name in PRESETS else "debug"
    made = subprocess.run(
        [stack.ROOT / "tests/lib/debian-13-build", preset], capture_output=True, text=True,
    )
    if made.returncode == 77:
        pytest.skip(made.stderr.strip())
    assert made.returncode == 0, made.stderr
    build = pathlib.Path(made.stdout.strip())
    assert not lacks_tls(build)
    return build


@pytest.fixture
def tls_bench(tls_build, bench):
    bench.sluice = tls_build / "agent/sluice"
    return bench


def tls_server(folder, certificates, which="named", clients="no", flavour="redis-7.0", **options):
    """A server with a port for TLS, and one without that the test uses itself."""
    certificate, key = getattr(certificates, which)
    server = redis.Server(
        pathlib.Path(tempfile.mkdtemp(dir=folder)), flavour, start=False, options={
            "tls-port": stack.free_port(),
            "tls-cert-file": certificate,
            "tls-key-file": key,
            "tls-ca-cert-file": certificates.ca[0],
            "tls-auth-clients": clients,
            **options,
        })
    server.tls_port = server.options["tls-port"]
    return server.start()


@pytest.mark.parametrize("name", ["test_redis_access", "test_redis_link"])
def test_that_hiredis_passes_the_unit_tests(tls_build, name):
    ended = subprocess.run(
        [tls_build / "tests/unit/agent/store" / name], capture_output=True, text=True, timeout=300,
        env={**os.environ, **SANITIZERS}, stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_tls_that_was_not_built_in_is_an_error_that_says_so(bench):
    if not lacks_tls(bench.sluice.parents[1]):
        pytest.skip("this build has TLS")
    agent = bench.agent(rules("127.0.0.1:1", "  tls: {}\n"), ready=False)
    agent.expected_status = 1
    assert agent.wait() == 1
    assert re.search(r"built with hiredis 0\.\d+, which has no TLS: build it with hiredis 1.0 or",
                     agent.log())


class TestReach:
    """Both ways to a server of one name, "redis.test"."""

    @pytest.fixture(scope="class")
    def server(self, folder, certificates):
        with tls_server(folder, certificates) as server:
            yield server

    @pytest.fixture(scope="class")
    def strict(self, folder, certificates):
        """Wants a certificate of its clients."""
        with tls_server(folder, certificates, clients="yes") as server:
            yield server

    @pytest.fixture(scope="class")
    def numbered(self, folder, certificates):
        with tls_server(folder, certificates, "numbered") as server:
            yield server

    @staticmethod
    def expect_up(build, way, server, certificates, name="redis.test", **settings):
        settings = {"tls": "yes", "ca": certificates.ca[0], **settings}
        said = reach(build, way, server.host, server.tls_port, f"{name}:{server.tls_port}",
                     **settings)
        assert said[0] == 0, said[1]

    @staticmethod
    def expect_refusal(build, way, server, certificates, problem, or_problem=None,
                       name="redis.test", port=None, **settings):
        settings = {"tls": "yes", "ca": certificates.ca[0], **settings}
        status, said = reach(build, way, server.host, port or server.tls_port,
                             f"{name}:{server.tls_port}", **settings)
        assert status == 1
        assert problem in said or (or_problem and or_problem in said)

    @pytest.mark.parametrize("way", WAYS)
    def test_a_server_that_is_who_it_should_be(self, tls_build, server, certificates, way):
        self.expect_up(tls_build, way, server, certificates)

    @pytest.mark.parametrize("way", WAYS)
    def test_a_user_and_a_password_on_top(self, tls_build, server, certificates, way):
        server.command("ACL", "SETUSER", "limiter", "on", ">" + PASSWORD, "~*", "+@all")
        self.expect_up(tls_build, way, server, certificates, user="limiter", password_env="SECRET")
        self.expect_refusal(tls_build, way, server, certificates, "WRONGPASS", user="limiter",
                            password_env="SECRET", password="wrong")

    @pytest.mark.parametrize("way", WAYS)
    def test_an_authority_that_is_not_trusted(self, tls_build, server, certificates, way):
        problem = "TLS: the server's certificate is refused: self-signed certificate in certificate chain"
        self.expect_refusal(tls_build, way, server, certificates, problem,
                            ca=certificates.other_ca[0])

    @pytest.mark.parametrize("way", WAYS)
    def test_the_systems_authorities_where_none_is_named(self, tls_build, server, certificates,
                                                         way):
        self.expect_refusal(tls_build, way, server, certificates,
                            "TLS: the server's certificate is refused", ca="")

    @pytest.mark.parametrize("way", WAYS)
    def test_another_host_name(self, tls_build, server, certificates, way):
        problem = ("TLS: the server's certificate is refused: hostname mismatch, "
                   "expected other.test")
        self.expect_refusal(tls_build, way, server, certificates, problem, name="other.test")
        # The certificate's own name in the settings makes up for it.
        self.expect_up(tls_build, way, server, certificates, name="other.test",
                       server_name="redis.test")
        self.expect_refusal(tls_build, way, server, certificates, problem,
                            server_name="other.test")

    @pytest.mark.parametrize("way", WAYS)
    def test_an_address_instead_of_a_name(self, tls_build, server, numbered, certificates, way):
        self.expect_up(tls_build, way, numbered, certificates, name="127.0.0.1")
        problem = "TLS: the server's certificate is refused: IP address mismatch"
        self.expect_refusal(tls_build, way, server, certificates, problem, name="127.0.0.1")
        self.expect_refusal(tls_build, way, numbered, certificates, problem, name="[::1]")

    @pytest.mark.parametrize("way", WAYS)
    def test_a_server_that_asks_for_a_certificate(self, tls_build, strict, certificates, way):
        certificate, key = certificates.client
        self.expect_up(tls_build, way, strict, certificates, certificate=certificate, key=key)
        # With TLS 1.3 the server says so once we have begun to talk; its answer may come too late.
        self.expect_refusal(tls_build, way, strict, certificates, "certificate required",
                            or_problem="Connection reset by peer")

    @pytest.mark.parametrize("way", WAYS)
    def test_a_port_that_speaks_no_tls(self, tls_build, server, certificates, way):
        # It takes the handshake for the beginning of a command.
        self.expect_refusal(tls_build, way, server, certificates, "", port=server.port, timeout=100)

    @pytest.mark.parametrize("way", WAYS)
    def test_a_port_that_speaks_nothing_but_tls(self, tls_build, server, certificates, way):
        self.expect_refusal(tls_build, way, server, certificates, "", tls="no")

    @pytest.mark.parametrize("way", WAYS)
    def test_a_server_that_never_answers(self, tls_build, server, certificates, way):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            self.expect_refusal(tls_build, way, server, certificates, "no answer in time",
                                port=silent.getsockname()[1], timeout=100)

    def test_files_that_are_not_what_they_should_be(self, tls_build, server, certificates):
        certificate, key = certificates.client
        for settings, problem in (
            ({"ca": "/nowhere/ca.crt"}, 'tls.ca "/nowhere/ca.crt": No such file or directory'),
            ({"ca": key}, f'tls.ca "{key}": '),
            ({"certificate": "/nowhere/x", "key": key},
             'tls.certificate "/nowhere/x": No such file or directory'),
            ({"certificate": certificate, "key": "/nowhere/y"},
             'tls.key "/nowhere/y": No such file or directory'),
            ({"certificate": certificate, "key": certificates.ca[1]},
             f'tls.key "{certificates.ca[1]}": key values mismatch'),
            ({"certificate": certificate, "key": certificates.locked_key},
             f'tls.key "{certificates.locked_key}": '),
        ):
            self.expect_refusal(tls_build, "wait", server, certificates, problem, **settings)


class Named:
    """Ends TLS before a server that speaks none, and writes down which names it was called by."""

    def __init__(self, server, certificate):
        self.server = server
        self.names = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        self.context.sni_callback = lambda connection, name, context: self.names.append(name)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near):
        """One command after another, each answered before the next is read."""
        try:
            with self.context.wrap_socket(near, server_side=True) as secure:
                with socket.create_connection((self.server.host, self.server.port)) as far:
                    asked, answered = secure.makefile("rb"), far.makefile("rb")
                    while command := resp.read_raw(asked):
                        far.sendall(command)
                        secure.sendall(resp.read_raw(answered))
        except OSError:
            pass

    def close(self):
        self.listener.close()


@pytest.mark.parametrize("way", WAYS)
def test_the_server_is_told_the_name_that_it_is_called_by(tls_build, folder, certificates, way):
    with redis.Server(pathlib.Path(tempfile.mkdtemp(dir=folder))) as server:
        named = Named(server, certificates.named)
        try:
            for name, settings in (
                (f"redis.test:{named.port}", {}),
                (f"127.0.0.1:{named.port}", {"server_name": "redis.test"}),
            ):
                named.names.clear()
                said = reach(tls_build, way, "127.0.0.1", named.port, name, tls="yes",
                             ca=certificates.ca[0], **settings)
                assert said[0] == 0, said[1]
                assert set(named.names) == {"redis.test"}
            # An address is no name (RFC 6066).
            named.names.clear()
            reach(tls_build, way, "127.0.0.1", named.port, f"127.0.0.1:{named.port}", tls="yes",
                  ca=certificates.ca[0])
            assert set(named.names) == {None}
        finally:
            named.close()


@pytest.mark.parametrize("flavour", redis.FLAVOURS)
def test_an_agent_is_served_by_tls_with_a_certificate_and_a_password(tls_bench, folder,
                                                                      certificates, flavour):
    certificate, key = certificates.client
    with tls_server(folder, certificates, clients="yes", flavour=flavour) as server:
        with server.client() as client:
            client.command("CONFIG", "SET", "requirepass", PASSWORD)
            more = (
                f'  auth: {{ password_file: "{secret_file(folder)}" }}\n'
                f'  tls: {{ ca: "{certificates.ca[0]}", certificate: "{certificate}", '
                f'key: "{key}", server_name: redis.test }}\n'
            )
            agent = tls_bench.agent(rules(f"127.0.0.1:{server.tls_port}", more),
                                    arguments=("--log-level", "debug"), environment=SANITIZERS)
            expect_served(tls_bench, agent, server, client)


def test_an_agent_does_not_talk_to_an_impostor(tls_bench, folder, certificates):
    with tls_server(folder, certificates) as server:
        more = (f'  auth: {{ password_file: "{secret_file(folder)}" }}\n'
                f'  tls: {{ ca: "{certificates.other_ca[0]}", server_name: redis.test }}\n')
        agent = tls_bench.agent(rules(f"127.0.0.1:{server.tls_port}", more),
                                environment=SANITIZERS)
        agent.wait_for_log(r"TLS: the server's certificate is refused: self-signed")
        assert ask(tls_bench, agent)["source"] == "fallback"
        # Nobody got so far as to show the password.
        assert "auth" not in server.calls()
