"""The scenarios, each a function whose first line says what must hold; it returns its figures."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

from rig.packages import find
from rig.processes import Failure, eventually, run
from rig.registering import answer, header, register, status_of

from . import readers as differences
from .target import ADDRESS, DOMAIN, PORT, TRUNK, Directory, Target, drained, request, speaker, threads_cpu

HERE = (ADDRESS, PORT)


class Range:
    """Where a scenario takes place."""

    def __init__(self, switchboard, hostile, processes, asked):
        self.switchboard = switchboard
        self.hostile = hostile
        self.processes = processes
        self.asked = asked

    def target(self, users=20, more="", prefix=(), state=None):
        """A daemon of a company with that many users."""
        directory = Directory(self.processes.directory / "config", users, more, state)
        binary = self.switchboard
        if prefix:
            # `Target` starts a program by its path alone.
            wrapper = self.processes.directory / "wrapped"
            words = " ".join(f"'{word}'" for word in [*prefix, binary])
            wrapper.write_text(f'#!/bin/sh\nif [ "$1" = run ]; then exec {words} "$@"; fi\nexec \'{binary}\' "$@"\n')
            wrapper.chmod(0o755)
            binary = wrapper
        return Target(binary, directory, self.processes)

    def good(self, users, rate, seconds):
        """Phones that have registered, and the trunk that will call them once told to."""
        good = self.processes.start(
            "good",
            [self.hostile, "good", "--daemon", f"{ADDRESS}:{PORT}", "--trunk", f"{TRUNK[0]}:{TRUNK[1]}",
             "--users", users, "--rate", rate, "--seconds", seconds],
            standard_input=subprocess.PIPE,
        )
        eventually("the good phones register", 60, lambda: "registered" in good.output() or not good.is_alive())
        return good

    def begin(self, good):
        good.process.stdin.write(b"\n")
        good.process.stdin.flush()


def figures_of(program, seconds):
    """The line of JSON that a part of `examples/hostile.rs` ends with."""
    status = program.wait(seconds)
    lines = [line for line in program.output().splitlines() if line.startswith("{")]
    if status != 0 or not lines:
        raise Failure(f"{program.name} ended with {status}:\n{program.tail()}")
    return json.loads(lines[-1])


# ---- the flood --------------------------------------------------------------------------------------------------------

# A transaction lingers 64·T1 = 32 s after its end, so that memory grows for that long; then the tables of strangers (docs/choices.md) and
# the store's page cache (`cache_size` in src/state/embedded/place.rs, 32 MiB, by some 0.1 MiB a second at 100 calls) fill up to their ceilings.
WARM_AFTER = 45
PAGE_CACHE_KIB = 32 * 1024
MOST_GROWTH_KIB = PAGE_CACHE_KIB + 8 * 1024
# A run too short to warm up is held to a bound over all; one long enough to fill the cache must be flat in its last third.
MOST_GROWTH_OVER_ALL_KIB = 96 * 1024
LONG = 600
MOST_GROWTH_AT_THE_END_KIB = 1024


def flood(range_):
    """Junk, scans and nine methods from thousands of addresses, while good calls go on: those succeed, memory stays flat."""
    asked = range_.asked
    users = max(200, 6 * asked.calls)
    target = range_.target(users)
    good = range_.good(users, asked.calls, asked.seconds)
    flood = range_.processes.start(
        "flood",
        [range_.hostile, "flood", "--daemon", f"{ADDRESS}:{PORT}", "--sources", asked.sources, "--rate", asked.rate,
         "--seconds", asked.seconds + 4],
    )
    time.sleep(2)
    began, cpu = time.monotonic(), threads_cpu(target.pid)
    range_.begin(good)
    memory = []
    while good.is_alive():
        target.expect_alive()
        memory.append((time.monotonic() - began, target.usage()[1]))
        time.sleep(1)
        if time.monotonic() - began > asked.seconds + 60:
            raise Failure("the good calls do not end")
    spent = (threads_cpu(target.pid) - cpu) / (time.monotonic() - began)
    calls, junk = figures_of(good, 5), figures_of(flood, 60)
    # While the good calls last: when they are over it may only fall.
    during = [(at, kib) for at, kib in memory if at <= asked.seconds]
    warm = [kib for at, kib in during if at >= WARM_AFTER]
    most = MOST_GROWTH_KIB if warm else MOST_GROWTH_OVER_ALL_KIB
    warm = warm or [kib for _, kib in during]
    growth = max(warm) - warm[0]
    late = [kib for at, kib in during if at >= asked.seconds * 2 / 3]
    late_growth = max(late) - late[0]
    figures = {
        "flood": f"{junk['sent']} datagrams at {junk['rate']}/s from {junk['sources']} addresses",
        "answered": f"{junk['answers']} with {junk['bytes-in'] / max(1, junk['bytes-out']):.2f} of the bytes",
        "worst ratio of a source": f"{junk['worst-ratio-of-a-source']:.2f}",
        "good calls": f"{calls['succeeded']} of {calls['placed']} ({100 * calls['succeeded'] / calls['placed']:.3f} %)",
        "set up in ms (median, 99 %, most)": f"{calls['setup-ms-median']}, {calls['setup-ms-99']}, {calls['setup-ms-most']}",
        "CPU of the daemon": f"{100 * spent:.0f} % of a core",
        "memory in KiB (warm, most)": f"{warm[0]}, {max(warm)}",
    }
    counters = target.counters()
    figures["dropped by limits"] = counters.get("source-over-its-limit", 0) + counters.get("strangers-over-their-limit", 0)
    figures["lost in the socket's buffer"] = overflowed()
    print("    " + ", ".join(f"{what} {value}" for what, value in figures.items()), flush=True)
    if junk["rate"] < 0.9 * asked.rate:
        raise Failure(f"the flood was of {junk['rate']} datagrams a second, not {asked.rate}: this machine is too busy")
    if calls["succeeded"] < 0.999 * calls["placed"]:
        raise Failure(f"{calls['failed']} of {calls['placed']} good calls failed: {calls['reasons']}")
    if growth > most:
        raise Failure(f"its memory grew by {growth} KiB, more than {most}: {memory[:: max(1, len(memory) // 20)]}")
    if asked.seconds >= LONG and late_growth > MOST_GROWTH_AT_THE_END_KIB:
        raise Failure(f"its memory is not flat: it grew by {late_growth} KiB in the last third: {late[:: max(1, len(late) // 20)]}")
    if junk["worst-ratio-of-a-source"] > 1.5 or junk["sources-that-heard-more-than-they-said"]:
        raise Failure(f"it amplifies: {junk}")
    target.expect_unhurt()
    target.expect_idle()
    return {"growth of memory": f"{growth} KiB, of {most} at most; {late_growth} in the last third"}


def overflowed():
    """Datagrams that the kernel dropped because the daemon's socket was full: the last column of /proc/net/udp."""
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        cells = line.split()
        if cells[1].endswith(f":{PORT:04X}"):
            return int(cells[-1])
    raise Failure("the daemon's socket is not in /proc/net/udp")


