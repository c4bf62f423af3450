"""Sends requests to the demo through nginx and directly, with curl, and compares the responses. Then stops the demo and
checks the responses of nginx, and that the files that nginx has written contain no personal data."""

import gzip
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

work, port, path, direct, demo = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])
is_open = sys.argv[6] == "open"
token, near, webhooks = os.environ["TOKEN"], os.environ["NEAR"], os.environ["WEBHOOKS"]
HOST, CERTIFICATE = "scim.example.com", work / "tls/scim.example.com.crt"
SERVER = f"https://{HOST}:{port}"
SEARCH = ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]
JSON = ["-H", "Content-Type: application/json"]


class Answer:
    def __init__(self, status, head, body):
        self.status, self.body = status, body
        lines = [line.split(": ", 1) for line in head.splitlines() if ": " in line]
        self.headers = [(name.lower(), value) for name, value in lines]

    def header(self, name):
        return [value for known, value in self.headers if known == name]

    def json(self):
        return json.loads(self.body)


def curl(url, *options, token=token):
    """Sends a request. The response is read from files, so that its bytes stay unchanged."""
    who = ["-H", f"Authorization: Bearer {token}"] if token else []
    files = ["--dump-header", work / "head", "--output", work / "answer"]
    trust = ["--cacert", CERTIFICATE, "--resolve", f"{HOST}:{port}:127.0.0.1", "--noproxy", "*"]
    for file in ("head", "answer"):
        (work / file).write_bytes(b"")
    command = ["curl", "--silent", "--show-error", "--max-time", "60", "--path-as-is", *trust, *files, *who, *options]
    written = subprocess.run([*command, "--write-out", "%{http_code} %{num_connects}\n", url], check=True, capture_output=True)
    status, connections = written.stdout.splitlines()[-1].split()
    head = (work / "head").read_text("latin-1").replace("HTTP/1.1 100 Continue\r\n\r\n", "")
    answer = Answer(int(status), head, (work / "answer").read_bytes())
    answer.connections = int(connections)
    return answer


def inside(what, *options, **more):
    return curl(f"{direct}/{what}", *options, **more)


def outside(what, *options, **more):
    return curl(f"{SERVER}{path}/{what}", *options, **more)


def same(what, *options):
    """Asserts that nginx returns the same response as the server, and returns it."""
    ours, theirs = inside(what, *options), outside(what, *options)
    assert ours.status == theirs.status, f"{what}: {ours.status} became {theirs.status}: {theirs.body[:300]}"
    assert ours.body == theirs.body, f"{what}: {len(ours.body)} bytes became {len(theirs.body)}"
    for name in ["content-type", "etag", "www-authenticate", "retry-after", "allow"]:
        assert ours.header(name) == theirs.header(name), f"{what}: {name}: {theirs.headers}"
    return theirs


def reads():
    first = same("scim/v2/Users?count=2")
    someone = first.json()["Resources"][0]
    assert someone["meta"]["location"].startswith(f"{SERVER}{path}/scim/v2/Users/"), someone["meta"]
    assert curl(someone["meta"]["location"]).json() == someone, "a location leads to what it names"
    search = {"schemas": SEARCH, "filter": f'userName eq "{someone["userName"]}"'}
    assert same("scim/v2/Users/.search", *JSON, "-d", json.dumps(search)).json()["totalResults"] == 1
    assert same("scim/v2/Users", "-G", "--data-urlencode", f'filter=userName eq "{someone["userName"]}"').status == 200
    assert same("scim/v2/Schemas/urn:ietf:params:scim:schemas:core:2.0:User").status == 200
    assert same("scim/v2/Schemas/urn%3Aietf%3Aparams%3Ascim%3Aschemas%3Acore%3A2.0%3AUser").status == 200
    assert same("scim/v2/Users/nobody-has-this-id").status == 404
    assert same("scim/v2/Users", "-X", "DELETE").status == 405
    assert same("openapi.json").json()["servers"][0]["url"] == f"{SERVER}{path}/scim/v2"
    return someone


def nothing_has_changed():
    for compressed in ([], ["-H", "Accept-Encoding: gzip"]):
        etag = outside("scim/v2/Users?count=100", *compressed).header("etag")
        assert etag and etag == inside("scim/v2/Users?count=100").header("etag"), etag
        again = outside("scim/v2/Users?count=100", *compressed, "-H", f"If-None-Match: {etag[0]}")
        assert (again.status, again.body, again.header("etag")) == (304, b"", etag), again.headers


