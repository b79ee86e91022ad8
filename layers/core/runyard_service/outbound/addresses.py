"""Which addresses are anybody's business: what is called from here may be named by a stranger."""

import ipaddress

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(text: str) -> bool:
    """Whether an address belongs to the open internet, also where it is an IPv4 one in disguise."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if address.teredo is not None:
            return False
    # `is_global` leaves out private, loopback, link-local, shared and documentation ranges.
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )


def is_allowlisted(host: str, port: int, private_hosts: tuple[str, ...]) -> bool:
    """Whether `host:port` is among those that may be called though their address is private."""
    named = {entry.lower().replace("[", "").replace("]", "") for entry in private_hosts}
    return f"{host.lower()}:{port}" in named
