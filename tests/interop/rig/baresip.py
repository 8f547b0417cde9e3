"""baresip as a softphone without a sound card, steered through its ctrl_tcp module."""

import json
import re
import socket
import subprocess
import time

from .processes import Failure, eventually

# The rest of a 200 to a REGISTER that says what is bound.
REGISTERED = re.compile(r"(?=[^#]*^CSeq: \d+ REGISTER)(?=[^#]*^Contact: )", re.M | re.S | re.I)

MODULES = "/usr/lib/baresip/modules"


class Baresip:
    """One softphone: registers at start, answers by itself, hangs up when told."""

    def __init__(self, processes, name, extension, domain, password, local, proxy, control_port, namespace=None):
        self.name = name
        self.namespace = namespace
        self.control_port = control_port
        home = processes.directory / f"{name}.baresip"
        home.mkdir()
        (home / "config").write_text(
            f"sip_listen {local[0]}:{local[1]}\n"
            f"module_path {MODULES}\n"
            # No sound card: what the phone hears is what it says.
            "audio_source aubridge,echo\n"
            "audio_player aubridge,echo\n"
            "audio_alert aubridge,alert\n"
            "call_max_calls 4\n"
            f"ctrl_tcp_listen 127.0.0.1:{control_port}\n"
            "module g711.so\n"
            "module aubridge.so\n"
            "module_tmp account.so\n"
            "module_app ctrl_tcp.so\n"
            "module_app menu.so\n"
        )
        (home / "accounts").write_text(
            f"<sip:{extension}@{domain}>;auth_user={extension};auth_pass={password};answermode=auto;"
            f'outbound="sip:{proxy[0]}:{proxy[1]}";regint=120;audio_codecs=PCMU/8000/1\n'
        )
        (home / "contacts").write_text("")
        # It reads commands from a terminal too; a pipe that stays open keeps that half quiet.
        self.process = processes.start(name, ["baresip", "-f", home, "-v", "-s"], namespace, subprocess.PIPE)

    def log(self):
        return self.process.output()

    def expect_registered(self, seconds=10):
        def probe():
            if not self.process.is_alive():
                raise Failure(f"{self.name} ended:\n{self.process.tail()}")
            return any(REGISTERED.match(message) for message in self.log().split("SIP/2.0 200 OK")[1:])

        eventually(f"{self.name} is registered (log: {self.process.log})", seconds, probe)

    def expect_in_call(self, times, seconds=10):
        """The nth call since the start is established."""
        self._expect_event("Call established", times, seconds)

    def expect_calls_closed(self, times, seconds=10):
        self._expect_event("audio: destroyed (started=1)", times, seconds)

    def _expect_event(self, event, times, seconds):
        eventually(
            f"{self.name} says {event} {times} times (log: {self.process.log})",
            seconds,
            lambda: self.log().count(event) >= times,
        )

    def hang_up(self):
        """Tells baresip to end its call; ctrl_tcp speaks JSON in netstrings."""
        message = json.dumps({"command": "hangup", "token": "run"}).encode()
        netstring = b"%d:%s," % (len(message), message)
        if self.namespace is None:
            with socket.create_connection(("127.0.0.1", self.control_port), 5) as control:
                control.sendall(netstring)
                time.sleep(0.2)
            return
        code = (
            "import socket, sys, time\n"
            f"control = socket.create_connection(('127.0.0.1', {self.control_port}), 5)\n"
            "control.sendall(sys.stdin.buffer.read())\n"
            "time.sleep(0.2)\n"
        )
        subprocess.run(
            ["ip", "netns", "exec", self.namespace, "python3", "-c", code], input=netstring, check=True, timeout=10
        )
