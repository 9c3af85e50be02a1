"""Screeners that misbehave, each in its own way; `policy.killable` imports them by name in its child."""

import os
import subprocess
import sys
import time
from pathlib import Path

from policy import Decision, Finding, PictureSubject, TextSubject, allowing_finding


class Screener:
    """Answers as told by the text itself; allows every picture whose first pixel is dark."""

    name = "inner"
    version = "1"
    time_limit_s = 5.0

    def handles(self, subject):
        return True

    def screen(self, subject):
        if isinstance(subject, PictureSubject):
            return [self.finding(subject, int(subject.pixels[0, 0, 0]) < 128)]
        return getattr(self, subject.text)(subject)

    def finding(self, subject, allowed):
        if allowed:
            return allowing_finding(self.name, subject.name)
        return Finding(
            rule="inner-01",
            category="test",
            decision=Decision.BLOCK,
            reason="No.",
            screener=self.name,
            subject=subject.name,
        )

    def allow(self, subject):
        return [self.finding(subject, allowed=True)]

    def block(self, subject):
        return [self.finding(subject, allowed=False)]

    def hang(self, subject):
        time.sleep(600)

    def crash(self, subject):
        os._exit(3)

    def fail(self, subject):
        raise LookupError(f"cannot look at {subject.text}")

    def silence(self, subject):
        return []

    def nonsense(self, subject):
        return "allow"

    def chatter(self, subject):
        sys.stdout.write("to standard output\n")
        return self.allow(subject)

    def pid(self, subject):
        return [allowing_finding(self.name, subject.name, detail=str(os.getpid()))]


def build():
    return Screener()


def build_slowly(seconds):
    time.sleep(seconds)
    return Screener()


def build_never():
    raise OSError("no weights")


class Forker(Screener):
    """Starts a process of its own, writes down its number, and hangs."""

    def __init__(self, note):
        self.note = note

    def screen(self, subject):
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(self.note).write_text(str(process.pid))
        time.sleep(600)


def build_forker(note):
    return Forker(note)


class Heedful(Screener):
    """Says at which tolerance it was asked, and what for."""

    def screen_at(self, subject, tolerance):
        return [allowing_finding(self.name, subject.name, detail=f"{tolerance} {subject.wording}")]


def build_heedful():
    return Heedful()


def text(word):
    return TextSubject(name="prompt", text=word)
