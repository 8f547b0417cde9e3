"""The scenarios: each one story, told with a daemon of its own and ended with nothing left in it.

A scenario takes a `Stage` and raises `Failure` when something is not as it must be.
"""

import random
import re
import select
import signal
import socket
import threading
import time
from pathlib import Path

from .baresip import Baresip
from .configuration import TRUNK_ADDRESS, Company, Directory, password
from .namespaces import OUTSIDE, PHONE, ROUTER_OUTSIDE, TRUNK, Nat
from .processes import Failure, Processes, eventually, run
from .registering import register_all
from .sipp import Sipp
from .switchboard import Switchboard, strings

REPOSITORY = Path(__file__).resolve().parents[3]
CALLER = "+919811112222"

DAEMON_PORT = 25060
TRUNK_PORT = 25080
PHONE_PORT = 25100
CONTROL_PORT = 25200
CAPTURE_PORT = 25300

LOAD_CALLS = 10_000
LOAD_RATE = 200
LOAD_COMPANIES = 60
RELOADS = 100


class Stage:
    """What a scenario is given: the binary, a directory for its logs, and everything it starts."""

    def __init__(self, binary, directory):
        self.binary = binary
        self.directory = Path(directory)
        self.processes = Processes(self.directory)

    def daemon(self, companies, namespace=None, **settings):
        directory = Directory(self.directory / "config", DAEMON_PORT, companies, **settings)
        return Switchboard(self.binary, directory, self.processes, namespace)

    def sipp(self, name, scenario, local, calls=1, **settings):
        return Sipp(self.processes, name, scenario, local, calls, **settings)

    def baresip(self, *arguments, **settings):
        return Baresip(self.processes, *arguments, **settings)


def conversation(stage):
    """baresip registers, answers the trunk's calls, is heard, and each side hangs up once."""
    company = Company("acme", "+918040000001", ["221"])
    # The trunk and the phones share an address, so the trunk is told apart by its port.
    daemon = stage.daemon([company], trunk_source=f"127.0.0.1:{TRUNK_PORT}", only_md5=True)
    proxy = ("127.0.0.1", DAEMON_PORT)
    phone = stage.baresip(
        "phone", "221", company.domain, password("221", company.domain), ("127.0.0.1", PHONE_PORT), proxy, CONTROL_PORT
    )
    phone.expect_registered()
    daemon.expect_registered("221")

    with Listener() as listener:
        row = (company.number, CALLER, listener.port)
        call = stage.sipp("trunk-hangs-up", "trunk-calls", ("127.0.0.1", TRUNK_PORT), remote=proxy, rows=[row], hold=2000)
        call.expect_done()
        # Half a second's worth of the two seconds' fifty packets a second.
        listener.expect_packets(25)
        phone.expect_calls_closed(1)
        daemon.expect_no_calls()

        # Now in the form the number has inside the country, and the phone hangs up.
        row = ("0" + company.number.removeprefix("+91"), CALLER, listener.port)
        call = stage.sipp("phone-hangs-up", "trunk-calls-and-listens", ("127.0.0.1", TRUNK_PORT), remote=proxy, rows=[row])
        phone.expect_in_call(2)
        phone.hang_up()
        call.expect_done()
        phone.expect_calls_closed(2)
        daemon.expect_counters()
        daemon.expect_idle()
    daemon.stop()


def fork(stage):
    """Four phones ring; one answers and three are told so, then all four are told that the caller gave up."""
    company = Company("acme", "+918040000001", ["221", "222", "223", "224"])
    daemon = stage.daemon([company])
    proxy = ("127.0.0.1", DAEMON_PORT)
    ports = {extension: PHONE_PORT + index for index, extension in enumerate(company.extensions)}
    used = set()
    for extension, port in ports.items():
        phone = (extension, company.domain, password(extension, company.domain))
        used |= register_all([phone], ("127.0.0.1", port), proxy)
    if used != {"SHA-256"}:
        raise Failure(f"SHA-256 must be offered first; the phones were led to {', '.join(sorted(used))}")
    daemon.expect_registered(*ports)
    row = (company.number, CALLER, 4000)

    phones = []
    for extension, port in ports.items():
        behaviour = "phone-answers" if extension == "223" else "phone-rings-until-answered-elsewhere"
        phones.append(stage.sipp(f"{extension}-first", behaviour, ("127.0.0.1", port), hold=1000))
    stage.sipp("trunk-answered", "trunk-calls", (TRUNK_ADDRESS, TRUNK_PORT), remote=proxy, rows=[row], hold=500).expect_done()
    for phone in phones:
        expect_nothing_sent_again(phone, phone.expect_done())
    daemon.expect_no_calls()

    phones = [
        stage.sipp(f"{extension}-second", "phone-rings-until-caller-gives-up", ("127.0.0.1", port))
        for extension, port in ports.items()
    ]
    stage.sipp("trunk-gives-up", "trunk-gives-up", (TRUNK_ADDRESS, TRUNK_PORT), remote=proxy, rows=[row]).expect_done()
    for phone in phones:
        expect_nothing_sent_again(phone, phone.expect_done())
    daemon.expect_counters()
    daemon.expect_idle()
    daemon.stop()


