"""Trainers: a reward as the function that TRL or verl calls; import the trainer's own module (`plaudit.integrations.trl`)."""

from plaudit.integrations import trl, verl

__all__ = ["trl", "verl"]
