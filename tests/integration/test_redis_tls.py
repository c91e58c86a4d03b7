"""TLS to Redis: certificates, names, and what is said when they are not right.

TLS needs hiredis 1.0 or later. Where the agent under test was built without, these tests build it
again on Debian 13 (tests/lib/debian-13-build), with the same sanitizer; they are skipped, with the
reason, where that can't be done.
"""

import os
import pathlib
import re
import socket
import ssl
import subprocess
import tempfile
import threading
import types

import pytest

import access
import redis
import resp
import stack

PRESETS = ("release", "debug", "asan-ubsan", "tsan")


@pytest.fixture(scope="module")
def folder():
    with access.short_folder() as path:
        yield path


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
    return "which has no TLS" in access.reach(build, "wait", "", 1, "", tls="yes")[1]


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
        env={**os.environ, **access.SANITIZERS}, stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_tls_that_was_not_built_in_is_an_error_that_says_so(bench):
    if not lacks_tls(bench.sluice.parents[1]):
        pytest.skip("this build has TLS")
    agent = bench.agent(access.rules("127.0.0.1:1", "  tls: {}\n"), ready=False)
    agent.expected_status = 1
    assert agent.wait() == 1
    why = r"built with hiredis 0\.\d+, which has no TLS: build it with hiredis 1.0 or"
    assert re.search(why, agent.log())
    checked = bench.run("validate", agent.rules_path)
    assert checked.returncode == 1
    assert re.search(r"store\.tls: .*" + why, checked.stderr)


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
        said = access.reach(build, way, server.host, server.tls_port, f"{name}:{server.tls_port}",
                            **settings)
        assert said[0] == 0, said[1]

    @staticmethod
    def expect_refusal(build, way, server, certificates, problem, or_problem=None,
                       name="redis.test", port=None, **settings):
        settings = {"tls": "yes", "ca": certificates.ca[0], **settings}
        status, said = access.reach(build, way, server.host, port or server.tls_port,
                                    f"{name}:{server.tls_port}", **settings)
        assert status == 1
        assert problem in said or (or_problem and or_problem in said)

    @pytest.mark.parametrize("way", access.WAYS)
    def test_a_server_that_is_who_it_should_be(self, tls_build, server, certificates, way):
        self.expect_up(tls_build, way, server, certificates)

    @pytest.mark.parametrize("way", access.WAYS)
    def test_a_user_and_a_password_on_top(self, tls_build, server, certificates, way):
        server.command("ACL", "SETUSER", "limiter", "on", ">" + access.PASSWORD, "~*", "+@all")
        self.expect_up(tls_build, way, server, certificates, user="limiter",
                       password_env="SECRET")
        self.expect_refusal(tls_build, way, server, certificates, "WRONGPASS", user="limiter",
                            password_env="SECRET", password="wrong")

    @pytest.mark.parametrize("way", access.WAYS)
    def test_an_authority_that_is_not_trusted(self, tls_build, server, certificates, way):
        problem = ("TLS: the server's certificate is refused: "
                   "self-signed certificate in certificate chain")
        self.expect_refusal(tls_build, way, server, certificates, problem,
                            ca=certificates.other_ca[0])

    @pytest.mark.parametrize("way", access.WAYS)
    def test_the_systems_authorities_where_none_is_named(self, tls_build, server, certificates,
                                                         way):
        self.expect_refusal(tls_build, way, server, certificates,
                            "TLS: the server's certificate is refused", ca="")

    @pytest.mark.parametrize("way", access.WAYS)
    def test_another_host_name(self, tls_build, server, certificates, way):
        problem = ("TLS: the server's certificate is refused: hostname mismatch, "
                   "expected other.test")
        self.expect_refusal(tls_build, way, server, certificates, problem, name="other.test")
        # The certificate's own name in the settings makes up for it.
        self.expect_up(tls_build, way, server, certificates, name="other.test",
                       server_name="redis.test")
        self.expect_refusal(tls_build, way, server, certificates, problem,
                            server_name="other.test")

    @pytest.mark.parametrize("way", access.WAYS)
    def test_an_address_instead_of_a_name(self, tls_build, server, numbered, certificates, way):
        self.expect_up(tls_build, way, numbered, certificates, name="127.0.0.1")
        problem = "TLS: the server's certificate is refused: IP address mismatch"
        self.expect_refusal(tls_build, way, server, certificates, problem, name="127.0.0.1")
        self.expect_refusal(tls_build, way, numbered, certificates, problem, name="[::1]")

    @pytest.mark.parametrize("way", access.WAYS)
    def test_a_server_that_asks_for_a_certificate(self, tls_build, strict, certificates, way):
        certificate, key = certificates.client
        self.expect_up(tls_build, way, strict, certificates, certificate=certificate, key=key)
        # With TLS 1.3 the server says so once we have begun to talk; its answer may come too late.
        self.expect_refusal(tls_build, way, strict, certificates, "certificate required",
                            or_problem="Connection reset by peer")

    @pytest.mark.parametrize("way", access.WAYS)
    def test_a_port_that_speaks_no_tls(self, tls_build, server, certificates, way):
        # It takes the handshake for the beginning of a command.
        self.expect_refusal(tls_build, way, server, certificates, "", port=server.port, timeout=100)

    @pytest.mark.parametrize("way", access.WAYS)
    def test_a_port_that_speaks_nothing_but_tls(self, tls_build, server, certificates, way):
        self.expect_refusal(tls_build, way, server, certificates, "", tls="no")

    @pytest.mark.parametrize("way", access.WAYS)
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


