"""A network of our own: a phone behind a router that rewrites addresses and ports, and the world outside it.

    phone 192.168.77.2 ── 192.168.77.1 router 10.77.0.1 ── 10.77.0.2 outside (daemon and trunk)

Only inside namespaces made here; they go when the context is left.
"""

import os
import subprocess

from .processes import Failure, run

PHONE = "192.168.77.2"
ROUTER_INSIDE = "192.168.77.1"
ROUTER_OUTSIDE = "10.77.0.1"
OUTSIDE = "10.77.0.2"
TRUNK = "10.77.0.3"


class Nat:
    """Three namespaces and a masquerading router between them."""

    def __init__(self):
        self.phone, self.router, self.outside = (f"switchboard-{os.getpid()}-{role}" for role in ("phone", "router", "outside"))
        self.made = []

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for namespace in reversed(self.made):
            run(["ip", "netns", "delete", namespace])

    def _make(self):
        for namespace in (self.phone, self.router, self.outside):
            command("ip", "netns", "add", namespace)
            self.made.append(namespace)
            command("ip", "-n", namespace, "link", "set", "lo", "up")
        link(self.phone, PHONE, self.router, ROUTER_INSIDE, "inside")
        link(self.outside, OUTSIDE, self.router, ROUTER_OUTSIDE, "outside")
        command("ip", "-n", self.outside, "address", "add", f"{TRUNK}/24", "dev", "eth-outside")
        command("ip", "-n", self.phone, "route", "add", "default", "via", ROUTER_INSIDE)
        command("ip", "netns", "exec", self.router, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
        # The outside has no route to 192.168.77.0/24: what does not come back through the mapping is lost.
        command(
            "ip", "netns", "exec", self.router, "nft",
            "add table ip nat; "
            "add chain ip nat out { type nat hook postrouting priority 100; }; "
            'add rule ip nat out meta l4proto udp oifname "eth-outside" masquerade to :40000-49999 random',
        )  # fmt: skip

    def expect_ports_rewritten(self, port):
        """The premise: what leaves the phone from `port` arrives from the router, and from another port."""
        listener = subprocess.Popen(
            ["ip", "netns", "exec", self.outside, "python3", "-c",
             "import socket\n"
             "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10)\n"
             f"s.bind(('{OUTSIDE}', 39999)); print('ready', flush=True); print(s.recvfrom(100)[1], flush=True)"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            if listener.stdout.readline().strip() != "ready":
                raise Failure("the probe outside the NAT did not start")
            command(
                "ip", "netns", "exec", self.phone, "python3", "-c",
                "import socket\n"
                "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                f"s.bind(('{PHONE}', {port})); s.sendto(b'probe', ('{OUTSIDE}', 39999))",
            )  # fmt: skip
            seen = listener.communicate(timeout=15)[0].strip()
        finally:
            if listener.poll() is None:
                listener.kill()
                listener.wait()
        if not seen.startswith(f"('{ROUTER_OUTSIDE}', ") or seen.endswith(f" {port})"):
            raise Failure(f"the router does not rewrite address and port: {PHONE}:{port} was seen as {seen}")


def link(left, left_address, right, right_address, name):
    """A cable between two namespaces; both its ends are called eth-NAME."""
    device = f"eth-{name}"
    command("ip", "-n", left, "link", "add", device, "type", "veth", "peer", "name", device, "netns", right)
    for namespace, address in ((left, left_address), (right, right_address)):
        command("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", device)
        command("ip", "-n", namespace, "link", "set", device, "up")


def command(*arguments):
    status, output, errors = run(arguments)
    if status != 0:
        raise Failure(f"`{' '.join(arguments)[:200]}` exited with {status}: {(errors or output).strip()}")
