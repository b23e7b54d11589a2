#!/bin/sh
# Run tools/short_run.py elsewhere and print a line for each environment: its name and the hash of all that was printed.
# The oldest and the newest supported NumPy, in virtual environments of their own; then the same on AArch64, by
# qemu-user, where qemu-aarch64-static and Debian's apt-get are there to unpack a foreign Python (root is not needed).
#
#     tools/other_machines.sh [FOLDER]      about five minutes; downloads 100 MB to FOLDER or a temporary one, and stays there
#
# Exit code 1 if any two lines differ.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=${1:-$(mktemp -d)}
python=${PYTHON:-python3}
also="filelock threadpoolctl" # what pipeline.nn imports beside NumPy; both pure Python
mkdir -p "$work"
cd "$work"
: > hashes

report() { # report NAME COMMAND...: run COMMAND tools/short_run.py exact
    name=$1
    shift
    "$@" "$here/short_run.py" exact > printed
    hash=$("$python" -c 'import hashlib; print(hashlib.sha256(open("printed", "rb").read()).hexdigest()[:16])')
    echo "$hash" >> hashes
    echo "$hash  $name"
}

skip() {
    echo "not run           $1"
}

export PYTHONDONTWRITEBYTECODE=1

for numpy in "numpy==2.0.*" numpy; do
    "$python" -m venv --clear venv
    if venv/bin/pip install --quiet --disable-pip-version-check --only-binary :all: "$numpy" $also; then
        version=$(venv/bin/python -c 'import numpy; print(numpy.__version__)')
        report "$(uname -m), NumPy $version" venv/bin/python
    else
        skip "$numpy, which has no wheel for $("$python" --version)"
    fi
done

if ! command -v qemu-aarch64-static > /dev/null || ! command -v apt-get > /dev/null; then
    skip "AArch64: needs qemu-aarch64-static (package qemu-user-static) and apt-get"
else
    mkdir -p state/lists/partial cache/archives/partial root
    : > status # an empty system, so that apt-get finds every dependency missing
    foreign() {
        apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Debug::NoLocking=1 \
            -o Dir::State="$work/state" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" "$@"
    }
    foreign update
    foreign install --yes --download-only --no-install-recommends python3-minimal libpython3-stdlib libstdc++6
    for package in cache/archives/*.deb; do dpkg-deb --extract "$package" root; done
    arm="qemu-aarch64-static -L $work/root $work/root/usr/bin/python3"
    version=$($arm -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    for numpy in "numpy==2.0.*" numpy; do
        rm -rf packages
        "$python" -m pip install --quiet --disable-pip-version-check --target packages --only-binary :all: \
            --python-version "$version" --platform manylinux_2_17_aarch64 --platform manylinux_2_28_aarch64 \
            "$numpy" $also
        export PYTHONPATH="$work/packages"
        version_found=$($arm -c 'import numpy; print(numpy.__version__)')
        for core in ARMV8 NEOVERSEN1; do
            export OPENBLAS_CORETYPE=$core OPENBLAS_NUM_THREADS=1
            report "aarch64 under qemu, NumPy $version_found, OpenBLAS for $core" $arm
        done
        unset PYTHONPATH OPENBLAS_CORETYPE OPENBLAS_NUM_THREADS
    done
fi

test "$(sort -u hashes | wc -l)" -eq 1