@pytest.mark.parametrize("way", access.WAYS)
def test_the_server_is_told_the_name_that_it_is_called_by(tls_build, folder, certificates, way):
    with redis.Server(pathlib.Path(tempfile.mkdtemp(dir=folder))) as server:
        named = Named(server, certificates.named)
        try:
            for name, settings in (
                (f"redis.test:{named.port}", {}),
                (f"127.0.0.1:{named.port}", {"server_name": "redis.test"}),
            ):
                named.names.clear()
                said = access.reach(tls_build, way, "127.0.0.1", named.port, name, tls="yes",
                                    ca=certificates.ca[0], **settings)
                assert said[0] == 0, said[1]
                assert set(named.names) == {"redis.test"}
            # An address is no name (RFC 6066).
            named.names.clear()
            access.reach(tls_build, way, "127.0.0.1", named.port, f"127.0.0.1:{named.port}",
                         tls="yes", ca=certificates.ca[0])
            assert set(named.names) == {None}
        finally:
            named.close()


@pytest.mark.parametrize("flavour", redis.FLAVOURS)
def test_an_agent_is_served_by_tls_with_a_certificate_and_a_password(tls_bench, folder,
                                                                      certificates, flavour):
    certificate, key = certificates.client
    with tls_server(folder, certificates, clients="yes", flavour=flavour) as server:
        with server.client() as client:
            client.command("CONFIG", "SET", "requirepass", access.PASSWORD)
            more = (
                f'  auth: {{ password_file: "{access.secret_file(folder)}" }}\n'
                f'  tls: {{ ca: "{certificates.ca[0]}", certificate: "{certificate}", '
                f'key: "{key}", server_name: redis.test }}\n'
            )
            agent = tls_bench.agent(
                access.rules(f"127.0.0.1:{server.tls_port}", more),
                arguments=("--log-level", "debug"), environment=access.SANITIZERS)
            access.expect_served(tls_bench, agent, server, client)


class TlsCluster(redis.Cluster):
    """All of it by TLS. Nodes are told by address and not by name, so that is what their
    certificate must say, or the settings."""

    def _start(self):
        self.options["tls-port"] = stack.free_port()
        return super()._start()


