"""What an operator sees of an agent over time: memory, descriptors, threads, metrics, the log."""

import collections
import os
import pathlib
import re

import admin
import fleet as fleets


def status(agent):
    text = pathlib.Path(f"/proc/{agent.pid}/status").read_text()
    return dict(re.findall(r"^(\w+):\s*(\d+)", text, re.MULTILINE))


def resident(agent):
    """Bytes."""
    return int(status(agent)["VmRSS"]) * 1024


def threads(agent):
    return int(status(agent)["Threads"])


def descriptors(agent):
    """What is open, {what it is: how many}, without inode numbers."""
    folder = f"/proc/{agent.pid}/fd"
    found = collections.Counter()
    for name in os.listdir(folder):
        try:
            found[re.sub(r":\[\d+\]", "", os.readlink(f"{folder}/{name}"))] += 1
        except FileNotFoundError:
            pass
    return found


def errors(agent):
    """The lines of its log that an operator is woken for."""
    return [line for line in agent.log().splitlines() if re.search(r"\blevel=error\b", line)]


def metrics(agent, token):
    answer = admin.request(agent, "/metrics", token=token)
    if answer.status != 200:
        raise AssertionError(f"/metrics: {answer.status} {answer.body}")
    return fleets.Metrics(answer.body)


def counters(said):
    """{(name, labels): value} of all that only goes up."""
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", said.text, re.MULTILINE))
    found = {}
    for name, labels, value in said.samples:
        family = name if name in kinds else re.sub("_(bucket|sum|count)$", "", name)
        if kinds[family] in ("counter", "histogram"):
            found[name, tuple(sorted(labels.items()))] = value
    return found


class Watched:
    """One agent's vitals from the beginning of a run to its end."""

    MAX_FALLS = 20

    def __init__(self, agent, token):
        self.agent, self.token = agent, token
        self.rss = []  # (seconds, bytes)
        self.falls = []  # of what only goes up
        self.last = {}
        self.earlier = 0  # decisions before the restart
        self.clock_error = 0.0  # seconds: how far from the truth, which is 0, it took Redis's clock

    def look(self, at):
        """`at` seconds after the begin."""
        self.rss.append((at, resident(self.agent)))

    def read(self):
        said = metrics(self.agent, self.token)
        now = counters(said)
        for series, value in self.last.items():
            if value > now.get(series, value) and len(self.falls) < self.MAX_FALLS:
                self.falls.append((series, value, now[series]))
        # What has gone with its rule may begin anew.
        self.last = now
        for name, _, value in said.samples:
            if name == "sluice_redis_clock_offset_seconds":
                self.clock_error = max(self.clock_error, abs(value))
        return said

    def restarted(self):
        """Counters begin at 0 with the process."""
        self.earlier = self.decisions()
        self.last = {}

    def decisions(self):
        return self.earlier + sum(
            value for (name, _), value in self.last.items() if name == "sluice_decisions_total"
        )

    def mean(self, begin, end):
        """Of resident memory, in bytes, from one time to another."""
        seen = [size for at, size in self.rss if begin <= at < end]
        return sum(seen) / len(seen)
