"""config/distributed-redis.yml, and what Kubernetes' own types don't say of it: that what one object
says of another is there."""

import re

import stack
import yaml

PATH = stack.ROOT / "config" / "distributed-redis.yml"

# Made by hand, as the head of the file says.
SECRET = re.compile(r"create secret generic (\S+) \\\n((?:#? +--from-literal=.*\n)+)")


def read(text=None):
    return list(yaml.safe_load_all(text or PATH.read_text()))


def secrets():
    """{name: keys}"""
    return {name: set(re.findall(r"--from-literal=(\w+)=", keys))
            for name, keys in SECRET.findall(PATH.read_text())}


def only(objects, kind, name):
    return next(o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name)


def script(objects, config_map, key):
    return only(objects, "ConfigMap", config_map)["data"][key]


def templates(objects):
    """{"Deployment sluice": its pods' template}"""
    return {f"{o['kind']} {o['metadata']['name']}": o["spec"]["template"]
            for o in objects if "template" in o.get("spec", {})}


def matches(selector, labels):
    """A label selector, as Kubernetes has them."""
    wanted = selector.get("matchLabels", {})
    if any(labels.get(name) != value for name, value in wanted.items()):
        return False
    for expression in selector.get("matchExpressions", []):
        if expression["operator"] != "In":
            raise stack.Failed(f"operator {expression['operator']} isn't known here")
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return True