def test_an_agent_is_served_by_a_cluster_by_tls(tls_bench, folder, certificates):
    certificate, key = certificates.numbered
    options = {"tls-cluster": "yes", "tls-cert-file": certificate, "tls-key-file": key,
               "tls-ca-cert-file": certificates.ca[0], "tls-auth-clients": "no"}
    directory = pathlib.Path(tempfile.mkdtemp(dir=folder))
    with TlsCluster(directory, primaries=3, replicas=0, options=options) as cluster:
        for server in cluster.servers:
            server.command("ACL", "SETUSER", "frugal", "on", ">" + access.PASSWORD, "~sluice:*",
                           *access.RIGHTS.split(), *access.CLUSTER_RIGHTS.split())
        ports = [server.options["tls-port"] for server in cluster.servers]
        agent = tls_bench.agent(
            access.rules_of_all_algorithms(
                "cluster", f"127.0.0.1:{ports[0]}",
                "  auth: { user: frugal, password_env: SECRET }\n"
                f'  tls: {{ ca: "{certificates.ca[0]}" }}\n'),
            environment={**access.SANITIZERS, "SECRET": access.PASSWORD})
        for port in ports:  # by each of the two workers
            agent.wait_for_log(f'msg="?connected"? redis=127.0.0.1:{port} ', count=2)
        access.expect_all_algorithms(tls_bench, agent)
        agent.stop()
        assert [server.command("ACL", "LOG") for server in cluster.servers] == [[]] * 3


class TlsSentinel(redis.Sentinel):
    def words(self):
        if "tls-port" not in self.file.read_text():
            self.tls_port = stack.free_port()
            certificate, key = self.certificates.numbered
            with open(self.file, "a") as file:
                file.write(f"tls-port {self.tls_port}\ntls-replication yes\n"
                           f"tls-auth-clients no\ntls-cert-file {certificate}\n"
                           f"tls-key-file {key}\ntls-ca-cert-file {self.certificates.ca[0]}\n")
        return super().words()


def test_an_agent_asks_a_sentinel_by_tls_under_another_name(tls_bench, folder, certificates):
    TlsSentinel.certificates = certificates
    with tls_server(folder, certificates, "numbered") as server:
        server.command("ACL", "SETUSER", "frugal", "on", ">" + access.PASSWORD, "~sluice:*",
                       *access.RIGHTS.split())
        watched = types.SimpleNamespace(host=server.host, port=server.tls_port)
        with TlsSentinel(server.directory, server.flavour, "sentinel", watched, "main", 1,
                         {}) as sentinel:
            sentinel.command("ACL", "SETUSER", "watcher", "on", ">watchword",
                             *access.SENTINEL_RIGHTS.split())
            agent = tls_bench.agent(
                access.rules_of_all_algorithms(
                    "sentinel", f"127.0.0.1:{sentinel.tls_port}",
                    "  master: main\n"
                    "  auth: { user: frugal, password_env: SECRET }\n"
                    "  sentinel_auth: { user: watcher, password_env: WATCHWORD }\n"
                    f'  tls: {{ ca: "{certificates.ca[0]}" }}\n'),
                environment={**access.SANITIZERS, "SECRET": access.PASSWORD,
                             "WATCHWORD": "watchword"})
            agent.wait_for_log('msg="?connected"?', "a connection to Redis", count=2)
            access.expect_all_algorithms(tls_bench, agent)
            agent.stop()
            assert "watchword" not in agent.log()
            assert server.command("ACL", "LOG") == sentinel.command("ACL", "LOG") == []


def test_an_agent_does_not_talk_to_an_impostor(tls_bench, folder, certificates):
    with tls_server(folder, certificates) as server:
        more = (f'  auth: {{ password_file: "{access.secret_file(folder)}" }}\n'
                f'  tls: {{ ca: "{certificates.other_ca[0]}", server_name: redis.test }}\n')
        agent = tls_bench.agent(access.rules(f"127.0.0.1:{server.tls_port}", more),
                                environment=access.SANITIZERS)
        agent.wait_for_log(r"TLS: the server's certificate is refused: self-signed")
        assert access.ask(tls_bench, agent)["source"] == "fallback"
        # Nobody got so far as to show the password.
        assert "auth" not in server.calls()
