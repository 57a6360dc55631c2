"""Random scripts."""
import hashlib


def sha1hex(text):
    return hashlib.sha1(text).hexdigest().encode()


def generate(seed, count, make):
    return []
