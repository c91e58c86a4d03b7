"""A network of a server's own, in which packets can be dropped without a word: a network namespace
that a pair of virtual interfaces joins to ours. Needs root, iproute2 and nftables."""

import contextlib
import os
import random
import subprocess

import stack


def unavailable():
    """Why this machine can't have one, or None."""
    try:
        with Namespace():
            return None
    except (stack.Failed, OSError) as error:
        return str(error).strip()


class Namespace:
    """address: what a server in it listens on. prefix: words before a command to run it there."""

    def __init__(self):
        if os.geteuid() != 0:
            raise stack.Failed("only root can make a network namespace")
        number = random.randrange(1 << 14)
        # 198.18.0.0/15 is set aside for tests of network devices: nobody's own.
        base = f"198.{18 + (number >> 13)}.{number >> 5 & 255}."
        near, self.address = (base + str((number & 31) * 8 + i) for i in (1, 2))
        self.name = f"sluice-{os.getpid()}-{number}"
        self.prefix = ["ip", "netns", "exec", self.name]
        interface = f"sluice{number}"
        run("ip", "netns", "add", self.name)
        try:
            run("ip", "link", "add", interface, "type", "veth", "peer", "name", "eth0",
                "netns", self.name)
            run("ip", "address", "add", f"{near}/29", "dev", interface)
            run("ip", "link", "set", interface, "up")
            run(*self.prefix, "ip", "address", "add", f"{self.address}/29", "dev", "eth0")
            run(*self.prefix, "ip", "link", "set", "eth0", "up")
            run(*self.prefix, "ip", "link", "set", "lo", "up")
            run(*self.prefix, "nft", "list", "ruleset")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Whoever is in it should have ended. Its end of the pair goes with it, and so does ours."""
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)

    def drop(self):
        """From here on no packet comes in or goes out, and nobody is told."""
        chains = "".join(
            f"add chain ip sluice {hook} {{ type filter hook {hook} priority 0; policy drop; }}\n"
            for hook in ("input", "output")
        )
        run(*self.prefix, "nft", "-f", "-", text="add table ip sluice\n" + chains)

    def restore(self):
        run(*self.prefix, "nft", "delete", "table", "ip", "sluice")

    @contextlib.contextmanager
    def dropping(self):
        self.drop()
        try:
            yield
        finally:
            self.restore()


def run(*command, text=""):
    ended = subprocess.run(command, input=text, capture_output=True, text=True)
    if ended.returncode != 0:
        raise stack.Failed(f"{' '.join(command)}: {ended.stderr.strip()}")
