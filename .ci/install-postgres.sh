#!/usr/bin/env bash
# See to it that PostgreSQL's programs are there: the tests start clusters of their own with them.
# No service is left running, now or after a restart of the machine.
set -euo pipefail

installed() { command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }

if installed; then
    exit 0
fi

refuse() {
    echo "The tests need PostgreSQL, which is not installed, and $1." >&2
    echo "On Debian or Ubuntu: apt-get install postgresql   (as root, or with sudo). Then run make test again." >&2
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

install=(env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends postgresql)
echo "Installing PostgreSQL with apt-get ..."
"${as_root[@]}" apt-get update -qq || echo "apt-get update failed; trying with the package lists that are there." >&2
"${as_root[@]}" "${install[@]}" >/dev/null || refuse "apt-get could not install it (see above)"
if [ -d /run/systemd/system ]; then
    "${as_root[@]}" systemctl disable --now --quiet postgresql || true
fi
installed || refuse "it is still missing after its installation"
echo "Installed PostgreSQL; it is not running as a service."