def load(stage):
    """10,000 calls at 200 a second, to 60 companies of five people each under every one-at-a-time strategy: none fails."""
    daemon, proxy, companies = busy_house(stage)
    before, resident, _ = daemon.usage()
    calls = start_load(stage, proxy, companies, LOAD_CALLS)
    expect_load_done(calls)
    after, _, _ = daemon.usage()
    daemon.expect_counters()
    daemon.expect_idle()
    _, still_resident, highest = daemon.usage()
    print(
        f"    daemon: {(after - before) / LOAD_CALLS * 1e6:.0f} µs of CPU a call; "
        f"{resident} KiB resident before, {highest} at most, {still_resident} after"
    )
    daemon.stop()


def reload(stage):
    """100 reloads during calls at 200 a second, every tenth of them of a broken file: no call fails."""
    daemon, proxy, companies = busy_house(stage)
    calls = start_load(stage, proxy, companies, LOAD_CALLS)
    pace = LOAD_CALLS / LOAD_RATE * 0.9 / RELOADS
    began = time.monotonic()
    for turn in range(1, RELOADS + 1):
        company = companies[turn % len(companies)]
        if turn % 10 == 0:
            broken = company.text().replace('strategy = "', 'strategy = "clairvoyant-', 1) + '\nstatos = "active"\n'
            daemon.directory.write(company.identity, broken)
            status, output, errors = daemon.ask("reload")
            told = output + errors
            if status != 1 or f"{company.identity}.toml" not in told or "clairvoyant" not in told or "statos" not in told:
                raise Failure(f"reload {turn} of a file with two faults: exit status {status}, said:\n{told}")
            daemon.directory.write(company.identity, company.text())
        else:
            company.ring = "20s" if company.ring == "25s" else "25s"
            daemon.directory.write(company.identity, company.text())
        status, output, errors = daemon.ask("reload")
        if status != 0:
            raise Failure(f"reload {turn} of a good configuration: exit status {status}, said:\n{output}{errors}")
        time.sleep(max(0.0, began + turn * pace - time.monotonic()))
    if not all(call.process.is_alive() for call in calls):
        raise Failure("the calls ended before the reloads did, so the reloads proved nothing")
    expect_load_done(calls)
    daemon.expect_counters()
    daemon.expect_idle()
    daemon.stop()


def nat(stage):
    """A phone behind a router that rewrites addresses and ports registers, is called, and each side hangs up once."""
    with Nat() as network:
        try:
            nat_story(stage, network)
        finally:
            # Processes first: a namespace lives as long as anything in it.
            stage.processes.__exit__()


def nat_story(stage, network):
    network.expect_ports_rewritten(PHONE_PORT)
    company = Company("acme", "+918040000001", ["221"])
    daemon = stage.daemon([company], network.outside, address=OUTSIDE, trunk_source=TRUNK, only_md5=True)
    proxy = (OUTSIDE, DAEMON_PORT)
    phone = stage.baresip(
        "phone", "221", company.domain, password("221", company.domain), (PHONE, PHONE_PORT), proxy, CONTROL_PORT,
        namespace=network.phone,
    )  # fmt: skip
    phone.expect_registered()
    daemon.expect_registered("221")
    shown = " ".join(strings(daemon.json("registrations")))
    if ROUTER_OUTSIDE not in shown:
        raise Failure(f"`switchboard registrations --json` does not show where the phone was seen, {ROUTER_OUTSIDE}: {shown}")
    row = (company.number, CALLER, 4000)
    trunk = (TRUNK, TRUNK_PORT)
    settings = {"remote": proxy, "rows": [row], "namespace": network.outside}

    stage.sipp("trunk-hangs-up", "trunk-calls", trunk, hold=1000, **settings).expect_done()
    phone.expect_calls_closed(1)
    daemon.expect_no_calls()

    call = stage.sipp("phone-hangs-up", "trunk-calls-and-listens", trunk, **settings)
    phone.expect_in_call(2)
    phone.hang_up()
    call.expect_done()
    phone.expect_calls_closed(2)
    daemon.expect_counters()
    daemon.expect_idle()
    daemon.stop()


