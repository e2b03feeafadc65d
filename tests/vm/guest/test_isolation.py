"""The escape probes and the matrix of layers, as root in a delegated group of cgroup v2."""

import unittest

from doctest_cases import ISOLATION, add_cases

DRIVER = ISOLATION / "isolation_matrix"


class Isolation(unittest.TestCase):
    pass


if DRIVER.exists():
    add_cases(Isolation, DRIVER)
else:
    class NotBuilt(unittest.TestCase):
        def test_isolation(self):
            self.skipTest("this build has no isolation matrix")
