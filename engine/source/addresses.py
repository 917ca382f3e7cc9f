"""Which network addresses a source may be fetched from: those of the public Internet alone.

``is_global`` is not enough: on some versions of Python it takes addresses that carry another one
inside, and multicast, for global. The list is that of the IANA special-purpose registries.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address

_DENIED: Final = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",  # shared by the customers of a carrier
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local, and the metadata of cloud machines
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
            "::/96",
            "::ffff:0:0/96",  # IPv4 inside, as in the next ones
            "64:ff9b::/96",
            "64:ff9b:1::/48",
            "100::/64",
            "2001::/23",
            "2001:db8::/32",
            "2002::/16",
            "3fff::/20",
            "5f00::/16",
            "fc00::/7",  # fd00:ec2::254, a metadata address, is one of these
            "fe80::/10",
            "fec0::/10",
            "ff00::/8",
        ),
    )
)


def is_public(address: Address) -> bool:
    """Tell whether *address* is one that anybody on the Internet may ask."""
    denied = any(network.version == address.version and address in network for network in _DENIED)
    return address.is_global and not address.is_multicast and not denied
