"""Where the servers are, and how many agents live: tests/redis/topology.c against real servers,
and against some that lie."""

import contextlib
import pathlib
import re
import shutil
import signal
import tempfile

import pytest

import conftest
import redis
import scripted
import stack

# As in agent/store/topology_parts.h.
LOOKUPS_MAX = 8

SHARD = re.compile(r"(?P<name>[^,@]+)@(?P<address>[^@]*)@(?P<port>\d+)=(?P<slots>[\d-]*)")


class Topology:
    """One snapshot, as the program says it. shards: {name: (address, port, slots)}."""

    def __init__(self, line):
        self.line = line
        _, version, served, shards = line.split(" ", 3)
        self.version = int(version.removeprefix("version="))
        self.served = int(served.removeprefix("served="))
        found = SHARD.finditer(shards.removeprefix("shards="))
        self.shards = {s["name"]: (s["address"], int(s["port"]), s["slots"]) for s in found}

    def __repr__(self):
        return self.line

    def slots(self):
        """{port: "FIRST-LAST"}, or "" of a primary without slots."""
        return {port: slots for _, port, slots in self.shards.values()}


class Watch(stack.Program):
    """tests/redis/topology.c."""

    def __init__(self, program, directory, store, identity, names):
        self.identity = identity
        rules = directory / f"{identity}.yml"
        rules.write_text(
            'listen: [ "tcp://127.0.0.1:0" ]\n'
            f"store:\n{store}"
            "rules:\n  - name: client\n    key: [ src ]\n"
            "    limits: [ { limit: 3, window: 1h } ]\n"
        )
        super().__init__(identity, [program, rules, identity, names], directory,
                         conftest.SANITIZERS)

    def said(self, pattern):
        return re.findall(pattern, self.log(), re.MULTILINE)

    def threads(self):
        """Their names."""
        names = []
        for comm in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/comm"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                names.append(comm.read_text().strip())
        return names

    def topologies(self):
        return [Topology(line) for line in self.said(r"^topology version=.*$")]

    def topology(self):
        """The newest; None: none yet."""
        return (self.topologies() or [None])[-1]

    def agents(self):
        return int((self.said(r"^agents (\d+)$") or [0])[-1])

    def counter(self, name):
        return int((self.said(rf"^counters .*\b{name}=(\d+)") or [0])[-1])

    def refresh(self):
        self.send_signal(signal.SIGUSR1)

    def wait(self, condition, what):
        """Until condition(), while it runs."""
        def holds():
            if not self.running():
                raise stack.Failed(f"{self.name} ended with {self.process.returncode}")
            return condition()

        try:
            return stack.wait_until(holds, what)
        except stack.Failed as error:
            raise stack.Failed(f"{error}\n--- {self.name}:\n{self.log()[-4000:]}") from None

    def wait_topology(self, condition, what):
        """Until the newest topology is one of which condition(it) is true; returns it."""
        return self.wait(lambda: self.topology() and condition(self.topology()) and self.topology(),
                         what)

    def wait_more(self, name, more=1):
        """Until a counter is so much higher than now."""
        before = self.counter(name)
        self.wait(lambda: self.counter(name) >= before + more, f"{more} more {name}")

    def wait_agents(self, number):
        self.wait(lambda: self.agents() == number, f"{number} agents")


