"""The whole pipeline on this machine: stack, simulator and services, without traffic.

Demo, benchmark, failure tests and anyone's own scripts start the world this way.
"""

from sandbox.world.addresses import Addresses
from sandbox.world.options import WorldOptions
from sandbox.world.world import World

__all__ = ["Addresses", "World", "WorldOptions"]
