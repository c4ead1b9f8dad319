"""Three nodes of PostgreSQL under Patroni, and three of etcd, on the loopback address."""

import contextlib
import glob
import json
import os
import pwd
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def pids_of(parent):
    """The processes below one."""
    below = []
    try:
        with open(f"/proc/{parent}/task/{parent}/children") as file:
            for child in file.read().split():
                below += [int(child), *pids_of(int(child))]
    except OSError:
        pass
    return below


def user():
    """PostgreSQL does not run as root."""
    if os.getuid() != 0:
        return None
    return pwd.getpwnam("postgres")


def wait(what, holds, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError, ValueError, KeyError, IndexError):
            found = holds()
            if found:
                return found
        time.sleep(0.2)
    raise SystemExit(f"still waiting for: {what}")


class Node:
    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name
        self.port, self.api = free_port(), free_port()
        self.data = os.path.join(cluster.folder, name)
        self.config = os.path.join(cluster.folder, f"{name}.yml")
        self.process = None

    def write_config(self):
        etcd = ", ".join(f"'127.0.0.1:{client}'" for client, _ in self.cluster.etcd_ports)
        with open(self.config, "w") as file:
            file.write(f"""scope: pay
name: {self.name}
restapi: {{ listen: '127.0.0.1:{self.api}', connect_address: '127.0.0.1:{self.api}' }}
etcd3: {{ hosts: [{etcd}] }}
bootstrap:
  dcs:
    ttl: {self.cluster.ttl}
    loop_wait: 5
    retry_timeout: 5
    failsafe_mode: true
    synchronous_mode: quorum
    synchronous_node_count: 1
    postgresql:
      use_pg_rewind: true
      use_slots: true
      parameters: {{ wal_level: replica, hot_standby: 'on', wal_log_hints: 'on', synchronous_commit: 'on' }}
  initdb: [ encoding: UTF8, data-checksums, locale: C ]
postgresql:
  listen: 127.0.0.1:{self.port}
  connect_address: 127.0.0.1:{self.port}
  data_dir: {self.data}
  bin_dir: {self.cluster.programs}
  pgpass: {self.data}.pgpass
  authentication: {{ superuser: {{ username: postgres }}, replication: {{ username: postgres }}, rewind: {{ username: postgres }} }}
  parameters: {{ unix_socket_directories: '{self.cluster.folder}', shared_buffers: 64MB, max_connections: 100 }}
  pg_hba: [ 'local all all trust', 'host all all 127.0.0.1/32 trust', 'host replication all 127.0.0.1/32 trust' ]
""")

    def start(self):
        who = user()
        options = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []} if who else {}
        log = open(os.path.join(self.cluster.folder, f"{self.name}.log"), "a")
        environment = dict(os.environ, HOME=self.cluster.folder)
        self.process = subprocess.Popen(
            [os.path.join(self.cluster.patroni, "patroni"), self.config],
            stdout=log, stderr=log, cwd=self.cluster.folder, env=environment, start_new_session=True, **options,
        )

    def postmaster(self):
        try:
            with open(os.path.join(self.data, "postmaster.pid")) as file:
                return int(file.readline())
        except (OSError, ValueError):
            return None

    def pids(self):
        """Patroni, the server and all of theirs."""
        all_of = [self.process.pid, *pids_of(self.process.pid)]
        server = self.postmaster()
        if server:
            all_of += [server, *pids_of(server)]
        return sorted(set(all_of))

    def kill(self):
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


class Cluster:
    def __init__(self, folder, patroni, ttl):
        self.folder, self.patroni, self.ttl = folder, patroni, ttl
        self.programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.etcd_ports = [(free_port(), free_port()) for _ in range(3)]
        self.etcd = []
        self.nodes = [Node(self, name) for name in ("n1", "n2", "n3")]
        who = user()
        if who:
            os.chown(folder, who.pw_uid, who.pw_gid)

    def start(self):
        peers = ",".join(f"e{at}=http://127.0.0.1:{peer}" for at, (_, peer) in enumerate(self.etcd_ports))
        for at, (client, peer) in enumerate(self.etcd_ports):
            log = open(os.path.join(self.folder, f"e{at}.log"), "w")
            client, peer = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
            self.etcd.append(subprocess.Popen([
                "etcd", "--name", f"e{at}", "--data-dir", os.path.join(self.folder, f"e{at}"),
                "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", peers, "--initial-cluster-state", "new",
            ], stdout=log, stderr=log))
        for node in self.nodes:
            node.write_config()
            node.start()
        self.until_well()

    def members(self):
        """What the first node that answers says of all."""
        for node in self.nodes:
            with contextlib.suppress(OSError, ValueError):
                with urllib.request.urlopen(f"http://127.0.0.1:{node.api}/cluster", timeout=2) as answer:
                    return json.load(answer)["members"]
        raise OSError("no node answers")

    def named(self, name):
        return next(node for node in self.nodes if node.name == name)

    def with_role(self, *roles):
        return [self.named(member["name"]) for member in self.members() if member["role"] in roles]

    def leader(self):
        return self.with_role("leader")[0]

    def leader_but(self, old):
        return [node for node in self.with_role("leader") if node is not old]

    def sync_standby(self):
        return self.with_role("quorum_standby", "sync_standby")[0]

    def until_well(self):
        def well():
            members = self.members()
            states = sorted(member["state"] for member in members)
            roles = sorted(member["role"] for member in members)
            return states == ["running", "streaming", "streaming"] and roles == [
                "leader", "quorum_standby", "quorum_standby",
            ]

        wait("three nodes, one of them leader", well, 120)

    def connects(self, port):
        """Whether a server takes connections there."""
        with socket.create_connection(("127.0.0.1", port), 1) as link:
            # Asks for TLS, which it answers by one letter.
            link.sendall(bytes.fromhex("0000000804d2162f"))
            link.settimeout(1)
            return link.recv(1) in (b"N", b"S")

    def switchover(self):
        leader, candidate = self.leader(), self.sync_standby()
        subprocess.run(
            [os.path.join(self.patroni, "patronictl"), "-c", leader.config, "switchover", "pay",
             "--leader", leader.name, "--candidate", candidate.name, "--force"],
            check=True, stdout=subprocess.DEVNULL,
        )
        wait("the new leader", lambda: self.leader() is candidate, 60)

    def stop(self):
        for node in self.nodes:
            if node.process:
                for pid in node.pids():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)
                node.kill()
        for child in self.etcd:
            child.send_signal(signal.SIGCONT)
            child.kill()