# ---- passwords --------------------------------------------------------------------------------------------------------


def guess(range_):
    """Passwords are tried as fast as they go: few are looked at, and the owner registers elsewhere, and there after a minute."""
    target = range_.target()
    guesser = speaker("127.66.0.1")
    at = guesser.getsockname()
    tried, began, challenge = 0, time.monotonic(), None
    heard_of = set()
    while tried < range_.asked.guesses and time.monotonic() - began < 120:
        more = ""
        if challenge:
            more = answer(challenge, "1000", f"guess-{tried}", f"sip:{DOMAIN}")[1]
            tried += 1
        guesser.sendto(request("REGISTER", "1000", at, f"g{tried}x{bool(more)}", f"guess{tried}", more=more).encode(), HERE)
        try:
            reply = guesser.recv(65535).decode()
            heard_of.add(status_of(reply))
            challenge = reply
        except TimeoutError:
            challenge = None
    took = time.monotonic() - began
    looked_at = target.counters().get("wrong-credentials", 0)
    figures = {"guesses": tried, "in seconds": f"{took:.0f}", "looked at": looked_at, "statuses": sorted(heard_of)}
    if heard_of != {401}:
        raise Failure(f"the guesser heard {heard_of}")
    if looked_at > 40:
        raise Failure(f"{looked_at} of {tried} guesses were looked at")
    elsewhere = speaker("127.66.0.2")
    register(elsewhere, "1000", DOMAIN, "secret-1000", elsewhere.getsockname(), HERE)
    time.sleep(65)
    register(guesser, "1000", DOMAIN, "secret-1000", at, HERE)
    target.expect_unhurt()
    return figures