class Check:
    """problems: what is wrong, as lines."""

    def __init__(self, objects):
        self.objects = objects
        self.templates = templates(objects)
        self.problems = []
        for o in objects:
            where = f"{o['kind']} {o['metadata']['name']}"
            if o["kind"] != "Namespace" and o["metadata"].get("namespace") != "sluice":
                self.say(where, "is in another namespace")
            getattr(self, f"check_{o['kind'].lower()}", lambda *_: None)(where, o)
        for where, template in self.templates.items():
            self.check_pod(where, template)

    def say(self, where, what):
        self.problems.append(f"{where}: {what}")

    def selected(self, where, selector):
        """The templates that a selector is for."""
        found = [t for t in self.templates.values() if matches(selector, t["metadata"]["labels"])]
        if not found:
            self.say(where, f"selects nothing: {selector}")
        return found

    def port_of(self, where, pods, port):
        """That each of the pods has a port of that name, or of that number."""
        for pod in pods:
            ports = [p for c in pod["spec"]["containers"] for p in c.get("ports", [])]
            if not any(port in (p["name"], p["containerPort"]) for p in ports):
                self.say(where, f"port {port} is none of {pod['metadata']['labels']}")

    # ---- kinds ---------------------------------------------------------------------------------

    def check_workload(self, where, o):
        selector = o["spec"]["selector"]
        if not matches(selector, o["spec"]["template"]["metadata"]["labels"]):
            self.say(where, f"its pods don't have the labels of its selector {selector}")
        if len(self.selected(where, selector)) > 1:
            self.say(where, "selects the pods of others too")

    check_deployment = check_workload

    def check_statefulset(self, where, o):
        self.check_workload(where, o)
        service = next((s for s in self.objects if s["kind"] == "Service" and
                        s["metadata"]["name"] == o["spec"]["serviceName"]), None)
        if not service or service["spec"].get("clusterIP") != "None":
            self.say(where, f"serviceName {o['spec']['serviceName']} is no headless Service")
        names = [f"{o['metadata']['name']}-{i}.{o['spec']['serviceName']}"
                 for i in range(o["spec"]["replicas"])]
        for other, template in self.templates.items():
            for container in template["spec"]["containers"]:
                for env in container.get("env", []):
                    if env["name"] == "PEERS" and env["value"].split() != names:
                        self.say(other, f"PEERS are {env['value'].split()}, expected {names}")

    def check_service(self, where, o):
        pods = self.selected(where, {"matchLabels": o["spec"]["selector"]})
        for port in o["spec"]["ports"]:
            self.port_of(where, pods, port["targetPort"])

    def check_poddisruptionbudget(self, where, o):
        self.selected(where, o["spec"]["selector"])

    def check_horizontalpodautoscaler(self, where, o):
        target = o["spec"]["scaleTargetRef"]
        found = [x for x in self.objects
                 if (x["apiVersion"], x["kind"], x["metadata"]["name"]) ==
                 (target["apiVersion"], target["kind"], target["name"])]
        if not found:
            self.say(where, f"scales {target}, which isn't there")
        for x in found:
            if "replicas" in x["spec"]:
                self.say(where, "its target says itself how many there are")
            for container in x["spec"]["template"]["spec"]["containers"]:
                if "cpu" not in container["resources"]["requests"]:
                    self.say(where, "utilisation of a processor that isn't requested")

    def check_networkpolicy(self, where, o):
        own = self.selected(where, o["spec"]["podSelector"])
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            for rule in o["spec"].get(direction, []):
                others = []
                for peer in rule.get(peers, []):
                    if "namespaceSelector" not in peer:
                        others += self.selected(where, peer["podSelector"])
                for port in rule.get("ports", []):
                    if direction == "ingress":
                        self.port_of(where, own, port["port"])
                    elif others:
                        self.port_of(where, others, port["port"])

    # ---- pods ----------------------------------------------------------------------------------

    def check_pod(self, where, template):
        spec = template["spec"]
        volumes = {v["name"]: v for v in spec.get("volumes", [])}
        claims = next((o["spec"].get("volumeClaimTemplates", []) for o in self.objects
                       if f"{o['kind']} {o['metadata']['name']}" == where), [])
        names = set(volumes) | {claim["metadata"]["name"] for claim in claims}
        used = set()
        for volume in volumes.values():
            self.check_source(where, volume)
        for container in spec["containers"]:
            self.check_container(where, container, volumes)
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            used |= mounted
            if mounted - names:
                self.say(where, f"mounts {sorted(mounted - names)}, which aren't there")
        if names - used:
            self.say(where, f"mounts {sorted(names - used)} nowhere")
        if not spec["securityContext"]["runAsNonRoot"] or spec["automountServiceAccountToken"]:
            self.say(where, "has more rights than it needs")
        anti = spec.get("affinity", {}).get("podAntiAffinity", {})
        terms = [t["podAffinityTerm"] for t in
                 anti.get("preferredDuringSchedulingIgnoredDuringExecution", [])]
        for term in terms + spec.get("topologySpreadConstraints", []):
            if not matches(term["labelSelector"], template["metadata"]["labels"]):
                self.say(where, f"keeps away from others than itself: {term}")

    def check_source(self, where, volume):
        if "configMap" in volume:
            name = volume["configMap"]["name"]
            if not any(o["kind"] == "ConfigMap" and o["metadata"]["name"] == name
                       for o in self.objects):
                self.say(where, f"ConfigMap {name} isn't there")
        if "secret" in volume:
            name = volume["secret"]["secretName"]
            if name not in secrets():
                self.say(where, f"Secret {name} is never made")
            for item in volume["secret"].get("items", []):
                if item["key"] not in secrets().get(name, ()):
                    self.say(where, f"Secret {name} has no {item['key']}")

    def check_container(self, where, container, volumes):
        own = [p["name"] for p in container.get("ports", [])]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            for way in ("httpGet", "tcpSocket"):
                port = container.get(probe, {}).get(way, {}).get("port")
                if port and port not in own:
                    self.say(where, f"{probe} asks port {port}, which isn't there")
        security = container["securityContext"]
        if (security["allowPrivilegeEscalation"] or not security["readOnlyRootFilesystem"] or
                security["capabilities"] != {"drop": ["ALL"]}):
            self.say(where, f"{container['name']} has more rights than it needs")
        if "memory" not in container["resources"]["limits"]:
            self.say(where, f"{container['name']} has no limit of memory")
        commands = container.get("command", []) + container.get("args", [])
        for probe in ("startupProbe", "readinessProbe"):
            commands += container.get(probe, {}).get("exec", {}).get("command", [])
        for hook in container.get("lifecycle", {}).values():
            commands += hook["exec"]["command"]
        for word in commands:
            self.check_file(where, word, container, volumes)

    def check_file(self, where, word, container, volumes):
        """That a file of a ConfigMap is one of its keys."""
        for mount in container.get("volumeMounts", []):
            source = volumes.get(mount["name"], {}).get("configMap")
            if not source or not word.startswith(mount["mountPath"] + "/"):
                continue
            keys = next((o["data"] for o in self.objects if o["kind"] == "ConfigMap" and
                         o["metadata"]["name"] == source["name"]), {})
            if word.rpartition("/")[2] not in keys:
                self.say(where, f"{word} is no key of ConfigMap {source['name']}")
            if "subPath" in mount:
                self.say(where, f"{mount} would never change")
