"""A network namespace of its own, in which there is nothing but this machine's loopback."""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Sequence

# linux/sockios.h and linux/if.h; the name of an interface takes 16 bytes.
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1
_NOWHERE = ("192.0.2.1", 80)  # RFC 5737: no machine has it, but a route would be found.


def entering() -> Sequence[str] | None:
    """The words before a command that runs in a new namespace; None where that is not allowed."""
    if not shutil.which("unshare"):
        return None
    for words in (["unshare", "--net"], ["unshare", "--net", "--map-root-user"]):
        if subprocess.run([*words, "true"], capture_output=True).returncode == 0:
            return words
    return None


def bring_up_loopback() -> None:
    """A new namespace has a loopback interface, which is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sH14x", b"lo", 0)
        answer = fcntl.ioctl(any_socket, _GET_FLAGS, asked)
        (flags,) = struct.unpack("16xH14x", answer)
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sH14x", b"lo", flags | _UP))


def has_a_way_out() -> bool:
    """Whether a packet to elsewhere would find a route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            any_socket.connect(_NOWHERE)  # Of a datagram socket: nothing is sent.
        except OSError:
            return False
    return True


def is_ours() -> bool:
    """Whether this process was started inside of it."""
    return os.environ.get("DEPLOYMENT_TEST_INSIDE") == "1"
