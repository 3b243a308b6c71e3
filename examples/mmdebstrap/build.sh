#!/bin/sh
# Makes a root file system with packages from an s3:// source: Debian itself comes from its mirror, the rest from the bucket.
#
# usage: build.sh OUTPUT SOURCES PACKAGE...
#
# OUTPUT   a folder, or a file that ends in .tar, .tar.zst, .squashfs… (mmdebstrap(1))
# SOURCES  the repository as a .sources file with its key in it: what `debucket client-config --sources` prints
#
# SUITE    the suite of Debian (bookworm)
# MIRROR   where Debian comes from; mmdebstrap knows by itself
# METHODS  a folder with apt's methods and ours, for a machine on which ours is not installed in /usr/lib/apt/methods
#
# The keys of the bucket are those that apt finds on this machine: AWS_* variables, a profile, a role, /etc/apt/s3auth.conf.
# None of them gets into the new root.
set -eu

if [ "$#" -lt 3 ]; then
	sed -n 's/^# \(usage: .*\)/\1/p' "$0" >&2
	exit 2
fi
output=$1
sources=$2
shift 2
# The new root can fetch its updates from the bucket: the method is one of the packages.
packages=apt-method-s3
for package; do
	packages=$packages,$package
done

set -- --variant=apt --include="$packages"
if [ -n "${METHODS:-}" ]; then
	# mmdebstrap leaves its options of apt in the new root, where this folder is not.
	# shellcheck disable=SC2016 # $1 is for the hook: the new root.
	set -- "$@" --aptopt="Dir::Bin::Methods \"$METHODS\"" --customize-hook='rm "$1/etc/apt/apt.conf.d/99mmdebstrap"'
fi
exec mmdebstrap "$@" "${SUITE:-bookworm}" "$output" ${MIRROR:+"$MIRROR"} "$sources"
