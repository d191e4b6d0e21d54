"""Calls that fail, each as programs make it: the argument says which. What they get is printed."""

import ctypes
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

PORT = 3459
LOOPBACK = ("127.0.0.1", PORT)


def new(family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0, reuse=False):
    made = socket.socket(family, kind, protocol)
    if reuse:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made


def listener(address=LOOPBACK, family=socket.AF_INET, reuse=False, protocol=0):
    made = new(family, protocol=protocol, reuse=reuse)
    made.bind(address)
    made.listen()
    return made


def tried(call, *arguments):
    try:
        call(*arguments)
        print("done", flush=True)
    except OSError as error:
        print(error, flush=True)


def two_binds():
    held = listener()
    second = new()
    tried(second.bind, LOOPBACK)
    second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.close()


def once():
    made = new(reuse="reuse" in sys.argv)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, "share" in sys.argv)
    tried(made.bind, LOOPBACK)


def hold_shared():
    made = new()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(LOOPBACK)
    print("ready", flush=True)
    time.sleep(100)


def time_wait():
    """A server leaves a TIME_WAIT, and the next one binds: the options of the one, and of the other."""
    server, following = (with_options(words) for words in sys.argv[2:])
    server.bind(LOOPBACK)
    server.listen()
    client = socket.create_connection(LOOPBACK)
    accepted, _ = server.accept()
    accepted.close()
    client.recv(1)
    client.close()
    server.close()
    tried(following.bind, LOOPBACK)


def with_options(words):
    made = new()
    for word in words.split():
        made.setsockopt(socket.SOL_SOCKET, getattr(socket, word), 1)
    return made


def elsewhere():
    other = new(reuse=True)
    held = new()
    held.bind(LOOPBACK)
    tried(new().bind, LOOPBACK)
    other.close()


def leave(words, stays=False):
    """A server leaves a TIME_WAIT, and a connection that is still open; or it stays."""
    server = with_options(words)
    server.bind(LOOPBACK)
    server.listen()
    over, client = (socket.create_connection(LOOPBACK) for _ in range(2))
    accepted, open_ = server.accept()[0], server.accept()[0]
    accepted.close()
    over.recv(1)
    over.close()
    while not any(line.split()[3] == "06" for line in open("/proc/net/tcp")):  # TIME_WAIT
        time.sleep(0.01)
    if stays:
        client.close()
        return server
    server.close()
    return open_, client


def another_address():
    """A TIME_WAIT of a server without SO_REUSEADDR at one address, a listener with it at another."""
    server, other = listener(), new(reuse=True)
    client = socket.create_connection(LOOPBACK)
    server.accept()[0].close()
    client.recv(1)
    client.close()
    server.close()
    while not any(line.split()[3] == "06" for line in open("/proc/net/tcp")):  # TIME_WAIT
        time.sleep(0.01)
    other.bind(("127.0.0.2", PORT))
    other.listen()
    tried(new(reuse=True).bind, ("0.0.0.0", PORT))


def left():
    """What there is, and the option of the next: stays or goes, words of the old one, of the new one."""
    held = leave(sys.argv[3], sys.argv[2] == "stays")
    other = new(reuse=True)
    tried(with_options(sys.argv[4]).bind, LOOPBACK)
    other.close()
    del held


def inherited():
    held = listener(reuse=True)
    held.set_inheritable(True)
    child = subprocess.Popen(["sleep", "100"], close_fds=False)
    held.close()
    tried(new(reuse=True).bind, LOOPBACK)
    print("child", child.pid)
    child.kill()
    child.wait()


def inherited_by_two():
    """A shell and what it runs have the listener: each has to end."""
    held = listener(reuse=True)
    held.set_inheritable(True)
    shell = subprocess.Popen(["sh", "-c", "sleep 100; :"], close_fds=False, start_new_session=True)
    held.close()
    children = f"/proc/{shell.pid}/task/{shell.pid}/children"
    while not open(children).read():
        time.sleep(0.01)
    child = open(children).read().strip()
    while open(f"/proc/{child}/comm").read() != "sleep\n":
        time.sleep(0.01)
    print("children", shell.pid, child, flush=True)
    tried(new(reuse=True).bind, LOOPBACK)
    os.killpg(shell.pid, 9)
    shell.wait()


