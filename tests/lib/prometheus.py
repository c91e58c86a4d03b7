"""A real Prometheus that scrapes agents, by config/prometheus.yml with other targets."""

import json
import pathlib
import urllib.error
import urllib.parse
import urllib.request

import stack
import yaml

CONFIG = stack.ROOT / "config"


class Prometheus(stack.Program):
    """targets: admin addresses, which it scrapes each second rather than every five."""

    def __init__(self, directory, targets):
        directory = pathlib.Path(directory)
        config = yaml.safe_load((CONFIG / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(CONFIG / name) for name in config["rule_files"]]
        (job,) = config["scrape_configs"]
        job["static_configs"] = [{"targets": targets}]
        file = directory / "prometheus.yml"
        file.write_text(yaml.safe_dump(config))
        self.address = f"127.0.0.1:{stack.free_port()}"
        super().__init__("prometheus", [
            "prometheus", f"--config.file={file}", f"--storage.tsdb.path={directory}/prometheus",
            f"--web.listen-address={self.address}",
        ], directory)

    def ask(self, path, **parameters):
        """The data of an answer of its API."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=stack.WAIT) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise stack.Failed(f"{parameters}: {error.read().decode()}") from None

    def values(self, expression):
        """What it comes to now: [(labels, number)]."""
        said = self.ask("query", query=expression)
        if said["resultType"] == "scalar":
            return [({}, float(said["result"][1]))]
        return [(one["metric"], float(one["value"][1])) for one in said["result"]]

    def wait_ready(self):
        def ready():
            try:
                with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=stack.WAIT):
                    return True
            except urllib.error.URLError:
                return False

        stack.wait_until(ready, "Prometheus to answer")
        return self

    def rules(self):
        """{name: its state and health} of the alerts."""
        return {rule["name"]: rule for group in self.ask("rules")["groups"]
                for rule in group["rules"]}
