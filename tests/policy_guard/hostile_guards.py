"""Guards that misbehave, without torch; the child imports them by name."""

import os
import time

from policy.guard.answering import AnsweringScreener
from policy.guard.judging import GuardReading, parse_table


class Misbehaves:
    """Does what the text says."""

    def read(self, text, matters):
        return getattr(self, text)()

    def hang(self):
        time.sleep(600)

    def die(self):
        os._exit(3)

    def babble(self):
        return "Safety: Safe"

    def fine(self):
        return GuardReading(safe=1.0, controversial=0.0, unsafe=0.0)


def build(folder, device, digests, table):
    return AnsweringScreener(Misbehaves(), parse_table(table))


def build_slowly(folder, device, digests, table):
    time.sleep(600)


def build_never(folder, device, digests, table):
    raise MemoryError