def a_large_page():
    url = "scim/v2/Users?count=10000"
    plain = same(url)
    assert len(plain.json()["Resources"]) == 10000 and len(plain.body) > 10_000_000, len(plain.body)
    compressed = outside(url, "-H", "Accept-Encoding: gzip")
    assert compressed.header("content-encoding") == ["gzip"] and compressed.header("vary"), compressed.headers
    assert len(compressed.body) < len(plain.body) / 4 and gzip.decompress(compressed.body) == plain.body
    # A slow client gets the whole response as well, and nginx does not buffer it in a file.
    assert outside(url, "--limit-rate", "8M").body == plain.body


def other_requests():
    # A GET with a body, as Java clients send it. The second one reuses the connection.
    url = f"{SERVER}{path}/scim/v2/Users?count=1"
    got = outside("scim/v2/Users?count=1", *JSON, "-X", "GET", "-d", "null\n", "--output", work / "again", url)
    assert (got.status, got.connections) == (200, 0), (got.status, got.connections)
    assert got.body == (work / "again").read_bytes() == inside("scim/v2/Users?count=1").body
    chunked = outside("scim/v2/Users?count=1", *JSON, "-X", "GET", "-H", "Transfer-Encoding: chunked", "-d", "null\n")
    assert chunked.body == got.body
    head = outside("scim/v2/Users?count=1", "--head")
    assert (head.status, head.header("content-length")) == (200, [str(len(got.body))]), head.headers
    nobody = outside("scim/v2/Users", token=None)
    challenges = inside("scim/v2/Users", token=None).header("www-authenticate")
    assert nobody.status == 401 and nobody.header("www-authenticate") == challenges != [], nobody.headers
    assert outside("scim/v2/Users?count=1", "-u", f"anybody:{token}", token=None).status == 200


def limits():
    # The longest permitted filter, with every letter encoded, passes. nginx refuses a longer URL.
    filter = 'userName eq "' + "é" * 4800 + '"'
    assert outside("scim/v2/Users", "-G", "--data-urlencode", f"filter={filter}").json()["totalResults"] == 0
    filter = 'userName eq "' + "é" * 7000 + '"'
    assert outside("scim/v2/Users", "-G", "--data-urlencode", f"filter={filter}").status == 414
    assert outside("scim/v2/Users", "-H", f"X-Long: {'x' * 50_000}").status == 400
    (work / "large").write_bytes(b" " * (1024 * 1024 + 1))
    assert outside("scim/v2/Users/.search", *JSON, "--data-binary", f"@{work / 'large'}").status == 413
    search = {"schemas": SEARCH, "filter": f'userName eq "{"x" * 9000}"'}
    (work / "large").write_text(json.dumps(search) + " " * 900_000)
    assert same("scim/v2/Users/.search", *JSON, "--data-binary", f"@{work / 'large'}").status == 200
    # nginx refuses a 65th concurrent request of an address.
    context, held = ssl.create_default_context(cafile=CERTIFICATE), []
    for _ in range(64):
        held.append(context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname=HOST))
        held[-1].sendall(f"POST {path}/scim/v2/.search HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 9\r\n\r\n".encode())
    refused = outside("scim/v2/Users?count=1")
    elsewhere = outside("scim/v2/Users?count=1", "--interface", "127.0.0.3")
    for connection in held:
        connection.close()
    assert (refused.status, elsewhere.status) == (503, 200), (refused.status, elsewhere.status)
    assert refused.header("retry-after") == ["10"] and refused.json()["status"] == "503", refused.headers


def addresses():
    for address, claimed, status in [("127.0.0.2", None, 200), ("127.0.0.3", None, 403), ("127.0.0.3", "127.0.0.2", 403)]:
        claim = ["-H", f"X-Forwarded-For: {claimed}"] if claimed else []
        got = outside("scim/v2/Users?count=1", "--interface", address, *claim, token=near).status
        assert got == status, f"from {address}, saying {claimed}: {got}"


