"""Every process the run starts, each with its own log, each ended by its own pid."""

import signal
import subprocess
import time
from pathlib import Path


class Failure(Exception):
    """A scenario did not go as it must. The message is what a reader of the report needs."""


class Running:
    """One started process."""

    def __init__(self, name, process, log):
        self.name = name
        self.process = process
        self.log = log

    @property
    def pid(self):
        return self.process.pid

    def is_alive(self):
        return self.process.poll() is None

    def output(self):
        return self.log.read_text(errors="replace")

    def tail(self, lines=15):
        return "\n".join(self.output().splitlines()[-lines:])

    def wait(self, seconds):
        """The exit status; a process that outstays its time is a failure."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} was still running after {seconds:g} s (log: {self.log})") from None

    def end(self, seconds=5):
        """Asks it to end, then insists. The exit status."""
        if self.is_alive():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode


class Processes:
    """Those started for one scenario. Use as a context: leaving it ends them, last started first."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for running in reversed(self.running):
            running.end()

    def start(self, name, arguments, namespace=None, standard_input=subprocess.DEVNULL):
        if namespace is not None:
            # `ip netns exec` becomes the program, so the pid is the program's own.
            arguments = ["ip", "netns", "exec", namespace, *arguments]
        log = self.directory / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(argument) for argument in arguments],
                stdin=standard_input,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
            )
        running = Running(name, process, log)
        self.running.append(running)
        return running


def run(arguments, seconds=30):
    """Runs a short command to its end: (exit status, standard output, standard error)."""
    finished = subprocess.run(
        [str(argument) for argument in arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
    )
    return finished.returncode, finished.stdout, finished.stderr


def eventually(what, seconds, probe, every=0.1):
    """Polls `probe` until it returns something true, and returns that; failure after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Failure(f"not within {seconds:g} s: {what}")
        time.sleep(every)
