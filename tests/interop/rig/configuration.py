"""Configuration directories, as an admin would write them (product.md §2)."""

from pathlib import Path

# What sipp calls from when a trunk is known by its address alone.
TRUNK_ADDRESS = "127.0.0.2"

PASSWORD = "correct-horse-{extension}-{domain}"


def password(extension, domain):
    return PASSWORD.format(extension=extension, domain=domain)


class Company:
    """One company file: users, one department with all of them, and one number that rings it.

    `persons` says who is behind an extension (where it is somebody of other companies too), `department` what else is
    written of the department.
    """

    def __init__(self, identity, number, extensions, strategy="simultaneous", ring="25s", persons=(), department=()):
        self.identity = identity
        self.domain = f"{identity}.example"
        self.number = number
        self.extensions = list(extensions)
        self.strategy = strategy
        self.ring = ring
        self.persons = dict(persons)
        self.department = list(department)

    def text(self):
        members = ", ".join(f'"{extension}"' for extension in self.extensions)
        lines = [
            f'name     = "{self.identity.capitalize()} Limited"',
            f'domain   = "{self.domain}"',
            'timezone = "Asia/Kolkata"',
            "",
            f'[numbers."{self.number}"]',
            'label  = "Everybody"',
            'routes = [ { to = "department:everybody" } ]',
            "",
            "[departments.everybody]",
            f"members  = [{members}]",
            f'strategy = "{self.strategy}"',
            f'ring     = "{self.ring}"',
            *self.department,
        ]
        for extension in self.extensions:
            lines += [
                "",
                f"[users.{extension}]",
                f'name     = "Extension {extension}"',
                f'password = "{password(extension, self.domain)}"',
            ]
            if extension in self.persons:
                lines.append(f'person   = "{self.persons[extension]}"')
        return "\n".join(lines) + "\n"


class Directory:
    """One configuration directory for one daemon."""

    def __init__(self, path, port, companies, trunk_source=TRUNK_ADDRESS, address="127.0.0.1", only_md5=False, more=""):
        self.path = Path(path)
        self.address = address
        self.port = port
        self.companies = companies
        self.socket = self.path.parent / "control.sock"
        (self.path / "companies").mkdir(parents=True)
        state = self.path.parent / "state"
        state.mkdir()
        # baresip 1.0.0 and sipp 3.6.1 know MD5 alone, and give up when another algorithm is offered
        # beside it; see docs/interop.md.
        algorithms = "sha-256 = false\n" if only_md5 else ""
        (self.path / "switchboard.toml").write_text(
            "[sip]\n"
            f'listen = ["udp:{address}:{port}"]\n'
            f"{algorithms}"
            "\n[control]\n"
            f'socket = "{self.socket}"\n'
            "\n[state]\n"
            f'directory = "{state}"\n'
            "\n[trunks.airtel]\n"
            f'sources = ["{trunk_source}"]\n'
            'country-code = "91"\n'
            'national-prefix = "0"\n'
            'international-prefix = "00"\n'
            f"{more}"
        )
        for company in companies:
            self.write(company.identity, company.text())

    def company_path(self, identity):
        return self.path / "companies" / f"{identity}.toml"

    def write(self, identity, text):
        """Replaces one company file in one step, so that nobody ever reads half of it."""
        draft = self.path.parent / f"{identity}.draft"
        draft.write_text(text)
        draft.rename(self.company_path(identity))