def what_stays_inside():
    for what in [*([] if is_open else ["status", "webhooks/personio"]), "metrics", "health/ready", "Users", "", "scim/v2/../../metrics",
                 "scim/v2/%2e%2e/%2e%2e/metrics", "scim/v2/..%2f..%2fmetrics", "scim/v2/../metrics"]:
        got = outside(what)
        assert got.status == 404 and b"personio_scim_" not in got.body, f"{what}: {got.status}"
    hidden = outside("metrics/../scim/v2/../metrics")
    assert hidden.status == 404, hidden.status


def what_is_passed_on_if_somebody_says_so():
    page = outside("status")
    assert page.status == 200 and page.header("content-type")[0].startswith("text/html"), page.headers
    nobody = outside("status", token=None)
    assert nobody.status == 401 and nobody.header("www-authenticate"), nobody.headers
    notice = {"company_id": "1", "event_name": "ping", "occurred_at": "2026-11-25T12:00:00Z", "payload": {}}
    sent = [*JSON, "-d", json.dumps(notice)]
    assert outside("webhooks/personio", *sent, "-H", f"Authorization: {webhooks}", token=None).status == 202
    assert outside("webhooks/personio", *sent).status == 401, "the token of a client opens no webhooks"
    assert outside("status/").status == outside("webhooks/personio/more").status == 404


def hostile_clients():
    """Checks clients from other addresses that stop or do not read: others are answered, and open files return."""
    trust = ssl.create_default_context(cafile=CERTIFICATE)
    files = f"/proc/{demo}/fd"
    before = len(os.listdir(files))
    lists = f"GET {path}/scim/v2/Users HTTP/1.1\r\nHost: {HOST}\r\n"
    searches = f"POST {path}/scim/v2/Users/.search HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    known = f"Authorization: Bearer {token}\r\n"
    openings = [
        "",
        lists,
        f"{lists}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        f"{lists}\r\n" * 100,
        f"{lists}{known}\r\n" * 20,
        f"{lists}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        f"{searches}{known}Content-Length: 1000\r\n\r\n{{",
        f"{searches}Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n",
    ]
    connections = []
    for number in range(160):
        address = (f"127.0.0.{3 + number % 20}", 0)
        plain = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=address)
        connections.append(trust.wrap_socket(plain, server_hostname=HOST))
        connections[-1].setblocking(False)
        try:
            connections[-1].send(openings[number % len(openings)].encode())
        except (ssl.SSLWantWriteError, ConnectionError):
            pass
        if number % 10 == 0:
            assert outside("scim/v2/Users?count=1").status == 200, number
    for connection in connections:
        connection.close()
    # nginx keeps some connections to the server open for further requests.
    until = time.monotonic() + 30
    while len(os.listdir(files)) > before + 20:
        assert time.monotonic() < until, f"{before} open files became {len(os.listdir(files))}"
        time.sleep(0.1)
    assert outside("scim/v2/Users?count=1").status == 200


def while_it_is_down():
    os.kill(demo, signal.SIGTERM)
    while subprocess.run(["curl", "--silent", "--noproxy", "*", f"{direct}/health/live"], capture_output=True).returncode == 0:
        pass
    down = outside("scim/v2/Users?filter=userName%20eq%20%22anna%40example.com%22")
    assert (down.status, down.header("retry-after"), down.json()["status"]) == (503, ["10"], "503"), down.headers
    assert down.header("content-type") == ["application/scim+json"], down.headers


def what_was_written(someone):
    text = "".join(file.read_text() for file in (work / "log").iterdir())
    lines = (work / "log/personio-scim.log").read_text().splitlines()
    assert any(" GET Users 503 " in line for line in lines) and len(lines) > 40, lines[-3:]
    for secret in [token, near, webhooks, "Bearer", "anybody", "filter", "count=", "?", "anna", someone["id"], someone["userName"],
                   someone["userName"].split("@")[0]]:
        found = [line for line in text.splitlines() if secret in line]
        assert not found, f"{secret} is in a log: {found[0][:300]}"
    # nginx creates a subfolder together with the first temporary file.
    kept = [*(work / "body").iterdir(), *(work / "proxy").iterdir()]
    assert not kept, f"bodies were written to {kept}"


someone = reads()
nothing_has_changed()
a_large_page()
other_requests()
limits()
addresses()
what_stays_inside()
if is_open:
    what_is_passed_on_if_somebody_says_so()
hostile_clients()
while_it_is_down()
what_was_written(someone)
also = ", and the status page and webhooks are passed on" if is_open else ""
print(f"nginx: list, search, 304, large pages and all else are as without it, at {path or '/'}{also}")
