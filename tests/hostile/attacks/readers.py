"""Two readers of one message: ours, and tshark's dissector, on the corpora of RFC 4475 and 5118 and damaged copies."""

import json
import random
import struct
import subprocess
from pathlib import Path

from rig.packages import find
from rig.processes import Failure

CORPORA = Path(__file__).resolve().parent.parent.parent / "corpora"
FIELDS = {
    "method": "sip.Method",
    "status": "sip.Status-Code",
    "call-id": "sip.Call-ID",
    "cseq": "sip.CSeq.seq",
    "from-tag": "sip.from.tag",
    "to-tag": "sip.to.tag",
}
COPIES = 120
SEED = 5

# Spellings that two programs have read in two ways (class 5), put between two lines of a message.
ODD = [
    b"X-Bypass-me : lol\r\n", b"Contact\x01: <sip:a@b>\r\n", b"To\x01: <sip:a@b>;tag=x\r\n", b"To : <sip:a@b>;tag=x\r\n",
    b"Call-ID: other\r\n", b"i: other\r\n", b"CSeq: 9 BYE\r\n", b"Subject: a\rTo: <sip:a@b>;tag=x\r\n", b"Subject: a\nCSeq: 9 BYE\r\n",
    b"Subject: a\x00\r\n", b"f: <sip:a@b>;tag=x\r\n", b" folded\r\n", b"\r\n", b"From: \"\r\n", b"t: <sip:a@b>\r\n",
]


def messages():
    """Every message of the corpora, and copies with one spelling more, or with bytes changed."""
    chance = random.Random(SEED)
    originals = sorted(CORPORA.glob("rfc*/*.dat"))
    for path in originals:
        bytes_ = path.read_bytes()
        yield path.stem, bytes_
        lines = [at for at in range(len(bytes_) - 1) if bytes_[at : at + 2] == b"\r\n"]
        for n in range(COPIES):
            copy = bytearray(bytes_)
            if n < len(ODD) and lines:
                at = chance.choice(lines[: max(1, len(lines) // 2)]) + 2
                copy[at:at] = ODD[n]
            else:
                for _ in range(1 + chance.randrange(4)):
                    # Mostly bytes that stand in messages: what else there is, is mostly refused.
                    copy[chance.randrange(len(copy))] = chance.choice(bytes_) if n % 4 else chance.randrange(256)
            yield f"{path.stem}-{n}", bytes(copy)


def capture(path, datagrams):
    """A pcap file of them, each a UDP datagram of its own over IPv4 (raw, link type 101)."""
    with path.open("wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 101))
        for n, datagram in enumerate(datagrams):
            udp = struct.pack(">HHHH", 5060, 5060, 8 + len(datagram), 0) + datagram
            head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), n % 65536, 0, 64, 17, 0, b"\xc0\x00\x02\x01", b"\xc0\x00\x02\x02")
            packet = head + udp
            out.write(struct.pack("<IIII", n, 0, len(packet), len(packet)) + packet)


def theirs(path, count):
    """What tshark reads in each datagram."""
    arguments = [find("tshark"), "-r", str(path), "-d", "udp.port==5060,sip", "-T", "fields", "-E", "separator=\x1f", "-E", "occurrence=a",
                 "-E", "aggregator=\x1e", "-e", "frame.number", "-e", "_ws.malformed"]
    for field in FIELDS.values():
        arguments += ["-e", field]
    done = subprocess.run(arguments, capture_output=True, check=True, timeout=300)
    rows = {}
    for line in done.stdout.decode(errors="replace").split("\n"):
        cells = line.split("\x1f")
        if len(cells) == len(FIELDS) + 2 and cells[0].isdigit():
            rows[int(cells[0])] = dict(zip(FIELDS, cells[2:], strict=True), malformed=cells[1])
    if len(rows) < count * 0.9:
        raise Failure(f"tshark read {len(rows)} of {count} datagrams: {done.stderr.decode()[:300]}")
    return rows


def compare(range_):
    directory = range_.processes.directory
    named = list(messages())
    files = []
    (directory / "messages").mkdir(parents=True)
    for n, (_, datagram) in enumerate(named):
        file = directory / "messages" / f"{n:05}"
        file.write_bytes(datagram)
        files.append(file)
    done = subprocess.run([range_.hostile, "fields", *files], capture_output=True, text=True, check=True, timeout=120)
    ours = [json.loads(line) for line in done.stdout.splitlines()]
    path = directory / "messages.pcap"
    capture(path, [datagram for _, datagram in named])
    other = theirs(path, len(named))
    both = refused = alone = 0
    differ = []
    for n, ((name, datagram), own) in enumerate(zip(named, ours, strict=True)):
        read = other.get(n + 1)
        if "refused" in own:
            refused += 1
            continue
        if not read or not (read["method"] or read["status"]) or read["malformed"]:
            alone += 1
            continue
        both += 1
        for key in ("call-id", "cseq", "from-tag", "to-tag"):
            # It lists every occurrence; what we read must be the only one there is.
            # RFC 3261 §25.1 EQUAL: whitespace around the `=` of a parameter is not part of it. tshark keeps it.
            values = [value.strip() for value in read[key].split("\x1e") if value != ""]
            if values and set(values) != {str(own[key])}:
                differ.append(f"{name}: {key} is {own[key]!r} to us and {values} to tshark ({n:05})")
        first = read["method"] or read["status"]
        if first.split("\x1e")[0] != own["first"]:
            differ.append(f"{name}: {own['first']!r} to us and {first!r} to tshark ({n:05})")
    if both < 100:
        raise Failure(f"only {both} messages were read by both: this compares nothing")
    if differ:
        raise Failure(f"{len(differ)} differences, of {both} read by both:\n" + "\n".join(differ[:12]))
    return {"messages": len(named), "read by both, alike": both, "refused by us": refused, "read by us alone": alone}
