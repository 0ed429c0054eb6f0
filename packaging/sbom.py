#!/usr/bin/env python3
"""What is in the programs, as a CycloneDX 1.5 bill of materials.

  sbom.py --build DIR --version V --out FILE PROGRAM...

Read from the build, not from a list somebody keeps: shared libraries as the program loads them, static
ones from its link command, headers from the dependencies that the compiler wrote down for each object.
Each file is a Debian package's, whose name and version dpkg knows. A file of the system that no package
owns is an error: what is in the program has to have a name. The same build gives the same bytes."""
import argparse
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import uuid

# In this order: a package that is linked is not named for its headers too.
LINKAGES = ("shared", "static", "header")


def output(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def shared_libraries(program):
    """Files that the loader maps, the loader itself among them."""
    return re.findall(r"(/\S+) \(0x", output("ldd", program))


def static_libraries(build, target):
    command = output("ninja", "-C", build, "-t", "commands", target).splitlines()[-1]
    found = {word for word in command.split() if word.startswith("/") and word.endswith(".a")}
    compiler = next(word for word in command.split() if re.search(r"(clang\+\+|g\+\+)[-\d]*$", word))
    for flag, archive in (("-static-libstdc++", "libstdc++.a"), ("-static-libgcc", "libgcc.a")):
        if flag in command.split():
            found.add(output(compiler, "-print-file-name=" + archive).strip())
    return found


def headers(build):
    """What the objects of src/ were compiled from, beside this project's own files."""
    found = set()
    ours = False
    for line in output("ninja", "-C", build, "-t", "deps").splitlines():
        if not line.startswith(" "):
            ours = line.startswith("src/")
        elif ours and line.startswith("    /usr/"):
            found.add(line.strip())
    return found


def packages_of(files):
    """The package of each file, asked once for all of them."""
    spellings = {}
    for name in files:
        for spelling in (name, os.path.normpath(name), os.path.realpath(name)):
            spellings[spelling] = name
            # /lib is a link to /usr/lib; dpkg knows a file by the name it was installed under.
            if spelling.startswith("/usr/lib"):
                spellings[spelling[4:]] = name
            elif spelling.startswith("/lib"):
                spellings["/usr" + spelling] = name
    listed = subprocess.run(["dpkg-query", "-S", *sorted(spellings)], capture_output=True, text=True)
    owners = {}
    for line in listed.stdout.splitlines():
        owner, _, name = line.rpartition(": ")
        if name in spellings:
            owners[spellings[name]] = owner.split(",")[0]
    unknown = sorted(set(files) - set(owners))
    if unknown:
        sys.exit("sbom: no package has " + ", ".join(unknown[:5]))
    return owners


def component(package, linkage):
    name, version, architecture, source, source_version = output(
        "dpkg-query", "-W", "-f",
        "${binary:Package}|${Version}|${Architecture}|${source:Package}|${source:Version}",
        package).split("|")
    name = name.split(":")[0]
    reference = "pkg:deb/debian/%s@%s?arch=%s" % (name, version.replace("+", "%2B"), architecture)
    return {
        "type": "library", "bom-ref": reference, "name": name, "version": version,
        "purl": reference,
        "properties": [{"name": "tally:linkage", "value": linkage},
                       {"name": "tally:source", "value": "%s %s" % (source, source_version)}]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("programs", nargs="+")
    arguments = parser.parse_args()

    linked = {}
    compiled = headers(arguments.build)
    if not compiled:
        sys.exit("sbom: the build has no dependencies of src/: build the programs first")
    for program in arguments.programs:
        name = os.path.basename(program)
        for linkage, files in (("shared", shared_libraries(program)),
                               ("static", static_libraries(arguments.build, "bin/" + name)),
                               ("header", compiled)):
            for package in packages_of(files).values():
                known = linked.get(package, linkage)
                linked[package] = min(known, linkage, key=LINKAGES.index)
    components = sorted((component(*entry) for entry in linked.items()),
                        key=lambda one: one["bom-ref"])
    # One binary package under two names of dpkg (with and without its architecture) is one.
    components = [one for i, one in enumerate(components)
                  if i == 0 or one["bom-ref"] != components[i - 1]["bom-ref"]]
    ours = "pkg:generic/tally@" + arguments.version
    digest = hashlib.sha256(json.dumps(components, sort_keys=True).encode()).hexdigest()
    bill = {
        "bomFormat": "CycloneDX", "specVersion": "1.5",
        "serialNumber": "urn:uuid:%s" % uuid.uuid5(uuid.NAMESPACE_URL, ours + "#" + digest),
        "version": 1,
        "metadata": {"component": {
            "type": "application", "bom-ref": ours, "name": "tally", "version": arguments.version,
            "purl": ours, "licenses": [{"license": {"id": "Apache-2.0"}}]}},
        "components": components,
        "dependencies": [
            {"ref": ours, "dependsOn": [one["bom-ref"] for one in components]}]}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(bill, indent=2) + "\n", encoding="utf-8")
    print("%s: %d components" % (arguments.out, len(components)))


if __name__ == "__main__":
    main()
