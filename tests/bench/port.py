#!/usr/bin/env python3
"""What `bindtable port` costs beside ss, lsof and fuser, which are asked about the same port.

    cargo build --release -p bindtable && sudo python3 tests/bench/port.py [ROUNDS]

Each row is a situation in namespaces of its own (network, processes, mounts). A number is CPU time, user
and system, the median of the rounds; in each round every tool has its turn. The table is in Markdown.
"""
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
from pathlib import Path

PORT = 3459
BINDTABLE = Path(__file__).resolve().parents[2] / "target/release/bindtable"
HELD = []  # sockets that this process keeps open
CHILDREN = []


def run(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def listener(ip="127.0.0.1", port=0):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((ip, port))
    server.listen(512)
    return server


def udp(count):
    for _ in range(count):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind(("127.0.0.1", 0))
        HELD.append(one)


def tcp(count):
    server = listener()
    HELD.append(server)
    for _ in range((count - 1) // 2):
        client = socket.create_connection(server.getsockname())
        HELD.extend([client, server.accept()[0]])


def in_processes(make, processes, count):
    for _ in range(processes):
        ready, said = os.pipe()
        child = os.fork()
        if child == 0:
            make(count // processes)
            os.write(said, b".")
            signal.pause()
        os.read(ready, 1)
        os.close(ready)
        os.close(said)
        CHILDREN.append(child)


def time_waits(addresses, each):
    for at in range(addresses):
        ip = f"127.{1 + at // 250 // 250}.{at // 250 % 250}.{1 + at % 250}"
        server = listener(ip, PORT)
        for _ in range(each):
            client = socket.create_connection((ip, PORT))
            accepted = server.accept()[0]
            accepted.close()  # first, so that the TIME_WAIT is on the server's port
            client.close()
        server.close()


def namespaces(count):
    for _ in range(count):
        CHILDREN.append(subprocess.Popen(["unshare", "--net", "sleep", "infinity"]).pid)
    own = os.readlink("/proc/self/ns/net")
    while sum(os.readlink(f"/proc/{pid}/ns/net") == own for pid in CHILDREN):
        pass


def the_port(proto):
    kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
    one = socket.socket(socket.AF_INET, kind)
    one.bind(("127.0.0.1", PORT))
    if proto == "tcp":
        one.listen()
    HELD.append(one)


def with_port(proto, make):
    return lambda: (the_port(proto), make())


ROWS = [
    ("12,000 TCP sockets elsewhere", "tcp", with_port("tcp", lambda: tcp(12_000))),
    ("12,000 TCP sockets elsewhere, of 500 processes", "tcp",
     with_port("tcp", lambda: in_processes(tcp, 500, 12_000))),
    ("12,000 UDP sockets elsewhere", "udp", with_port("udp", lambda: udp(12_000))),
    ("12,000 UDP sockets elsewhere, of 500 processes", "udp",
     with_port("udp", lambda: in_processes(udp, 500, 12_000))),
    ("100,000 TCP sockets elsewhere, of 50 processes", "tcp",
     with_port("tcp", lambda: in_processes(tcp, 50, 100_000))),
    ("2,000 processes that have the port", "tcp",
     with_port("tcp", lambda: in_processes(lambda _: None, 2_000, 0))),
    ("5,000 processes elsewhere", "tcp",
     lambda: (in_processes(lambda _: None, 5_000, 0), the_port("tcp"))),
    ("20,000 TIME_WAITs on the port", "tcp", lambda: time_waits(1, 20_000)),
    ("TIME_WAITs on the port, at 4,000 addresses", "tcp", lambda: time_waits(4_000, 1)),
    ("a free port, beside 500 network namespaces", "tcp", lambda: namespaces(500)),
]


def cpu_time(command):
    """In milliseconds."""
    child = os.posix_spawnp(command[0], command, os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (1, 2)])
    _, _, usage = os.wait4(child, 0)
    return 1000 * (usage.ru_utime + usage.ru_stime)


def measure(proto, rounds):
    option = {"tcp": [], "udp": ["--udp"]}[proto]
    tools = {
        "bindtable": [str(BINDTABLE), "port", str(PORT), *option],
        "ss": ["ss", f"-{proto[0]}anp", f"sport = :{PORT}"],
        "lsof": ["lsof", "-nP", f"-i{proto.upper()}:{PORT}"],
        "fuser": ["fuser", "-v", "-n", proto, str(PORT)],
    }
    times = {name: [] for name in tools}
    for _ in range(rounds):
        for name, command in tools.items():
            times[name].append(cpu_time(command))
    return {name: statistics.median(all) for name, all in times.items()}


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    if not BINDTABLE.exists():
        sys.exit(f"{BINDTABLE} is missing: cargo build --release -p bindtable")
    if "ROW" not in os.environ:
        print("| situation | `bindtable port` | beside `ss -anp` | beside `lsof` | beside `fuser` |")
        print("|---|---:|---:|---:|---:|", flush=True)
        for row in range(len(ROWS)):
            command = ["unshare", "--net", "--pid", "--fork", "--mount-proc",
                       sys.executable, __file__, str(rounds)]
            subprocess.run(command, check=True, env={**os.environ, "ROW": str(row)})
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < 13_000:
        sys.exit(f"this needs 13,000 descriptors (ulimit -Hn says {most})")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    run("ip", "link", "set", "lo", "up")
    Path("/proc/sys/net/ipv4/tcp_max_tw_buckets").write_text("65536")
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("10000 65000")
    name, proto, make = ROWS[int(os.environ["ROW"])]
    make()
    times = measure(proto, rounds)
    ours = times.pop("bindtable")
    ratios = " | ".join(f"{ours / time:.2f}" for time in times.values())
    print(f"| {name} | {ours:.1f} ms | {ratios} |", flush=True)
    for child in CHILDREN:
        os.kill(child, signal.SIGKILL)


main()
