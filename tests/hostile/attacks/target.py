"""The daemon that is aimed at: its configuration, and what can be seen of it from outside."""

import os
import socket

from rig.processes import Failure
from rig.switchboard import Switchboard

ADDRESS = "127.0.0.1"
PORT = 15060
TRUNK = ("127.64.200.1", 5080)
DOMAIN = "acme.example"


class Directory:
    """A configuration of one company whose every extension has a number; extension 1000 + n has +91804000000n."""

    def __init__(self, path, users, more="", state=None):
        self.path = path
        self.socket = path.parent / "control.sock"
        self.state = state or path.parent / "state"
        (path / "companies").mkdir(parents=True)
        self.state.mkdir(exist_ok=True)
        (path / "switchboard.toml").write_text(
            f'[sip]\nlisten = ["udp:{ADDRESS}:{PORT}"]\n{more}'
            f'[control]\nsocket = "{self.socket}"\n[state]\ndirectory = "{self.state}"\n'
            f'[trunks.airtel]\nsources = ["{TRUNK[0]}"]\nproxy = "sip:{TRUNK[0]}:{TRUNK[1]}"\ncountry-code = "91"\n'
        )
        lines = [f'name = "Acme"\ndomain = "{DOMAIN}"\ntimezone = "UTC"\n']
        for n in range(users):
            lines.append(f'[numbers."+91804{n:07}"]\nroutes = [ {{ to = "user:{1000 + n}" }} ]\n')
        for n in range(users):
            lines.append(f'[users.{1000 + n}]\nname = "User {n}"\npassword = "secret-{1000 + n}"\n')
        (path / "companies" / "acme.toml").write_text("".join(lines))


class Target(Switchboard):
    """The daemon, and figures of it."""

    def expect_unhurt(self):
        """It lives, has met no defect, and nothing is in progress."""
        self.expect_alive()
        defects = self.counters().get("defects", 0)
        if defects:
            raise Failure(f"{defects} defects of ours; log: {self.process.log}")


def speaker(address, port=0):
    """A socket of an address of loopback."""
    speaker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    speaker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    speaker.bind((address, port))
    speaker.settimeout(0.5)
    return speaker


def drained(speaker, patience):
    """Everything that comes until nothing has come for so long."""
    speaker.settimeout(patience)
    heard = []
    try:
        while True:
            heard.append(speaker.recv(65535))
    except (TimeoutError, BlockingIOError):
        pass
    return heard


def request(method, user, source, branch, call, sequence=1, uri=None, to_tag="", more="", domain=DOMAIN, from_tag="a"):
    """A request as phones write it."""
    uri = uri or f"sip:{domain}"
    return (
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {source[0]}:{source[1]};rport;branch=z9hG4bK{branch}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:{user}@{domain}>;tag={from_tag}\r\nTo: <sip:{user}@{domain}>{to_tag}\r\n"
        f"Call-ID: {call}\r\nCSeq: {sequence} {method}\r\nContact: <sip:{user}@{source[0]}:{source[1]}>\r\n"
        f"User-Agent: Phone 1.0\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, NOTIFY\r\n"
        f"{more}Content-Length: 0\r\n\r\n"
    )


def nobody_left(target):
    """No transaction, no call."""
    target.expect_unhurt()
    target.expect_idle()


def threads_cpu(pid):
    """CPU seconds used by a process so far."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
