"""Settings of the whole suite: timings of single examples say nothing on a shared machine."""

from hypothesis import HealthCheck, settings

settings.register_profile("plaudit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("plaudit")
