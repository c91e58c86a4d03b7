"""What haproxy/demo runs once everything is installed and built: the three clients and the table."""

import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "lib"))
sys.dont_write_bytecode = True
import stack  # noqa: E402

ORDERS = ("GET", "/api/orders")
LOGIN = ("POST", "/api/auth/login")
HEALTH = ("GET", "/health")

# How many requests a client sends each turn, and how long a turn lasts: only for the eye. Which
# requests are refused doesn't depend on it.
TURN = 0.12

# The rules of sluice.yml: 5 log-ins in 15 minutes (an exact log), 30 requests at once and then one
# a minute (a token bucket). While the show takes less than that minute, how fast it goes changes
# nothing: there is no window whose end could fall into it.
BUCKET_REFILL = 60.0


class Client:
    def __init__(self, name, address, steps, pace, allowed, refused):
        self.name = name
        self.address = address
        self.steps = [step for step, times in steps for _ in range(times)]
        self.total = len(self.steps)
        self.pace = pace
        self.expected = (allowed, refused)
        self.allowed = 0
        self.refused = {}
        self.last = ""
        self.refusal = None  # the first: (method, path, answer)
        self.problems = []

    def step(self, port):
        method, path = self.steps.pop(0)
        answer = stack.request(port, path, method, source=self.address)
        limit = re.match(r'"([^"]+)";r=(\d+)', answer.headers.get("ratelimit", ""))
        if answer.status == 200:
            self.allowed += 1
            self.last = f"200, {limit[2]} left" if limit else "200, no limit"
            if not limit and (method, path) != HEALTH:
                self.problems.append(f"{method} {path} was let pass without an answer of the agent")
        elif answer.status == 429 and limit:
            self.refused[limit[1]] = self.refused.get(limit[1], 0) + 1
            self.last = f"429, again in {answer.headers.get('retry-after')} s"
            self.refusal = self.refusal or (method, path, answer)
        else:
            self.problems.append(f"{method} {path} was answered with {answer.status}")

    def verdict(self):
        wanted_allowed, wanted_refused = self.expected
        if (self.allowed, self.refused) != (wanted_allowed, wanted_refused):
            self.problems.append(
                f"{self.allowed} allowed and {self.refused} refused, where the rules demand "
                f"{wanted_allowed} and {wanted_refused}"
            )
        return self.problems


def clients():
    return [
        Client("well behaved", "127.0.0.11", [(LOGIN, 1), (ORDERS, 11)], 1, 12, {}),
        Client("greedy", "127.0.0.12", [(ORDERS, 60), (HEALTH, 3)], 4, 33, {"client": 30}),
        Client("at the log-in", "127.0.0.13", [(LOGIN, 20), (ORDERS, 3)], 2, 8, {"login": 15}),
    ]


# ---- what is shown ------------------------------------------------------------------------------


class Screen:
    def __init__(self):
        self.live = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.drawn = 0

    def style(self, code, text):
        return f"\x1b[{code}m{text}\x1b[0m" if self.live else text

    def say(self, text=""):
        print(text, flush=True)

    def heading(self, text):
        self.say("\n" + self.style("1", text))

    def table(self, people):
        """Draws it over the table drawn before."""
        head = f"  {'client':27}{'asked':>6}{'allowed':>8}{'refused':>8}  by rule last answer"
        lines = [self.style("1", head)]
        for p in people:
            refused = sum(p.refused.values())
            asked = p.allowed + refused
            lines.append(
                f"  {p.address:12}{p.name:15}{asked:6}"
                + self.style("32", f"{p.allowed:8}")
                + self.style("31" if refused else "0", f"{refused:8}")
                + f"  {','.join(p.refused) or '-':8}{p.last}"
            )
        width = shutil.get_terminal_size().columns
        if self.live:
            if self.drawn:
                sys.stdout.write(f"\x1b[{self.drawn}A")
            # A line longer than the terminal would take two, and the next table would miss.
            sys.stdout.write("".join(f"\x1b[2K{clip(line, width)}\n" for line in lines))
            self.drawn = len(lines)
        else:
            sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()


def clip(line, width):
    """The first `width` columns; colours take none."""
    out, column = [], 0
    for part in re.split(r"(\x1b\[\d+m)", line):
        if part.startswith("\x1b"):
            out.append(part)
        else:
            out.append(part[: max(0, width - 1 - column)])
            column += len(part)
    return "".join(out)


def rules_in_words():
    """The rules as the file has them, from `rules:` on, without the comments."""
    text = stack.shipped("sluice.yml")
    lines = text[text.index("rules:\n") :].splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def show_refusal(screen, client):
    method, path, answer = client.refusal
    screen.heading(f"One refusal in full ({client.address}, {client.name}):")
    screen.say(f"  > {method} {path} HTTP/1.1")
    screen.say(f"  < HTTP/1.1 {answer.status} Too Many Requests")
    for name, value in answer.headers.items():
        bold = name in ("retry-after", "ratelimit", "ratelimit-policy")
        line = f"  < {name}: {value}"
        screen.say(screen.style("1", line) if bold else line)
    screen.say(f"  < {answer.body.strip()}")


