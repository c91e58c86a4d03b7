"""Real Redis and Valkey servers for tests: alone, as a cluster, and watched by Sentinels.

Each has a free port and a folder of its own, keeps nothing on disk, and is ended by its process id.
What a test waits for is a condition that the servers themselves tell.

    with redis.Server(directory) as server:
        server.command("SET", "a", 1)
"""

import contextlib
import functools
import pathlib
import signal
import subprocess

import resp
import stack

FLAVOURS = ("redis-7.0", "redis-8", "valkey-9")
SLOTS = 16384


@functools.lru_cache(maxsize=None)
def program(flavour):
    """The path of that server."""
    made = subprocess.run(
        [stack.ROOT / "tests" / "lib" / "server-versions", flavour], capture_output=True, text=True
    )
    if made.returncode != 0:
        raise stack.Failed(made.stderr.strip())
    return made.stdout.strip()


def slot(key):
    """Which slot of a cluster a key is of: CRC16 (XMODEM) of its hash tag, or of all of it."""
    begin = key.find("{")
    end = key.find("}", begin + 1)
    if begin >= 0 and end > begin + 1:
        key = key[begin + 1 : end]
    crc = 0
    for byte in key.encode():
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc % SLOTS


class Server:
    """One server. options: more of its settings, {"maxmemory": "10mb"}. namespace: a
    network.Namespace to live in."""

    def __init__(self, directory, flavour="redis-7.0", name="redis", port=None, options=None,
                 namespace=None, start=True):
        self.flavour = flavour
        self.name = name
        self.directory = pathlib.Path(directory) / name
        self.directory.mkdir()
        self.host = namespace.address if namespace else "127.0.0.1"
        self.port = port or stack.free_port()
        self.address = f"{self.host}:{self.port}"
        self.socket_path = self.directory / "redis.sock"
        self.namespace = namespace
        self.options = {
            "port": self.port,
            "bind": self.host,
            "unixsocket": self.socket_path,
            "dir": self.directory,
            "save": "",
            "appendonly": "no",
            "protected-mode": "no",
            "enable-debug-command": "yes",
            "shutdown-timeout": 0,
            **(options or {}),
        }
        self.process = None
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- life and death --------------------------------------------------------------------------

    def words(self):
        """The command that starts it."""
        settings = [word for name, value in self.options.items() for word in (f"--{name}", value)]
        return [program(self.flavour), *settings]

    def start(self, ready=True):
        prefix = self.namespace.prefix if self.namespace else []
        self.process = stack.Program(self.name, [*prefix, *self.words()], self.directory)
        return self.wait_ready() if ready else self

    def wait_ready(self):
        def ready():
            if not self.process.running():
                raise stack.Failed(f"{self.name} ended:\n{self.log()[-4000:]}")
            return self.alive()

        stack.wait_until(ready, f"{self.name} to answer")
        return self

    def alive(self):
        """Whether it answers, and not only that it is loading."""
        try:
            return self.command("PING", timeout=1.0) == "PONG"
        except (OSError, EOFError, resp.Error):
            return False

    def running(self):
        return self.process is not None and self.process.running()

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.process.log()

    def pause(self):
        """From here on it is silent: connections are still accepted, by the kernel."""
        self.process.send_signal(signal.SIGSTOP)
        stack.wait_until(lambda: self._state() == "T", f"{self.name} to stand still")

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def _state(self):
        # The name, in parentheses, may hold anything.
        return pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def kill(self):
        """Outright, as when the machine fails."""
        self.process.kill()

    def restart(self):
        """With an empty store, on the same port."""
        self.kill()
        return self.start()

    def close(self):
        if self.running():
            self.kill()

    # ---- talking to it ---------------------------------------------------------------------------

    def client(self, timeout=stack.WAIT):
        return resp.Client((self.host, self.port), timeout)

    def command(self, *words, timeout=stack.WAIT):
        """On a connection of its own."""
        with self.client(timeout) as client:
            return client.command(*words)

    def info(self, section="default"):
        """{"role": "master", ...}"""
        lines = self.command("INFO", section).split("\r\n")
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def role(self):
        return self.info("replication")["role"]

    def configure(self, name, value):
        return self.command("CONFIG", "SET", name, value)

    def calls(self):
        """{"incrby": 12, "client|setname": 1}: how often each command was called, by the server's
        own account."""
        found = {}
        for name, text in self.info("commandstats").items():
            fields = dict(field.split("=") for field in text.split(","))
            found[name.removeprefix("cmdstat_")] = int(fields["calls"])
        return found

    def calls_since(self, before):
        """What was called since before = calls(), this question itself left out."""
        return {
            name: number - before.get(name, 0)
            for name, number in self.calls().items()
            if number > before.get(name, 0) and name not in ("info", "ping")
        }

    def keys(self):
        return self.command("KEYS", "*")


# ---- cluster ------------------------------------------------------------------------------------


