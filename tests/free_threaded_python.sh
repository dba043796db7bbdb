#!/bin/sh
# Builds a CPython without a GIL into a folder, from the source package of a Debian release: no package has one.
# It takes five minutes on two processors, and the mirror that the machine's own apt is set to.
# Usage: tests/free_threaded_python.sh FOLDER [SOURCE [RELEASE]]
set -eu
folder=$1
source=${2:-python3.13}
release=${3:-trixie}
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial"
echo "deb-src $mirror $release main" >"$work/sources.list"
apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State::lists="$work/lists" -o APT::Sandbox::User="$(id -un)" "$@"
}
apt update
cd "$work"
apt source --download-only "$source"
tar xf ./*.orig.tar.xz
cd Python-*
./configure -q --disable-gil --disable-test-modules --prefix="$folder"
make -s -j"$(nproc)" >/dev/null
make -s install >/dev/null
