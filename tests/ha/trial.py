"""Trials of the set-up in docs/OPERATIONS.md, "High availability". See tests/ha.sh.

    trial.py PROGRAM PATRONI_BIN [TRIAL...]

Each trial begins with everything well, puts 50 TRANSACTIONs a second on two instances in turn, does its
harm, and ends with everything well. A call that is not answered PENDING is repeated under its nonce at the
other instance. Four fifths of the payments are paid. In the end no answered payment may be missing, no
nonce may have two, and both books must be equal.
"""

import contextlib
import http.client
import http.server
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from cluster import Cluster, free_port

PROGRAM, PATRONI = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
A_SECOND = 50
# Of Patroni: a dead leader's lock runs out after so many seconds.
TTL = 20


def request(method, url, body=None, kind="application/x-www-form-urlencoded", timeout=60):
    parts = urllib.parse.urlsplit(url)
    link = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        link.request(method, parts.path or "/", body, {"content-type": kind})
        answer = link.getresponse()
        return answer.status, answer.read().decode()
    finally:
        link.close()


def as_json(url):
    status, text = request("GET", url)
    if status != 200:
        raise OSError(f"{url}: {status} {text}")
    return json.loads(text)


def eventually(what, holds, seconds=120):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError, KeyError):
            found = holds()
            if found:
                return found
        time.sleep(0.2)
    raise SystemExit(f"still waiting for: {what}")


CART = '[{"name":"table","price":"10000.00","quantity":1}]'


def transaction(nonce):
    return urllib.parse.urlencode({
        "txtype": "TRANSACTION", "returnmode": "urlencodeext", "login": "testclient", "password": "test123",
        "contractid": "TESTCONTRACT", "channel": "testchannel", "tag": "gopay", "countrycode": "ID",
        "currency": "IDR", "amount": "1000000", "accountholdername": "Siti Rahma",
        "transientin.orderitems": CART, "nonce": nonce,
    })


def status_of(adapter, txid):
    body = urllib.parse.urlencode({
        "txtype": "GETTXSTATUS", "returnmode": "urlencodeext", "login": "testclient", "password": "test123",
        "contractid": "TESTCONTRACT", "txid": txid,
    })
    return dict(urllib.parse.parse_qsl(request("POST", adapter, body)[1]))


class Receiver(http.server.BaseHTTPRequestHandler):
    """The PSP's: takes every notification."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"] or 0))
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"OK")

    def log_message(self, *_):
        pass


def receiver():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


class World:
    """The simulator and two instances, each with an HAProxy of its own, on a cluster."""

    def __init__(self, folder):
        self.folder, self.children = folder, []
        self.cluster = Cluster(folder, PATRONI, TTL)
        self.adapters, self.admins, self.receiver = [], [], receiver()

    def start(self):
        self.cluster.start()
        self.simulator = f"http://127.0.0.1:{free_port()}"
        self.run(["--log", "error", "simulate", "--listen", self.simulator[7:]])
        for number in (1, 2):
            config = self.config(number, self.proxy(number))
            if number == 1:
                subprocess.run([PROGRAM, "--log", "warn", "migrate", "--config", config], check=True)
            log = open(os.path.join(self.folder, f"adapter-{number}.log"), "w")
            self.run(["serve", "--config", config], stderr=log)
        for admin in self.admins:
            eventually("ready", lambda: request("GET", admin + "/health/ready")[0] == 200)

    def run(self, arguments, **options):
        options.setdefault("stderr", None)
        child = subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.DEVNULL, **options)
        self.children.append(child)

    def proxy(self, number):
        port, path = free_port(), os.path.join(self.folder, f"haproxy-{number}.cfg")
        servers = "".join(
            f"  server {node.name} 127.0.0.1:{node.port} check port {node.api}\n"
            for node in self.cluster.nodes
        )
        with open(path, "w") as file:
            file.write(
                "global\n  maxconn 500\n"
                "listen primary\n"
                f"  bind 127.0.0.1:{port}\n  mode tcp\n"
                "  timeout connect 2s\n  timeout client 30m\n  timeout server 30m\n"
                "  timeout check 2s\n  retries 0\n"
                "  option httpchk OPTIONS /primary\n  http-check expect status 200\n"
                "  default-server inter 1s fastinter 250ms downinter 250ms fall 2 rise 1"
                " on-marked-down shutdown-sessions\n" + servers
            )
        log = open(os.path.join(self.folder, f"haproxy-{number}.log"), "w")
        child = subprocess.Popen(["haproxy", "-db", "-f", path], stdout=log, stderr=log)
        self.children.append(child)
        # Until it has asked them, it takes every server for a primary.
        time.sleep(3)
        eventually("a primary", lambda: self.cluster.connects(port))
        return port

    def config(self, number, proxy):
        port, admin = free_port(), free_port()
        hashed = subprocess.run(
            [PROGRAM, "hash-password"], input="test123\n", capture_output=True, text=True, check=True
        ).stdout.strip()
        path = os.path.join(self.folder, f"adapter-{number}.toml")
        with open(path, "w") as file:
            file.write(f"""[listen]