class Bench:
    def __init__(self, sluice, directory):
        self.program = sluice.parents[1] / "tests" / "redis" / "redis_topology"
        self.directory = directory
        self.names = directory / "names"
        self.names.write_text("")
        self.watches = []

    def name(self, name, *addresses):
        """What a name is from now on; see tests/redis/topology.c."""
        self.name_all({name: addresses})

    def name_all(self, names):
        new = self.directory / "names.new"
        new.write_text("".join(f"{name} {' '.join(what)}\n" for name, what in names.items()))
        new.rename(self.names)

    def watch(self, mode, nodes, more="", identity=None):
        nodes = ", ".join(f'"{node}"' for node in nodes)
        store = f"  mode: {mode}\n  nodes: [ {nodes} ]\n  heartbeat: 200ms\n{more}"
        watch = Watch(self.program, self.directory, store, identity or f"w{len(self.watches) + 1}",
                      self.names)
        self.watches.append(watch)
        return watch

    def close(self):
        problems = []
        for watch in self.watches:
            killed = not watch.running()
            status = watch.stop()
            report = conftest.REPORT.search(watch.log())
            if report:
                problems.append(f"{watch.name} reported: {report[0]}")
            if status != (-signal.SIGKILL if killed and status < 0 else 0):
                problems.append(f"{watch.name} ended with {status}")
            elif not killed and watch.topology():
                told = int(watch.said(r"^stopped .* told (\d+)$")[0])
                if told < watch.topology().version:
                    problems.append(f"{watch.name} was told of {told} topologies only")
        return problems


@pytest.fixture
def bench(sluice, request):
    # Not pytest's tmp_path: a unix socket's path must fit 107 bytes.
    directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-topology."))
    made = Bench(sluice, directory)
    request.node.failed_in_call = False
    try:
        yield made
    finally:
        problems = made.close()
        if problems or request.node.failed_in_call:
            for watch in made.watches:
                print(f"--- {watch.name}\n{watch.log()[-20000:]}")
        shutil.rmtree(directory, ignore_errors=True)
    assert not problems


def forward(topology):
    """Of a topology of one shard: its name, address and port."""
    [(name, (address, port, _))] = topology.shards.items()
    return name, address, port


# ---- names --------------------------------------------------------------------------------------


def test_a_server_and_a_unix_socket(bench):
    with redis.Server(bench.directory) as server:
        by_port = bench.watch("single", [server.address])
        by_path = bench.watch("single", [f"unix://{server.socket_path}"])
        topology = by_port.wait_topology(lambda t: True, "the server")
        assert forward(topology) == (server.address, "127.0.0.1", server.port)
        topology = by_path.wait_topology(lambda t: True, "the socket")
        assert forward(topology) == (f"unix://{server.socket_path}", str(server.socket_path), 0)
        by_port.wait_agents(2)
        by_path.wait_agents(2)


def test_a_name_that_does_not_exist_yet(bench):
    with redis.Server(bench.directory) as server:
        bench.name("redis.test", "nobody")
        watch = bench.watch("single", [f"redis.test:{server.port}"])
        watch.wait_more("failures", 5)
        assert watch.topology() is None
        assert len(watch.said("topology unknown")) == 1, "one line, not one for each look"
        bench.name("redis.test", "127.0.0.1")
        topology = watch.wait_topology(lambda t: True, "the name to be found")
        assert forward(topology) == (f"redis.test:{server.port}", "127.0.0.1", server.port)
        watch.wait_for_log("topology certain again")
        watch.wait_more("heartbeats")
        assert watch.counter("heartbeat_failures") == 0, "there was nobody to ask before"


def test_a_name_that_moves_and_names_that_cannot_be_looked_up(bench):
    with redis.Server(bench.directory) as server:
        bench.name("redis.test", "127.0.0.1")
        watch = bench.watch("single", [f"redis.test:{server.port}"])
        watch.wait_topology(lambda t: t.version == 1, "the first address")
        bench.name("redis.test", "later")
        watch.refresh()
        watch.wait_more("failures", 2)
        assert watch.topology().version == 1, "the last address known stays"
        bench.name("redis.test", "127.0.0.2")
        topology = watch.wait_topology(lambda t: t.version == 2, "the new address, unasked")
        assert forward(topology)[1] == "127.0.0.2"
        bench.name("redis.test", "nobody")
        watch.refresh()
        topology = watch.wait_topology(lambda t: t.version == 3, "the name to be gone")
        assert forward(topology)[1] == ""
        bench.name("redis.test", "::1")
        topology = watch.wait_topology(lambda t: t.version == 4, "the name to be back, unasked")
        assert forward(topology)[1] == "::1"


