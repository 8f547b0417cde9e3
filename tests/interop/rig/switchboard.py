"""The daemon under test, started from its release binary and asked through its control socket."""

import json
import os
import re
import signal
from pathlib import Path

from .processes import Failure, eventually, run

READY_WITHIN = 10
# A transaction may linger 64·T1 = 32 s after its last message (RFC 3261 §17, RFC 6026).
IDLE_WITHIN = 45
BUSY_WORDS = {"on-call", "ringing", "wrap-up"}

# What a run without losses may count: traffic, and the first REGISTER of a phone, which is challenged. Every other
# counter (stray-response, transport-errors, undeliverable, defects …) is a finding unless the scenario says why not.
ORDINARY = {"datagrams-in", "datagrams-out", "datagrams-received", "datagrams-sent", "keep-alives", "no-credentials"}

# A line of its log from WARN up, but for a broken configuration, which the scenarios look at themselves.
WARNING = re.compile(r" (WARN|ERROR) ")
REFUSAL = re.compile(r"configuration refused|ERROR error at ")


class Switchboard:
    """One running daemon."""

    def __init__(self, binary, directory, processes, namespace=None):
        self.binary = binary
        self.directory = directory
        status, output, errors = run([binary, "check", "--config", directory.path])
        if status != 0:
            raise Failure(f"`switchboard check` refuses the configuration of the run ({status}):\n{output}{errors}")
        self.process = processes.start("switchboard", [binary, "run", "--config", directory.path], namespace)
        self.pid = self.process.pid
        eventually("`switchboard status` answers", READY_WITHIN, self._is_ready)

    def _is_ready(self):
        self.expect_alive()
        return self.ask("status", "--json")[0] == 0

    def ask(self, *arguments, seconds=30):
        return run([self.binary, *arguments, "--config", self.directory.path], seconds)

    def json(self, command):
        status, output, errors = self.ask(command, "--json")
        if status != 0:
            raise Failure(f"`switchboard {command} --json` exited with {status}: {errors.strip() or output.strip()}")
        try:
            return json.loads(output)
        except json.JSONDecodeError as error:
            raise Failure(f"`switchboard {command} --json` is not JSON ({error}): {output[:300]!r}") from None

    def expect_alive(self):
        if not self.process.is_alive():
            raise Failure(f"the daemon ended with {self.process.process.returncode}:\n{self.process.tail()}")
        for line in self.process.output().splitlines():
            if "panicked at" in line:
                raise Failure(f"the daemon panicked: {line[:500]}")

    def expect_registered(self, *extensions):
        """Every extension has a live binding that an admin can see."""
        words = set(strings(self.json("registrations")))
        missing = [e for e in extensions if not any(e == w or w.startswith((f"{e}@", f"sip:{e}@")) for w in words)]
        if missing:
            raise Failure(f"`switchboard registrations --json` does not show {', '.join(missing)}: {sorted(words)}")

    def expect_no_calls(self, seconds=5):
        """No call left, and nobody shown as busy."""
        eventually("`switchboard calls --json` is empty", seconds, lambda: is_empty(self.json("calls")))
        agents = self.json("agents")
        if is_empty(agents):
            raise Failure("`switchboard agents --json` lists nobody at all")
        busy = BUSY_WORDS.intersection(strings(agents))
        if busy:
            raise Failure(f"after the last call somebody is still {', '.join(sorted(busy))}: {json.dumps(agents)[:600]}")

    def expect_idle(self, seconds=IDLE_WITHIN):
        """No call and no transaction left: every table as if there had been no call."""
        self.expect_no_calls()
        eventually(
            "`switchboard status --json` counts 0 calls and 0 transactions",
            seconds,
            lambda: all(count(self.json("status"), key) == 0 for key in ("calls", "transactions")),
            every=1,
        )

    def counters(self):
        """Everything counted since the start, by name: the engine's and the daemon's own."""
        status = self.json("status")
        return {**status["engine"]["counters"], **status["daemon"]["counters"]}

    def expect_counters(self, *expected):
        """Nothing was counted but ordinary traffic and what is `expected`; nothing was lost on the way, and no warning logged."""
        warnings = [line for line in self.process.output().splitlines() if WARNING.search(line) and not REFUSAL.search(line)]
        if warnings:
            raise Failure("the daemon's log has warnings:\n" + "\n".join(warnings[:5]))
        counters = self.counters()
        unusual = {name: n for name, n in counters.items() if n and name not in ORDINARY and name not in expected}
        if unusual:
            raise Failure(f"`switchboard status --json` counts what should not happen: {unusual}")
        missing = [name for name in expected if not counters.get(name)]
        if missing:
            raise Failure(f"`switchboard status --json` does not count {', '.join(missing)}: {counters}")
        if counters["datagrams-in"] != counters["datagrams-received"] or counters["datagrams-out"] != counters["datagrams-sent"]:
            raise Failure(f"the engine and the sockets do not count the same datagrams: {counters}")

    def expect_none_counted(self, *names):
        counters = self.counters()
        counted = {name: counters.get(name, 0) for name in names if counters.get(name, 0)}
        if counted:
            raise Failure(f"`switchboard status --json` counts what should not happen: {counted}")

    def usage(self):
        """CPU seconds used so far, resident memory now and at its highest in KiB, as the kernel counts them (proc(5))."""
        process = Path("/proc") / str(self.pid)
        # The second field is the program's name in parentheses and may hold anything; utime and stime are 14 and 15.
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        memory = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        kib = lambda name: int(memory[name].split()[0])  # noqa: E731
        return ticks / os.sysconf("SC_CLK_TCK"), kib("VmRSS"), kib("VmHWM")

    def last_reload(self):
        """What came of the last load of the files; None before the first."""
        return self.json("status")["daemon"]["last-reload"]

    def hang_up(self):
        """SIGHUP."""
        self.process.process.send_signal(signal.SIGHUP)

    def terminate(self):
        """SIGTERM; does not wait."""
        self.expect_alive()
        self.process.process.terminate()

    def expect_ended(self, seconds):
        """The exit status must be 0, and its control socket gone."""
        status = self.process.wait(seconds)
        if status != 0:
            raise Failure(f"on SIGTERM the daemon exited with {status}:\n{self.process.tail()}")
        if self.directory.socket.exists():
            raise Failure(f"the daemon ended and left {self.directory.socket} behind")

    def stop(self, seconds=15):
        """SIGTERM with no call in progress: it must end by itself, and say 0."""
        self.terminate()
        self.expect_ended(seconds)


def count(value, key):
    """The number under `key` (or the length of the list there), wherever in the answer it is."""
    found = list(values_under(value, key))
    if not found:
        raise Failure(f"`switchboard status --json` has no {key!r}: {json.dumps(value)[:300]}")
    total = 0
    for item in found:
        if isinstance(item, (list, dict)):
            numbers = [n for n in (item.values() if isinstance(item, dict) else []) if isinstance(n, int)]
            total += sum(numbers) if isinstance(item, dict) else len(item)
        elif isinstance(item, int):
            total += item
        else:
            raise Failure(f"{key!r} in `switchboard status --json` is not a number: {item!r}")
    return total


def values_under(value, key):
    if isinstance(value, dict):
        for name, item in value.items():
            if name == key:
                yield item
            else:
                yield from values_under(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from values_under(item, key)


def strings(value):
    """Every string in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def is_empty(value):
    """An empty list, or an object whose lists are all empty."""
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list)]
        return bool(lists) and not any(lists) or value == {}
    return value == []
