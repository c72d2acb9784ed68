"""TCP ports of this machine for what the tests start.

Owns: that no two of them are the same while the run lasts. Does not own: who listens there.
"""

import socket

_kept: list[socket.socket] = []


def free_port() -> int:
    """Find a port where nobody listens, and keep others from being given it.

    A socket stays bound to it, without listening: whoever names the port can listen there, and whoever asks the system
    for any port gets another one. Closed at once, it could be given to another test before it is used.
    """
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    probe.bind(("127.0.0.1", 0))
    _kept.append(probe)
    return int(probe.getsockname()[1])