def test_of_several_addresses_one_that_answers_and_then_the_same(bench):
    port = stack.free_port()
    first, second = (
        redis.Server(bench.directory, name=name, port=port, options={"bind": address}, start=False)
        for name, address in (("first", "127.0.0.2"), ("second", "127.0.0.3"))
    )
    first.host, second.host = "127.0.0.2", "127.0.0.3"
    with first, second:
        second.start()
        bench.name("redis.test", "127.0.0.2", "127.0.0.3")
        watch = bench.watch("single", [f"redis.test:{port}"])
        topology = watch.wait_topology(lambda t: True, "the address that answers")
        assert forward(topology)[1] == "127.0.0.3"
        first.start()
        watch.refresh()
        watch.wait_more("refreshes", 2)
        assert watch.topology().version == 1, "the one in use stays, though the other is first"
        second.kill()
        watch.refresh()
        watch.wait_topology(lambda t: forward(t)[1] == "127.0.0.2", "the other address")
        first.kill()
        watch.refresh()
        watch.wait_more("failures", 2)
        assert forward(watch.topology())[1] == "127.0.0.2"


def test_redis_that_comes_later(bench):
    server = redis.Server(bench.directory, start=False)
    with server:
        watch = bench.watch("single", [server.address])
        watch.wait_more("heartbeat_failures", 3)
        assert watch.topology().version == 1
        assert watch.agents() == 1
        assert len(watch.said("heartbeat failed")) == 1, "one line, not one for each heartbeat"
        server.start()
        watch.wait_for_log("heartbeat is back")
        watch.wait_more("heartbeats", 3)


def test_a_name_server_that_never_answers(bench):
    """It stops neither looks nor heartbeats nor the end, and is asked once."""
    with redis.Server(bench.directory) as server:
        bench.name("redis.test", "127.0.0.1")
        watch = bench.watch("single", [f"redis.test:{server.port}"])
        other = bench.watch("single", [server.address])
        watch.wait_agents(2)
        bench.name("redis.test", "never")
        asked = len(watch.said("^asked redis.test"))
        watch.refresh()
        watch.wait_more("failures", 3)
        watch.wait_more("heartbeats", 10)
        assert other.agents() == 2
        assert len(watch.said("^asked redis.test")) == asked + 1
        assert watch.topology().version == 1, "the last address known stays"
        assert watch.stop() == 0
        assert "left alone" not in watch.log()
        other.wait_agents(1)


def test_an_answer_that_comes_late_is_not_lost(bench):
    with redis.Server(bench.directory) as server:
        bench.name("redis.test", "never")
        watch = bench.watch("single", [f"redis.test:{server.port}"], "  connect_timeout: 300ms\n")
        watch.wait_more("failures", 3)
        assert watch.topology() is None
        bench.name("redis.test", "127.0.0.1")
        topology = watch.wait_topology(lambda t: True, "the name to be found")
        assert forward(topology)[1] == "127.0.0.1"
        assert watch.log().partition("topology version")[0].count("asked redis.test\n") == 1


def test_so_many_names_are_looked_up_at_once_and_no_more(bench):
    with redis.Server(bench.directory) as server:
        names = [f"redis-{i}.test" for i in range(LOOKUPS_MAX + 2)]
        bench.name_all({name: ["never"] for name in names})
        nodes = [f"{name}:{server.port}" for name in names] + [server.address]
        watch = bench.watch("ketama", nodes, "  connect_timeout: 300ms\n")
        topology = watch.wait_topology(lambda t: True, "what is known")
        assert topology.shards[server.address][0] == "127.0.0.1"
        watch.wait_more("failures", 3)
        assert watch.threads().count("resolver") == LOOKUPS_MAX
        # Connecting asks for the address, too.
        assert sorted(watch.said(r"^asked (.*\.test)$")) == names[:LOOKUPS_MAX]
        assert "not looked up, for there is no thread for it" in watch.log()
        bench.name_all({name: ["127.0.0.1"] for name in names})
        watch.wait_topology(lambda t: {a for a, _, _ in t.shards.values()} == {"127.0.0.1"},
                            "the names to be found")
        watch.wait(lambda: "resolver" not in watch.threads(), "the threads to end")