def inherited_by_exec():
    """The parent has the listener, and the program that it runs binds the same address."""
    held = listener()
    held.set_inheritable(True)
    subprocess.run([sys.executable, sys.argv[0], "once"], close_fds=False)
    held.close()


def connection():
    """A child has an accepted connection of a server with SO_REUSEADDR; the next one lacks the option."""
    held = listener(reuse=True)
    client = socket.create_connection(LOOPBACK)
    accepted, _ = held.accept()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        held.close()
        client.close()
        os.write(writing, b"x")
        time.sleep(100)
    held.close()
    accepted.close()
    os.read(reading, 1)
    tried(new().bind, LOOPBACK)
    os.kill(child, 9)
    os.wait()
    tried(new(reuse=True).bind, LOOPBACK)
    client.close()


def closed_and_told():
    """Binds and closes; fails when it is told that another has the port."""
    listener(reuse=True).close()
    until_told("once")


def both_protocols():
    """TCP, UDP, and TCP with the option: each has a reason of its own."""
    held = [new(kind=kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
    for made in held:
        made.bind(LOOPBACK)
    for kind, reuse in ((socket.SOCK_STREAM, False), (socket.SOCK_DGRAM, False), (socket.SOCK_STREAM, True)):
        tried(new(kind=kind, reuse=reuse).bind, LOOPBACK)


def other_user():
    """Both have SO_REUSEPORT, and the other one is another user's."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        held = with_options("SO_REUSEPORT")
        held.bind(LOOPBACK)
        held.listen()
        os.write(writing, b"x")
        time.sleep(100)
    os.read(reading, 1)
    tried(with_options("SO_REUSEPORT").bind, LOOPBACK)
    os.kill(child, 9)
    os.wait()


def workers():
    """Two have SO_REUSEPORT, each with a bind of its own; a third one lacks it."""
    held = [with_options("SO_REUSEPORT") for _ in range(2)]
    reading, writing = os.pipe()
    children = []
    for made in held:
        children.append(os.fork())
        if children[-1] == 0:
            for other in held:
                if other is not made:
                    other.close()
            made.bind(LOOPBACK)
            made.listen()
            os.write(writing, b"x")
            time.sleep(100)
    for made in held:
        made.close()
        os.read(reading, 1)
    tried(new().bind, LOOPBACK)
    for child in children:
        os.kill(child, 9)
        os.wait()


def any_address():
    tried(new().bind, ("0.0.0.0", PORT))


def two_own():
    """Two sockets of this process are in the way, the first one by two descriptors."""
    held = [listener(), new()]
    os.dup(held[0].fileno())
    held[1].bind(("127.0.0.2", PORT))
    any_address()
    for made in held:
        made.close()


def mapped():
    held = listener()
    tried(new(socket.AF_INET6).bind, ("::ffff:127.0.0.1", PORT))
    held.close()


def moved():
    """A server has moved its listener to another descriptor, and a child binds the same address."""
    held = listener()
    copy = os.dup(held.fileno())
    held.close()
    if os.fork() == 0:
        os.close(copy)
        tried(new().bind, LOOPBACK)
        os._exit(0)
    os.wait()


def udp_connected():
    held = new(kind=socket.SOCK_DGRAM)
    held.bind(LOOPBACK)
    held.connect(("127.0.0.1", PORT + 1))
    tried(new(kind=socket.SOCK_DGRAM).bind, LOOPBACK)


def v6only():
    """The same bind fails for the sake of 0.0.0.0, and then, with IPV6_V6ONLY, for that of ::1."""
    held = [listener(("0.0.0.0", PORT)), listener(("::1", PORT), socket.AF_INET6)]
    made = new(socket.AF_INET6)
    for on in (0, 1):
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, on)
        tried(made.bind, ("::", PORT))
    for made in held:
        made.close()


def port_range():
    """IP_LOCAL_PORT_RANGE: one port of the range; and bounds outside of it, which do not count."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as file:
        file.write("40000 40003")
    held = []
    for port in range(40000, 40004):
        held.append(new())
        held[-1].bind(("127.0.0.1", port))
    for first, last in ((40002, 40002), (50000, 50010)):
        made = new()
        made.setsockopt(socket.IPPROTO_IP, 51, struct.pack("=I", last << 16 | first))
        tried(made.bind, ("127.0.0.1", 0))


def unix_worker():
    held = listener(sys.argv[2], socket.AF_UNIX)
    sys.stdout.flush()
    if os.fork() == 0:
        held.close()
        tried(new(socket.AF_UNIX).bind, sys.argv[2])
        os._exit(0)
    os.wait()


def no_ipv6():
    with open("/proc/sys/net/ipv6/conf/all/disable_ipv6", "w") as file:
        file.write("1")
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        tried(new(socket.AF_INET6, kind).connect, ("::1", PORT))
    tried(new(socket.AF_INET6).bind, ("::1", PORT))


def one_address():
    tried(new(socket.AF_INET6).bind, (sys.argv[2], PORT))


def busy():
    """As inherited, by a child that binds all the time."""
    held = listener(reuse=True)
    child = os.fork()
    if child == 0:
        end = time.monotonic() + 100
        while time.monotonic() < end:
            with socket.socket() as made:
                made.bind(("127.0.0.1", 0))
        os._exit(0)
    held.close()
    time.sleep(0.1)
    tried(new(reuse=True).bind, LOOPBACK)
    os.kill(child, 9)
    os.wait()


def worker():
    held = listener()
    sys.stdout.flush()
    if os.fork() == 0:
        held.close()
        if "of_another_user" in sys.argv:
            os.setuid(1)
        tried(new().bind, LOOPBACK)
        os._exit(0)
    os.wait()


def siblings():
    reading, writing = os.pipe()
    first = os.fork()
    if first == 0:
        held = listener()
        os.write(writing, b"x")
        time.sleep(100)
        held.close()
    os.read(reading, 1)
    second = os.fork()
    if second == 0:
        tried(new().bind, LOOPBACK)
        os._exit(0)
    os.waitpid(second, 0)
    os.kill(first, 9)
    os.waitpid(first, 0)


def master():
    """As nginx: a process listens, and two children of its own have inherited the listener."""
    held = listener()
    os.dup(held.fileno())
    sys.stdout.flush()
    children = [os.fork() for _ in range(2)]
    if 0 in children:
        time.sleep(100)
    print("ready", flush=True)
    time.sleep(100)
    held.close()


def no_ports():
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as file:
        file.write("40000 40003")
    server = listener()
    clients = [socket.create_connection(LOOPBACK) for _ in range(4)]
    accepted, _ = server.accept()
    clients[0].close()
    accepted.recv(1)
    accepted.close()
    tried(new().connect, LOOPBACK)
    tried(new().bind, ("127.0.0.1", 0))
    for made in [new(kind=socket.SOCK_DGRAM) for _ in range(4)]:
        made.bind(("127.0.0.1", 0))
        clients.append(made)
    tried(new(kind=socket.SOCK_DGRAM).bind, ("127.0.0.1", 0))


def two_namespaces():
    """A socket stays in its network namespace, though its process has gone to another."""
    held, second = listener(), new()
    CLONE_NEWNET = 0x4000_0000
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        sys.exit(os.strerror(ctypes.get_errno()))
    tried(second.bind, LOOPBACK)
    tried(new().bind, LOOPBACK)
    held.close()


def same_connection():
    server, clients = listener(), [new(reuse=True) for _ in range(2)]
    for client in clients:
        client.bind((sys.argv[2], 40000))
    for client in clients:
        tried(client.connect, LOOPBACK)
    clients[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # nothing is left
    server.close()


def small_range():
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as file:
        file.write("40000 40001")


def no_ports_of_listeners():
    small_range()
    held = [listener(("127.0.0.1", port)) for port in (40000, 40001)]
    tried(new().bind, ("127.0.0.1", 0))
    tried(new().listen)
    del held


def no_ports_of_another():
    """Two connections from one address, and one from another, which the third of the first has nothing to do with."""
    small_range()
    server = listener()
    clients = [new() for _ in range(4)]
    for client, address in zip(clients, ("127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.2")):
        client.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        client.bind((address, 0))
        tried(client.connect, LOOPBACK)
    server.close()


def families():
    held = listener(("::", PORT), socket.AF_INET6)
    tried(new().bind, ("0.0.0.0", PORT))
    held.close()


def listen():
    first, second = new(reuse=True), new(reuse=True)
    first.bind(LOOPBACK)
    second.bind(LOOPBACK)
    first.listen()
    tried(second.listen)


def udp():
    held = new(kind=socket.SOCK_DGRAM)
    held.bind(LOOPBACK)
    tried(new(kind=socket.SOCK_DGRAM, reuse=True).bind, ("0.0.0.0", PORT))


def mptcp():
    held = listener(protocol=262)
    tried(new(protocol=262).bind, LOOPBACK)
    held.close()


def unix():
    folder = sys.argv[2]
    path = os.path.join(folder, "socket")
    held = listener(path, socket.AF_UNIX)
    tried(new(socket.AF_UNIX).bind, path)
    held.close()
    os.chdir(folder)
    tried(new(socket.AF_UNIX).bind, "./socket")
    held = new(socket.AF_UNIX)
    held.bind("\0name")
    tried(new(socket.AF_UNIX).bind, "\0name")
    tried(held.bind, os.path.join(folder, "other"))
    tried(new(socket.AF_UNIX).connect, os.path.join(folder, "nothing"))


def unix_accepted():
    """A child has what a listener has accepted, and so its address, too: at a path, and at a name that a socket of
    another type has as well."""
    for name in (sys.argv[2], "\0accepted"):
        others = new(socket.AF_UNIX, socket.SOCK_DGRAM)
        others.bind("\0accepted" if name[0] == "\0" else name + ".other")
        held = listener(name, socket.AF_UNIX)
        client = new(socket.AF_UNIX)
        client.connect(name)
        accepted, _ = held.accept()
        child = os.fork()
        if child == 0:
            held.close()
            time.sleep(100)
        accepted.close()
        tried(new(socket.AF_UNIX).bind, name)
        os.kill(child, 9)
        os.wait()
        others.close()
        held.close()


def unix_bound():
    """Two sockets of two types have one name; and an address of another family."""
    others, held = new(socket.AF_UNIX, socket.SOCK_DGRAM), new(socket.AF_UNIX)
    for made in (others, held):
        made.bind("\0both")
    tried(new(socket.AF_UNIX).bind, "\0both")
    made, address = new(socket.AF_UNIX), struct.pack("=H14x", socket.AF_INET)
    ctypes.CDLL(None).bind(made.fileno(), address, len(address))


def unix_links():
    """A link to nothing, links to a socket that is left behind and to one that is not, and an address that is longer
    than any."""
    folder = sys.argv[2]
    left = os.path.join(folder, "a  b")
    listener(left, socket.AF_UNIX).close()
    held = listener(os.path.join(folder, "held"), socket.AF_UNIX)
    for name, to in (("nothing", "/nowhere"), ("link", left), ("live", os.path.join(folder, "held"))):
        os.symlink(to, os.path.join(folder, name))
        tried(new(socket.AF_UNIX).bind, os.path.join(folder, name))
    tried(new(socket.AF_UNIX).bind, left)
    held.close()
    address = struct.pack("=H", socket.AF_UNIX) + b"/" * 200
    made = new(socket.AF_UNIX)
    ctypes.CDLL(None).bind(made.fileno(), address, len(address))


def unix_renamed():
    """Binds a path, and gives its file another name, as haproxy does."""
    first, name = (os.path.join(sys.argv[2], name) for name in ("first", "name"))
    held = listener(first, socket.AF_UNIX)
    os.rename(first, name)
    print("ready", flush=True)
    time.sleep(100)
    held.close()


def unix_once():
    tried(new(socket.AF_UNIX).bind, sys.argv[2])


def unix_left():
    """A path with nobody behind it: as it is, of a process with another root folder, through a link of /proc."""
    folder, how = sys.argv[2:]
    path = os.path.join(folder, how)
    if how == "chroot":
        os.chroot(folder)
        path = "/chroot"
    elif how in ("linked", "up"):
        os.chroot(folder)
        path = {"linked": "/linked/linked", "up": "/../../up"}[how]
    elif how == "link":
        path = f"/proc/self/fd/{os.open(folder, os.O_RDONLY)}/link"
    listener(path, socket.AF_UNIX).close()
    tried(new(socket.AF_UNIX).bind, path)


def unix_elsewhere():
    """A child in another network namespace has the path."""
    path = os.path.join(sys.argv[2], "elsewhere")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        assert ctypes.CDLL(None).unshare(0x4000_0000) == 0  # CLONE_NEWNET
        held = listener(path, socket.AF_UNIX)
        os.write(writing, b"x")
        time.sleep(100)
        del held
    os.read(reading, 1)
    tried(new(socket.AF_UNIX).bind, path)
    os.kill(child, 9)
    os.wait()


def unix_alike():
    """On two file systems: a listener, and what another has left, under one name and one number."""
    held, left = (os.path.join(sys.argv[2], folder, "same") for folder in "ab")
    server = listener(held, socket.AF_UNIX)
    listener(left, socket.AF_UNIX).close()
    assert os.stat(held).st_ino == os.stat(left).st_ino
    tried(new(socket.AF_UNIX).bind, left)
    server.close()


def closed_unix():
    folder = sys.argv[2]
    tried(new(socket.AF_UNIX).bind, os.path.join(folder, "other"))
    tried(new(socket.AF_UNIX).connect, os.path.join(folder, "socket"))
    tried(new(socket.AF_UNIX).bind, os.path.join(folder, "left"))


def addresses():
    tried(new().bind, ("192.0.2.1", PORT))
    tried(new(socket.AF_INET6).bind, ("fe80::1", PORT))
    bound = new()
    bound.bind(LOOPBACK)
    tried(bound.bind, ("127.0.0.1", PORT + 1))
    tried(new(kind=socket.SOCK_DGRAM).connect, ("127.255.255.255", PORT))
    bound.listen()
    client = socket.create_connection(LOOPBACK)
    tried(client.listen)
    alone = new(socket.AF_INET6)
    alone.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    tried(alone.bind, ("::ffff:127.0.0.1", PORT + 2))
    tried(new(socket.AF_INET6, socket.SOCK_DGRAM).bind, ("ff02::1", PORT + 2))
    tried(new(socket.AF_INET6).bind, ("ff02::1", PORT + 2))
    tried(socket.socketpair()[0].listen)
    tried(new(socket.AF_INET6).connect, ("fe80::1", PORT))
    six, four = new(socket.AF_INET6), struct.pack("=H", socket.AF_INET) + struct.pack("!HI8x", PORT + 3, 0x7f000001)
    ctypes.CDLL(None).bind(six.fileno(), four, len(four))
    for words in ("link add one type veth peer two", "address add 192.0.2.1/24 dev one", "link set one up"):
        subprocess.run(["ip", *words.split()], check=True)
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        inside = new(kind=kind)
        inside.bind(("127.0.0.1", 0))
        tried(inside.connect, ("192.0.2.2", PORT))


def privileged():
    tried(new().bind, ("127.0.0.1", 80))


def retries():
    held = listener()
    second = new()
    for _ in range(1000):
        try:
            second.bind(LOOPBACK)
        except OSError:
            pass
    held.close()
    tried(second.bind, LOOPBACK)


def retries_beside_clients():
    """Connections come and go, which changes nothing."""
    held = listener(("0.0.0.0", PORT))
    second, clients = new(), []
    for _ in range(5):
        tried(second.bind, ("0.0.0.0", PORT))
        clients.append((socket.create_connection(LOOPBACK), held.accept()))
        if len(clients) > 2:
            clients.pop(0)[1][0].close()
    held.close()


def changes():
    """What is in the way is closed each time, and the next bind finds something else there."""
    held = listener()
    second = new()
    for _ in range(3):
        tried(second.bind, LOOPBACK)
    child = os.fork()
    if child == 0:
        time.sleep(100)
    held.close()
    for _ in range(2):
        tried(second.bind, LOOPBACK)
    os.kill(child, 9)
    os.wait()
    bound = new()
    bound.bind(LOOPBACK)
    tried(second.bind, LOOPBACK)


def probe():
    """As the JDK: one socket that only shows whether the option exists."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held = listener()
    tried(new().bind, LOOPBACK)
    held.close()


def thread():
    held = listener()
    other = threading.Thread(target=tried, args=(new().bind, LOOPBACK))
    other.start()
    other.join()
    held.close()


def threads_exec():
    """execve by a thread that is not the first."""
    command = [sys.executable, sys.argv[0], "two_binds"]
    threading.Thread(target=os.execv, args=(sys.executable, command)).start()
    time.sleep(100)


def daemon():
    """A second process goes on without the standard streams, and fails later."""
    if os.fork() == 0:
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        for stream in range(3):
            os.dup2(null, stream)
        while not os.path.exists(sys.argv[2]):
            time.sleep(0.01)
        held = listener()
        tried(new().bind, LOOPBACK)
        held.close()
        os.unlink(sys.argv[2])
        os._exit(0)


def until_told(then="two_binds"):
    """Waits for a line, and fails then."""
    print("ready", flush=True)
    sys.stdin.readline()
    globals()[then]()


def until_told_again():
    """Fails three times when it is told, and goes on."""
    held = listener()
    print("ready", flush=True)
    sys.stdin.readline()
    second = new()
    for _ in range(3):
        tried(second.bind, LOOPBACK)
    print("told", flush=True)
    time.sleep(100)
    held.close()


def told_twice():
    until_told()
    until_told()


def restarted():
    """A signal interrupts a connect that waits for room in the backlog, and the kernel restarts it."""
    server = new()
    server.bind(LOOPBACK)
    server.listen(0)
    first, second, signals = new(), new(), []
    first.connect(LOOPBACK)
    signal.signal(signal.SIGUSR1, lambda *_: signals.append(1))
    signal.siginterrupt(signal.SIGUSR1, False)
    connecting = threading.get_ident()

    def interrupt():
        while not any(line.split()[3] == "02" for line in open("/proc/net/tcp")):  # SYN_SENT
            time.sleep(0.01)
        signal.pthread_kill(connecting, signal.SIGUSR1)
        server.accept()[0].close()

    other = threading.Thread(target=interrupt)
    other.start()
    tried(second.connect, LOOPBACK)
    other.join()
    print("signals", len(signals))


def x32():
    """Two binds by the numbers of x32, which a program of 64 bits may use, too."""
    library = ctypes.CDLL(None, use_errno=True)
    address = ctypes.create_string_buffer(struct.pack("=H", 2) + struct.pack("!H", PORT) + b"\x7f\0\0\1", 16)

    def call(number, *arguments):
        result = library.syscall(0x4000_0000 + number, *arguments)
        print(number, result if result != -1 else os.strerror(ctypes.get_errno()), flush=True)
        return result

    made = [call(41, 2, 1, 0) for _ in range(2)]
    for descriptor in made:
        call(49, descriptor, address, 16)


def streams():
    """Which standard streams are open, which descriptors there are, and whether SIGPIPE is ignored."""
    numbers = []
    for number in range(64):
        try:
            os.fstat(number)
            numbers.append(number)
        except OSError:
            pass
    with open("/proc/self/status") as file:
        status = dict(line.split(":\t", 1) for line in file)
    print(numbers, status["SigIgn"].strip(), status["SigBlk"].strip(), os.getcwd(), file=open(sys.argv[2], "w"))


globals()[sys.argv[1]]()
