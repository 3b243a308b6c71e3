#!/usr/bin/python3
"""What python3-debian sees in a suite: `read_packages.py ROOT SUITE COMPONENT…`, where ROOT is the folder of a repository.

Each stanza of each index of these components becomes a line: `FORMAT COMPONENT INDEX-ARCHITECTURE PACKAGE VERSION ARCHITECTURE SIZE SHA256 FILENAME`.
Indexes are read by hash and by name; the sizes and digests of indexes and packages are checked.
"""

import gzip
import hashlib
import pathlib
import subprocess
import sys

from debian import deb822
from debian.debian_support import Version

UNPACK = {
    "": bytes,
    ".gz": gzip.decompress,
    ".zst": lambda packed: subprocess.run(["zstd", "-dc"], input=packed, stdout=subprocess.PIPE, check=True).stdout,
}


def checked(content, name, size, sha256):
    if (len(content), hashlib.sha256(content).hexdigest()) != (int(size), sha256):
        sys.exit(f"{name} is not {size} bytes of {sha256}")
    return content


root = pathlib.Path(sys.argv[1])
suite = root / "dists" / sys.argv[2]
entries = {entry["name"]: entry for entry in deb822.Release((suite / "InRelease").read_bytes())["SHA256"]}
for name, entry in entries.items():
    index = suite / name
    component, architecture = name.split("/binary-")[0], index.parent.name.removeprefix("binary-")
    if index.stem != "Packages" or component not in sys.argv[3:]:
        continue
    by_hash = index.parent / "by-hash/SHA256" / entry["sha256"]
    for path, way in (index, ""), (by_hash, "/by-hash"):
        # The uncompressed index need not be there.
        if not index.suffix and not path.exists():
            continue
        packed = checked(path.read_bytes(), path, entry["size"], entry["sha256"])
        unpacked = entries[name.removesuffix(index.suffix)]
        plain = checked(UNPACK[index.suffix](packed), f"{path}, unpacked,", unpacked["size"], unpacked["sha256"])
        for stanza in deb822.Packages.iter_paragraphs(plain, use_apt_pkg=False):
            checked((root / stanza["Filename"]).read_bytes(), stanza["Filename"], stanza["Size"], stanza["SHA256"])
            fields = ("Package", "Version", "Architecture", "Size", "SHA256", "Filename")
            print((index.suffix.lstrip(".") or "plain") + way, component, architecture, *(stanza[field] for field in fields))
