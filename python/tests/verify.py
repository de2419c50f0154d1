"""Uses the installed package on what a customer got. Arguments: that folder, and the prompt."""

import pathlib
import sys
import unittest

import zkllmc

FOLDER, PROMPT = pathlib.Path(sys.argv[1]), sys.argv[2]
ID = (FOLDER / "model.id").read_text().strip()


def check(bundle="sums.bundle", statement="statement.bin", proof="proof.bin", **question):
    return zkllmc.verify(FOLDER / bundle, FOLDER / statement, FOLDER / proof, **{"id": ID, **question})


class Verify(unittest.TestCase):
    def test_accepts_what_is_proved(self):
        report = check(prompt=PROMPT)
        self.assertTrue(report)
        self.assertIsNone(report.error)
        self.assertEqual(report.members["texts"]["prompt"]["text"], PROMPT)

    def test_compares_conversations(self):
        user, assistant = lambda text: {"role": "user", "content": text}, {"role": "assistant", "content": "2"}
        self.assertTrue(check(messages=[user(PROMPT)]))
        self.assertFalse(check(messages=[user("1+1=")]))
        for messages in ([user("1+1="), assistant, user(PROMPT)], [user(PROMPT), user(PROMPT)], [], [1], 1, [user("\ud800")]):
            with self.assertRaises(zkllmc.Error, msg=messages):
                check(messages=messages)
        with self.assertRaisesRegex(zkllmc.Error, "not both"):
            check(prompt=PROMPT, messages=[user(PROMPT)])

    def test_bytes_are_files(self):
        files = [(FOLDER / n).read_bytes() for n in ("sums.bundle", "statement.bin", "proof.bin")]
        self.assertTrue(zkllmc.verify(*files, id=ID.upper()))

    def test_rejects(self):
        answer = check().members["texts"]["answer"]
        other = (answer.get("text") or "1") + "0"
        for question in ({"proof": "damaged.bin"}, {"prompt": "1+1="}, {"answer": other}, {"no_saturation": True}):
            report = check(**question)
            self.assertFalse(report, question)
            self.assertTrue(report.error, question)

    def test_line_ends_are_part_of_texts(self):
        for end in ("\n", "\r", "\r\n"):
            with self.assertRaises(zkllmc.Error, msg=end):  # the model has no token for them
                check(prompt=PROMPT + end)

    def test_decides_nothing(self):
        for question, says in (
            ({"bundle": "half.bundle"}, "not a bundle"),
            ({"bundle": "missing"}, "there is no file"),
            ({"statement": "proof.bin"}, "statement"),
            ({"id": "1"}, "64 hexadecimal digits"),
            ({"prompt": 1}, "prompt: give a text"),
            ({"prompt": PROMPT, "text": PROMPT}, "not both"),
            ({"text": PROMPT}, ""),
            ({"timeout": 1e-9}, "was not done"),
        ):
            with self.assertRaisesRegex(zkllmc.Error, says, msg=question):
                check(**question)
        with self.assertRaises(zkllmc.Error):
            zkllmc.verify(None, FOLDER / "statement.bin", FOLDER / "proof.bin", id=ID)

    def test_another_model(self):
        try:
            self.assertFalse(check(id="0" * 64))
        except zkllmc.Error:
            pass

    def test_accept(self):
        self.assertEqual(zkllmc.accept(FOLDER / "sums.bundle"), ID)
        with self.assertRaises(zkllmc.Error):
            zkllmc.accept(FOLDER / "half.bundle")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
