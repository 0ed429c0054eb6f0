#!/usr/bin/env python3
"""Manual pages and completions: `tally` writes its own, and they work; those of tallyd, which has no
table, name what it takes."""
import re
import shutil
import sys
import tempfile

import packaging


def options_of(text):
    return set(re.findall(r"--[a-z][a-z-]+", text.replace("\\-", "-")))


def complete(script, words, program="tally"):
    """What bash offers behind these words."""
    quoted = " ".join("'%s'" % word for word in words)
    printed = packaging.run("bash", "-c", 'source "$0"; COMP_WORDS=(%s); COMP_CWORD=%d; _%s; '
                            'printf "%%s\\n" "${COMPREPLY[@]}"' % (quoted, len(words) - 1, program),
                            script).stdout
    return printed.split()


def main():
    arguments = packaging.arguments()
    tally = arguments.build / "bin/tally"
    packages = arguments.source / "packaging"
    faults = []
    with tempfile.TemporaryDirectory(prefix="tally-pages-") as folder:
        pages = {"bash": ("completion", "bash"), "zsh": ("completion", "zsh"),
                 "en.1": ("manual", "--lang", "en"), "zh.1": ("manual", "--lang", "zh")}
        for name, command in pages.items():
            with open("%s/%s" % (folder, name), "w", encoding="utf-8") as out:
                out.write(packaging.run(tally, *command).stdout)

        # Every command that --help shows, at every depth, has its part; and every option of it.
        waiting, seen = [[]], 0
        with open(folder + "/en.1", encoding="utf-8") as page:
            page = page.read().replace("\\-", "-")
        while waiting:
            path = waiting.pop()
            shown = packaging.run(tally, *path, "--help").stdout
            below = re.split(r"^Subcommands:\n", shown, flags=re.M)
            for name in re.findall(r"^  ([a-z][a-z-]*)", below[1] if len(below) > 1 else "", re.M):
                waiting.append(path + [name])
            if not path or (len(below) > 1 and "OPTIONS" not in below[0]):
                continue
            title = "tally " + " ".join(path)
            if len(below) > 1 and ".SS \\fB%s\\fR\n" % title not in page:
                continue  # it only gathers others
            seen += 1
            part = page.split(".SS \\fB%s\\fR\n" % title)
            if len(part) != 2:
                faults.append("the manual page has no %s" % title)
                continue
            missing = options_of(below[0]) - options_of(part[1].split("\n.S")[0]) - {"--help"}
            if missing:
                faults.append("%s: the manual page lacks %s" % (title, missing))
        print("%d commands" % seen)
        if seen < 70:
            faults.append("only %d commands were found" % seen)

        for page in (folder + "/en.1", folder + "/zh.1", packages / "tallyd.8",
                     packages / "tally-authority.1"):
            if shutil.which("groff"):
                said = packaging.run("groff", "-man", "-Tutf8", "-Kutf8", "-ww", "-Wbreak",
                                     "-z", page)
                if said.stderr.strip():
                    faults.append("%s: %s" % (page, said.stderr.strip()))

        packaging.run("bash", "-n", folder + "/bash")
        for words, offered in (
                (["tally", "aud"], ["audit"]),
                (["tally", "audit", "check-pr"], ["check-proof"]),
                (["tally", "--json", "hold", "pl"], ["place"]),
                (["tally", "import", "--uri"], ["--uri-prefix"]),
                (["tally", "token", "add", "x", "--role", "a"], ["auditor", "admin"]),
                (["tally", "init", "x", "--con"], ["--connector"])):
            found = complete(folder + "/bash", words)
            if set(found) != set(offered):
                faults.append("%s: bash offers %s" % (" ".join(words), found))
        found = complete(packages / "tallyd.bash", ["tallyd", "--ch"], "tallyd")
        if found != ["--check"]:
            faults.append("tallyd: bash offers %s" % found)
        if shutil.which("zsh"):
            packaging.run("zsh", "-n", folder + "/zsh")

    usage = packaging.run(arguments.build / "bin/tallyd", check=False).stderr
    for page in ("tallyd.8", "tallyd.bash"):
        text = (packages / page).read_text(encoding="utf-8")
        if options_of(text) != options_of(usage):
            faults.append("%s has %s, tallyd %s" % (page, options_of(text), options_of(usage)))
    authority = (arguments.source / "certs/tally-authority").read_text(encoding="utf-8")
    page = (packages / "tally-authority.1").read_text(encoding="utf-8").replace("\\-", "-")
    for name in set(re.findall(r"AUTHORITY_[A-Z_]+", authority)):
        if name not in page:
            faults.append("tally-authority.1 lacks " + name)
    packaging.finish("pages", faults)


if __name__ == "__main__":
    sys.exit(main())