class Node:
    """What a server says of a node of its cluster: one line of CLUSTER NODES."""

    def __init__(self, line):
        words = line.split()
        self.id = words[0]
        self.port = int(words[1].split(",")[0].split("@")[0].rpartition(":")[2])
        self.flags = words[2].split(",")
        self.primary_id = words[3]
        self.linked = words[7] == "connected"
        ranges = [word.split("-") for word in words[8:] if not word.startswith("[")]
        self.slots = sum(int(r[-1]) - int(r[0]) + 1 for r in ranges)
        self.ranges = [(int(r[0]), int(r[-1])) for r in ranges]

    def failed(self):
        return "fail" in self.flags or "fail?" in self.flags or "noaddr" in self.flags

    def primary(self):
        return "master" in self.flags and not self.failed()


class Cluster:
    """`primaries` servers with `replicas` of each. node_timeout: milliseconds until a silent node
    is taken for dead; its replica is promoted about a second after that."""

    def __init__(self, directory, flavour="redis-7.0", primaries=3, replicas=1, node_timeout=1000,
                 options=None):
        self.directory = directory
        self.flavour = flavour
        self.options = {
            "cluster-enabled": "yes",
            "cluster-node-timeout": node_timeout,
            "cluster-replica-validity-factor": 0,
            "cluster-allow-replica-migration": "no",
            "repl-diskless-sync-delay": 0,
            **(options or {}),
        }
        self.servers = []
        self.ids = {}
        try:
            for _ in range(primaries * (1 + replicas)):
                self._start()
            self._form(primaries)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for server in self.servers:
            server.close()

    def _start(self):
        # The bus's port is usually the port + 10000, which the kernel may have given to somebody.
        server = Server(self.directory, self.flavour, f"node{len(self.servers) + 1}",
                        options={**self.options, "cluster-port": stack.free_port()}, start=False)
        self.servers.append(server)
        server.start()
        self.ids[server] = server.command("CLUSTER", "MYID")
        return server

    def _meet(self, server):
        first = self.servers[0]
        server.command("CLUSTER", "MEET", first.host, first.port, first.options["cluster-port"])

    def _form(self, primaries):
        for i, server in enumerate(self.servers[:primaries]):
            server.command("CLUSTER", "ADDSLOTSRANGE", SLOTS * i // primaries,
                           SLOTS * (i + 1) // primaries - 1)
            # Otherwise all begin with epoch 0, and their quarrel about it takes seconds.
            server.command("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        for server in self.servers[1:]:
            self._meet(server)
        self.wait_known()
        for i, server in enumerate(self.servers[primaries:]):
            server.command("CLUSTER", "REPLICATE", self.ids[self.servers[i % primaries]])
        self.wait_ok()

    def add_primary(self):
        """One more, without slots: what a migration can go to."""
        server = self._start()
        self._meet(server)
        self.wait_known()
        return server

    def running(self):
        return [server for server in self.servers if server.running()]

    def nodes(self, asked=None):
        """{server: Node}, by what a server (the first that runs) says."""
        asked = asked or self.running()[0]
        by_port = {server.port: server for server in self.servers}
        found = map(Node, asked.command("CLUSTER", "NODES").splitlines())
        return {by_port[node.port]: node for node in found if node.port in by_port}

    def wait_known(self):
        """Until all know all."""
        def known():
            count = len(self.servers)
            return all(
                len(nodes) == count and all("handshake" not in n.flags for n in nodes.values())
                for nodes in map(self.nodes, self.running())
            )

        stack.wait_until(known, "the nodes to know one another")

    def wait_ok(self):
        """Until all that run say that the cluster serves, agree on who serves what, and the
        replicas have caught up."""
        def ok():
            tables = set()
            for server in self.running():
                info = server.command("CLUSTER", "INFO")
                if "cluster_state:ok" not in info or f"cluster_slots_ok:{SLOTS}" not in info:
                    return False
                tables.add(str(sorted(
                    (node.id, node.ranges) for node in self.nodes(server).values()
                    if node.primary()
                )))
                replication = server.info("replication")
                if replication["role"] == "slave" and replication["master_link_status"] != "up":
                    return False
            return len(tables) == 1

        stack.wait_until(ok, "the cluster to serve")

    def primaries(self):
        """Those with slots."""
        nodes = self.nodes()
        return [s for s in self.running() if nodes[s].primary() and nodes[s].slots]

    def replicas(self, primary):
        nodes = self.nodes()
        return [s for s in self.running() if nodes[s].primary_id == self.ids[primary]]

    def owner(self, number):
        """The primary of a slot."""
        for server, node in self.nodes().items():
            if node.primary() and any(a <= number <= b for a, b in node.ranges):
                return server
        raise stack.Failed(f"nobody has slot {number}")

    def fail_over(self, primary):
        """Kills a primary and waits until a replica of its serves its slots. Returns that one."""
        replicas = self.replicas(primary)
        primary.kill()
        return self.wait_promoted(replicas)

    def wait_promoted(self, replicas):
        """Until one of them has been made a primary, and the cluster serves."""
        promoted = stack.wait_until(
            lambda: [s for s in replicas if s.running() and s.role() == "master"],
            "a replica to be promoted",
        )
        self.wait_ok()
        return promoted[0]

    @contextlib.contextmanager
    def migrating(self, number, target):
        """A slot's live migration, as redis-cli does it: begins when entered and ends when left.
        Meanwhile the slot's keys move by move() of what is yielded, all that are left at the end."""
        migration = Migration(self, number, target)
        migration.begin()
        yield migration
        migration.end()


class Migration:
    def __init__(self, cluster, number, target):
        self.cluster = cluster
        self.slot = number
        self.source = cluster.owner(number)
        self.target = target

    def begin(self):
        """From here on the source sends askers of keys that it hasn't on, by ASK."""
        ids = self.cluster.ids
        self.target.command("CLUSTER", "SETSLOT", self.slot, "IMPORTING", ids[self.source])
        self.source.command("CLUSTER", "SETSLOT", self.slot, "MIGRATING", ids[self.target])

    def keys(self):
        """Those that the source still has."""
        return self.source.command("CLUSTER", "GETKEYSINSLOT", self.slot, 1000)

    def move(self, *keys):
        self.source.command("MIGRATE", self.target.host, self.target.port, "", 0, 5000,
                            "KEYS", *keys)

    def end(self):
        """Moves the rest, and tells everybody: from here on the source answers MOVED."""
        while keys := self.keys():
            self.move(*keys)
        for server in (self.target, self.source, *self.cluster.primaries()):
            server.command("CLUSTER", "SETSLOT", self.slot, "NODE", self.cluster.ids[self.target])
        self.cluster.wait_ok()


# ---- Sentinel -----------------------------------------------------------------------------------


class Sentinel(Server):
    """One Sentinel that watches `primary` under the name `master`."""

    def __init__(self, directory, flavour, name, primary, master, quorum, settings):
        super().__init__(directory, flavour, name, start=False)
        # Sentinel writes what it learns into its file.
        self.file = self.directory / "sentinel.conf"
        lines = [
            f"port {self.port}",
            f"bind {self.host}",
            f"dir {self.directory}",
            "protected-mode no",
            "sentinel resolve-hostnames yes",
            f"sentinel monitor {master} {primary.host} {primary.port} {quorum}",
            *(f"sentinel {key} {master} {value}" for key, value in settings.items()),
        ]
        self.file.write_text("\n".join(lines) + "\n")
        self.start()

    def words(self):
        return [program(self.flavour), self.file, "--sentinel"]


class Watched:
    """A primary with replicas, and Sentinels that watch it and replace it when it fails.
    down_after: milliseconds until it is taken for dead."""

    def __init__(self, directory, flavour="redis-7.0", replicas=1, sentinels=3, master="main",
                 down_after=1000, options=None):
        self.master = master
        self.servers = []
        self.sentinels = []
        options = {"repl-diskless-sync-delay": 0, **(options or {})}
        try:
            for i in range(1 + replicas):
                self.servers.append(Server(directory, flavour, f"redis{i + 1}", options=options))
            first = self.servers[0]
            for server in self.servers[1:]:
                server.command("REPLICAOF", first.host, first.port)
            for i in range(sentinels):
                self.sentinels.append(Sentinel(
                    directory, flavour, f"sentinel{i + 1}", first, master, sentinels // 2 + 1,
                    {"down-after-milliseconds": down_after, "failover-timeout": 10000},
                ))
            stack.wait_until(self._settled, "the Sentinels to know one another and the replicas")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for server in self.sentinels + self.servers:
            server.close()

    def _settled(self):
        for sentinel in self.sentinels:
            words = sentinel.command("SENTINEL", "MASTER", self.master)
            said = dict(zip(words[::2], words[1::2]))
            if (int(said["num-slaves"]), int(said["num-other-sentinels"])) != (
                len(self.servers) - 1, len(self.sentinels) - 1
            ):
                return False
        return all(
            server.info("replication")["master_link_status"] == "up" for server in self.servers[1:]
        )

    def primary(self, sentinel=None):
        """The server that a Sentinel (the first that runs) names."""
        sentinel = sentinel or next(s for s in self.sentinels if s.running())
        _, port = sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.master)
        return next(server for server in self.servers if server.port == int(port))

    def wait_replaced(self, old):
        """Until every Sentinel that runs names another, and that one says so itself."""
        def replaced():
            named = {self.primary(s) for s in self.sentinels if s.running()}
            return (len(named) == 1 and old not in named
                    and next(iter(named)).role() == "master" and named.pop())

        return stack.wait_until(replaced, "the Sentinels to replace the primary")

    def fail_over(self):
        """Kills the primary, waits for the next, and returns it."""
        old = self.primary()
        old.kill()
        return self.wait_replaced(old)
