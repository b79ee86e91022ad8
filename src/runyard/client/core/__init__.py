"""What both clients have in common, without I/O.

Every operation is a generator. It yields effects (`effects.py`), which a client performs, and
receives their results. So one implementation decides for both clients.
"""
