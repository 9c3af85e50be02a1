"""Trains the learned head anew: `python -m policy.head.training --data FOLDER`. Nothing else imports this package."""
