"""Makes each alert fire once for real: the built program, with faults, scraped by Prometheus.

    alerts.py PROGRAM FOLDER

FOLDER has prometheus-rules.yml and grafana-dashboard.json. The rules are rendered with short times:
`for` is a second, ranges are 45 seconds; thresholds, names and expressions stay. Clocks of the demo are
moved where an age is wanted. In the end every query of the dashboard must have an answer.
"""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

PROGRAM, FOLDER = sys.argv[1], sys.argv[2]
WORK = tempfile.mkdtemp(prefix="gopay-alerts-")
CHILDREN = []


def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def start(arguments, **options):
    options.setdefault("stdout", subprocess.DEVNULL)
    options.setdefault("stderr", subprocess.DEVNULL)
    # A group of its own: `faketime` has a child.
    child = subprocess.Popen(arguments, start_new_session=True, **options)
    CHILDREN.append(child)
    return child


def request(method, url, body=None, kind="application/json", source=None, timeout=60):
    parts = urllib.parse.urlsplit(url)
    link = http.client.HTTPConnection(
        parts.hostname, parts.port, timeout=timeout, source_address=(source, 0) if source else None
    )
    try:
        path = parts.path + ("?" + parts.query if parts.query else "")
        link.request(method, path, body, {"content-type": kind})
        answer = link.getresponse()
        return answer.status, answer.read().decode()
    finally:
        link.close()


def eventually(what, holds, seconds=120):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            found = holds()
        except (OSError, http.client.HTTPException, ValueError):
            found = None
        if found:
            return found
        time.sleep(0.2)
    raise SystemExit(f"still waiting for: {what}")


class Demo:
    """`gopay-adapter demo` in a folder of its own, which a restart finds again."""

    def __init__(self, name, *options, stderr=subprocess.DEVNULL):
        self.data = os.path.join(WORK, name)
        self.ports = [port(), port(), port()]
        self.options, self.stderr = options, stderr
        self.start()

    def start(self):
        listen, admin, simulator = (f"127.0.0.1:{number}" for number in self.ports)
        self.api, self.admin = f"http://{listen}/", f"http://{admin}"
        self.simulator = f"http://{simulator}"
        self.child = start(
            [PROGRAM, *(self.options or ["--log", "off"]), "demo", "--listen", listen]
            + ["--admin-listen", admin, "--simulator-listen", simulator, "--data", self.data],
            stderr=self.stderr,
        )
        eventually("ready", lambda: request("GET", self.admin + "/health/ready")[0] == 200)

    def kill(self):
        self.child.kill()
        self.child.wait()

    def call(self, txtype, password="test123", source=None, **pairs):
        pairs = dict(txtype=txtype, returnmode="urlencodeext", login="testclient",
                     password=password, contractid="TESTCONTRACT", **pairs)
        form = urllib.parse.urlencode(pairs)
        kind = "application/x-www-form-urlencoded"
        status, text = request("POST", self.api, form, kind, source)
        return dict(urllib.parse.parse_qsl(text), http=str(status))

    def transaction(self, **changes):
        cart = '[{"name":"table","price":"10000.00","quantity":1}]'
        pairs = {"tag": "gopay", "countrycode": "ID", "currency": "IDR", "amount": "1000000",
                 "channel": "testchannel", "accountholdername": "Siti Rahma",
                 "transientin.orderitems": cart, **changes}
        return self.call("TRANSACTION", **pairs)

    def simulate(self, method, path, body=None):
        text = None if body is None else json.dumps(body)
        status, answer = request(method, f"{self.simulator}/simulator/v1/{path}", text)
        assert status < 300, (path, status, answer)
        return answer

    def fault(self, on, action, times=None):
        self.simulate("POST", "faults", {"on": on, "action": action, "times": times})

    def mend(self):
        self.simulate("DELETE", "faults")

    def advance(self, span):
        self.simulate("POST", "clock", {"advance": span})

    def run_due(self):
        request("POST", f"{self.simulator}/demo/v1/due", "")

    def paid(self, **changes):
        txid = self.transaction(**changes)["TXID"]
        self.simulate("POST", f"transactions/{txid}/pay", {})
        succeeded = lambda: self.call("GETTXSTATUS", txid=txid)["STATUS"] == "SUCCEEDED"
        eventually("SUCCEEDED", succeeded)
        return txid