def show_hints(screen, port, agent, sluice):
    screen.heading("Your turn. Each address is a client of its own; 127.0.0.12 is the greedy one:")
    base = f"http://127.0.0.1:{port}"
    screen.say(textwrap.dedent(f"""\
          curl -i {base}/api/orders
          curl -i --interface 127.0.0.12 {base}/api/orders
          for i in 1 2 3 4 5 6; do curl -i -X POST {base}/api/auth/login; done
          {sluice} ask {agent.addresses()[0]} src:ipv4=127.0.0.12 method=GET path=/api/orders
        The rules are in {agent.rules_path}:
          change them, then `kill -HUP {agent.pid}` and see; sluice's log is {agent.log_path}
        Ctrl-C ends everything."""))


def follow_log(screen, haproxy, lines_seen):
    """Prints each further request from HAProxy's log, until a signal comes."""
    screen.heading("Requests as they come:")
    expression = re.compile(
        r'^(\S+):\d+ \[[^ ]*:(\d\d:\d\d:\d\d)\.\d+\] .*? (\d{3}) \d+ .*"(\S+ \S+)[^"]*" '
        r"rule=(\S+) source=(\S+) .* error=(\S+) id="
    )
    while haproxy.running():
        lines = haproxy.log().splitlines()
        for line in lines[lines_seen:]:
            found = expression.match(line)
            if found:
                source, at, status, what, rule, _, error = found.groups()
                why = f"error={error}, let pass" if error != "-" else f"rule={rule}"
                colour = "31" if status == "429" else "32"
                screen.say(f"  {at}  {source:15} {screen.style(colour, status)}  {what}  {why}")
        lines_seen = len(lines)
        time.sleep(0.2)
    raise stack.Failed("HAProxy ended:\n" + haproxy.log()[-2000:])


# ---- the show -----------------------------------------------------------------------------------


def start(sluice, haproxy_binary, directory, started, screen):
    socket = f"{directory}/spop.sock"
    rules = stack.replace(
        stack.shipped("sluice.yml"),
        ('  - { address: "unix:///run/sluice/spop.sock", mode: 0660 }\n',
         f'  - "unix://{socket}"\n'),
        ("  - tcp://127.0.0.1:9000\n", ""),
        ('admin: "tcp://127.0.0.1:9901"\n', 'admin: "tcp://127.0.0.1:0"\n'),
    )
    version = ".".join(map(str, stack.haproxy_version(haproxy_binary)))
    words = subprocess.run([sluice, "version"], capture_output=True, text=True, check=True).stdout
    screen.say(f"Starting {words.splitlines()[0]} (counters in memory) and HAProxy {version} "
               f"({stack.haproxy_file(stack.haproxy_version(haproxy_binary))}).")
    api = stack.Api()
    started.append(api)
    agent = stack.Agent(sluice, rules, directory)
    started.append(agent)
    agent.wait_ready()
    haproxy = stack.HAProxy(haproxy_binary, directory, [f"unix@{socket}"], api.port)
    started.append(haproxy)
    haproxy.wait_ready()
    return agent, haproxy


def play(screen, people, port):
    screen.heading("Three clients:")
    began = time.monotonic()
    if screen.live:
        screen.table(people)
    while any(p.steps for p in people):
        turn = time.monotonic()
        for person in people:
            for _ in range(min(person.pace, len(person.steps))):
                person.step(port)
        if screen.live:
            screen.table(people)
            time.sleep(max(0.0, TURN - (time.monotonic() - turn)))
    if not screen.live:
        screen.table(people)
    return time.monotonic() - began


def run(arguments, directory, started):
    screen = Screen()
    agent, haproxy = start(arguments.sluice, arguments.haproxy, directory, started, screen)
    screen.heading("The rules (haproxy/sluice.yml):")
    screen.say("\n".join("  " + line for line in rules_in_words()))

    people = clients()
    took = play(screen, people, haproxy.port)

    problems = [f"{p.address} ({p.name}): {text}" for p in people for text in p.verdict()]
    if took > BUCKET_REFILL and problems:
        problems.append(f"the show took {took:.0f} s, and every {BUCKET_REFILL:.0f} s the rule "
                        "client lets one more request pass: this machine is too slow to judge")
    refused = [p for p in people if p.refusal]
    if refused:
        show_refusal(screen, refused[-1])
    screen.say()
    if problems:
        screen.say(screen.style("31", "These are NOT the refusals that the rules demand:"))
        for text in problems:
            screen.say(f"  {text}")
        for program in (agent, haproxy):
            screen.say(f"--- log of {program.name}:\n{program.log()[-8000:]}")
        return 1
    asked = sum(p.total for p in people)
    screen.say(screen.style("32", f"All {asked} answers are exactly those that the rules demand."))
    if arguments.once:
        return 0
    show_hints(screen, haproxy.port, agent, arguments.sluice)
    follow_log(screen, haproxy, len(haproxy.log().splitlines()))
    return 0


class Interrupted(BaseException):
    def __init__(self, number):
        super().__init__(number)
        self.number = number


def interrupt(number, _frame):
    raise Interrupted(number)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--once", action="store_true")
    parser.add_argument("sluice")
    parser.add_argument("haproxy")
    arguments = parser.parse_args()
    started = []
    directory = tempfile.mkdtemp(prefix="sluice-demo.")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        status = run(arguments, directory, started)
    except Interrupted as interrupted:
        # Ctrl-C is how the show is meant to end; under --once it is an end before its time.
        status = 128 + interrupted.number if arguments.once else 0
        print("\nStopping.", flush=True)
    except (stack.Failed, OSError, subprocess.CalledProcessError) as error:
        print(f"demo: {error}", file=sys.stderr)
        status = 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for program in reversed(started):
            program.stop()
        shutil.rmtree(directory, ignore_errors=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
