"""Two hosts of their own on one machine: a network namespace each, with a cable between them, names for
each other, and one shell that goes on from command to command.

Needs the rights to make namespaces: root, or a kernel that gives them to everybody."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys

# Addresses for documentation (RFC 5737), which no machine of this network has.
ADDRESSES = ("203.0.113.1", "203.0.113.2")


class NotPermitted(Exception):
    pass


def enter_namespace():
    """As somebody who is not root: runs this program again as root of a namespace of its own."""
    if os.geteuid() == 0 or "TALLY_TWO_HOSTS" in os.environ:
        return
    os.environ["TALLY_TWO_HOSTS"] = "1"
    unshare = shutil.which("unshare")
    trial = [unshare, "--user", "--map-root-user", "--net", "--mount"]
    if not unshare or subprocess.run(trial + ["true"], capture_output=True).returncode != 0:
        raise NotPermitted("namespaces are not permitted to this user")
    os.execv(unshare, trial + [sys.executable, "-B"] + sys.argv)


def _ip(*arguments):
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise NotPermitted("ip %s: %s" % (" ".join(arguments), done.stderr.strip()))


class Host:
    """One shell in a network of its own. Its folder is home and working directory."""

    def __init__(self, name, folder, hosts, environment):
        self.name = name
        self.folder = pathlib.Path(folder) / name.split(".")[0]
        self.folder.mkdir()
        self.shell = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "bash", "-c",
             'mount --bind "$0" /etc/hosts && ip link set lo up && echo here && exec bash', hosts],
            cwd=self.folder, env=dict(environment, HOME=str(self.folder)), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True)
        first = self.shell.stdout.readline()
        if first != "here\n":
            self.close()
            raise NotPermitted("unshare: " + first.strip())
        self.run("set -eu")

    def run(self, commands):
        """What the commands print, and whether all of them went well."""
        mark = "@@ done @@"
        try:
            self.shell.stdin.write(commands + "\necho '%s'\n" % mark)
            self.shell.stdin.flush()
        except BrokenPipeError:
            return "", False
        printed = []
        for line in self.shell.stdout:
            if line == mark + "\n":
                return "".join(printed), True
            printed.append(line)
        return "".join(printed), False

    def close(self):
        """Ends the shell and whatever it has left running."""
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.getsid(int(entry.name)) == self.shell.pid:
                    os.kill(int(entry.name), signal.SIGKILL)
            except OSError:
                continue
        self.shell.wait()


class TwoHosts:
    def __init__(self, folder, names, environment):
        for tool in ("ip", "unshare", "mount"):
            if not shutil.which(tool):
                raise NotPermitted("there is no " + tool)
        table = os.path.join(folder, "hosts")
        with open(table, "w") as out:
            out.write("127.0.0.1 localhost\n")
            out.writelines("%s %s\n" % pair for pair in zip(ADDRESSES, names))
        self.hosts = []
        try:
            for name in names:
                self.hosts.append(Host(name, folder, table, environment))
            pids = [str(host.shell.pid) for host in self.hosts]
            _ip("link", "add", "cable", "netns", pids[0], "type", "veth",
                "peer", "name", "cable", "netns", pids[1])
            for host, address in zip(self.hosts, ADDRESSES):
                printed, good = host.run(
                    "ip address add %s/24 dev cable; ip link set cable up" % address)
                if not good:
                    raise NotPermitted(printed.strip())
        except BaseException:
            self.close()
            raise

    def close(self):
        for host in self.hosts:
            host.close()
