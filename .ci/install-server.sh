#!/usr/bin/env bash
# See to it that a server's programs are there: the tests start servers of their own with them.
# No service is left running, now or after a restart of the machine.
# Use: install-server.sh PACKAGE PROGRAM, the Debian package and one of its programs.
set -euo pipefail

package=$1
program=$2

# Debian keeps PostgreSQL's programs below /usr/lib, a folder for each version.
installed() { command -v "$program" >/dev/null || compgen -G "/usr/lib/$package/*/bin/$program" >/dev/null; }

if installed; then
    exit 0
fi

refuse() {
    echo "The tests need $package, which is not installed, and $1." >&2
    echo "On Debian or Ubuntu: apt-get install $package   (as root, or with sudo). Then run make test again." >&2
    exit 1
}

command -v apt-get >/dev/null || refuse "this machine has no apt-get to install it with"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || refuse "installing it takes root or a sudo that asks for no password"
    as_root=(sudo -n)
fi

# Debian starts a service when its package is installed, unless this file says no. One that is there already stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi

install=(env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$package")
echo "Installing $package with apt-get ..."
"${as_root[@]}" apt-get update -qq || echo "apt-get update failed; trying with the package lists that are there." >&2
"${as_root[@]}" "${install[@]}" >/dev/null || refuse "apt-get could not install it (see above)"
if [ -d /run/systemd/system ]; then
    "${as_root[@]}" systemctl disable --now --quiet "$package" || true
else
    "${as_root[@]}" service "$package" stop >/dev/null 2>&1 || true
fi
installed || refuse "it is still missing after its installation"
echo "Installed $package; it is not running as a service."
