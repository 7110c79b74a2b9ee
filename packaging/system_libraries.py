"""The system libraries that Qt, OpenGL and a virtual display need on Linux: which are missing, and how to get them.

Libraries are looked for by loading them, which holds on every distribution; names of packages are known for Debian's
and Fedora's families. Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_APT = ("apt-get", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3")
_DRIVERS = ("dri/swrast_dri.so", "dri/libdril_dri.so", "libgallium*.so")


@dataclass(frozen=True)
class Library:
    """One thing that must be there: how to see that it is, and the packages that bring it."""

    name: str
    apt: str
    dnf: str

    def is_present(self) -> bool:
        """Whether this machine has it."""
        if self.name == "Xvfb":
            return shutil.which("Xvfb") is not None
        if self.name == "Mesa drivers":
            return any(any(folder.glob(driver)) for folder in _library_folders() for driver in _DRIVERS)
        if self.name == "fonts":
            return any(any(Path(place).glob("**/*.[to]t[fc]")) for place in _FONT_FOLDERS)
        try:
            ctypes.CDLL(self.name)
        except OSError:
            return False
        return True


_FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts")

LIBRARIES = (
    Library("libEGL.so.1", "libegl1", "libglvnd-egl"),
    Library("libGL.so.1", "libgl1", "libglvnd-glx"),
    Library("libOpenGL.so.0", "libopengl0", "libglvnd-opengl"),
    Library("libEGL_mesa.so.0", "libegl-mesa0", "mesa-libEGL"),
    Library("libGLX_mesa.so.0", "libglx-mesa0", "mesa-libGL"),
    Library("Mesa drivers", "libgl1-mesa-dri", "mesa-dri-drivers"),
    Library("libX11.so.6", "libx11-6", "libX11"),
    Library("libX11-xcb.so.1", "libx11-xcb1", "libX11-xcb"),
    Library("libXcursor.so.1", "libxcursor1", "libXcursor"),
    Library("libxcb-cursor.so.0", "libxcb-cursor0", "xcb-util-cursor"),
    Library("libxcb-icccm.so.4", "libxcb-icccm4", "xcb-util-wm"),
    Library("libxcb-image.so.0", "libxcb-image0", "xcb-util-image"),
    Library("libxcb-keysyms.so.1", "libxcb-keysyms1", "xcb-util-keysyms"),
    Library("libxcb-randr.so.0", "libxcb-randr0", "libxcb"),
    Library("libxcb-render.so.0", "libxcb-render0", "libxcb"),
    Library("libxcb-render-util.so.0", "libxcb-render-util0", "xcb-util-renderutil"),
    Library("libxcb-shape.so.0", "libxcb-shape0", "libxcb"),
    Library("libxcb-shm.so.0", "libxcb-shm0", "libxcb"),
    Library("libxcb-sync.so.1", "libxcb-sync1", "libxcb"),
    Library("libxcb-util.so.1", "libxcb-util1", "xcb-util"),
    Library("libxcb-xfixes.so.0", "libxcb-xfixes0", "libxcb"),
    Library("libxcb-xkb.so.1", "libxcb-xkb1", "libxcb"),
    Library("libxkbcommon.so.0", "libxkbcommon0", "libxkbcommon"),
    Library("libxkbcommon-x11.so.0", "libxkbcommon-x11-0", "libxkbcommon-x11"),
    Library("libwayland-client.so.0", "libwayland-client0", "libwayland-client"),
    Library("libwayland-cursor.so.0", "libwayland-cursor0", "libwayland-cursor"),
    Library("libwayland-egl.so.1", "libwayland-egl1", "libwayland-egl"),
    Library("libdbus-1.so.3", "libdbus-1-3", "dbus-libs"),
    Library("libfontconfig.so.1", "libfontconfig1", "fontconfig"),
    Library("libfreetype.so.6", "libfreetype6", "freetype"),
    Library("libglib-2.0.so.0", "libglib2.0-0", "glib2"),
    Library("libgssapi_krb5.so.2", "libgssapi-krb5-2", "krb5-libs"),
    Library("libexpat.so.1", "libexpat1", "expat"),
    Library("fonts", "fonts-dejavu-core", "dejavu-sans-fonts"),
    Library("Xvfb", "xvfb", "xorg-x11-server-Xvfb"),
)


def missing() -> tuple[Library, ...]:
    """What Qt, OpenGL or the tests' display need and this machine lacks; nothing outside Linux."""
    if sys.platform != "linux":
        return ()
    return tuple(library for library in LIBRARIES if not library.is_present())


def packages(libraries: Sequence[Library]) -> tuple[str, ...]:
    """The packages of this machine's package manager that bring these libraries; empty where it is not known."""
    if shutil.which("apt-get"):
        return tuple(dict.fromkeys(library.apt for library in libraries))
    if shutil.which("dnf"):
        return tuple(dict.fromkeys(library.dnf for library in libraries))
    return ()


def install(names: Sequence[str], log: IO[str]) -> bool:
    """Install packages with the system's package manager, where that is allowed without a question.

    Args:
        names: Names of packages.
        log: Gets what the package manager says.

    Returns:
        Whether it was allowed and went well.
    """
    rights = _rights()
    if rights is None or not names:
        return False

    def done(*command: str) -> bool:
        return _run([*rights, *command], log)

    if shutil.which("apt-get"):
        return _apt_install(names, done)
    return bool(shutil.which("dnf")) and done("dnf", "install", "-y", *names)


def by_hand(names: Sequence[str]) -> str:
    """The one command that a person with the rights can type."""
    manager = "apt-get" if shutil.which("apt-get") else "dnf"
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}{manager} install -y {' '.join(names)}"


def _apt_install(names: Sequence[str], done: Callable[..., bool]) -> bool:
    done(*_APT, "update")
    options = ("install", "-y", "--no-install-recommends")
    if done(*_APT, *options, *names):
        return True
    # One name that this release does not know must not keep the others away.
    outcomes = [done(*_APT, *options, name) for name in names]
    return all(outcomes)


def _rights() -> list[str] | None:
    """What to put before a command so that it may install: nothing for root, else sudo that asks nothing."""
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive"]
    if os.geteuid() == 0:
        return quiet
    sudo = shutil.which("sudo")
    if sudo is None:
        return None
    asked = subprocess.run([sudo, "-n", "true"], capture_output=True, stdin=subprocess.DEVNULL, check=False)
    return [sudo, "-n", *quiet] if asked.returncode == 0 else None


def _run(command: Sequence[str], log: IO[str]) -> bool:
    log.write(f"$ {' '.join(command)}\n")
    log.flush()
    try:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, check=False)
    except OSError as error:
        log.write(f"{error}\n")
        return False
    return ended.returncode == 0


def _library_folders() -> tuple[Path, ...]:
    roots = [Path("/usr/lib"), Path("/usr/lib64"), Path("/lib")]
    nested = [folder for root in roots if root.is_dir() for folder in root.glob("*-linux-gnu*") if folder.is_dir()]
    return (*roots, *nested)