def hostile(stage):
    """Torture messages, noise and damaged calls, from a trunk and from strangers: the same process serves the next call."""
    company = Company("acme", "+918040000001", ["221"])
    daemon = stage.daemon([company])
    proxy = ("127.0.0.1", DAEMON_PORT)
    sent = 0
    for source in (TRUNK_ADDRESS, "127.0.0.3"):
        sent += spray(source, proxy, company)
        daemon.expect_alive()
    # Only now: a damaged INVITE may still be a good one, and would have rung the phone.
    register_all([("221", company.domain, password("221", company.domain))], ("127.0.0.1", PHONE_PORT), proxy)
    phone = stage.sipp("phone", "phone-answers", ("127.0.0.1", PHONE_PORT), hold=200)
    row = (company.number, CALLER, 4000)
    trunk = (TRUNK_ADDRESS, TRUNK_PORT)
    stage.sipp("trunk", "trunk-calls", trunk, remote=proxy, rows=[row], hold=200).expect_done()
    phone.expect_done()
    daemon.expect_alive()
    # What it was sent is counted under many names; what must not be are our own faults, and nothing may go unread.
    daemon.expect_none_counted("defects", "send-buffer-full", "receive-errors", "transport-errors")
    read = daemon.counters()["datagrams-received"]
    if read < sent:
        raise Failure(f"{sent} datagrams were sent, but only {read} read")
    print(f"    {sent} hostile datagrams, then a call, one process")
    daemon.expect_idle()
    daemon.stop()


def terminate(stage):
    """A changed file and SIGHUP load the configuration; on SIGTERM new calls get 503, those that talk or ring end normally, and then the daemon."""
    quick = Company("acme", "+918040000001", ["221", "222"], "serial")
    slow = Company("globex", "+918040000002", ["305"])
    daemon = stage.daemon([quick, slow])
    proxy = ("127.0.0.1", DAEMON_PORT)
    register_all([(e, quick.domain, password(e, quick.domain)) for e in quick.extensions], ("127.0.0.1", PHONE_PORT), proxy)
    register_all([("305", slow.domain, password("305", slow.domain))], ("127.0.0.1", PHONE_PORT + 1), proxy)

    quick.ring = "20s"
    daemon.directory.write(quick.identity, quick.text())
    noticed = eventually("a changed file is loaded without being asked for", 5, daemon.last_reload)
    if noticed["outcome"] != "adopted" or "25s" not in noticed["changes"] or "20s" not in noticed["changes"]:
        raise Failure(f"the reload after `ring = 25s` became `20s` was {noticed}")
    daemon.hang_up()
    again = eventually("SIGHUP loads the configuration", 5, lambda: (now := daemon.last_reload())["at"] > noticed["at"] and now)
    if again["outcome"] != "adopted":
        raise Failure(f"the reload after SIGHUP was {again}")

    phones = [
        stage.sipp("phones-quick", "phone-answers", ("127.0.0.1", PHONE_PORT), 2, hold=50),
        stage.sipp("phone-slow", "phone-answers", ("127.0.0.1", PHONE_PORT + 1), 1, hold=4000),
    ]
    row = (quick.number, CALLER, 4000)
    talking = stage.sipp("trunk-talks", "trunk-calls", (TRUNK_ADDRESS, TRUNK_PORT), 2, remote=proxy, rows=[row], hold=5000)
    row = (slow.number, CALLER, 4000)
    ringing = stage.sipp("trunk-rings", "trunk-calls", (TRUNK_ADDRESS, TRUNK_PORT + 1), remote=proxy, rows=[row], hold=2000)
    states = lambda: sorted(call["state"] for call in daemon.json("calls"))  # noqa: E731
    eventually("two calls talk and one rings", 3, lambda: states() == ["ringing", "talking", "talking"])

    daemon.terminate()
    eventually("the daemon says it is draining", 2, lambda: daemon.json("status")["engine"]["draining"])
    if states() != ["ringing", "talking", "talking"]:
        raise Failure(f"SIGTERM changed the calls that were on: {states()}")
    stage.sipp("trunk-refused", "trunk-is-refused", (TRUNK_ADDRESS, TRUNK_PORT + 2), 5, remote=proxy, rows=[row], rate=50).expect_done()
    daemon.expect_counters()
    for calls in (talking, ringing, *phones):
        expect_nothing_sent_again(calls, calls.expect_done())
    daemon.expect_ended(5)


