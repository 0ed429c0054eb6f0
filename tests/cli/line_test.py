"""What `tally` says to a command line that it does not understand: a sentence of the table with a
code, in the language asked for, that names the argument and the command that tells more."""
import subprocess
import sys
import unittest

TALLY = sys.argv[1]
del sys.argv[1:]

# Arguments, the code, and what the sentence has to name in every language.
FAULTS = [
    ([], "cli.line-no-command", ["tally --help"]),
    (["nonsense"], "cli.line-no-command", []),
    (["audit"], "cli.line-no-command", ["tally audit --help"]),
    (["status", "more", "still"], "cli.line-extra", ["more", "tally status --help"]),
    (["status", "--unknown"], "cli.line-extra", ["--unknown"]),
    (["audit", "verify"], "cli.line-missing", ["folder", "tally audit verify --help"]),
    (["import", "folder"], "cli.line-missing", ["files", "tally import --help"]),
    (["transfer"], "cli.line-missing", ["agreement"]),
    (["import", "folder", "file", "--tls", "a", "--contract", "b"], "cli.line-excludes",
     ["--tls", "files"]),
    (["import", "folder", "--tls", "a"], "cli.line-requires", ["--tls", "--contract"]),
    (["audit", "check-proof", "a", "b"], "cli.line-one-of", ["--vkey", "--policy"]),
    (["audit", "check-receipt", "a", "--key", "b", "--vkey", "c", "--policy", "d"],
     "cli.line-only-one-of", ["--vkey", "--policy"]),
    (["audit", "bundle", "folder", "--out", "a", "--agreement", "b", "--pid", "c"],
     "cli.line-only-one-of", ["--agreement", "--pid"]),
    (["token", "add", "folder", "--name", "a", "--role", "king"], "cli.line-choice",
     ["--role", "king", "auditor", "tally token add --help"]),
    (["transfer", "urn:a", "--wait", "long"], "cli.line-value", ["--wait", "long"]),
    (["audit", "query", "folder", "--level-min", "12"], "cli.line-malformed", ["12"]),
    (["catalog", "--keyword"], "cli.line-values", ["--keyword"]),
]


def said(language, arguments):
    return subprocess.run([TALLY, "--lang", language, *arguments], capture_output=True, text=True,
                          check=False, timeout=20)


class Line(unittest.TestCase):
    def test_each_fault_is_a_sentence_that_names_it(self):
        for arguments, code, names in FAULTS:
            for language in ("en", "zh"):
                with self.subTest(arguments=arguments, language=language):
                    ended = said(language, arguments)
                    self.assertEqual(ended.returncode, 3)
                    self.assertEqual(ended.stdout, "")
                    self.assertTrue(ended.stderr.startswith(code + ": "), ended.stderr)
                    for name in names:
                        self.assertIn(name, ended.stderr)

    def test_in_chinese_it_is_chinese(self):
        for arguments, code, _ in FAULTS:
            if code != "cli.line-malformed":  # which has words of a library
                with self.subTest(arguments=arguments):
                    text = said("zh", arguments).stderr
                    self.assertRegex(text, "[\u4e00-\u9fff]")
                    self.assertNotRegex(text, "required|expected| excludes ")

    def test_help_is_no_fault(self):
        for arguments in (["--help"], ["audit", "--help"], ["--version"]):
            ended = said("en", arguments)
            self.assertEqual((ended.returncode, ended.stderr), (0, ""))
            self.assertTrue(ended.stdout)


if __name__ == "__main__":
    unittest.main()