def replay(range_):
    """A REGISTER that was accepted is sent again from everywhere and in other guises: always challenged, nothing changes."""
    target = range_.target()
    phone, thief = speaker("127.66.0.1"), speaker("127.66.0.2")
    at = phone.getsockname()
    first = request("REGISTER", "1001", at, "r1", "replayed")
    phone.sendto(first.encode(), HERE)
    _, proof = answer(phone.recv(65535).decode(), "1001", "secret-1001", f"sip:{DOMAIN}")
    captured = request("REGISTER", "1001", at, "r2", "replayed", sequence=2, more=proof)
    phone.sendto(captured.encode(), HERE)
    if status_of(phone.recv(65535).decode()) != 200:
        raise Failure("the REGISTER to be captured was not accepted")
    time.sleep(33)  # its transaction ends, so that a copy is no retransmission
    before = target.json("registrations")
    guises = [
        captured,
        captured.replace("z9hG4bKr2", "z9hG4bKr3"),
        captured.replace("z9hG4bKr2", "z9hG4bKr4").replace("CSeq: 2", "CSeq: 99"),
        captured.replace("z9hG4bKr2", "z9hG4bKr5").replace("Call-ID: replayed", "Call-ID: another"),
        captured.replace("z9hG4bKr2", "z9hG4bKr6").replace("Contact: <sip:1001@127.66.0.1", "Contact: <sip:1001@127.66.0.2"),
        captured.replace("z9hG4bKr2", "z9hG4bKr7").replace(re.search(r"Contact: .*", captured)[0].strip(), "Contact: *\r\nExpires: 0"),
    ]
    sent = 0
    for who in (phone, thief):
        for guise in guises:
            who.sendto(guise.encode(), HERE)
            sent += 1
            status = status_of(who.recv(65535).decode())
            if status != 401:
                raise Failure(f"a replay got {status}:\n{guise}")
    after = target.json("registrations")
    if strip_times(before) != strip_times(after):
        raise Failure(f"registrations changed: {before} → {after}")
    target.expect_unhurt()
    return {"replays": sent, "challenged": sent}


def strip_times(listing):
    return re.sub(r"\d{6,}", "", json.dumps(listing))


# ---- others' calls ----------------------------------------------------------------------------------------------------


def spoof(range_):
    """BYE, CANCEL and responses from other addresses, with everything right but where they come from: calls go on."""
    target = range_.target()
    phone, trunk, thief = speaker("127.66.0.1"), speaker(TRUNK[0], TRUNK[1]), speaker("127.66.0.9")
    register(phone, "1000", DOMAIN, "secret-1000", phone.getsockname(), HERE)
    invite = trunk_request("INVITE", "s1", 1, "")
    trunk.sendto(invite.encode(), HERE)
    rung = receive(phone, "INVITE")
    attempts = 0
    # While it rings.
    for method in ("CANCEL", "BYE"):
        thief.sendto(trunk_request(method, "s1", 1, "").encode(), HERE)
        attempts += 1
    for status in ("486 Busy Here", "603 Decline", "200 OK"):
        thief.sendto(response(rung, status, "t").replace("branch=z9hG4bK", "branch=z9hG4bKf", 1).encode(), HERE)
        attempts += 1
    calls = target.json("calls")
    if len(calls if isinstance(calls, list) else next(iter(calls.values()))) != 1:
        raise Failure(f"the call that rang is gone: {calls}")
    phone.sendto(response(rung, "200 OK", "t", f"Contact: <sip:1000@{at(phone)}>\r\n").encode(), HERE)
    answered = receive(trunk, "SIP/2.0 200")
    tag = header(answered, "To").split("tag=")[1]
    trunk.sendto(trunk_request("ACK", "s1a", 1, f";tag={tag}").encode(), HERE)
    receive(phone, "ACK")
    # While it talks: in the trunk's name and in the phone's.
    for n in range(20):
        thief.sendto(trunk_request("BYE", f"b{n}", 2 + n, f";tag={tag}").encode(), HERE)
        own = f"BYE sip:x@{TRUNK[0]} SIP/2.0\r\nVia: SIP/2.0/UDP {at(thief)};branch=z9hG4bKo{n};rport\r\nMax-Forwards: 70\r\n" \
              f"From: {header(rung, 'To')};tag=t\r\nTo: {header(rung, 'From')}\r\nCall-ID: {header(rung, 'Call-ID')}\r\n" \
              f"CSeq: {1 + n} BYE\r\nContent-Length: 0\r\n\r\n"
        thief.sendto(own.encode(), HERE)
        attempts += 2
    refused = [status_of(reply.decode()) for reply in drained(thief, 1)]
    if not refused or not set(refused) <= {403, 407, 481}:
        raise Failure(f"the thief heard {refused}")
    for who in (phone, trunk):
        others = [line for line in drained(who, 0.5) if line.startswith((b"BYE", b"CANCEL"))]
        if others:
            raise Failure(f"an end of the call heard {others}")
    # The call is still there for its own end to hang up.
    trunk.sendto(trunk_request("BYE", "s2", 50, f";tag={tag}").encode(), HERE)
    bye = receive(phone, "BYE")
    phone.sendto(response(bye, "200 OK", "t").encode(), HERE)
    receive(trunk, "SIP/2.0 200")
    target.expect_unhurt()
    target.expect_idle()
    return {"attempts": attempts, "refused": len(refused), "had an effect": 0}


