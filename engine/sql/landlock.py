"""Landlock: takes rights away from this process for good, by the kernel's hand.

The second wall around SQL. The first is DuckDB's own configuration; its makers promise nothing for
hostile queries. What is not granted here, no code of this process can reach, whatever it is tricked
into. Rights bind the calling thread and those that it starts later: call before importing what
starts threads.

Source: Linux, Documentation/userspace-api/landlock.rst.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_VERSION: Final = 1
_RULE_PATH_BENEATH: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38

_READ: Final = 0b1100  # read file, read folder
_FILE_RIGHTS: Final = 0b0111  # execute, write, read: what a rule about a file may grant
_ALL_BY_ABI: Final = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF, 5: 0xFFFF}
_TCP_RIGHTS: Final = 0b11  # bind, connect
_SCOPES: Final = 0b11  # abstract sockets, signals to processes outside


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def restrict(*, readable: Iterable[Path], writable: Iterable[Path], may_use_network: bool) -> bool:
    """Leave this process these paths, and what is below them, and no others.

    Args:
        readable: Files and folders to read; those that do not exist are passed over.
        writable: Folders to read and write.
        may_use_network: Whether TCP connections may be opened.

    Returns:
        Whether the kernel does it; False where it has no Landlock, and nothing has changed.

    Raises:
        OSError: The kernel has Landlock and refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    abi = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    if abi < 1:
        return False
    every_right = _ALL_BY_ABI[min(abi, max(_ALL_BY_ABI))]
    rules = _Ruleset(
        every_right,
        _TCP_RIGHTS if abi >= 4 and not may_use_network else 0,
        _SCOPES if abi >= 6 else 0,
    )
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = _checked(
        libc.syscall(
            _CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), ctypes.c_uint32(0)
        )
    )
    try:
        for path in readable:
            _grant(libc, ruleset, path, _READ)
        for path in writable:
            _grant(libc, ruleset, path, every_right)
        _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(libc.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0)))
    finally:
        os.close(ruleset)
    return True


def _grant(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not path.is_dir():
            rights &= _FILE_RIGHTS
        rule = _PathBeneath(rights, descriptor)
        _checked(
            libc.syscall(
                _ADD_RULE,
                ctypes.c_int(ruleset),
                ctypes.c_int(_RULE_PATH_BENEATH),
                ctypes.byref(rule),
                ctypes.c_uint32(0),
            )
        )
    finally:
        os.close(descriptor)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"landlock: {os.strerror(number)}")
    return result