psp = "127.0.0.1:{port}"
public = "127.0.0.1:{port}"
admin = "127.0.0.1:{admin}"
[public]
base_url = "http://127.0.0.1:{port}"
[store]
url = "postgres://postgres@127.0.0.1:{proxy}/postgres?sslmode=disable"
connections = 8
[instance]
number = {number}
[midtrans.test]
base_url = "{self.simulator}"
server_key = "SB-Mid-server-demo"
[limits]
test_quotas = false
[[client]]
login = "testclient"
password_hash = "{hashed}"
shared_secret = "examplesharedsecret"
notification_secrets = ["examplenotificationsecret"]
[[contract]]
id = "TESTCONTRACT"
client = "testclient"
kyc = "verified"
redirect_url = "https://shop.example/return"
notification_url = "{self.receiver}"
[delivery]
allow_private = ["127.0.0.0/8"]
""")
        self.adapters.append(f"http://127.0.0.1:{port}/")
        self.admins.append(f"http://127.0.0.1:{admin}")
        return path

    def pay(self, txid):
        url = f"{self.simulator}/simulator/v1/transactions/{txid}/pay"
        return request("POST", url, "{}", "application/json")[0] == 200

    def upstream(self):
        return as_json(self.simulator + "/simulator/v1/totals")

    def totals(self):
        return as_json(self.admins[0] + "/admin/v1/totals")

    def stop(self):
        for child in self.children:
            child.kill()
        self.cluster.stop()


class Load:
    """Calls at a steady rate, each repeated at the other instance until it is PENDING."""

    WORKERS = 300
    # So long a PSP goes on with a call.
    PATIENCE = 60

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.stopped, self.todo = threading.Event(), queue.Queue()
        # (when it ended, how long it took, which try, what it was answered)
        self.tries, self.payments, self.unfinished, self.unpaid = [], {}, [], []
        self.lock = threading.Lock()
        self.workers = [threading.Thread(target=self.work, daemon=True) for _ in range(self.WORKERS)]
        self.pacer = threading.Thread(target=self.pace, daemon=True)
        for thread in [*self.workers, self.pacer]:
            thread.start()

    def pace(self):
        begun = time.monotonic()
        for number in range(10**9):
            time.sleep(max(0, begun + number / A_SECOND - time.monotonic()))
            if self.stopped.is_set():
                break
            self.todo.put(number)
        for _ in self.workers:
            self.todo.put(None)

    def work(self):
        while (number := self.todo.get()) is not None:
            self.call(number)

    def call(self, number):
        nonce = f"{self.name}-{number}"
        body, until = transaction(nonce), time.monotonic() + self.PATIENCE
        for turn in range(10**6):
            began = time.monotonic()
            answer = self.ask(number + turn, body)
            ended = time.monotonic()
            word = answer.get("STATUS", "nothing")
            word = word if word == "PENDING" else answer.get("FAILREASON", word)
            with self.lock:
                self.tries.append((ended, ended - began, turn, word))
                if word == "PENDING":
                    self.payments.setdefault(nonce, set()).add(answer["TXID"])
            if word == "PENDING":
                if number % 5:
                    self.pay(answer["TXID"])
                return
            # What is wrong with the call will stay wrong.
            if ended > until or word == "INPUT_DATA":
                with self.lock:
                    self.unfinished.append((nonce, word))
                return
            time.sleep(0.5)

    def ask(self, turn, body):
        try:
            text = request("POST", self.world.adapters[turn % 2], body)[1]
            return dict(urllib.parse.parse_qsl(text))
        except (OSError, http.client.HTTPException) as error:
            return {"STATUS": type(error).__name__}

    def pay(self, txid):
        if not self.world.pay(txid):
            with self.lock:
                self.unpaid.append(txid)

    def end(self):
        self.stopped.set()
        for thread in [self.pacer, *self.workers]:
            thread.join()


def gap(load, since):
    """The longest time without a PENDING after that moment, in seconds."""
    times = sorted(ended for ended, _, _, word in load.tries if word == "PENDING" and ended > since)
    return max((after - before for before, after in zip([since, *times], times)), default=1e9)


# The harm of each trial.

def node_killed(world):
    leader = world.cluster.leader()
    leader.kill()
    eventually("a new leader", lambda: world.cluster.leader_but(leader), 60)
    time.sleep(10)
    leader.start()


def node_frozen(world):
    leader = world.cluster.leader()
    frozen = leader.pids()
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(45)
    for pid in frozen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    time.sleep(15)


def switchover(world):
    world.cluster.switchover()
    time.sleep(5)


def standby_frozen(world):
    frozen = world.cluster.sync_standby().pids()
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(20)
    for pid in frozen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    time.sleep(5)


def etcd_silent(world):
    frozen = [child.pid for child in world.cluster.etcd]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(35)
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    time.sleep(5)


# How long nobody may be served, in seconds, and how many answers may be other than PENDING. Nothing at all
# is measured as less than a second. A switchover takes Patroni 4.1 from 2.5 s until the new primary takes
# writes to 4.5 s until a standby follows it, without which a quorum commits nothing; a call waits for so
# long. On a busy machine it takes a little longer: the calls of a second may be told to come back.
TRIALS = {
    "switchover": (switchover, 6, A_SECOND),
    "node-killed": (node_killed, TTL + 5, None),
    "node-frozen": (node_frozen, TTL + 5, None),
    "standby-frozen": (standby_frozen, 1, 0),
    "etcd-silent": (etcd_silent, 1, 0),
}
# A call waits for less than 5 s; the machine may be busy, and this program's own time counts, too.
SLOWEST = 7


def run(world, name):
    harm = TRIALS[name][0]
    world.cluster.until_well()
    charges = world.upstream()["transactions"]
    load = Load(world, name)
    time.sleep(4)
    since = time.monotonic()
    harm(world)
    load.end()
    world.cluster.until_well()
    without, charges = gap(load, since), world.upstream()["transactions"] - charges
    return judge(world, load, name, without, charges)


def judge(world, load, name, without, charges):
    _, longest, refused_max = TRIALS[name]
    calls = sum(1 for _, _, turn, _ in load.tries if turn == 0)
    words = {}
    for _, _, _, word in load.tries:
        words[word] = words.get(word, 0) + 1
    slowest = max(took for _, took, _, _ in load.tries)
    txids = [txid for all_of in load.payments.values() for txid in all_of]
    lost = [txid for txid in txids if status_of(world.adapters[0], txid).get("STATUS") not in ("PENDING", "SUCCEEDED")]
    doubled = [nonce for nonce, all_of in load.payments.items() if len(all_of) > 1]

    def books():
        return world.totals()["succeeded_sen"] // 100, settled(world.upstream())

    with contextlib.suppress(SystemExit):
        eventually("equal books", lambda: len(set(books())) == 1, 90)
    here, there = books()
    wrong = []
    if without > longest:
        wrong.append(f"without service for {without:.1f} s, at most {longest} s")
    if lost or doubled or charges > calls or here != there:
        wrong.append(
            f"lost {lost[:5]}, doubled {doubled[:5]}, {charges} charges for {calls} calls, "
            f"books {here} and {there}"
        )
    if load.unfinished or load.unpaid:
        wrong.append(f"never answered {load.unfinished[:5]}, not payable {load.unpaid[:5]}")
    refused = len(load.tries) - words.get("PENDING", 0)
    if refused_max is not None and refused > refused_max:
        wrong.append(f"{refused} answers were not PENDING, at most {refused_max}: {words}")
    if slowest >= SLOWEST:
        wrong.append(f"a call took {slowest:.1f} s")
    others = ", ".join(f"{count} {word}" for word, count in sorted(words.items()) if word != "PENDING")
    print(
        f"| {name} | {without:.1f} s | {words.get('PENDING', 0)} of {calls} | {others or 'none'} | "
        f"{slowest:.1f} s | {len(lost)} / {len(doubled)} | {here} | {there} |"
    )
    return wrong


def settled(totals):
    return totals["charged"]


def main():
    wanted = sys.argv[3:] or list(TRIALS)
    unknown = [name for name in wanted if name not in TRIALS]
    if unknown:
        raise SystemExit(f"no such trial: {', '.join(unknown)}; there are {', '.join(TRIALS)}")
    folder = tempfile.mkdtemp(prefix="gopay-ha-")
    os.chmod(folder, 0o755)
    world, failed = World(folder), []
    try:
        world.start()
        print("| trial | without service | PENDING | other answers | slowest | lost / doubled | succeeded here, IDR | settled there, IDR |")
        print("|---|---|---|---|---|---|---|---|")
        for name in [name for name in TRIALS if name in wanted]:
            failed += [f"{name}: {wrong}" for wrong in run(world, name)]
    finally:
        world.stop()
        if failed or os.environ.get("GOPAY_HA_KEEP"):
            print(f"logs: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if failed:
        raise SystemExit("\n".join(failed))


main()