def at(speaker_):
    return "{}:{}".format(*speaker_.getsockname())


def trunk_request(method, branch, sequence, to_tag):
    number = "+918040000000"
    return (
        f"{method} sip:{number}@{ADDRESS}:{PORT} SIP/2.0\r\nVia: SIP/2.0/UDP {TRUNK[0]}:{TRUNK[1]};branch=z9hG4bK{branch};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:+919811112222@{TRUNK[0]}>;tag=trunk\r\nTo: <sip:{number}@{ADDRESS}>{to_tag}\r\n"
        f"Call-ID: spoofed@{TRUNK[0]}\r\nCSeq: {sequence} {method}\r\nContact: <sip:trunk@{TRUNK[0]}:{TRUNK[1]}>\r\nContent-Length: 0\r\n\r\n"
    )


def response(asked, status, tag, more=""):
    vias = "".join(f"Via: {via}\r\n" for via in re.findall(r"(?im)^Via:\s*(.*?)\r?$", asked))
    routes = "".join(f"Record-Route: {route}\r\n" for route in re.findall(r"(?im)^Record-Route:\s*(.*?)\r?$", asked))
    to = header(asked, "To")
    to = to if "tag=" in to else f"{to};tag={tag}"
    return (
        f"SIP/2.0 {status}\r\n{vias}{routes}From: {header(asked, 'From')}\r\nTo: {to}\r\nCall-ID: {header(asked, 'Call-ID')}\r\n"
        f"CSeq: {header(asked, 'CSeq')}\r\n{more}Content-Length: 0\r\n\r\n"
    )


def receive(speaker_, start):
    """The next message that begins so; others are passed over."""
    speaker_.settimeout(5)
    try:
        while True:
            text = speaker_.recv(65535).decode(errors="replace")
            if text.startswith(start):
                return text
    except TimeoutError:
        raise Failure(f"{at(speaker_)} waited for {start!r}") from None


# ---- reflection -------------------------------------------------------------------------------------------------------