class Prometheus:
    def __init__(self, targets):
        self.url = f"http://127.0.0.1:{port()}"
        rules = open(os.path.join(FOLDER, "prometheus-rules.yml")).read()
        rules = re.sub(r"for: \d+m", "for: 1s", rules)
        rules = re.sub(r"\[\d+m\]", "[45s]", rules).replace("interval: 30s", "interval: 1s")
        self.alerts = re.findall(r"alert: (\w+)", rules)
        open(os.path.join(WORK, "rules.yml"), "w").write(rules)
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [
                {"job_name": "gopay-adapter", "static_configs": [{"targets": targets}]}
            ],
        }
        # JSON is YAML.
        file = os.path.join(WORK, "prometheus.yml")
        open(file, "w").write(json.dumps(config))
        subprocess.run(["promtool", "check", "config", file], check=True, stdout=subprocess.DEVNULL)
        start(["prometheus", f"--config.file={file}", f"--storage.tsdb.path={WORK}/tsdb",
               f"--web.listen-address={self.url[7:]}", "--log.level=error"])
        eventually("Prometheus", lambda: request("GET", self.url + "/-/ready")[0] == 200)

    def ask(self, path, **query):
        _, text = request("GET", f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}")
        return json.loads(text)["data"]

    def fires(self, name, seconds=120):
        began = time.monotonic()

        def firing():
            alerts = self.ask("alerts")["alerts"]
            return [a for a in alerts if a["labels"]["alertname"] == name and a["state"] == "firing"]

        alert = eventually(f"{name} to fire", firing, seconds)[0]
        took = time.monotonic() - began
        print(f"{name:26} fired after {took:5.1f} s: {alert['annotations']['summary']}", flush=True)
        FIRED.add(name)


FIRED = set()


def dashboard(prometheus, unanswered):
    """Every query of the dashboard has an answer, or stands in `unanswered` with the reason."""
    empty, count = [], 0
    for panel in json.load(open(os.path.join(FOLDER, "grafana-dashboard.json")))["panels"]:
        for target in panel["targets"]:
            query = target["expr"].replace("$instance", ".*").replace("$__rate_interval", "5m")
            count += 1
            if not prometheus.ask("query", query=query)["result"]:
                empty.append(panel["title"])
    print(f"{count} queries of the dashboard, unanswered: {sorted(set(empty))}")
    assert set(empty) <= set(unanswered), empty


def serve_with_a_wrong_clock():
    """`serve`, whose Midtrans has a clock that is minutes ahead."""
    midtrans, admin = port(), port()
    start(["faketime", "-f", "+300s", PROGRAM, "--log", "off", "simulate",
           "--listen", f"127.0.0.1:{midtrans}"])
    hashed = subprocess.run([PROGRAM, "hash-password"], input="test123", text=True, check=True,
                            capture_output=True).stdout.strip()
    listen = port()
    config = f"""
[listen]
psp = "127.0.0.1:{listen}"
public = "127.0.0.1:{listen}"
admin = "127.0.0.1:{admin}"
[public]
base_url = "http://127.0.0.1:{listen}"
[store]
url = "sqlite:{WORK}/serve.db"
[midtrans.test]
base_url = "http://127.0.0.1:{midtrans}"
server_key = "SB-Mid-server-demo"
[[client]]
login = "testclient"
password_hash = "{hashed}"
shared_secret = "shared secret"
notification_secrets = ["notification secret"]
[[contract]]
id = "TESTCONTRACT"
client = "testclient"
channels = ["testchannel"]
kyc = "verified"
notification_url = "https://psp.example/notify"
redirect_url = "https://shop.example/back"
"""
    file = os.path.join(WORK, "serve.toml")
    open(file, "w").write(config)
    os.chmod(file, 0o600)
    checked = subprocess.run([PROGRAM, "check-config", "--config", file], text=True,
                             capture_output=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    start([PROGRAM, "--log", "off", "serve", "--create-store", "--config", file])
    eventually("ready", lambda: request("GET", f"http://127.0.0.1:{admin}/health/ready")[0] == 200)
    return f"http://127.0.0.1:{listen}/", admin


def in_parallel(count, work):
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]


