#!/usr/bin/env bash
# See to it that the program redis-server is there: the tests start their own servers with it.
# No service is left running, now or after a restart of the machine.
set -euo pipefail

if command -v redis-server >/dev/null; then
    exit 0
fi

refuse() {
    echo "The tests need redis-server, which is not installed, and $1." >&2
    echo "On Debian or Ubuntu: apt-get install redis-server   (as root, or with sudo). Then run make test again." >&2
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

install=(env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends redis-server)
echo "Installing redis-server with apt-get ..."
"${as_root[@]}" apt-get update -qq || echo "apt-get update failed; trying with the package lists that are there." >&2
"${as_root[@]}" "${install[@]}" >/dev/null || refuse "apt-get could not install it (see above)"
if [ -d /run/systemd/system ]; then
    "${as_root[@]}" systemctl disable --now --quiet redis-server || true
else
    "${as_root[@]}" service redis-server stop >/dev/null 2>&1 || true
fi
command -v redis-server >/dev/null || refuse "it is still missing after its installation"
echo "Installed $(redis-server --version | cut -d' ' -f1-3); it is not running as a service."