def test_ketama_keeps_the_points_of_a_server_without_an_address(bench):
    with redis.Server(bench.directory) as server:
        bench.name("redis.test", "nobody")
        nodes = [server.address, f"redis.test:{server.port}"]
        watch = bench.watch("ketama", nodes)
        topology = watch.wait_topology(lambda t: True, "what is known")
        assert topology.shards == {
            nodes[0]: ("127.0.0.1", server.port, ""), nodes[1]: ("", server.port, ""),
        }
        bench.name("redis.test", "127.0.0.1")
        topology = watch.wait_topology(lambda t: t.version == 2, "the other, unasked")
        assert [address for address, _, _ in topology.shards.values()] == ["127.0.0.1"] * 2


# ---- agents -------------------------------------------------------------------------------------


def test_agents_are_counted(bench):
    with redis.Server(bench.directory) as server:
        watches = [bench.watch("single", [server.address]) for _ in range(3)]
        for watch in watches:
            watch.wait_agents(3)
        assert watches[2].stop() == 0
        # Before it could have been forgotten, it said goodbye.
        assert sorted(server.command("ZRANGE", "sluice:{agents}:live", 0, -1)) == ["w1", "w2"]
        for watch in watches[:2]:
            watch.wait_agents(2)
        killed = bench.watch("single", [server.address])
        watches[0].wait_agents(3)
        killed.kill()
        for watch in watches[:2]:
            watch.wait_agents(2)
        # Of one id, one.
        twin = bench.watch("single", [server.address], identity="w1")
        twin.wait_more("heartbeats", 3)
        assert twin.agents() == 2
        for watch in watches + [twin]:
            watch.stop()
        assert server.command("EXISTS", "sluice:{agents}:live") == 0


def test_the_set_of_agents_goes_by_itself(bench):
    with redis.Server(bench.directory) as server:
        watch = bench.watch("single", [server.address], '  prefix: "other:"\n')
        watch.wait_agents(1)
        watch.kill()
        assert server.command("PTTL", "other:{agents}:live") > 0
        stack.wait_until(lambda: not server.keys(), "the set to expire")


def test_a_store_that_comes_back_empty_makes_of_many_agents_no_fewer(bench):
    with redis.Server(bench.directory) as server:
        more = "  heartbeat: 1s\n"
        watches = [
            Watch(bench.program, bench.directory,
                  f'  mode: single\n  nodes: [ "{server.address}" ]\n{more}', f"a{i}", bench.names)
            for i in range(3)
        ]
        bench.watches += watches
        for watch in watches:
            watch.wait_agents(3)
        server.restart()
        for watch in watches:
            watch.wait_more("heartbeats", 3)
            assert watch.said(r"^agents (\d+)$")[-1] == "3"


def test_what_is_no_answer_to_a_heartbeat(bench):
    with redis.Server(bench.directory) as server, scripted.Scripted(server) as liar:
        watch = bench.watch("single", [liar.address], "  connect_timeout: 500ms\n")
        bench.watch("single", [server.address])
        watch.wait_agents(2)

        def says(command, reply):
            return lambda words: reply if words[0] == command else scripted.PASS

        for command, reply in (
            ("TIME", b"*2\r\n$1\r\nx\r\n$1\r\n0\r\n"),
            ("TIME", b"*0\r\n"),
            ("TIME", b"*2\r\n$20\r\n18446744073709551615\r\n$1\r\n0\r\n"),
            ("TIME", b"-LOADING Redis is loading the dataset in memory\r\n"),
            ("TIME", b"$2147483647\r\n" + b"x" * (3 << 20)),
            ("ZADD", scripted.error("READONLY You can't write against a read only replica.")),
            ("ZADD", scripted.error("MOVED 1 127.0.0.1:1")),
            ("ZADD", scripted.error(f"MOVED 1 {liar.address}")),
            ("ZADD", scripted.error("MOVED")),
            ("ZADD", scripted.error("MOVED ")),
            ("ZADD", scripted.error("ASK :::::")),
            ("ZADD", None),
            ("ZCARD", b":-1\r\n"),
            ("ZCARD", b"*1000000\r\n"),
            ("ZCARD", b"hello\r\n"),
        ):
            liar.answer = says(command, reply)
            watch.wait_more("heartbeat_failures", 2)
            assert watch.agents() == 2, (command, reply)
        liar.answer = says("ZCARD", b":99999999\r\n")
        watch.wait_agents(100000)


