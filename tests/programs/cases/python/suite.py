"""Runs modules or classes of Python's own test suite; prints each test's outcome, and no times.

What the tests themselves write, some of it at times that depend on the scheduler, goes to the
file "chatter" in the working folder.
"""

import faulthandler
import os
import sys
import unittest

from test import support


class Outcomes(unittest.TestResult):
    def __init__(self, report, trouble):
        super().__init__()
        self.report = report
        self.trouble = trouble

    def tell(self, test, outcome):
        print(test.id(), outcome, file=self.report, flush=True)

    def addSuccess(self, test):
        self.tell(test, "passed")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.tell(test, "skipped")

    def addExpectedFailure(self, test, error):
        super().addExpectedFailure(test, error)
        self.tell(test, "failed as expected")

    def addError(self, test, error):
        super().addError(test, error)
        self.tell(test, "failed")
        print(self.errors[-1][1], file=self.trouble, flush=True)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.tell(test, "failed")
        print(self.failures[-1][1], file=self.trouble, flush=True)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.tell(subtest, "failed")
            print(error[1], file=self.trouble, flush=True)


def set_chatter_apart():
    """Points standard output and error at a file; returns the true ones."""
    streams = [os.fdopen(os.dup(fd), "w") for fd in (1, 2)]
    chatter = os.open("chatter", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(chatter, 1)
    os.dup2(chatter, 2)
    os.close(chatter)
    return streams


def main(names):
    report, trouble = set_chatter_apart()
    faulthandler.enable(trouble)
    support.use_resources = []  # no network, nothing that takes minutes: what is not listed is off
    outcomes = Outcomes(report, trouble)
    unittest.TestLoader().loadTestsFromNames("test." + name for name in names).run(outcomes)
    return 0 if outcomes.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
