"""A worker process to be killed: the real loop, store and publish path around the painting engine. No torch."""

import threading
from pathlib import Path

from policy import load_policy
from studio import bootstrap
from studio.jobs.worker import work
from studio.policies import ActivePolicy
from studio.settings import Settings
from tests.studio.paint import PaintEngine

POLICIES = ActivePolicy.fixed(load_policy())
LEASE_SECONDS = 0.4
PAUSE = 0.008
"""Seconds a painted step takes: the edit is the longest part of a job, as it is with a model, but not all of it."""


def settings(home: Path) -> Settings:
    return Settings(home=home, lease_seconds=LEASE_SECONDS, poll_seconds=0.02, max_attempts=100)


def run(home: Path) -> None:
    """Work until killed."""
    given = settings(home)
    store = bootstrap.open_store(given)
    desk = bootstrap.build_desk(given, store, PaintEngine(pause=PAUSE), name="doomed", facts=dict, policies=POLICIES)
    work(desk, threading.Event())
