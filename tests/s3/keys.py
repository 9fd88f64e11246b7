"""Keys that a client may get wrong: hand-picked ones, and every odd ASCII character in every odd place."""

from __future__ import annotations

from tests import shared_data

HAND_PICKED = shared_data.HOSTILE_KEYS
# What a browser, a proxy, a file system or an XML parser would take for something else.
MORE_BY_HAND = [
    "a///b",
    "a/.//b",
    "./",
    "../",
    "../..",
    "../../other-bucket/key",
    "/../x",
    "/./x",
    "//x/../y",
    "a/b/../../..",
    "...",
    "....//",
    "%2e%2e/x",
    "%2E",
    "%00",
    "%0d%0a",
    "%C3%A9",
    "%u0041",
    "%%",
    "%25%32%46",
    "a%",
    "a%2",
    "?acl",
    "?delete",
    "?uploads",
    "?X-Amz-Signature=x",
    "a?",
    "a#",
    "a??b",
    ";",
    ";a=b",
    "@",
    "user:password@host",
    "a@127.0.0.1:9/b",
    ":",
    ":443/x",
    "*?",
    "a\\..\\b",
    "\\",
    "\r\nhost: elsewhere",
    "a\r\nx-amz-acl: public-read\r\n\r\nGET / HTTP/1.1",
    " HTTP/1.1",
    "x HTTP/1.1\r\n",
    "\t",
    "\u00a0",
    "\u3000",
    "\u200b",
    "\u200f\u202d\u2066",
    "\u0000a",
    "cafe\u0301",
    "caf\u00e9",
    "\ufb01",
    "fi",
    "\u212a",
    "\u017f",
    "\u1100\u1161\u11a8",
    "\uac01",
    "\u0649\u0644\u0639\u0631\u0628\u064a\u0629",
    "\U0001f1e8\U0001f1ed",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "\U00010000",
    "\ud7ff\ue000",
    "\ufdd0\ufdef",
    "\U0001fffe\U0010fffe",
    "\u20ac" * 341 + "x",
    "\U0001f600" * 256,
    "/" * 1024,
    "." * 1024,
    "%" * 1024,
    "a\u0300" * 341 + "b",
]
_ODD = [chr(code) for code in (*range(0x21), 0x7F)] + list("!\"#$%&'()*+,:;<=>?@[\\]^`{|}~")
EVERY_ODD_CHARACTER = [
    pattern.format(character, character)
    for character in _ODD
    for pattern in ("{}", "a{}b", "{0}{0}", "a/{}/b", "{}/a{}")
]
HOSTILE_KEYS = list(dict.fromkeys([*HAND_PICKED, *MORE_BY_HAND, *EVERY_ODD_CHARACTER]))

NO_KEYS: list[tuple[object, type[Exception]]] = [
    ("", ValueError),
    ("k" * 1025, ValueError),
    ("\u00e9" * 513, ValueError),
    ("\U0001f600" * 257, ValueError),
    ("\ud800", ValueError),
    ("a\udfffb", ValueError),
    ("k" * 500 + "\udc80", ValueError),
    (None, TypeError),
    (b"key", TypeError),
    (bytearray(b"key"), TypeError),
    (7, TypeError),
    (True, TypeError),
    (1.5, TypeError),
    (["key"], TypeError),
    (("key",), TypeError),
    ({"key": "key"}, TypeError),
    (object(), TypeError),
]
"""What no key can be, and what is raised."""
