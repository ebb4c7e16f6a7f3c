# Numbers, strings, dictionaries, hashing and JSON: what scripts do.
import hashlib, json, re


def primes(limit):
    sieve = bytearray([1]) * limit
    for i in range(2, int(limit**0.5) + 1):
        if sieve[i]:
            sieve[i * i :: i] = bytes(len(range(i * i, limit, i)))
    return sum(sieve[2:])


def words(count):
    state, out = 42, []
    for _ in range(count):
        state = (state * 1103515245 + 12345) % 2**31
        out.append("%x" % state)
    return out


def queens(n, row=0, columns=0, left=0, right=0):
    if row == n:
        return 1
    free, found = ~(columns | left | right) & ((1 << n) - 1), 0
    while free:
        bit = free & -free
        free ^= bit
        found += queens(n, row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1)
    return found


text = words(240000)
tally = {}
for word in text:
    tally[word[:2]] = tally.get(word[:2], 0) + 1
print(sorted(tally.items(), key=lambda pair: (-pair[1], pair[0]))[:5])
print(primes(6000000), queens(9))
print(hashlib.sha256(json.dumps(tally, sort_keys=True).encode() * 200).hexdigest())
print(len(re.findall(r"[a-f]+\d{2}", " ".join(text))))