# ---- Sentinel -----------------------------------------------------------------------------------


def role_of(server):
    """None while it closes connections."""
    try:
        return server.role()
    except (EOFError, OSError):
        return None


@pytest.mark.parametrize("flavour", redis.FLAVOURS)
def test_a_master_that_is_replaced(bench, flavour):
    with redis.Watched(bench.directory, flavour) as watched:
        old = watched.primary()
        watch = bench.watch("sentinel", [s.address for s in watched.sentinels], "  master: main\n")
        topology = watch.wait_topology(lambda t: True, "the master")
        assert forward(topology) == (old.address, "127.0.0.1", old.port)
        watch.wait_agents(1)
        watched.sentinels[0].kill()
        old.kill()
        # As whoever lost the connection does.
        watch.refresh()
        topology = watch.wait_topology(lambda t: t.version == 2, "the next master")
        new = next(s for s in watched.servers if s is not old)
        assert forward(topology) == (new.address, "127.0.0.1", new.port)
        assert new.role() == "master"
        watch.wait_more("heartbeats", 2)
        old.start()
        # Sentinel closes the connections of the one that it makes a replica, also this one's.
        stack.wait_until(lambda: role_of(old) == "slave", "the old master to be a replica")
        watch.refresh()
        watch.wait_more("refreshes", 2)
        assert watch.topology().version == 2


def test_a_sentinel_that_knows_no_such_master(bench):
    with redis.Watched(bench.directory, replicas=0, sentinels=1) as watched:
        watch = bench.watch("sentinel", [watched.sentinels[0].address], "  master: other\n")
        watch.wait_more("failures", 2)
        assert re.search(r'topology unknown.*knows no master', watch.log())
        assert watch.topology() is None


def test_sentinels_that_lie(bench):
    """Who is called the master is believed when it says so itself; rubbish is nobody."""
    with redis.Watched(bench.directory, replicas=0, sentinels=1) as watched, \
            scripted.Scripted(watched.sentinels[0]) as liar, \
            redis.Server(bench.directory, name="replica") as replica:
        master = watched.servers[0]
        replica.command("REPLICAOF", master.host, master.port)

        def says(reply):
            return lambda words: reply if words[0] == "SENTINEL" else scripted.PASS

        def address(server):
            return f"*2\r\n$9\r\n127.0.0.1\r\n${len(str(server.port))}\r\n{server.port}\r\n".encode()

        liar.answer = says(address(replica))
        watch = bench.watch("sentinel", [liar.address],
                            "  master: main\n  connect_timeout: 500ms\n")
        watch.wait_more("failures", 2)
        assert re.search(r"is called the master, and says that it isn't", watch.log())
        for reply in (
            b"*2\r\n$1\r\n/\r\n$4\r\n6379\r\n", b"*2\r\n$9\r\n127.0.0.1\r\n$5\r\n65536\r\n",
            b"*1\r\n$9\r\n127.0.0.1\r\n", b"*-1\r\n", b"$-1\r\n", b"+OK\r\n", b"-ERR no\r\n", None,
            b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*2147483647\r\n", b"$4294967296\r\n",
            b"*1\r\n" * 100,
        ):
            liar.answer = says(reply)
            watch.refresh()
            watch.wait_more("failures", 2)
        assert watch.topology() is None
        liar.answer = says(address(master))
        topology = watch.wait_topology(lambda t: True, "the master")
        assert forward(topology)[2] == master.port
        liar.answer = says(address(replica))
        watch.refresh()
        watch.wait_more("failures", 2)
        assert watch.topology().version == 1


