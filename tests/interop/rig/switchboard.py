"""The daemon under test, started from its release binary and asked through its control socket."""

import json

from .processes import Failure, eventually, run

READY_WITHIN = 10
# A transaction may linger 64·T1 = 32 s after its last message (RFC 3261 §17, RFC 6026).
IDLE_WITHIN = 45
BUSY_WORDS = {"on-call", "ringing", "wrap-up"}


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

    def stop(self, seconds=15):
        """SIGTERM with no call in progress: it must end by itself, and say 0."""
        self.expect_alive()
        self.process.process.terminate()
        status = self.process.wait(seconds)
        if status != 0:
            raise Failure(f"on SIGTERM the daemon exited with {status}:\n{self.process.tail()}")


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
