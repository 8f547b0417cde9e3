"""sipp as the trunk and as phones."""

import csv
import signal
from pathlib import Path

from .processes import Failure

# What sipp says when it is told to end: no call failed; ended by a command; there was no call at all.
ENDED_WELL = {0, 97, 99}

SCENARIOS = Path(__file__).resolve().parent.parent / "scenarios"


class Sipp:
    """One running sipp and the statistics it leaves."""

    def __init__(self, processes, name, scenario, local, calls, remote=None, rows=None, rate=None, hold=None, seconds=20, namespace=None, noting=False):
        self.name = name
        self.calls = calls
        self.seconds = seconds
        self.statistics_path = processes.directory / f"{name}.stat.csv"
        self.errors_path = processes.directory / f"{name}.errors.log"
        self.messages_path = processes.directory / f"{name}.messages.csv"
        arguments = ["sipp", "-sf", SCENARIOS / f"{scenario}.xml", "-i", local[0], "-p", local[1], "-m", calls, "-nostdin"]
        arguments += ["-trace_err", "-error_file", self.errors_path, "-error_overwrite", "true"]
        arguments += ["-trace_stat", "-stf", self.statistics_path, "-fd", "1"]
        arguments += ["-timeout", f"{seconds}s", "-timeout_error", "-buff_size", "1048576"]
        if noting:
            arguments += ["-trace_shortmsg", "-shortmessage_file", self.messages_path, "-shortmessage_overwrite", "true"]
        if rows is not None:
            path = processes.directory / f"{name}.rows.csv"
            path.write_text("SEQUENTIAL\n" + "".join(";".join(str(cell) for cell in row) + "\n" for row in rows))
            arguments += ["-inf", path]
        if rate is not None:
            arguments += ["-r", rate, "-l", rate * 20]
        if hold is not None:
            arguments += ["-d", hold]
        if remote is not None:
            arguments.append(f"{remote[0]}:{remote[1]}")
        self.process = processes.start(name, arguments, namespace)

    def expect_done(self):
        """Every call as the scenario says, and all of them."""
        status = self.process.wait(self.seconds + 10)
        statistics = self.statistics()
        good, bad = statistics["SuccessfulCall(C)"], statistics["FailedCall(C)"]
        if status != 0 or bad != 0 or good != self.calls:
            raise Failure(
                f"sipp {self.name}: {good} of {self.calls} calls as they should be, {bad} failed, exit status {status}\n"
                f"{self.errors()}"
            )
        return statistics

    def expect_ended(self):
        """Told to end: it finishes the calls it has; none may have failed. For one that cannot know how many will come."""
        if self.process.is_alive():
            self.process.process.send_signal(signal.SIGUSR1)
        status = self.process.wait(self.seconds)
        statistics = self.statistics()
        if status not in ENDED_WELL or statistics["FailedCall(C)"] != 0:
            raise Failure(f"sipp {self.name}: {statistics['FailedCall(C)']} calls failed, exit status {status}\n{self.errors()}")
        return statistics

    def messages(self):
        """What was sent and received, in order: (seconds since 1970, R or S, Call-ID, first line)."""
        if not self.messages_path.exists():
            return []
        lines = (line.split("\t") for line in self.messages_path.read_text(errors="replace").splitlines())
        return [(float(clock), direction, call, first) for _, _, clock, direction, call, _, first in lines]

    def statistics(self):
        """The last line of sipp's statistics, numbers as numbers."""
        if not self.statistics_path.exists():
            raise Failure(f"sipp {self.name} left no statistics:\n{self.process.tail()}")
        with self.statistics_path.open(newline="") as text:
            rows = list(csv.DictReader(text, delimiter=";"))
        if not rows:
            raise Failure(f"sipp {self.name} left empty statistics:\n{self.process.tail()}")
        last = rows[-1]
        return {name: int(value) for name, value in last.items() if name and value and value.isdigit()}

    def errors(self, characters=1500):
        if not self.errors_path.exists():
            return self.process.tail()
        return self.errors_path.read_text(errors="replace")[:characters]