# ---- cluster ------------------------------------------------------------------------------------


def served_by(cluster):
    """{port: "FIRST-LAST"} as the nodes say it."""
    return {
        server.port: f"{node.ranges[0][0]}-{node.ranges[-1][1]}" if node.ranges else ""
        for server, node in cluster.nodes().items() if node.primary()
    }


@pytest.mark.parametrize("flavour", redis.FLAVOURS)
def test_a_primary_that_is_replaced(bench, flavour):
    with redis.Cluster(bench.directory, flavour) as cluster:
        watch = bench.watch("cluster", [cluster.servers[4].address])  # a replica
        topology = watch.wait_topology(lambda t: t.served == redis.SLOTS, "the cluster")
        assert topology.slots() == served_by(cluster)
        watch.wait_agents(1)
        # The node of the rule file dies as well: those that it named are asked.
        cluster.servers[4].kill()
        old = cluster.primaries()[0]
        old.kill()
        watch.refresh()
        topology = watch.wait_topology(
            lambda t: t.served == redis.SLOTS and old.port not in t.slots(), "the replica"
        )
        cluster.wait_ok()
        assert topology.slots() == served_by(cluster)
        watch.wait_more("heartbeats", 2)


@pytest.mark.parametrize("flavour", redis.FLAVOURS)
def test_a_slot_that_moves(bench, flavour):
    agents = redis.slot("{agents}")
    with redis.Cluster(bench.directory, flavour, replicas=0) as cluster:
        watch = bench.watch("cluster", [cluster.servers[0].address])
        watch.wait_agents(1)
        target = cluster.add_primary()
        cluster.wait_ok()
        watch.refresh()
        watch.wait_topology(lambda t: t.slots().get(target.port) == "", "one without slots")
        with cluster.migrating(agents, target) as migration:
            watch.wait_more("heartbeats", 2)
            migration.move("sluice:{agents}:live")
            # From here on the heartbeat is sent on, by ASK.
            watch.wait_more("heartbeats", 3)
            assert watch.counter("heartbeat_failures") == 0
            assert target.command("CLUSTER", "COUNTKEYSINSLOT", agents) == 1
            assert watch.topology().slots()[target.port] == ""
        topology = watch.wait_topology(
            lambda t: t.slots()[target.port] == f"{agents}-{agents}", "the slot's new place"
        )
        assert topology.served == redis.SLOTS
        watch.wait_more("heartbeats", 2)
        assert watch.agents() == 1


def test_slots_that_nobody_serves_and_that_are_served_again(bench):
    with redis.Cluster(bench.directory, replicas=0) as cluster:
        watch = bench.watch("cluster", [s.address for s in cluster.servers])
        watch.wait_topology(lambda t: t.served == redis.SLOTS, "the cluster")
        lost = cluster.servers[1]
        slots = served_by(cluster)[lost.port]
        lost.kill()
        watch.refresh()
        topology = watch.wait_topology(lambda t: t.served < redis.SLOTS, "the loss")
        assert lost.port not in topology.slots()
        assert re.search(r"topology uncertain.*served by nobody", watch.log())
        lost.start()
        topology = watch.wait_topology(lambda t: t.served == redis.SLOTS, "its return, unasked")
        assert topology.slots()[lost.port] == slots


def test_a_name_that_is_never_answered_holds_up_no_look_at_the_others(bench):
    """As that of a container that is gone: while slots are served by nobody, it is asked too."""
    with redis.Cluster(bench.directory, replicas=0) as cluster:
        bench.name("gone.test", "never")
        watch = bench.watch("cluster", [cluster.servers[0].address, "gone.test:6379"])
        watch.wait_topology(lambda t: t.served == redis.SLOTS, "the cluster")
        lost = cluster.servers[1]
        lost.kill()
        watch.refresh()
        watch.wait_topology(lambda t: t.served < redis.SLOTS, "the loss")
        watch.wait(lambda: watch.said("^asked gone.test$"), "the name to be asked")
        lost.start()
        watch.wait_topology(lambda t: t.served == redis.SLOTS, "its return, unasked")
        assert len(watch.said("^asked gone.test$")) == 1