def burst(stage):
    """Sixty calls at once to two companies that share one person ring that person once; those that wait are served one after the other."""
    sixty = 60
    queue = ['wait     = "60s"', f"max-waiting = {sixty}"]
    # Asha works for two companies where nobody waits, Ravi for two where callers do.
    hasty = [
        Company("acme", "+918040000001", ["221"], persons={"221": "asha"}),
        Company("globex", "+918040000002", ["305"], persons={"305": "asha"}),
    ]
    patient = [
        Company("initech", "+918040000003", ["221"], persons={"221": "ravi"}, department=queue),
        Company("umbrella", "+918040000004", ["305"], persons={"305": "ravi"}, department=queue),
    ]
    daemon = stage.daemon(hasty + patient)
    proxy = ("127.0.0.1", DAEMON_PORT)
    for companies, wanted in ((hasty, (1, sixty - 1)), (patient, (sixty, 0))):
        phones = []
        for index, company in enumerate(companies):
            address = ("127.0.0.1", PHONE_PORT + index)
            register_all([(e, company.domain, password(e, company.domain)) for e in company.extensions], address, proxy)
            # More calls than there are: it is ended, not done.
            phones.append(stage.sipp(company.identity, "phone-answers", address, sixty * 2, hold=30, seconds=60, noting=True))
        names = " and ".join(company.identity for company in companies)
        trunk = stage.sipp(
            "trunk-" + "-".join(company.identity for company in companies), "trunk-calls-or-finds-busy", (TRUNK_ADDRESS, TRUNK_PORT), sixty,
            remote=proxy, rows=[(company.number, CALLER, 4000) for company in companies], rate=sixty * 1000, hold=60, seconds=60,
        )  # fmt: skip
        statistics = trunk.expect_done()
        expect_nothing_sent_again(trunk, statistics)
        answered, busy = statistics["GenericCounter1(C)"], statistics["GenericCounter2(C)"]
        rung = [phone.expect_ended()["IncomingCall(C)"] for phone in phones]
        print(f"    {names}: {answered} answered, {busy} found busy; the person's phones rang {rung[0]} and {rung[1]} times")
        if (answered, busy) != wanted or sum(rung) != answered:
            raise Failure(f"{names}: {answered} answered and {busy} found busy, not {wanted}; the phones rang {rung} times")
        expect_one_at_a_time(phones)
    daemon.expect_counters()
    daemon.expect_idle()
    daemon.stop()


