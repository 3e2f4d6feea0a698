"""Takes away the calls that Python has on Linux alone, in every process that has this folder in its
PYTHONPATH: `.ci/run` runs the tests with it once."""

import os
import signal
import socket

_LINUX_ALONE = {
    os: (
        *("sched_getaffinity", "sched_setaffinity", "memfd_create", "eventfd", "pidfd_open"),
        *("posix_fadvise", "posix_fallocate", "copy_file_range", "splice", "getrandom"),
        *("process_cpu_count", "setns", "unshare", "O_TMPFILE"),
    ),
    signal: ("pidfd_send_signal", "SIGPWR"),
    socket: ("AF_VSOCK", "AF_NETLINK"),
}
for module, names in _LINUX_ALONE.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
