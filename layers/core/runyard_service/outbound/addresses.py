"""Decide which addresses outbound requests may reach. A stranger may choose the address."""

import ipaddress

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# "Instance metadata service endpoints", Amazon EC2 User Guide.
_METADATA_OVER_IPV6 = ipaddress.ip_address("fd00:ec2::254")


def is_public(text: str) -> bool:
    """Return whether the address is public. Check the IPv4 address inside an IPv6 address too."""
    address = _inner(ipaddress.ip_address(text))
    if isinstance(address, ipaddress.IPv6Address) and (address.teredo or address.is_site_local):
        return False
    # `is_global` leaves out private, loopback, link-local, shared and documentation ranges.
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )


def is_link_local(text: str) -> bool:
    """Return whether the address is link-local, as the metadata services of AWS are."""
    address = _inner(ipaddress.ip_address(text))
    return address.is_link_local or address == _METADATA_OVER_IPV6


def _inner(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the IPv4 address that an IPv6 address contains, if any."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def is_allowlisted(host: str, port: int, private_hosts: tuple[str, ...]) -> bool:
    """Return whether `host:port` may be called although its address is private."""
    allowed = {entry.lower().replace("[", "").replace("]", "") for entry in private_hosts}
    return f"{host.lower()}:{port}" in allowed
