"""Makes sealed-1.json with another implementation of the format than the one under test (docs/guest-api.md).

Run: python3 sealed.py > sealed-1.json, with the package cryptography.
"""

import json

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def vector(to, isvsvn, configsvn, cpusvn, keyid, egetkey, aad, data):
    header = b"TWSEAL\x00\x01" + bytes([to, 0, 0, 0])
    header += isvsvn.to_bytes(2, "little") + configsvn.to_bytes(2, "little") + cpusvn + keyid
    key = HKDF(SHA256(), 32, b"twine sealed data v1", header).derive(egetkey)
    sealed = header + AESGCM(key).encrypt(bytes(12), data, header + aad)
    return {
        "to": to, "isvsvn": isvsvn, "configsvn": configsvn, "cpusvn": cpusvn.hex(), "keyid": keyid.hex(),
        "egetkey": egetkey.hex(), "aad": aad.hex(), "data": data.hex(), "sealed": sealed.hex(),
    }


def counting(first, length):
    return bytes((first + i) % 256 for i in range(length))


print(json.dumps({"format": 1, "vectors": [
    vector(0, 0, 0, bytes(16), bytes(32), bytes(16), b"", b""),
    vector(1, 5, 3, counting(1, 16), counting(0x40, 32), counting(0xA0, 16), b"purpose", b"secret"),
    vector(0, 0xFFFF, 0x0102, counting(0xF0, 16), counting(0x80, 32), counting(0x10, 16), b"", counting(0, 100)),
]}, indent=2))
