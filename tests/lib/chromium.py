"""A headless Chromium, driven by the DevTools protocol through a pair of pipes, as a person would
drive it. Standard library only."""

import base64
import json
import os
import select
import shutil
import subprocess
import time

import stack

PROGRAM = shutil.which("chromium")

OPTIONS = (
    "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-dev-shm-usage", "--disable-extensions", "--disable-sync", "--disable-default-apps",
    "--disable-background-networking", "--disable-component-update", "--mute-audio",
    "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)


class Browser:
    """One page of it. requests: the addresses that the page asked. complaints: what its console
    said of errors, exceptions and what its policy forbade."""

    def __init__(self, directory):
        self.last_id = 0
        self.loaded = 0
        self.answers = {}
        self.buffered = b""
        self.session = None
        self.requests = []
        self.complaints = []
        orders_read, self.orders = os.pipe()
        self.events, events_write = os.pipe()

        def give_pipes():
            # 3 is where it reads and 4 where it writes; the pipes' own may be the same numbers.
            read, write = os.dup(orders_read), os.dup(events_write)
            read, write = (os.dup(fd) if fd in (3, 4) else fd for fd in (read, write))
            os.dup2(read, 3)
            os.dup2(write, 4)

        with open(f"{directory}/chromium.log", "ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, *OPTIONS, f"--user-data-dir={directory}/chromium", "about:blank"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=False,
                preexec_fn=give_pipes, start_new_session=True)
        os.close(orders_read)
        os.close(events_write)
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.tell(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.orders)
        os.close(self.events)
        self.process.terminate()
        try:
            self.process.wait(stack.WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    # ---- the protocol ----

    def tell(self, method, **parameters):
        """What it answers to an order."""
        self.last_id += 1
        order = {"id": self.last_id, "method": method, "params": parameters}
        if self.session:
            order["sessionId"] = self.session
        os.write(self.orders, json.dumps(order).encode() + b"\0")
        deadline = time.monotonic() + 2 * stack.WAIT
        while self.last_id not in self.answers:
            self._read(deadline, method)
        answer = self.answers.pop(self.last_id)
        if "error" in answer:
            raise stack.Failed(f"{method}: {answer['error']}")
        return answer["result"]

    def _read(self, deadline, what):
        readable, _, _ = select.select([self.events], [], [], max(0, deadline - time.monotonic()))
        data = os.read(self.events, 1 << 20) if readable else b""
        if not data:
            raise stack.Failed(f"Chromium doesn't answer {what}")
        *messages, self.buffered = (self.buffered + data).split(b"\0")
        for message in messages:
            self._take(json.loads(message))

    def _take(self, said):
        if "id" in said:
            self.answers[said["id"]] = said
            return
        parameters = said["params"]
        if said["method"] == "Page.loadEventFired":
            self.loaded += 1
        elif said["method"] == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif said["method"] == "Runtime.exceptionThrown":
            self.complaints.append(parameters["exceptionDetails"])
        elif said["method"] == "Runtime.consoleAPICalled" and parameters["type"] in (
                "error", "warning", "assert"):
            self.complaints.append(parameters["args"])
        elif said["method"] == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.complaints.append(parameters["entry"])

    # ---- what a person does ----

    def look(self, width=1280, height=900, dark=False, phone=False):
        self.tell("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=2 if phone else 1, mobile=phone)
        self.tell("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def go(self, address=None):
        """To an address; without one, again to where it is."""
        loaded = self.loaded
        if address:
            self.tell("Page.navigate", url=address)
        else:
            self.tell("Page.reload")
        deadline = time.monotonic() + stack.WAIT
        while self.loaded == loaded:
            self._read(deadline, f"for {address}")

    def evaluate(self, expression):
        answer = self.tell("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in answer:
            raise stack.Failed(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, expression, what, timeout=stack.WAIT):
        return stack.wait_until(lambda: self.evaluate(expression), what, timeout, interval=0.1)

    def text(self, selector):
        """What a person reads there."""
        return self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")

    def click(self, selector):
        """With the mouse, at its middle, once it has stayed where it is for two frames."""
        x, y = self.evaluate(
            "new Promise(done => { let last = ''; const look = () => {"
            f" const node = document.querySelector({json.dumps(selector)});"
            " if (!last) node.scrollIntoView({block: 'center', behavior: 'instant'});"
            " const box = node.getBoundingClientRect();"
            " const at = [box.left + Math.min(box.width, 60) / 2, box.top + box.height / 2];"
            " if (String(at) === last) done(at);"
            " else { last = String(at); requestAnimationFrame(look); } }; look(); })")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.tell("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.tell("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode={"Escape": 27, "Enter": 13, "Tab": 9}[key],
                      **({"text": "\r"} if key == "Enter" and kind == "keyDown" else {}))

    def type(self, text):
        self.tell("Input.insertText", text=text)

    def screenshot(self, path, whole=True):
        """whole: with what is below the screen's edge."""
        size = self.tell("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"clip": {**size, "scale": 1}} if whole else {}
        answer = self.tell("Page.captureScreenshot", captureBeyondViewport=whole, **clip)
        with open(path, "wb") as file:
            file.write(base64.b64decode(answer["data"]))
