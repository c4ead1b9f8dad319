#!/usr/bin/env python3
"""Writes what the program is made of, as CycloneDX 1.5 in JSON: docs/deploy/sbom.py > gopay-adapter.cdx.json

Every crate that is built into the program or that builds it, with version, licence, checksum and what it
needs, from Cargo.lock by `cargo metadata`. Crates for tests only are not in it. The same source gives the
same bytes.
"""

import json
import pathlib
import subprocess
import tomllib
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]


def metadata():
    command = ["cargo", "metadata", "--locked", "--format-version", "1",
               "--filter-platform", "x86_64-unknown-linux-gnu"]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)


def built():
    """Name and version of each crate of the build; metadata knows features of tests too."""
    command = ["cargo", "tree", "--locked", "-p", "gopay-adapter", "-e", "normal,build",
               "--target", "x86_64-unknown-linux-gnu", "--prefix", "none", "--format", "{p}"]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    words = (line.split() for line in lines.splitlines() if line)
    return {(name, version.removeprefix("v")) for name, version, *_ in words}


def needs_of(nodes, packages, wanted):
    """What each of these packages needs to run or to be built."""
    needs = {}
    for id, package in packages.items():
        if (package["name"], package["version"]) in wanted:
            deps = (dep for dep in nodes[id]["deps"]
                    if any(kind["kind"] != "dev" for kind in dep["dep_kinds"]))
            named = {(packages[dep["pkg"]]["name"], packages[dep["pkg"]]["version"]): dep["pkg"]
                     for dep in deps}
            needs[id] = [one for key, one in named.items() if key in wanted]
    return needs


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, checksums):
    made = {
        "type": "application" if package["name"] == "gopay-adapter" else "library",
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
        "purl": reference(package),
    }
    if package["license"]:
        # Some crates still write "/" for "OR".
        made["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    checksum = checksums.get((package["name"], package["version"]))
    if checksum:
        made["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package["repository"]:
        made["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return made


def main():
    found = metadata()
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    checksums = {(one["name"], one["version"]): one.get("checksum") for one in lock["package"]}
    packages = {one["id"]: one for one in found["packages"]}
    nodes = {node["id"]: node for node in found["resolve"]["nodes"]}
    program = next(id for id, one in packages.items() if one["name"] == "gopay-adapter")
    needs = needs_of(nodes, packages, built())
    chosen = sorted((packages[id] for id in needs if id != program), key=reference)
    dependencies = [
        {"ref": reference(packages[id]), "dependsOn": sorted(reference(packages[one]) for one in wanted)}
        for id, wanted in needs.items()
    ]
    # From the content, so that it repeats.
    serial = uuid.uuid5(uuid.NAMESPACE_URL, (ROOT / "Cargo.lock").read_text())
    print(json.dumps({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": component(packages[program], checksums)},
        "components": [component(package, checksums) for package in chosen],
        "dependencies": sorted(dependencies, key=lambda one: one["ref"]),
    }, indent=1))


main()
