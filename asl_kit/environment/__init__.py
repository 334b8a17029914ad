"""What this machine and installation offer, and what of it keeps asl-kit from its work.

`facts` looks, `probe` does so for what must be imported, in a process of its own, and `checks`
judges. Importing this package loads nothing but the standard library, so that it works
where others are broken.
"""

from asl_kit.environment.checks import Check, Verdict
from asl_kit.environment.examination import examine

__all__ = ["Check", "Verdict", "examine"]