def amplify(range_):
    """What one who has proved nothing hears: at most one datagram for one, 1.5 times its bytes, and nothing later."""
    target = range_.target()
    victim = speaker("127.66.0.66")
    asked_bytes = heard_bytes = asked = heard = 0
    worst = 0.0
    methods = ["INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE", "BYE", "CANCEL", "ACK", "NOTIFY", "FROB"]
    for n in range(400):
        method = methods[n % len(methods)]
        text = request(method, "1000", victim.getsockname(), f"v{n}", f"amplify{n}",
                       domain=DOMAIN if n % 3 else "elsewhere.example",
                       to_tag=";tag=x" if n % 4 == 0 else "",
                       more="Record-Route: <sip:127.66.0.66;lr>\r\n" * (n % 5) + ("X: y\r\n" * (n % 13)))
        text = text if n % 7 else text.replace("Max-Forwards: 70", "Max-Forwards: x")
        # From the shortest there is.
        if n % 11 == 0:
            text = f"{method} sip:a SIP/2.0\r\nv: SIP/2.0/UDP a;branch=z9hG4bK{n}\r\nf: <sip:a@{DOMAIN}>;tag=1\r\nt: <sip:a@{DOMAIN}>\r\n" \
                   f"i: {n}\r\nCSeq: 1 {method}\r\n\r\n"
        victim.sendto(text.encode(), HERE)
        replies = drained(victim, 0.03)
        if len(replies) > 1:
            raise Failure(f"{len(replies)} datagrams for one:\n{text}")
        size = sum(len(reply) for reply in replies)
        worst = max(worst, size / len(text))
        asked, asked_bytes, heard, heard_bytes = asked + 1, asked_bytes + len(text), heard + len(replies), heard_bytes + size
    later = drained(victim, 35)
    if later:
        raise Failure(f"{len(later)} datagrams later: {later[0][:200]!r}")
    if worst > 1.5:
        raise Failure(f"a datagram was answered with {worst:.2f} times its bytes")
    if not heard:
        raise Failure("nothing was answered at all: this measured nothing")
    target.expect_unhurt()
    return {"asked": f"{asked} ({asked_bytes} bytes)", "heard": f"{heard} ({heard_bytes} bytes)", "worst ratio": f"{worst:.2f}"}


# ---- scanners ---------------------------------------------------------------------------------------------------------


def scan(range_):
    """sipvicious: svmap finds nothing, svwar tells no extension from another, svcrack finds no password, with its own name and with a phone's."""
    install("svmap", "sipvicious")
    target = range_.target()
    found = {}
    for name, method in (("OPTIONS", "OPTIONS"), ("REGISTER", "REGISTER"), ("INVITE", "INVITE")):
        _, out, err = run(["svmap", "-p", PORT, "-m", method, ADDRESS], 60)
        found[name] = f"{ADDRESS}:{PORT}" in out + err
    if any(found.values()):
        raise Failure(f"svmap finds a server: {found}")
    told = {}
    for method in ("REGISTER", "INVITE", "OPTIONS"):
        # 1000–1019 are there, 1020–1039 are not.
        _, out, err = run(["svwar", "-p", PORT, "-m", method, "-e", "1000-1039", "--domain", DOMAIN, ADDRESS], 120)
        told[method] = sorted(set(re.findall(r"\b10[0-3]\d\b", out)))
    if any(told.values()):
        raise Failure(f"svwar says that these exist: {told}")
    # The same as a phone would write it, which is answered: the answers must not differ.
    for method in ("REGISTER", "INVITE", "OPTIONS", "SUBSCRIBE"):
        kinds = {}
        source = speaker("127.66.0.77")
        for user in range(1000, 1040):
            source.sendto(request(method, str(user), source.getsockname(), f"w{method}{user}", f"war{user}").encode(), HERE)
            replies = drained(source, 0.03)
            shapes = [re.sub(r'nonce="[^"]*"|tag=[0-9a-f]+', "", reply.decode()).replace(str(user), "USER") for reply in replies]
            kinds.setdefault(tuple(shapes), []).append(user)
        if len(kinds) != 1:
            raise Failure(f"{method} tells extensions apart: {list(kinds.values())}")
        source.close()
    words = range_.processes.directory / "words"
    words.write_text("".join(f"word{n}\n" for n in range(50)) + "secret-1003\n")
    _, out, err = run(["svcrack", "-p", PORT, "-u", "1003", "-d", words, ADDRESS], 120)
    if "secret-1003" in out:
        raise Failure(f"svcrack finds the password:\n{out}")
    target.expect_unhurt()
    return {"servers found": 0, "extensions told apart": 0, "passwords found": 0,
            "scanners ignored": target.counters().get("scanner-ignored", 0)}


def install(program, package):
    if find(program):
        return
    subprocess.run(["apt-get", "install", "--yes", "-qq", "--no-install-recommends", package], check=True, stdout=subprocess.DEVNULL)


# ---- clock and disk ---------------------------------------------------------------------------------------------------