def capture(stage):
    """A registration and a call are captured for Homer: sngrep takes the HEP packets, and tshark reads in them what was on the wire."""
    company = Company("acme", "+918040000001", ["221"])
    settings = stage.directory / "sngrep.conf"
    settings.write_text("set eep.listen.version 3\nset eep.listen.pass what-homer-wants\n")
    dump = stage.directory / "captured.pcap"
    sngrep = stage.processes.start(
        "sngrep", ["sngrep", "-N", "-q", "-f", settings, "-L", f"udp:127.0.0.1:{CAPTURE_PORT}", "-O", dump]
    )
    eventually("sngrep listens", 5, lambda: f":{CAPTURE_PORT:04X} " in Path("/proc/net/udp").read_text())
    hep = f'[hep]\ncollector = "127.0.0.1:{CAPTURE_PORT}"\ncapture-id = 2002\npassword = "what-homer-wants"\n'
    daemon = stage.daemon([company], more=hep)
    phone, trunk, proxy = ("127.0.0.1", PHONE_PORT), (TRUNK_ADDRESS, TRUNK_PORT), ("127.0.0.1", DAEMON_PORT)
    register_all([("221", company.domain, password("221", company.domain))], phone, proxy)
    answering = stage.sipp("phone", "phone-answers", phone, hold=300)
    row = (company.number, CALLER, 4000)
    stage.sipp("trunk", "trunk-calls", trunk, remote=proxy, rows=[row], hold=300).expect_done()
    answering.expect_done()
    daemon.expect_no_calls()
    counters = daemon.counters()
    daemon.expect_counters("capture-sent")
    daemon.stop()
    sngrep.process.send_signal(signal.SIGINT)
    sngrep.wait(5)

    ends = {(phone, proxy): "from the phone", (proxy, phone): "to the phone", (trunk, proxy): "from the trunk", (proxy, trunk): "to the trunk"}
    read = [(ends.get((source, to), f"{source} → {to}"), line) for source, to, line in read_by_tshark(dump)]
    sent, on_the_wire = counters["capture-sent"], counters["datagrams-in"] + counters["datagrams-out"]
    if not len(read) == sent == on_the_wire:
        raise Failure(f"{on_the_wire} datagrams, {sent} sent to the collector, {len(read)} read there: {read}")
    wanted = [
        ("from the phone", "REGISTER"), ("from the trunk", "INVITE"), ("to the trunk", "SIP/2.0 100"), ("to the phone", "INVITE"),
        ("from the phone", "SIP/2.0 180"), ("to the trunk", "SIP/2.0 180"), ("from the phone", "SIP/2.0 200"), ("to the trunk", "SIP/2.0 200"),
        ("from the trunk", "ACK"), ("to the phone", "ACK"), ("from the trunk", "BYE"), ("to the phone", "BYE"),
    ]  # fmt: skip
    left = iter(read)
    missing = [step for step in wanted if not any(end == step[0] and line.startswith(step[1]) for end, line in left)]
    if missing:
        raise Failure(f"not in the capture, or not in this order: {missing}; it has {read}")
    print(f"    {len(read)} messages, read by sngrep and tshark")


SCENARIOS = {
    function.__name__: function for function in (conversation, fork, load, reload, nat, hostile, terminate, burst, capture)
}


# Helpers of the stories above.


def read_by_tshark(dump):
    """The SIP messages of a dump, in order: (source, destination, first line)."""
    fields = ["ip.src", "udp.srcport", "ip.dst", "udp.dstport", "sip.Request-Line", "sip.Status-Line"]
    arguments = ["tshark", "-r", dump, "-d", f"udp.port=={DAEMON_PORT},sip", "-T", "fields"]
    status, output, errors = run([*arguments, *(word for field in fields for word in ("-e", field))])
    if status != 0:
        raise Failure(f"tshark cannot read {dump}: {errors}")
    rows = (line.split("\t") for line in output.splitlines())
    return [((a, int(p)), (b, int(q)), request or response) for a, p, b, q, request, response in rows]


class Listener:
    """Counts the RTP packets that arrive at a port of its own."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.packets = 0
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()
        self.socket.close()

    def _listen(self):
        while not self.ending.is_set():
            readable, _, _ = select.select([self.socket], [], [], 0.1)
            if readable:
                packet = self.socket.recv(2048)
                # RFC 3550 §5.1: version 2, and payload type 0 is PCMU.
                self.packets += len(packet) > 12 and packet[0] >> 6 == 2 and packet[1] & 0x7F == 0

    def expect_packets(self, least):
        if self.packets < least:
            raise Failure(f"the trunk heard {self.packets} audio packets of the phone, not the {least} it should at least")


def busy_house(stage):
    """A daemon with 60 companies of five registered people, and one sipp that answers for all of them."""
    strategies = ["serial", "round-robin", "longest-idle", "fewest-calls", "random"]
    companies = [
        Company(
            f"firm{index:02}",
            f"+9180410000{index:02}",
            [str(extension) for extension in range(200, 205)],
            strategies[index % len(strategies)],
        )
        for index in range(LOAD_COMPANIES)
    ]
    daemon = stage.daemon(companies)
    proxy = ("127.0.0.1", DAEMON_PORT)
    phones = [(e, company.domain, password(e, company.domain)) for company in companies for e in company.extensions]
    register_all(phones, ("127.0.0.1", PHONE_PORT), proxy)
    return daemon, proxy, companies


def is_bound(port):
    """Whether some program on this machine has an IPv4 UDP socket on that port."""
    sockets = Path("/proc/net/udp").read_text(encoding="ascii").splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") for line in sockets)


def start_load(stage, proxy, companies, calls):
    """Each company is called every 0.3 s, and of its five people two at most are talking."""
    seconds = calls // LOAD_RATE + 60
    phones = stage.sipp("phones", "phone-answers", ("127.0.0.1", PHONE_PORT), calls, hold=50, seconds=seconds)
    eventually("the phones listen", 10, lambda: is_bound(PHONE_PORT))
    rows = [(company.number, CALLER, 4000) for company in companies]
    trunk = stage.sipp(
        "trunk", "trunk-calls", (TRUNK_ADDRESS, TRUNK_PORT), calls,
        remote=proxy, rows=rows, rate=LOAD_RATE, hold=500, seconds=seconds,
    )  # fmt: skip
    return trunk, phones


def expect_nothing_sent_again(call, statistics):
    """On loopback nothing is lost: what is sent again was not answered in time, or answered wrongly."""
    if statistics["Retransmissions(C)"]:
        raise Failure(f"sipp {call.name} had to send {statistics['Retransmissions(C)']} messages again\n{call.errors()}")


def expect_one_at_a_time(phones):
    """From each INVITE that any of these phones gets until that call's BYE, none of them gets another INVITE."""
    happened = sorted((clock, call, first.split()[0]) for phone in phones for clock, way, call, first in phone.messages() if way == "R")
    if not happened:
        raise Failure("the phones noted no message")
    busy_with = None
    for clock, call, method in happened:
        if method == "INVITE" and busy_with is None:
            busy_with = call
        elif method == "INVITE":
            raise Failure(f"the person was rung for {call} at {clock:.6f} while on {busy_with}")
        elif method == "BYE" and call == busy_with:
            busy_with = None