def main():
    demo = Demo("demo")
    noisy = Demo("noisy", "--log", "trace", stderr=subprocess.PIPE)
    api, admin = serve_with_a_wrong_clock()
    targets = [demo.ports[1], noisy.ports[1], admin]
    prometheus = Prometheus([f"127.0.0.1:{number}" for number in targets])
    up = lambda: len(prometheus.ask("query", query="up == 1")["result"]) == 3
    eventually("all are scraped", up)

    # A poll compares the clocks, ten seconds after the call.
    wrong = Demo.__new__(Demo)
    wrong.api = api
    answer = wrong.transaction()
    assert answer["STATUS"] == "PENDING", answer

    first = demo.paid()
    assert demo.call("REFUND", txid=first, currency="IDR", amount="100000")["STATUS"] == "SUCCEEDED"
    assert demo.transaction(currency="USD")["STATUS"] == "FAILED"

    demo.simulate("POST", f"transactions/{first}/notify", {"forge": True})
    demo.run_due()
    prometheus.fires("GopayForgedNotifications")

    demo.fault("charge", {"http": {"status": 401}}, 2)
    demo.transaction()
    prometheus.fires("GopayMidtransKeyRefused")
    demo.mend()

    demo.fault("status", "wrong_amount")
    doubtful = demo.transaction()["TXID"]
    demo.simulate("POST", f"transactions/{doubtful}/pay", {})
    prometheus.fires("GopayMoneyAtRisk")
    demo.mend()

    # From many addresses: one address gets growing waits.
    in_parallel(60, lambda number: demo.call(
        "GETTXSTATUS", password="wrong", txid="1", source=f"127.0.1.{number + 1}"))
    in_parallel(160, lambda number: demo.call(
        "GETTXSTATUS", password=f"wrong {number}", txid="1", source=f"127.0.2.{number + 1}"))
    prometheus.fires("GopayLoginFailures")
    in_parallel(160, lambda number: demo.call(
        "GETTXSTATUS", password=f"wrong {number}", txid="1", source=f"127.0.3.{number + 1}"))
    prometheus.fires("GopayCallsTurnedAway")

    prometheus.fires("GopayClockWrong")

    # Our own time: the process is stopped in the middle of calls.
    def slow(_):
        demo.call("GETTXSTATUS", txid=first)

    for _ in range(4):
        calls = [threading.Thread(target=lambda: [slow(0) for _ in range(20)]) for _ in range(8)]
        [thread.start() for thread in calls]
        time.sleep(0.3)
        demo.child.send_signal(signal.SIGSTOP)
        time.sleep(1.6)
        demo.child.send_signal(signal.SIGCONT)
        [thread.join() for thread in calls]
    prometheus.fires("GopaySlow")

    # Nobody reads this one's log: more lines than may wait.
    def chatter(_):
        link = http.client.HTTPConnection("127.0.0.1", noisy.ports[0], timeout=60)
        form = urllib.parse.urlencode(dict(
            txtype="GETTXSTATUS", returnmode="urlencodeext", login="testclient", password="test123",
            contractid="TESTCONTRACT", txid="1"))
        for _ in range(2_500):
            link.request("POST", "/", form, {"content-type": "application/x-www-form-urlencoded"})
            link.getresponse().read()

    in_parallel(8, chatter)
    prometheus.fires("GopayLogDropped")

    # A receiver that is not there.
    demo.paid(notificationurl=f"http://127.0.0.1:{port()}/notify")
    demo.advance("1h")
    prometheus.fires("GopayDeliveriesLate")
    for _ in range(200):
        demo.advance("15m")
        demo.run_due()
    prometheus.fires("GopayDeliveriesGivenUp")

    # Midtrans does not answer: a refund stays open, and a payment whose call died is not closed.
    second = demo.paid()
    demo.fault("refund", "lost_before")
    demo.fault("status", "lost_before")
    demo.call("REFUND", txid=second, currency="IDR", amount="100000")
    demo.advance("40m")
    prometheus.fires("GopayRefundStuck")
    for _ in range(10):
        demo.run_due()
    prometheus.fires("GopayMidtransAway")
    demo.fault("charge", {"delay": {"ms": 20_000, "when": "before"}})
    lost = threading.Thread(target=lambda: contextless(demo.transaction))
    lost.start()
    time.sleep(2)
    demo.kill()
    lost.join()
    demo.start()
    demo.advance("6m")
    prometheus.fires("GopayPaymentsStuck")

    dashboard(prometheus, UNANSWERED)

    # The store goes away under the running program.
    stores = [name for name in os.listdir(demo.data) if name.endswith(".db")]
    os.rename(os.path.join(demo.data, stores[0]), os.path.join(WORK, "moved.db"))
    for _ in range(3):
        demo.transaction()
        time.sleep(1)
    prometheus.fires("GopayStoreFailing")

    demo.kill()
    prometheus.fires("GopayAdapterDown")
    missing = set(prometheus.alerts) - FIRED
    assert not missing, f"never fired: {missing}"
    print(f"{len(FIRED)} alerts fired")


def contextless(work):
    try:
        work()
    except (OSError, http.client.HTTPException):
        pass


# Panels that may be empty at the moment they are asked, with the reason.
UNANSWERED = {}

try:
    main()
finally:
    for one in CHILDREN:
        try:
            os.killpg(one.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    shutil.rmtree(WORK, ignore_errors=True)