def test_a_node_that_is_silent_is_passed_over(bench):
    with redis.Cluster(bench.directory, replicas=0) as cluster, \
            redis.Server(bench.directory, name="silent") as silent:
        silent.pause()
        nodes = [silent.address, f"127.0.0.1:{stack.free_port()}", cluster.servers[0].address]
        watch = bench.watch("cluster", nodes, "  connect_timeout: 300ms\n")
        watch.wait_topology(lambda t: t.served == redis.SLOTS, "the cluster")


def test_a_server_that_is_no_cluster(bench):
    with redis.Server(bench.directory) as server:
        watch = bench.watch("cluster", [server.address])
        watch.wait_more("failures", 3)
        assert watch.topology() is None
        assert re.search(r"topology unknown.*cluster support disabled", watch.log())


def test_names_that_a_cluster_announces(bench):
    with redis.Cluster(bench.directory, replicas=0) as cluster:
        for i, server in enumerate(cluster.servers):
            server.configure("cluster-announce-hostname", f"redis-{i}.test")
            server.configure("cluster-preferred-endpoint-type", "hostname")
        expected = {f"redis-{i}.test:{s.port}" for i, s in enumerate(cluster.servers)}
        # To all of them: the watch may ask any.
        stack.wait_until(
            lambda: all(s.command("CLUSTER", "NODES").count(".test") == 3 for s in cluster.servers),
            "the names to be known",
        )
        bench.names.write_text("".join(f"redis-{i}.test 127.0.0.1\n" for i in range(3)))
        watch = bench.watch("cluster", [cluster.servers[0].address])
        topology = watch.wait_topology(lambda t: set(t.shards) == expected, "the names")
        assert {address for address, _, _ in topology.shards.values()} == {"127.0.0.1"}
        bench.names.write_text(
            "redis-0.test 127.0.0.1\nredis-1.test nobody\nredis-2.test 127.0.0.1\n"
        )
        watch.refresh()
        topology = watch.wait_topology(
            lambda t: t.shards[f"redis-1.test:{cluster.servers[1].port}"][0] == "", "one to be gone"
        )
        assert topology.served == redis.SLOTS, "its slots are still its own"


def test_redis_before_7_and_nodes_that_lie(bench):
    """CLUSTER SLOTS where there is no CLUSTER SHARDS; what is neither is nothing."""
    with redis.Cluster(bench.directory, replicas=0) as cluster, \
            scripted.Scripted(cluster.servers[0]) as liar:
        old = scripted.error("ERR Unknown subcommand or wrong number of arguments for 'SHARDS'")

        def says(shards, slots=scripted.PASS):
            replies = {"SHARDS": shards, "SLOTS": slots}
            return lambda words: replies.get(words[-1], scripted.PASS)

        liar.answer = says(old, scripted.error("ERR no"))
        watch = bench.watch("cluster", [liar.address], "  connect_timeout: 500ms\n")
        for reply in (
            b"*0\r\n", b"*-1\r\n", b"$-1\r\n", b":1\r\n", b"*1\r\n*0\r\n", b"+OK\r\n", None, old,
            b"*2147483647\r\n", b"*1\r\n" * 100, b"$3000000\r\n" + b"x" * 3000000, b"x\r\n",
            b"*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\na\r\n:7000\r\n",
        ):
            liar.answer = says(reply, old)
            watch.wait_more("failures", 2)
            liar.answer = says(old, reply)
            watch.wait_more("failures", 2)
        assert watch.topology() is None
        liar.answer = says(old)
        topology = watch.wait_topology(lambda t: t.served == redis.SLOTS, "the cluster")
        assert topology.slots() == served_by(cluster)
