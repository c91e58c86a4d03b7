"""The status page as it is served: whole, in one piece, and with a policy that lets nothing else in.
What a person sees of it is tested in tests/page."""

import base64
import hashlib
import html.parser
import re

import admin
import spop
import stack

from test_admin import ADMIN, RULES, with_token

VOID = {"meta", "link", "input", "br"}


class Page(html.parser.HTMLParser):
    """Fails where tags don't nest or an id is there twice."""

    def __init__(self, text):
        super().__init__()
        self.open = []
        self.ids = set()
        self.elements = []
        self.blocks = {"style": [], "script": []}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        assert len(attributes) == len(attrs), self.getpos()
        self.elements.append((tag, attributes))
        if "id" in attributes:
            assert attributes["id"] not in self.ids, attributes["id"]
            self.ids.add(attributes["id"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        if self.open and self.open[-1] in self.blocks:
            self.blocks[self.open[-1]].append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def served(bench):
    answer = admin.request(bench.agent(ADMIN + RULES), "/")
    assert answer.status == 200
    return answer, Page(answer.body)


def test_it_is_whole(bench):
    answer, page = served(bench)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert len(answer.body) < 65536
    assert answer.body.startswith("<!DOCTYPE html>\n")
    # Nothing of it is elsewhere.
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "data", "style"):
            assert attributes.get(name, "data:,") == "data:,", (tag, attributes)
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
    assert "@import" not in answer.body and "url(" not in answer.body
    # Each id that is named is there.
    named = re.findall(r"""byId\('([\w-]+)'\)""", answer.body)
    named += [attributes[name] for _, attributes in page.elements
              for name in ("for", "aria-labelledby") if name in attributes]
    assert set(named) <= page.ids and len(named) > 20


def test_it_can_be_read_aloud(bench):
    _, page = served(bench)
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("header")) == 1
    assert all(head.get("scope") == "col" for head in page.all("th"))
    assert all(button.get("type") in ("button", "submit") for button in page.all("button"))
    assert all("aria-label" in section or "aria-labelledby" in section
               for section in page.all("section"))


def luminance(colour):
    """Relative luminance as WCAG 2 defines it, of #rrggbb or #rgb."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[i:i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
              for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_its_colours_can_be_told_apart(bench):
    """Each colour that something is written in, on each that it is written on: 4.5 to 1 at least."""
    answer, _ = served(bench)
    palettes = re.findall(r":root \{(.*?)\}", answer.body, re.DOTALL)
    assert len(palettes) == 2 # light and dark
    for palette in palettes:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]+);", palette))
        for written in ("text", "quiet", "calm", "bad", "warn", "good"):
            for ground in ("ground", "panel"):
                pair = sorted(luminance(colours[name]) for name in (written, ground))
                assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (written, ground)


def test_its_policy_lets_nothing_else_in(bench):
    answer, page = served(bench)
    policy = {}
    for directive in answer.headers["content-security-policy"].split("; "):
        name, *values = directive.split(" ")
        policy[name] = values
    for tag in ("style", "script"):
        text = "".join(page.blocks[tag])
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy.pop(f"{tag}-src") == [f"'sha256-{digest}'"]
        assert len(page.all(tag)) == 1
    assert policy == {"default-src": ["'none'"], "connect-src": ["'self'"], "img-src": ["data:"],
                      "form-action": ["'none'"], "base-uri": ["'none'"],
                      "frame-ancestors": ["'none'"]}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_it_is_open_and_what_it_asks_is_not(bench):
    agent = bench.agent(with_token(bench)[0] + RULES)
    assert admin.request(agent, "/").status == 200
    assert admin.request(agent, "/stats/distributed").status == 401
    assert admin.request(agent, "/", "DELETE", token="t").status == 405
    assert admin.request(agent, "/index.html").status == 404


def test_statistics_tell_sources_and_times(bench):
    agent = bench.agent(ADMIN + RULES)
    with spop.Connection(agent.tcp_address(), timeout=stack.WAIT) as connection:
        connection.hello()
        for _ in range(5):
            connection.ask({"src": "192.0.2.1", "path": "/login", "method": "POST"})
        connection.ask({"path": "/nowhere"})
        said = admin.get(agent, "/stats/distributed")
        assert said["connections"]["open"] == 1 and said["connections"]["max"] > 1
    sources = {each["source"]: (each["allowed"], each["refused"]) for each in said["sources"]}
    assert (sources["memory"], sources["none"]) == ((3, 2), (1, 0))
    buckets = said["latency"]["buckets"]
    counts = [bucket["count"] for bucket in buckets]
    assert counts == sorted(counts) and buckets[-1]["seconds"] is None
    # A decision is measured once its answer has been written, which may be after it was read.
    assert 5 <= counts[-1] == said["latency"]["count"] <= 6
    assert said["reloads"]["last_failed"] is False
