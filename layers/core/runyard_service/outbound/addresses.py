"""Decide which addresses outbound requests may reach. A stranger may choose the address."""

import ipaddress

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(text: str) -> bool:
    """Return whether the address is public. Check the IPv4 address inside an IPv6 address too."""
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
    """Return whether `host:port` may be called although its address is private."""
    allowed = {entry.lower().replace("[", "").replace("]", "") for entry in private_hosts}
    return f"{host.lower()}:{port}" in allowed
