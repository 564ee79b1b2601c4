"""The text of the systemd unit: what the service may do, and why it may do so much."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge.board import SysRoot

NAME = "edge"
SETTINGS_PATH = Path(f"/etc/{NAME}/{NAME}.env")
STATE_PATH = Path(f"/var/lib/{NAME}")
"""Where the service works and writes."""

GROUPS = ("video", "render")
"""Who may open cameras and a GPU, where the distribution has these groups. Power rails are read
through sysfs, which wants none."""

HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108
"""What the unit sees an empty folder in the place of, see `TEMPLATE`."""


DEVICES = ("nv*", "nvgpu/*/*", "host1x*", "tegra*", "dri/*")
"""Nodes of a Jetson's or a PC's GPU, below /dev. CUDA opens those that its release knows, and not
all of them have a class of their own, so that each one that is there is named."""

OTHERS = ("nvme", "nvram")
"""What begins like them and is none."""

DEVICE_CLASSES = ("char-video4linux", "char-media", "char-drm", "char-nvidia*", "char-nvhost*")
"""Classes of devices that come and go; a camera may be plugged in later."""


@dataclass(frozen=True, slots=True)
class UnitOptions:
    """What of the unit depends on the machine and on the run.

    Attributes:
        python: runs edge.
        groups: that the service belongs to.
        devices: nodes that it may open, beside the classes.
        readable: files and folders below `HIDDEN` that it has to see.
        uses_argus: whether it talks to NVIDIA's camera daemon.
        watchdog_s: silence after which it is started again.
    """

    python: Path
    groups: Sequence[str] = ()
    devices: Sequence[str] = ()
    readable: Sequence[Path] = ()
    uses_argus: bool = False
    watchdog_s: int = 30


def list_groups(root: SysRoot) -> list[str]:
    """Name those of `GROUPS` that this machine has; a unit with an unknown one does not start."""
    lines = (root.read_text("etc/group") or "").splitlines()
    here = {line.split(":", 1)[0] for line in lines}
    return [group for group in GROUPS if group in here]


def list_devices(root: SysRoot) -> list[str]:
    """Name the nodes of a GPU that this machine has."""
    found = {
        f"/{path.relative_to(root.path)}"
        for pattern in DEVICES
        for path in root.glob(f"dev/{pattern}")
        if not path.is_dir() and not path.name.startswith(OTHERS)
    }
    return sorted(found)


def keep_hidden(paths: Iterable[Path]) -> list[Path]:
    """Give those that the unit would not see, without what lies in another one of them."""
    hidden = sorted({path for path in paths if any(path.is_relative_to(top) for top in HIDDEN)})
    return [
        path
        for path in hidden
        if not any(path != other and path.is_relative_to(other) for other in hidden)
    ]


def unit_text(options: UnitOptions) -> str:
    """Give the whole unit."""
    optional = []
    if options.groups:
        optional.append(f"SupplementaryGroups={' '.join(options.groups)}")
    if options.uses_argus:
        optional.append("# The socket of NVIDIA's camera daemon lies in the /tmp of all.")
        optional.append("BindPaths=-/tmp/argus_socket")
    if options.readable:
        optional.append(
            "# edge itself, or files that it was told to read, lie where it sees no more."
        )
        # The - lets it start without one that is gone, and say so itself.
        optional += [f"BindReadOnlyPaths={_quoted(f'-{path}')}" for path in options.readable]
    argus = "nvargus-daemon.service"
    return TEMPLATE.format(
        settings=SETTINGS_PATH,
        python=_quoted(str(options.python).replace("$", "$$")),
        after=f" {argus}" if options.uses_argus else "",
        part_of=f"# A new camera daemon has a new socket.\nPartOf={argus}\n"
        if options.uses_argus
        else "",
        optional="".join(f"{line}\n" for line in optional),
        devices="".join(
            f"DeviceAllow={device} rw\n" for device in (*DEVICE_CLASSES, *options.devices)
        ),
        watchdog_s=options.watchdog_s,
    )


def _quoted(path: str) -> str:
    """Write a path as systemd.syntax(7) wants it, whatever is in it."""
    text = path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if set(text) & set(" \"'\\$;:") else text


TEMPLATE = """\
# Written by `edge service install`. Change it with `systemctl edit edge`, and what it runs with
# in {settings}.

[Unit]
Description=edge: classify what the cameras see
Wants=network-online.target
After=network-online.target{after}
{part_of}# A camera may be away for days, so that there is no last try; RestartSec bounds the work.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
# Sources with their passwords are in this file of mode 0600, not here and not in `ps`.
EnvironmentFile={settings}
Environment=EDGE_HOME=%S/edge CUDA_CACHE_PATH=%C/edge
ExecStart={python} -m edge -v service exec
WorkingDirectory=%S/edge
# The state of each second is in `systemctl status`; the log gets what is worth a line.
StandardOutput=null
StandardError=journal
Restart=always
RestartSec=10
# Wrong arguments do not get right by trying again.
RestartPreventExitStatus=2
# The first start may build a TensorRT plan.
TimeoutStartSec=30min
TimeoutStopSec=15
WatchdogSec={watchdog_s}

# Who it is: a user that exists while it runs, with the groups of cameras and GPU.
DynamicUser=yes
StateDirectory=edge
CacheDirectory=edge
StateDirectoryMode=0700
CacheDirectoryMode=0700
UMask=0077
{optional}
# What it sees. /proc/device-tree tells which Jetson this is, so that ProcSubset=pid is left out.
ProtectSystem=strict
ProtectHome=tmpfs
PrivateTmp=yes
PrivateMounts=yes
ProtectProc=invisible

# Devices: cameras and a GPU. PrivateDevices=yes would hide them; PrivateUsers=yes would take away
# the groups that may open them.
DevicePolicy=closed
{devices}
# What it may do. OpenVINO writes machine code while it runs, and does not start with
# MemoryDenyWriteExecute=yes. Its threads choose their cores, so that @resources stays allowed.
# Cameras, brokers and web views are on the network, so that it has one; netlink tells which
# addresses this machine has, and which cameras come and go.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
KeyringMode=private
RemoveIPC=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""
