"""Starting and ending: what a connector refuses to start on, and how it ends."""
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import time
import unittest

import connectors
import wires
from connectors import COHORT, INSTITUTE, RESEARCH, Connector, Pair, World, eventually, run

LARGE = os.urandom(1 << 20) * 32  # more than what the sockets of a connection hold


def setUpModule():
    global world
    world = World()
    unittest.addModuleCleanup(world.close)


def started_and_ended(connector, *arguments):
    """Starts a daemon that is not expected to serve. Returns exit code and output."""
    before = len(connector.text())
    connector.spawn(*arguments)
    code = connector.wait_ended()
    connector.log.close()
    connector.process = None
    return code, connector.text()[before:]


class Settings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.connector = Connector(world, "settings", INSTITUTE)
        with open(cls.connector.path("tally.json")) as file:
            cls.good = file.read()

    def tearDown(self):
        with open(self.connector.path("tally.json"), "w") as file:
            file.write(self.good)

    def check(self, code, *expected):
        """--check and a start both say each of the texts; nothing listens."""
        for arguments in (["--check"], []):
            found, output = started_and_ended(self.connector, *arguments)
            self.assertEqual(found, code, output)
            for text in expected:
                self.assertIn(text, output)

    def test_good_settings_pass_the_check_in_both_languages(self):
        code, output = started_and_ended(self.connector, "--check")
        self.assertEqual((code, output.split(":")[0]), (0, "daemon.check-good"))
        code, chinese = started_and_ended(self.connector, "--check", "--lang", "zh")
        self.assertEqual((code, chinese.split(":")[0]), (0, "daemon.check-good"))
        self.assertNotEqual(output, chinese)

    def test_every_bad_setting_is_named_at_once_with_its_place_and_what_was_expected(self):
        def spoil(config):
            config["treads"] = 4
            config["listeners"]["apps"]["port"] = "8080"
            config["listeners"]["peers"]["publicUrl"] = "ftp://localhost"
            config["listeners"]["management"]["tokens"][0]["role"] = "king"
            config["trust"][0]["crl"] = "sometimes"
            config["limits"] = {"drainSeconds": -1}
            config["regulators"] = [{"name": "bureau", "vkey": "bureau+1+x"}]
            del config["contract"]
        self.connector.edit(spoil)
        self.check(1, "tally.json/treads", "threads", "tally.json/listeners/apps/port", "65535",
                   "tally.json/listeners/peers/publicUrl", "https://host:port/path",
                   "tally.json/listeners/management/tokens/0/role", "auditor|operator|admin",
                   "tally.json/trust/0/crl", "required|none", "tally.json/limits/drainSeconds",
                   "tally.json/regulators/0/vkey",
                   "tally.json/contract")

    def test_settings_that_are_no_json_are_refused(self):
        with open(self.connector.path("tally.json"), "w") as file:
            file.write('{"participant": ')
        self.check(1, "tally.json")

    def test_a_file_that_is_named_and_missing_is_refused(self):
        self.connector.edit(lambda config: config["tls"].update(certificate="tls/none.pem"))
        self.check(1, "daemon.file-unreadable", "tls/none.pem")

    def test_a_key_that_others_may_read_is_refused(self):
        key = self.connector.path("contract", "key.pem")
        os.chmod(key, 0o644)
        self.addCleanup(os.chmod, key, 0o600)
        self.check(1, "daemon.file-readable-by-others", key)

    def test_a_key_of_another_certificate_is_refused(self):
        _, key = world.authority.issue(connectors.HEALTH, [INSTITUTE])
        self.connector.edit(lambda config: config["tls"].update(key=key))
        self.check(1, "identity.key-not-of-certificate")

    def test_a_certificate_of_another_participant_is_refused(self):
        self.connector.edit(
            lambda config: config["participant"].update(uri="did:web:other.example"))
        self.check(1, "daemon.certificate-other-uri", "did:web:other.example", INSTITUTE)

    def test_a_wrapping_key_inside_the_data_folder_is_refused(self):
        inside = self.connector.path("wrapping.key")
        shutil.copy(self.connector.wrapping_key, inside)
        os.chmod(inside, 0o600)
        self.addCleanup(os.remove, inside)
        self.connector.edit(lambda config: config["custody"].update(wrappingKey=inside))
        self.check(1, "custody.")

    def test_a_wrapping_key_that_only_seems_to_be_outside_is_refused(self):
        inside, link = self.connector.path("wrapping.key"), world.path("keys", "link.key")
        shutil.copy(self.connector.wrapping_key, inside)
        os.chmod(inside, 0o600)
        os.symlink(inside, link)
        self.addCleanup(os.remove, inside)
        self.addCleanup(os.remove, link)
        self.connector.edit(lambda config: config["custody"].update(wrappingKey=link))
        self.check(1, "custody.")

    def test_init_refuses_a_wrapping_key_inside_the_folder(self):
        folder = world.path("inside")
        done = run(connectors.options.tally, "init", folder, "--participant", "health:did:web:x",
                   "--public-url", "https://localhost:1", "--wrapping-key",
                   os.path.join(folder, "wrapping.key"), check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn("cli.wrapping-key-inside", done.stderr)

    def test_a_wrong_call_exits_3(self):
        for arguments in ((), ("--nonsense", self.connector.folder), ("a", "b")):
            done = run(connectors.options.tallyd, *arguments, check=False)
            self.assertEqual(done.returncode, 3, arguments)

    def test_a_port_that_is_taken_is_named(self):
        with socket.create_server(("127.0.0.1", self.connector.apps_port)):
            code, output = started_and_ended(self.connector)
        self.assertEqual(code, 1)
        self.assertIn("net.cannot-listen", output)
        self.assertIn(str(self.connector.apps_port), output)


class Folders(unittest.TestCase):
    """What a folder holds decides whether a connector may start on it."""

    def connector(self, name, **more):
        made = Connector(world, name, INSTITUTE, **more)
        made.offer()
        made.start()
        self.addCleanup(made.kill9)
        return made

    def refuse(self, connector, *texts):
        code, output = started_and_ended(connector)
        self.assertEqual(code, 1, output)
        for text in texts:
            self.assertIn(text, output)

    def test_it_says_which_version_it_is(self):
        said = run(connectors.options.tallyd, "--version").stdout
        self.assertRegex(said, r"\Atallyd [0-9]+\.[0-9]+\.[0-9]+\n\Z")
        self.assertEqual(said.split()[1], run(connectors.options.tally, "--version").stdout.split()[1])
        connector = self.connector("version")
        self.assertEqual(connector.get("/api/v1/status")["version"], said.split()[1])

    def test_a_second_daemon_on_one_folder_is_refused_and_the_first_goes_on(self):
        connector = self.connector("twice")
        done = run(connectors.options.tallyd, connector.folder, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("store.locked", done.stderr)
        self.assertEqual(connector.ready().status, 200)

    def test_a_store_of_a_newer_program_is_refused_by_its_version(self):
        connector = self.connector("newer")
        connector.stop()
        with sqlite3.connect(connector.path("tally.db")) as database:
            database.execute("PRAGMA user_version=99")
        database.close()
        self.refuse(connector, "store.newer-schema", "99")

    def test_a_test_log_and_a_real_configuration_do_not_go_together(self):
        for test in (True, False):
            with self.subTest(test=test):
                connector = self.connector("real-%s" % test, test=test)
                connector.stop()
                connector.edit(lambda config: config["log"].update(test=not test))
                self.refuse(connector, "daemon.log-of-another")

    def test_the_clock_of_a_real_log_cannot_be_moved(self):
        connector = self.connector("clock", test=False)
        size = len(connector.records())
        answer = connector.api("POST", "/api/v1/clock", {"advanceSeconds": 1})
        self.assertEqual((answer.status, answer.code()), (409, "daemon.clock-not-test"))
        # The order is in the log, and nothing came of it.
        ordered, = connector.records()[size:]
        self.assertEqual(ordered["action"], "advance-clock")
        self.assertNotIn("test", {record.get("clock") for record in connector.records()})
        connector.stop()
        code, report = connector.verify()
        self.assertEqual((code, report["test"]), (0, False))

    def test_a_log_with_a_changed_byte_is_refused(self):
        connector = self.connector("changed")
        connector.stop()
        segment = connector.path("log", "%020d.tlog" % 0)
        with open(segment, "r+b") as file:
            data = file.read()
            at = data.index(connector.records()[0]["event"].encode()) + 9
            file.seek(at)
            file.write(bytes([data[at] ^ 1]))
        # Verify reads every record; a start only those behind its snapshot, or all without one.
        self.assertEqual(connector.verify()[0], 1)
        with contextlib.closing(sqlite3.connect(connector.path("tally.db"))) as database, database:
            database.execute("DELETE FROM row WHERE kind = 'snapshot'")
        self.refuse(connector, "audit.")

    def test_a_log_that_is_shorter_than_the_store_knows_is_refused(self):
        connector = self.connector("older")
        connector.stop()
        shutil.copytree(connector.path("log"), connector.path("backup"))
        connector.start()
        for name in ("one", "two", "three"):
            connector.app(name, RESEARCH)
        connector.stop()
        shutil.rmtree(connector.path("log"))
        self.refuse(connector)
        shutil.rmtree(connector.path("log"), ignore_errors=True)
        os.rename(connector.path("backup"), connector.path("log"))
        self.refuse(connector, "audit.")


class Ending(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pair = Pair(world, consumer_options={"name": "ending"})
        cls.consumer = cls.pair.consumer
        cls.pair.provider.offer(content=LARGE)
        cls.pair.start()
        cls.agreement = cls.pair.held()
        cls.token = cls.consumer.app("slow", RESEARCH)

    def tearDown(self):
        if self.consumer.process is None:
            self.consumer.start()

    def begin_reading(self):
        """A read that has begun and stands still because its client takes no more."""
        connection = wires.connect(self.consumer.apps_port)
        self.addCleanup(connection.close)
        connection.sendall((
            "GET /api/v1/data/%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n"
            % (self.agreement, self.token)).encode())
        head = connection.recv(4096, socket.MSG_PEEK)
        self.assertTrue(head.startswith(b"HTTP/1.1 200 "), head)
        return connection

    def drain(self, seconds):
        self.consumer.stop()
        self.consumer.edit(lambda config: config.update(limits={"drainSeconds": seconds}))
        self.consumer.start()

    def executed(self):
        return [use for record in self.consumer.records("use.executed") for use in record["uses"]]

    def test_a_term_signal_lets_a_running_request_finish(self):
        self.drain(60)
        connection = self.begin_reading()
        self.consumer.process.send_signal(signal.SIGTERM)
        eventually(lambda: self.refuses_connections(), "nobody new is served")
        self.assertFalse(self.consumer.ended())
        answer = wires.read_answer(connection)
        self.assertEqual(hashlib.sha256(answer.body).digest(), hashlib.sha256(LARGE).digest())
        # It was told already: a second signal on its way out would end it at once.
        eventually(self.consumer.ended, "the daemon ends")
        self.assertEqual(self.consumer.stop(), 0)
        self.assertNotEqual(self.executed()[-1].get("outcome"), "cut")
        self.assertEqual(self.consumer.verify()[0], 0)

    def refuses_connections(self):
        try:
            wires.connect(self.consumer.apps_port, timeout=1).close()
            return False
        except OSError:
            return True

    def test_what_does_not_finish_in_time_is_cut_and_recorded_as_cut(self):
        self.drain(1)
        self.begin_reading()
        self.assertEqual(self.consumer.stop(), 0)
        self.assertEqual(self.executed()[-1].get("outcome"), "cut")
        self.assertEqual(self.consumer.verify()[0], 0)

    def test_a_second_signal_ends_at_once(self):
        self.drain(3600)
        self.begin_reading()
        self.consumer.process.send_signal(signal.SIGTERM)
        eventually(lambda: self.consumer.notices("daemon.stopping"))
        eventually(lambda: self.refuses_connections())
        self.assertFalse(self.consumer.ended())
        began = time.monotonic()
        self.consumer.process.send_signal(signal.SIGTERM)
        self.consumer.wait_ended()
        self.assertLess(time.monotonic() - began, 30)
        self.consumer.stop()
        self.assertEqual(self.consumer.verify()[0], 0)
        self.consumer.start()

    def test_an_interrupt_ends_like_a_term_signal(self):
        self.consumer.process.send_signal(signal.SIGINT)
        self.assertEqual(self.consumer.wait_ended(), 0)
        self.consumer.stop()

    def test_a_signal_at_any_moment_of_the_start_ends_it(self):
        self.consumer.stop()
        for moment in range(12):
            self.consumer.spawn()
            time.sleep(moment * 0.01)
            self.consumer.process.send_signal(signal.SIGHUP)
            self.consumer.process.send_signal(signal.SIGTERM)
            # Before it has taken over the signals, the system's way of ending is as good.
            self.assertIn(self.consumer.wait_ended(), (0, -signal.SIGTERM, -signal.SIGHUP))
            self.consumer.stop()
            self.assertEqual(self.consumer.verify()[0], 0)

    def test_a_stop_keeps_everything_for_the_next_start(self):
        before = (self.consumer.items("agreements"), self.consumer.items("artefacts"),
                  self.consumer.items("transfers"), self.consumer.items("apps"))
        self.assertEqual(self.consumer.stop(), 0)
        self.consumer.start()
        after = (self.consumer.items("agreements"), self.consumer.items("artefacts"),
                 self.consumer.items("transfers"), self.consumer.items("apps"))
        self.assertEqual(before, after)

    def test_nothing_secret_stands_in_the_operational_log(self):
        text = self.consumer.text() + self.pair.provider.text()
        for secret in (self.token, self.consumer.token):
            self.assertNotIn(secret, text)
        self.assertNotIn("PRIVATE KEY", text)


if __name__ == "__main__":
    connectors.main()
