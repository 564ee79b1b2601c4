"""Puts the unit into place, takes it away again, and asks systemd how it is."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import UnavailableError
from edge.files import explain_os_error, write_atomic
from edge.service.unit import NAME, SETTINGS_PATH

if TYPE_CHECKING:
    from edge.board import SysRoot

UNIT = f"{NAME}.service"
UNIT_FILE = f"etc/systemd/system/{UNIT}"
SETTINGS_FILE = str(SETTINGS_PATH.relative_to("/"))
OWN_FOLDERS = ("var/lib/private/edge", "var/cache/private/edge")
LINKS = ("var/lib/edge", "var/cache/edge")
"""Where systemd keeps the folders of a user that exists only while it runs."""

SHOWN = (
    "LoadState", "ActiveState", "SubState", "NRestarts", "StatusText", "ActiveEnterTimestamp",
    "Result", "UnitFileState",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """How the service is.

    Attributes:
        installed: whether systemd knows it.
        active: whether it runs, and has said that it is ready.
        state: in systemd's words, "active (running)".
        result: why it is not active; "success" where nothing is wrong.
        since: when it became active, in systemd's words; empty where it is not.
        restarts: times that systemd started it again.
        enabled: whether it starts at boot.
        text: what the run says of itself.
    """

    installed: bool
    active: bool
    state: str
    result: str
    since: str
    restarts: int
    enabled: bool
    text: str


def is_live(root: SysRoot) -> bool:
    """Tell whether the root is that of this machine, whose systemd can be asked."""
    return root.path.resolve() == Path("/")


def check_systemd(root: SysRoot) -> None:
    """Refuse a machine without systemd; an image of one is written without it.

    Raises:
        UnavailableError: there is no systemd, or it does not run this machine.
    """
    runs = (root.path / "run/systemd/system").is_dir() or not is_live(root)
    if shutil.which("systemctl") is None or not runs:
        raise UnavailableError(
            "systemd: does not run this machine",
            hint="Start `edge run` from whatever starts programs here",
        )


def read_settings(root: SysRoot) -> str | None:
    """Give the text of the settings, None where there are none.

    Raises:
        InputError: they cannot be read.
    """
    path = root.path / SETTINGS_FILE
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise explain_os_error(path, error) from error


def install_service(root: SysRoot, unit: str, settings: str) -> bool:
    """Write unit and settings, and start them now and at boot.

    Args:
        root: of the machine, or of an image that boots later.
        unit: text of the unit.
        settings: text of the settings; only root may read them.

    Returns:
        Whether anything was new.

    Raises:
        InputError: a file cannot be written.
        UnavailableError: systemd says no.
    """
    wanted = ((root.path / UNIT_FILE, unit, 0o644), (root.path / SETTINGS_FILE, settings, 0o600))
    is_new = False
    for path, text, mode in wanted:
        if _is_so(path, text, mode):
            continue
        is_new = True
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain_os_error(path.parent, error) from error
        write_atomic(path, text.encode(), mode)
    if is_live(root):
        _systemctl(root, "daemon-reload")
    _systemctl(root, "enable", UNIT)
    if is_live(root):
        # A first start may take as long as a plan takes to build.
        _systemctl(root, "restart" if is_new else "start", "--no-block", UNIT)
    return is_new


def remove_service(root: SysRoot) -> bool:
    """Stop the service and take away all that it has; gives whether there was anything.

    Raises:
        InputError: a file cannot be removed.
        UnavailableError: systemd says no.
    """
    unit = root.path / UNIT_FILE
    everything = [root.path / name for name in (UNIT_FILE, SETTINGS_FILE, *LINKS, *OWN_FOLDERS)]
    there = [path for path in everything if path.is_symlink() or path.exists()]
    if unit in there:
        _systemctl(root, "disable", *(["--now"] if is_live(root) else []), UNIT)
    for path in there:
        _remove(path)
    with suppress(OSError):  # somebody keeps another file there
        (root.path / SETTINGS_FILE).parent.rmdir()
    if unit in there and is_live(root):
        _systemctl(root, "daemon-reload")
    return bool(there)


def read_status(root: SysRoot) -> ServiceStatus:
    """Ask systemd how the service is.

    Raises:
        UnavailableError: systemd does not answer.
    """
    return parse_status(_systemctl(root, "show", UNIT, f"--property={','.join(SHOWN)}"))


def parse_status(text: str) -> ServiceStatus:
    """Read what `systemctl show` prints; what is missing is empty or 0."""
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    restarts = fields.get("NRestarts", "")
    active = fields.get("ActiveState", "unknown")
    return ServiceStatus(
        installed=fields.get("LoadState", "not-found") != "not-found",
        active=active in {"active", "reloading"},
        state=f"{active} ({fields.get('SubState', 'unknown')})",
        result=fields.get("Result", ""),
        since=fields.get("ActiveEnterTimestamp", ""),
        restarts=int(restarts) if restarts.isdecimal() else 0,
        enabled=fields.get("UnitFileState") == "enabled",
        text=fields.get("StatusText", ""),
    )


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        raise explain_os_error(path, error) from error


def _is_so(path: Path, text: str, mode: int) -> bool:
    try:
        return path.stat().st_mode & 0o777 == mode and path.read_bytes() == text.encode()
    except OSError:
        return False


def _systemctl(root: SysRoot, *words: str) -> str:
    """Run systemctl on this machine or on an image; gives what it prints.

    Raises:
        UnavailableError: it failed; holds its last line.
    """
    where = [] if is_live(root) else [f"--root={root.path}"]
    command = ["systemctl", *where, *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    except OSError as error:
        raise UnavailableError(
            f"systemctl: {error.strerror}", hint="Use a machine that systemd runs"
        ) from error
    if done.returncode:
        said = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1].rstrip(".")
        raise UnavailableError(
            f"systemctl {' '.join(words)}: {said}", hint="See: systemctl status edge"
        )
    return done.stdout
