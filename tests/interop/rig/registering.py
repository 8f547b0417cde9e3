"""A phone's REGISTER, written here: sipp 3.6.1 reads only the first challenge, and knows MD5 alone.

The socket is bound to the port where sipp will answer afterwards, because a phone is called where it registered
from. Digest after RFC 7616 and RFC 8760: of the challenges offered the first that is known is answered.
"""

import hashlib
import re
import secrets
import socket

from .processes import Failure

HASHES = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}
# What every phone says of itself. A request without it is shorter than any phone's, and the daemon answers nobody it does
# not know with much more than it was sent: such a one is offered the shorter challenge alone.
PHONE_FIELDS = (
    "User-Agent: Switchboard interop phone\r\n"
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, NOTIFY\r\n"
    "Supported: replaces, timer\r\n"
)
ATTEMPTS = 6
PATIENCE = 0.5


def register_all(phones, phone_address, registrar_address):
    """Registers (extension, domain, password) triples from one address; the algorithms that were used."""
    used = set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        phone.bind(phone_address)
        phone.settimeout(PATIENCE)
        for extension, domain, password in phones:
            used.add(register(phone, extension, domain, password, phone_address, registrar_address))
    return used


def register(phone, extension, domain, password, phone_address, registrar_address):
    call, tag = secrets.token_hex(12), secrets.token_hex(4)
    uri = f"sip:{domain}"
    aor = f"sip:{extension}@{domain}"

    def request(sequence, authorization=""):
        return (
            f"REGISTER {uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {phone_address[0]}:{phone_address[1]};branch=z9hG4bK{secrets.token_hex(8)};rport\r\n"
            f"Max-Forwards: 70\r\n"
            f"From: <{aor}>;tag={tag}\r\nTo: <{aor}>\r\n"
            f"Call-ID: {call}\r\nCSeq: {sequence} REGISTER\r\n"
            f"Contact: <sip:{extension}@{phone_address[0]}:{phone_address[1]}>\r\n"
            f"Expires: 600\r\n{PHONE_FIELDS}{authorization}Content-Length: 0\r\n\r\n"
        )

    challenge = exchange(phone, request(1), registrar_address, call, 1)
    if status_of(challenge) != 401:
        raise Failure(f"a REGISTER without credentials for {aor} got {challenge.splitlines()[0]!r}, not 401")
    algorithm, authorization = answer(challenge, extension, password, uri)
    accepted = exchange(phone, request(2, authorization), registrar_address, call, 2)
    if status_of(accepted) != 200:
        raise Failure(f"REGISTER of {aor} with {algorithm} got {accepted.splitlines()[0]!r}, not 200")
    return algorithm


def exchange(phone, text, registrar_address, call, sequence):
    """Sends until the final response to this very request comes."""
    for _ in range(ATTEMPTS):
        phone.sendto(text.encode(), registrar_address)
        try:
            while True:
                reply = phone.recv(65535).decode(errors="replace")
                ours = header(reply, "Call-ID") == call and header(reply, "CSeq").split()[0] == str(sequence)
                if ours and status_of(reply) >= 200:
                    return reply
        except TimeoutError:
            continue
    raise Failure(f"no final response to REGISTER after {ATTEMPTS} attempts")


def answer(challenge, username, password, uri):
    """The Authorization line for the first challenge whose algorithm is known."""
    for line in re.findall(r"(?im)^WWW-Authenticate:\s*Digest\s+(.*?)\r?$", challenge):
        given = {name.lower(): quoted or bare for name, quoted, bare in re.findall(r'([\w-]+)\s*=\s*(?:"([^"]*)"|([^",\s]+))', line)}
        algorithm = given.get("algorithm", "MD5")
        if algorithm.upper() not in HASHES:
            continue
        if "auth" not in re.split(r"[\s,]+", given.get("qop", "")):
            raise Failure(f"a challenge without qop=auth: {line}")
        digest = lambda text: HASHES[algorithm.upper()](text.encode()).hexdigest()  # noqa: E731
        count, client_nonce = "00000001", secrets.token_hex(8)
        first = digest(f"{username}:{given['realm']}:{password}")
        second = digest(f"REGISTER:{uri}")
        response = digest(f"{first}:{given['nonce']}:{count}:{client_nonce}:auth:{second}")
        opaque = f', opaque="{given["opaque"]}"' if "opaque" in given else ""
        return algorithm.upper(), (
            f'Authorization: Digest username="{username}", realm="{given["realm"]}", nonce="{given["nonce"]}", '
            f'uri="{uri}", response="{response}", algorithm={algorithm}, cnonce="{client_nonce}", '
            f"qop=auth, nc={count}{opaque}\r\n"
        )
    raise Failure(f"no challenge with an algorithm of {', '.join(HASHES)}:\n{challenge}")


def status_of(reply):
    found = re.match(r"SIP/2\.0 (\d{3}) ", reply)
    if not found:
        raise Failure(f"not a response: {reply[:80]!r}")
    return int(found.group(1))


def header(message, name):
    found = re.search(rf"(?im)^{name}\s*:\s*(.*?)\r?$", message)
    return found.group(1) if found else ""
