"""docker-compose.distributed.yml under a name, ports and a network of its own."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.parse
import urllib.request

import stack
from load import Load

FILE = stack.ROOT / "docker-compose.distributed.yml"
NAME = "sluice-rehearsal"
AGENTS = ("sluice-1", "sluice-2", "sluice-3")
INSTANCES = ("api-1", "api-2", "api-3")
SERVERS = tuple(f"redis-{n}" for n in range(1, 7))

# Not what anything takes, but when there is no use in waiting longer.
PATIENCE = 180.0

# What an answer must keep, made long: so that what fails counts, and not that a machine is slow. (service,
# file or folder in the container): (shipped file, what is put in place of what).
PATIENT = {
    ("haproxy", "/usr/local/etc/haproxy/spoe-sluice.conf"): (
        "haproxy/spoe-sluice.conf", ("timeout processing 50ms", "timeout processing 20s")),
    ("haproxy", "/usr/local/etc/haproxy/haproxy.cfg"): (
        "haproxy/distributed.cfg", ("timeout connect 20ms", "timeout connect 1s")),
    **{(agent, "/etc/sluice"): (
        "config/distributed.yml", ("deadline: 25ms", "deadline: 10s")) for agent in AGENTS},
}

# What reads an agent's metrics, in a container that has little to do it with.
METRICS = ("exec 3<>/dev/tcp/127.0.0.1/9901; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3")


def docker(*arguments, check=True):
    """What docker prints, without the end of the line."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=PATIENCE,
                          check=False)
    if check and done.returncode != 0:
        raise stack.Failed(f"docker {' '.join(arguments)}: {done.stderr}")
    return done.stdout.strip()


def image_is_there(name):
    return bool(docker("image", "inspect", "--format", "{{.Id}}", name, check=False))


class Project:
    def __init__(self):
        self.port, self.prometheus_port, self.grafana_port = (stack.free_port() for _ in range(3))
        self.words = [*os.environ["COMPOSE"].split(), "-p", NAME, "-f", str(FILE)]
        self.environment = {
            **os.environ,
            "SLUICE_PORT": str(self.port),
            "PROMETHEUS_PORT": str(self.prometheus_port),
            "GRAFANA_PORT": str(self.grafana_port),
            "SLUICE_STORE_NETWORK": "10.89.78",
        }
        self.file = json.loads(self.compose("config", "--format", "json"))
        self.grafana = image_is_there(self.file["services"]["grafana"]["image"])
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-compose."))
        self.words += ["-f", str(self.override())]

    def override(self):
        """What only the rehearsal needs, as a second file for compose."""
        services = {}
        self.folder.chmod(0o755) # containers are nobody's
        self.rules = self.folder / "sluice/distributed.yml"
        if not self.grafana:
            services["grafana"] = {"profiles": ["not-rehearsed"]} # which isn't started, then
        for (service, target), (shipped, edit) in PATIENT.items():
            source = self.folder / pathlib.Path(target).name
            file = source if source.suffix else source / pathlib.Path(shipped).name
            file.parent.mkdir(mode=0o755, exist_ok=True)
            file.write_text(stack.replace((stack.ROOT / shipped).read_text(), edit))
            services.setdefault(service, {"volumes": []})["volumes"].append(
                f"{source}:{target}:ro")
        path = self.folder / "override.yml"
        path.write_text(json.dumps({"services": services})) # JSON is YAML too
        return path

    def compose(self, *arguments, check=True):
        done = subprocess.run([*self.words, *arguments], capture_output=True, text=True,
                              env=self.environment, timeout=PATIENCE, check=False,
                              stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            raise stack.Failed(f"compose {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    # ---- all of it -------------------------------------------------------------------------------

    def up(self):
        self.compose("down", "--volumes") # what a rehearsal that was killed has left
        try:
            self.compose("up", "--detach")
            self.wait_healthy(*(s for s in self.services() if s != "redis-init"))
        except stack.Failed as failed:
            logs = self.compose("logs", "--tail", "20", check=False)
            self.down()
            raise stack.Failed(f"{failed}\n{logs}") from None

    def down(self):
        self.compose("down", "--volumes")

    def close(self):
        self.down()
        shutil.rmtree(self.folder)

    def left(self):
        """Containers, networks and volumes that are there of it."""
        label = f"label=com.docker.compose.project={NAME}"
        return [name for kind, format_ in (("container", "{{.Names}}"), ("network", "{{.Name}}"),
                                           ("volume", "{{.Name}}"))
                for name in docker(kind, "ls", *(["--all"] if kind == "container" else []),
                                   "--filter", label, "--format", format_).split()]

    def services(self):
        return sorted(s for s in self.file["services"] if s != "grafana" or self.grafana)

    # ---- one container ---------------------------------------------------------------------------

    def container(self, service):
        return f"{NAME}-{service}-1"

    def state(self, service):
        return json.loads(docker("inspect", self.container(service)))[0]

    def wait_healthy(self, *services):
        for service in services:
            stack.wait_until(lambda: self.state(service)["State"]["Health"]["Status"] == "healthy",
                             f"{service} to be healthy", PATIENCE, 0.1)

    def kill(self, service):
        """As if its machine were gone: it isn't started again by itself."""
        docker("kill", self.container(service))

    def crash(self, service):
        """As by a bug in the program: Docker starts it again."""
        os.kill(self.state(service)["State"]["Pid"], signal.SIGKILL)

    def start(self, service):
        docker("start", self.container(service))

    def redis(self, service, *command):
        return docker("exec", self.container(service), "redis-cli", *command)

    def is_primary(self, service):
        return self.redis(service, "role").split("\n")[0] == "master"

    # ---- what is to be seen of it ----------------------------------------------------------------

    def load(self, path, key, threads=6):
        """Requests with API keys: key(n) of the n-th."""
        return Load(self.port, path, threads, lambda n: {"X-API-Key": key(n)})

    def metrics(self, agent):
        """What the agent itself says: {"name{labels}": value}"""
        text = docker("exec", self.container(agent), "bash", "-c", METRICS)
        return {name: float(value) for name, value in re.findall(r"^(sluice_\S+) (\S+)$", text, re.M)}

    def total(self, name):
        """Of a counter, over its labels and all agents."""
        return sum(value for agent in AGENTS for metric, value in self.metrics(agent).items()
                   if metric.split("{")[0] == name)

    def ask_prometheus(self, path, **parameters):
        address = f"http://127.0.0.1:{self.prometheus_port}/api/v1/{path}"
        with urllib.request.urlopen(f"{address}?{urllib.parse.urlencode(parameters)}",
                                    timeout=stack.WAIT) as answer:
            return json.load(answer)["data"]

    def metric(self, expression):
        """{instance without its port: value}"""
        return {one["metric"]["instance"].split(":")[0]: float(one["value"][1])
                for one in self.ask_prometheus("query", query=expression)["result"]}
