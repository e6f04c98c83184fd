#!/usr/bin/env bash
# Create the virtual environment $1 with the first Python that is new enough and can do so.
# PYTHON=/path/to/python chooses one. Creating it again repairs one that was left half made.
set -euo pipefail
venv=$1

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
has_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

old="" bare=""
for python in ${PYTHON:-python3.11 python3.12 python3.13 python3.14 python3 python}; do
    "$python" --version >/dev/null 2>&1 || continue # not there, or a shim of something that is not there
    if ! new_enough "$python"; then old=$python; continue; fi
    if ! has_venv "$python"; then bare=$python; continue; fi
    echo "Creating $venv with $("$python" --version) ..."
    "$python" -m venv "$venv"
    exit 0
done

if [ -n "$bare" ]; then
    echo "$bare is new enough but can not create virtual environments." >&2
    echo "On Debian or Ubuntu: apt-get install python3-venv   (as root, or with sudo). Then run make again." >&2
elif [ -n "$old" ]; then
    echo "Knownat needs Python 3.11 or newer; $old is $("$old" --version 2>&1)." >&2
    echo "Install a newer one, or name it: make install PYTHON=/path/to/python3.11" >&2
else
    echo "Knownat needs Python 3.11 or newer, and there is none on the PATH${PYTHON:+ called $PYTHON}." >&2
    echo "On Debian 12 or Ubuntu 24.04: apt-get install python3 python3-venv   (as root, or with sudo)." >&2
fi
exit 1
