"""The compiled launch, control group and quota tests, as root in a delegated group of cgroup v2."""

import unittest

from doctest_cases import LAUNCH, add_cases


class Launch(unittest.TestCase):
    pass


class Cgroups(unittest.TestCase):
    pass


class Effects(unittest.TestCase):
    pass


add_cases(Launch, LAUNCH / "test_launch")
add_cases(Cgroups, LAUNCH / "test_cgroups")
add_cases(Effects, LAUNCH / "test_quota_effects")