def clock(range_):
    """The clock on the wall leaps a day ahead and two back while phones are registered and calls run: nothing ends, nobody is lost."""
    library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
    if library is None:
        install("faketime", "faketime")
        library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))))
    leaps = range_.processes.directory / "leap"
    leaps.write_text("+0d\n")
    # The monotonic clock is left alone: that of a machine whose admin sets the time.
    prefix = ["env", f"LD_PRELOAD={library}", f"FAKETIME_TIMESTAMP_FILE={leaps}", "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1"]
    target = range_.target(60, prefix=prefix)
    good = range_.good(60, 10, 16)
    before = len(registered(target))
    range_.begin(good)
    for leap in ("+1d", "-1d", "+3650d", "+0d"):
        time.sleep(4)
        leaps.write_text(leap + "\n")
        if len(registered(target)) != before:
            raise Failure(f"after {leap}: {len(registered(target))} of {before} registrations")
    calls = figures_of(good, 60)
    if calls["succeeded"] != calls["placed"]:
        raise Failure(f"{calls['failed']} of {calls['placed']} calls failed: {calls['reasons']}")
    # That the clock has leapt indeed is seen in the log of the calls.
    logged = target.ask("log", "--since", "2000-01-01", "--json")[1]
    years = sorted({time.gmtime(int(at) / 1000).tm_year for at in re.findall(r'"started-at":\s*(\d+)', logged)})
    if len(years) < 2:
        raise Failure(f"the clock did not leap: all calls are of {years}: {logged[:300]}")
    target.expect_unhurt()
    return {"leaps": 4, "calls": f"{calls['succeeded']} of {calls['placed']}", "registered": before, "years in the log": years}


def registered(target):
    listing = target.json("registrations")
    return listing if isinstance(listing, list) else next(iter(listing.values()))


def disk(range_):
    """Nothing becomes durable for ten seconds (another process holds the store): calls go on, no REGISTER is accepted, and afterwards all are."""
    import sqlite3

    target = range_.target(120)
    good = range_.good(100, 20, 20)
    range_.begin(good)
    time.sleep(3)
    database = next(path for path in target.directory.state.iterdir() if path.read_bytes()[:15] == b"SQLite format 3")
    lock = sqlite3.connect(database, isolation_level=None, timeout=20)
    lock.execute("BEGIN IMMEDIATE")
    waiting = speaker("127.66.0.5")
    asked = time.monotonic()
    waiting.sendto(request("REGISTER", "1110", waiting.getsockname(), "d1", "disk").encode(), HERE)
    _, proof = answer(waiting.recv(65535).decode(), "1110", "secret-1110", f"sip:{DOMAIN}")
    second = request("REGISTER", "1110", waiting.getsockname(), "d2", "disk", sequence=2, more=proof).encode()
    waiting.sendto(second, HERE)
    early = [status_of(reply.decode()) for reply in drained(waiting, 9)]
    lock.execute("ROLLBACK")
    lock.close()
    # As a phone does that was refused, or heard nothing: from the beginning.
    register(waiting, "1110", DOMAIN, "secret-1110", waiting.getsockname(), HERE)
    took = time.monotonic() - asked
    calls = figures_of(good, 60)
    if 200 in early:
        raise Failure("a REGISTER was answered 200 before it could be durable")
    if calls["succeeded"] != calls["placed"]:
        raise Failure(f"{calls['failed']} of {calls['placed']} calls failed while the disk was stuck: {calls['reasons']}")
    target.expect_unhurt()
    return {"calls": f"{calls['succeeded']} of {calls['placed']}", "set up in ms (most)": calls["setup-ms-most"],
            "meanwhile a REGISTER heard": early, "registered after seconds": f"{took:.1f}"}


def readers(range_):
    """Our parser and tshark's read the corpora and damaged copies of them: whatever both take as SIP, both read alike."""
    if not find("tshark"):
        install("tshark", "tshark")
    return differences.compare(range_)


SCENARIOS = {
    "flood": flood,
    "guess": guess,
    "replay": replay,
    "spoof": spoof,
    "amplify": amplify,
    "scan": scan,
    "clock": clock,
    "disk": disk,
    "readers": readers,
}

if sys.version_info < (3, 10):
    raise SystemExit("Python 3.10 or later")
