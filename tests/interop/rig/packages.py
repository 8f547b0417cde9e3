"""The programs the run needs, from Debian's packages."""

import os
import shutil
import subprocess

from .processes import Failure

# program → Debian package
NEEDED = {
    "sipp": "sip-tester",
    "baresip": "baresip-core",
    "ip": "iproute2",
    "nft": "nftables",
    "sngrep": "sngrep",
    "tshark": "tshark",
}


def install_missing():
    """Installs what is missing when run as root; says what to install otherwise."""
    missing = sorted({package for program, package in NEEDED.items() if not find(program)})
    if not missing:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Failure(f"missing programs; as root: {' '.join(command)}")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    print(f"installing {' '.join(missing)}", flush=True)
    subprocess.run(["apt-get", "update", "--quiet"], check=True, env=environment, stdout=subprocess.DEVNULL)
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def find(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