def expect_load_done(calls):
    for call in calls:
        statistics = call.expect_done()
        again = statistics["Retransmissions(C)"]
        seconds = statistics.get("ElapsedTime(C)", 0)
        print(f"    {call.name}: {statistics['SuccessfulCall(C)']} calls, {again} retransmissions")
        if again > call.calls // 100:
            raise Failure(f"sipp {call.name} had to send {again} messages again in {call.calls} calls ({seconds})")


def spray(source, target, company):
    """What nobody should send: the torture corpora, noise, and a good INVITE with bytes of it damaged. How many were sent."""
    corpus = sorted((REPOSITORY / "tests" / "corpora").rglob("*.dat"))
    if len(corpus) < 49 + 12:
        raise Failure(f"tests/corpora holds {len(corpus)} messages, not RFC 4475's 49 and RFC 5118's 12")
    chance = random.Random(4475)
    invite = (
        f"INVITE sip:{company.number}@{target[0]}:{target[1]} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {source}:25090;branch=z9hG4bKhostile%d;rport\r\nMax-Forwards: 70\r\n"
        f"From: <sip:{CALLER}@{source}>;tag=h%d\r\nTo: <sip:{company.number}@{target[0]}>\r\n"
        f"Call-ID: hostile-%d\r\nCSeq: 1 INVITE\r\nContact: <sip:h@{source}:25090>\r\nContent-Length: 0\r\n\r\n"
    )
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
        attacker.bind((source, 0))

        def send(datagram):
            nonlocal sent
            attacker.sendto(datagram[:60_000], target)
            sent += 1
            if sent % 50 == 0:
                # Slow enough that the kernel's buffer does not throw away what is to be read.
                time.sleep(0.005)

        for message in corpus:
            text = message.read_bytes()
            send(text)
            for _ in range(20):
                send(damaged(text, chance))
        for number in range(2000):
            text = (invite % (number, number, number)).encode()
            # One byte in the header names and values, never one that would leave the INVITE whole.
            send(damaged(text, chance))
            send(text[: chance.randrange(len(text) - 4)])
            send(chance.randbytes(chance.randrange(1, 1400)))
        for filler in (b"\x00", b"\r\n", b":", b",", b"(", b'"', b"<", b";a", b"Via: ", b"SIP/2.0 "):
            send(filler * (60_000 // len(filler)))
            send(b"INVITE sip:a@b SIP/2.0\r\n" + filler * (50_000 // len(filler)) + b"\r\n\r\n")
    return sent


def damaged(text, chance):
    """A copy with one to eight bytes changed, taken out or doubled."""
    copy = bytearray(text)
    for _ in range(chance.randint(1, 8)):
        if not copy:
            break
        place = chance.randrange(len(copy))
        match chance.randrange(3):
            case 0:
                copy[place] = chance.randrange(256)
            case 1:
                del copy[place]
            case 2:
                copy.insert(place, copy[place])
    return bytes(copy)
