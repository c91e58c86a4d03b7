"""The admin server of an agent, as a client sees it."""

import http.client
import json
import re
import socket
import urllib.parse

import stack


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body.decode()

    def json(self):
        assert self.headers["content-type"] == "application/json", self.body
        return json.loads(self.body)


def address(agent):
    """Its HOST:PORT."""
    return re.search(r"admin listening.*?(127\.0\.0\.1:\d+)", agent.log())[1]


def port(agent):
    return int(address(agent).rpartition(":")[2])


def connect(agent):
    return socket.create_connection(("127.0.0.1", port(agent)), timeout=stack.WAIT)


class _Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=stack.WAIT)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(stack.WAIT)
        self.sock.connect(self.path)


def request(agent, path, /, verb="GET", token=None, unix=None, headers=None, **arguments):
    """What the admin server answers; arguments become the query."""
    if arguments:
        path += "?" + urllib.parse.urlencode(arguments)
    headers = dict(headers or {})
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if unix:
        connection = _Unix(unix)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port(agent), timeout=stack.WAIT)
    try:
        connection.request(verb, path, headers=headers)
        answer = connection.getresponse()
        lower = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, lower, answer.read())
    finally:
        connection.close()


def get(agent, path, /, **options):
    """The JSON of a page that is there."""
    answer = request(agent, path, **options)
    assert answer.status == 200, answer.body
    return answer.json()
